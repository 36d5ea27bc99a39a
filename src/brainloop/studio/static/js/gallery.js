// A gallery of any number of images: only the tiles that are in view exist, and they are used again as it scrolls.

import { h } from "./dom.js";

const TILE = 136; // least width of a tile, CSS pixels
const CAPTION = 24;
const PAGE = 200; // images asked for at a time
const BEYOND = 2; // rows kept ready above and below the view
const FAST = 2; // CSS pixels a millisecond: nobody sees an image that flies by as fast as this,
const SETTLE = 80; // ms: and none is asked for until the scrolling has slowed down for so long

export class Gallery {
  // load(offset, limit) gives {total, items} or null; caption(item) and name(item), by default its file's, give texts;
  // judge(item, true | false | null) stores a correction and gives whether it was taken.
  constructor({ label, load, caption, judge, name = ({ path }) => path.split("/").at(-1) }) {
    Object.assign(this, { load, caption, judge, name });
    this.tiles = [];
    this.fast = false; // whether it scrolls too fast for images
    this.last = { scrollTop: 0, now: 0 };
    this.canvas = h("div", { role: "presentation" });
    this.element = h(
      "div.gallery",
      {
        role: "listbox",
        "aria-label": `${label}. Arrow keys move, T target, N not a target, U undo.`,
        tabindex: "0",
        onkeydown: (event) => this.#onkey(event),
        onclick: (event) => this.#onclick(event),
        onscroll: () => this.#onscroll(),
      },
      this.canvas,
    );
    new ResizeObserver(() => this.#layout()).observe(this.element);
    this.reset();
  }

  // Forget what was loaded and begin at the top, for another order or study.
  reset() {
    this.items = [];
    this.pages = new Map(); // number of a page -> "asked" or "here"
    this.total = null;
    this.active = 0;
    this.generation = (this.generation ?? 0) + 1;
    this.element.scrollTop = 0;
    this.#ask(0);
  }

  // Ask again for all that was loaded, and stay where one is: the order may be another, and so may the number.
  async refresh() {
    const { generation } = this;
    for (const page of [...this.pages.keys()]) {
      const answer = await this.load(page * PAGE, PAGE);
      if (generation !== this.generation) return;
      if (answer === null) continue;
      this.total = answer.total;
      for (const [i, item] of answer.items.entries()) this.items[page * PAGE + i] = item;
    }
    this.items.length = Math.min(this.items.length, this.total ?? 0);
    this.active = Math.max(0, Math.min(this.active, (this.total ?? 1) - 1));
    this.#layout();
  }

  // Show it inside an element.
  attach(parent) {
    if (parent.firstChild !== this.element) parent.replaceChildren(this.element);
  }

  async #ask(page) {
    if (this.pages.has(page)) return;
    this.pages.set(page, "asked");
    const { generation } = this;
    const answer = await this.load(page * PAGE, PAGE);
    if (generation !== this.generation) return;
    if (answer === null) {
      this.pages.delete(page);
      return;
    }
    this.pages.set(page, "here");
    this.total = answer.total;
    for (const [i, item] of answer.items.entries()) this.items[page * PAGE + i] = item;
    this.#layout();
  }

  #layout() {
    const width = this.element.clientWidth;
    if (width === 0) return;
    this.columns = Math.max(1, Math.floor(width / TILE));
    this.width = width / this.columns;
    this.height = Math.round(0.8 * this.width) + CAPTION;
    this.canvas.style.height = `${Math.ceil((this.total ?? 0) / this.columns) * this.height}px`;
    this.#draw();
  }

  #onscroll() {
    this.frame ??= requestAnimationFrame((now) => {
      this.frame = null;
      const { scrollTop } = this.element;
      this.fast = Math.abs(scrollTop - this.last.scrollTop) > FAST * (now - this.last.now);
      this.last = { scrollTop, now };
      this.#draw();
    });
  }

  #draw() {
    if (!this.columns || this.total === null) return;
    const top = Math.floor(this.element.scrollTop / this.height) - BEYOND;
    const rows = Math.ceil(this.element.clientHeight / this.height) + 2 * BEYOND + 1;
    const first = Math.max(0, top * this.columns);
    const end = Math.min(this.total, (top + rows) * this.columns);
    const many = rows * this.columns;
    while (this.tiles.length < many) this.tiles.push(this.#tile());
    // A tile shows every `many`-th image, so that scrolling by a row changes only the tiles of that row.
    for (const [i, tile] of this.tiles.entries()) {
      const index = i < many ? first + ((((i - first) % many) + many) % many) : end;
      if (index < end) this.#show(tile, index);
      else tile.element.hidden = true;
    }
    clearTimeout(this.settling);
    this.settling = setTimeout(() => {
      if (this.fast) {
        this.fast = false;
        this.#draw();
        return;
      }
      for (let page = Math.floor(first / PAGE); page * PAGE < end; page += 1) this.#ask(page);
    }, SETTLE);
  }

  #tile() {
    const image = h("img", { alt: "", decoding: "async", draggable: "false" });
    image.addEventListener("load", () => image.toggleAttribute("data-small", image.naturalWidth < 48));
    const value = h("b");
    const name = h("span");
    const element = h("div.tile", { role: "option" }, h("figure", {}, image, h("figcaption", {}, name, value)));
    this.canvas.append(element);
    return { element, image, name, value, shown: "" };
  }

  #show(tile, index) {
    const { element } = tile;
    const item = this.items[index];
    const x = (index % this.columns) * this.width;
    const y = Math.floor(index / this.columns) * this.height;
    element.hidden = false;
    element.style.cssText = `width:${this.width}px;height:${this.height}px;transform:translate(${x}px,${y}px)`;
    element.dataset.index = index;
    element.id = `tile-${index}`;
    element.setAttribute("aria-selected", String(index === this.active));
    if (index === this.active) this.element.setAttribute("aria-activedescendant", element.id);
    const shown = item === undefined ? "" : `${item.id} ${item.said} ${item.correction} ${this.caption(item)}`;
    if (tile.shown === shown && shown !== "") return;
    tile.shown = shown;
    element.setAttribute(
      "class",
      `tile${item?.correction === true ? " is-target" : item?.correction === false ? " is-other" : ""}`,
    );
    if (item === undefined) {
      tile.image.removeAttribute("src");
      tile.name.textContent = tile.value.textContent = "";
      return;
    }
    const source = `/image/${item.id}/thumb`;
    if (tile.image.getAttribute("src") !== source) {
      if (this.fast) {
        tile.image.removeAttribute("src");
        tile.shown = "";
      } else tile.image.src = source;
    }
    const said = item.correction === true ? (item.said ?? "target") : item.correction === false ? "not target" : "";
    tile.name.textContent = this.name(item);
    tile.value.textContent = said || this.caption(item);
    element.setAttribute("aria-setsize", this.total);
    element.setAttribute("aria-posinset", index + 1);
    element.setAttribute(
      "aria-label",
      [item.path, this.caption(item), said && `you said: ${said}`].filter(Boolean).join(", "),
    );
    element.title = item.path;
  }

  #onkey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.total) return;
    const screenful = Math.max(1, Math.floor(this.element.clientHeight / this.height)) * this.columns;
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns };
    Object.assign(steps, { PageUp: -screenful, PageDown: screenful, Home: -Infinity, End: Infinity });
    const judged = { t: true, n: false, u: null }[event.key.toLowerCase()];
    if (event.key in steps) this.#move(this.active + steps[event.key]);
    else if (judged !== undefined) this.#judge(judged);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #onclick(event) {
    const tile = event.target.closest(".tile");
    if (tile) this.#move(Number(tile.dataset.index));
  }

  #move(index) {
    this.active = Math.min(this.total - 1, Math.max(0, index));
    const y = Math.floor(this.active / this.columns) * this.height;
    const { scrollTop, clientHeight } = this.element;
    if (y < scrollTop) this.element.scrollTop = y;
    else if (y + this.height > scrollTop + clientHeight) this.element.scrollTop = y + this.height - clientHeight;
    this.#draw();
  }

  async #judge(isTarget) {
    const item = this.items[this.active];
    if (item === undefined) return;
    const before = item.correction;
    item.correction = isTarget;
    this.#draw();
    if (isTarget !== null) this.#move(this.active + 1);
    if (!(await this.judge(item, isTarget))) {
      item.correction = before;
      this.#draw();
    }
  }
}
