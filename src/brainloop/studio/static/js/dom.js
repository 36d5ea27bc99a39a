// Elements from a description, and a page brought up to date with a new description of itself.
//
// A page is a function of the state that gives elements. `patch` changes those on the screen into the new ones and
// leaves alone what is the same, so that focus, typed text and scroll positions stay.

// h("button.primary", {onclick, disabled: true}, "Go") gives <button class="primary" disabled>Go</button>.
// A `key` keeps an element apart from others in its place. With `keep`, a function, its children are not the page's
// own: the function is called with the element that is on the screen, after every drawing.
export function h(what, attributes = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  const svg = SVG.has(tag);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  if (classes.length > 0) element.setAttribute("class", classes.join(" "));
  element.handlers = {};
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.handlers[name.slice(2)] = value;
    else if (name === "key") element.key = value;
    else if (name === "keep") {
      element.keep = value;
      element.dataset.keep = "";
    } else if (name === "value" || name === "checked") {
      if (value !== undefined) element.given = { ...element.given, [name]: value };
    } else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  for (const type of Object.keys(element.handlers)) element.addEventListener(type, dispatch);
  element.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  Object.assign(element, element.given); // after the children: a select knows its values by them
  return element;
}

const SVG = new Set(["svg", "path", "circle", "text", "g", "title", "line", "rect"]);

function dispatch(event) {
  this.handlers[event.type]?.call(this, event);
}

// Bring `old` up to what `fresh` describes; give the element that is now on the screen.
export function patch(old, fresh) {
  if (old.nodeType === Node.TEXT_NODE && fresh.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return old;
  }
  if (old.nodeName !== fresh.nodeName || old.key !== fresh.key) {
    old.replaceWith(fresh);
    return fresh;
  }
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const type of Object.keys(fresh.handlers)) {
    if (!(type in old.handlers)) old.addEventListener(type, dispatch);
  }
  old.handlers = fresh.handlers;
  for (const [name, value] of Object.entries(fresh.given ?? {})) {
    // What somebody typed stays until the page says something new; what is ticked is the page's to say.
    if (name === "checked" || old.given?.[name] !== value) old[name] = value;
  }
  old.given = fresh.given;
  if (!fresh.keep) patchChildren(old, fresh);
  return old;
}

// Make the children of `parent` those of `fresh`, an element or a fragment.
export function patchChildren(parent, fresh) {
  const next = [...fresh.childNodes];
  for (const [i, child] of next.entries()) {
    const old = parent.childNodes[i];
    if (old === undefined) parent.append(child);
    else patch(old, child);
  }
  while (parent.childNodes.length > next.length) parent.lastChild.remove();
}
