// The frame: six pages by their hash, the way through them, keys, and what pops up.

import { app } from "./app.js";
import { h, patch, patchChildren } from "./dom.js";
import * as calibrate from "./pages/calibrate.js";
import * as exporting from "./pages/export.js";
import * as headset from "./pages/headset.js";
import * as results from "./pages/results.js";
import * as study from "./pages/study.js";
import * as watch from "./pages/watch.js";
import { lost, mark } from "./stations.js";
import { noStudy, toasts } from "./ui.js";

// A page: view(app) gives its elements, done(state) whether its step has been taken; needsStudy says that it has nothing
// to show without one; enter and leave, if it has them, are called when it is shown and hidden.
const PAGES = [
  ["study", "Study", study],
  ["headset", "Headset", headset],
  ["calibrate", "Calibrate", calibrate],
  ["watch", "Watch", watch],
  ["results", "Results", results],
  ["export", "Export", exporting],
];

const KEYS = [
  ["1 – 6", "switch pages"],
  ["← ↑ → ↓", "move in a gallery"],
  ["T", "this image is a target"],
  ["N", "this image is not a target"],
  ["U", "undo that"],
  ["Space", "in the presentation: a target, or go on"],
  ["Esc", "in the presentation: pause; once more, leave"],
  ["?", "show these keys"],
];

const root = document.getElementById("app");
let current = null;

function frame() {
  const { state } = app;
  const [name, , page] = current;
  const here = h(
    "main",
    { key: name, "aria-label": current[1] },
    ...(page.needsStudy && state.study === null ? noStudy(current[1]) : page.view(app)),
  );
  return [rail(state), here, toasts(app), app.connected ? lost(state) : offline()];
}

function rail(state) {
  const steps = PAGES.map(([name, title, page], i) =>
    h(
      "li",
      {},
      h(
        "a",
        {
          href: `#${name}`,
          title,
          "aria-label": title,
          "aria-current": current[0] === name ? "page" : null,
          "aria-keyshortcuts": String(i + 1),
        },
        h("kbd", { "aria-hidden": "true" }, String(i + 1)),
        h("span.name", {}, title),
        page.done?.(state) ? h("span.state", { role: "img", "aria-label": "done" }, "✓") : null,
      ),
    ),
  );
  return h(
    "nav.rail",
    { "aria-label": "Pages" },
    h("div.brand", {}, logo(), h("span", {}, "brainloop")),
    h("ol", {}, ...steps),
    h("a", { href: "/drive", title: "Drive", "aria-label": "Drive" }, lane(), h("span.name", {}, "Drive")),
    status(state),
  );
}

function logo() {
  const wave = "M4 17h6l3-8 5 15 3-7h7";
  const line = { d: wave, fill: "none", stroke: "#2fbf94", "stroke-width": "2.6", "stroke-linecap": "round" };
  return h("svg", { viewBox: "0 0 32 32", "aria-hidden": "true" }, h("path", line));
}

function lane() {
  const line = { d: "M8 3 3 19M14 3l5 16M11 4v3m0 3v3m0 3v3", fill: "none", stroke: "currentColor", "stroke-width": "2" };
  return h("svg", { viewBox: "0 0 22 22", width: "22", "aria-hidden": "true" }, h("path", { ...line, "stroke-linecap": "round" }));
}

const STREAM = { streaming: "good", silent: "bad", failed: "bad", closed: "warn" };

function status(state) {
  const line = (kind, text) => h("div.dot", { class: `dot ${kind}` }, h("span", { title: text }, text));
  const set = state.headset;
  const silent = set && set.state !== "streaming" ? ` · ${set.state}` : "";
  return h(
    "div.status",
    { role: "status", "aria-label": "Status" },
    state.study ? line("good", state.study.name) : line("", "No study"),
    state.station ? line(...mark(state)) : null,
    state.person ? line("good", state.person.name) : line("", "Nobody sits here"),
    set ? line(STREAM[set.state], set.name + silent) : line("", state.mode === "keyboard" ? "Space bar" : "No headset"),
    state.activity === "idle" ? null : line("warn", state.activity.charAt(0).toUpperCase() + state.activity.slice(1)),
    h("div", {}, button("Keys"), h("span", {}, `Version ${state.version}`)),
  );
}

function button(text) {
  return h(
    "button.plain.small",
    { type: "button", onclick: help, "aria-keyshortcuts": "?", style: "justify-content:flex-start;padding:0" },
    text,
    h("kbd", {}, "?"),
  );
}

function offline() {
  const text =
    "The studio does not answer. Is it running? If it was started anew, open the link that it prints. What was recorded is on disk.";
  return h("div.offline", { role: "alert" }, text);
}

function draw() {
  const fresh = h("div", {}, ...frame());
  patchChildren(root, fresh);
  for (const element of root.querySelectorAll("[data-keep]")) element.keep(element);
}

function go() {
  const [name] = location.hash.slice(1).split("/");
  const next = PAGES.find(([other]) => other === name) ?? PAGES[0];
  if (next === current) return;
  const first = current === null;
  current?.[2].leave?.(app);
  current = next;
  document.title = `${next[1]} · brainloop studio`;
  next[2].enter?.(app);
  draw();
  root.querySelector("main").scrollTop = 0;
  if (!first) root.querySelector("h1")?.focus();
}

function help() {
  const keys = KEYS.map(([key, what]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)]);
  const close = h("button", { autofocus: true }, "Close");
  const dialog = h(
    "dialog",
    { "aria-labelledby": "keys" },
    h("form", { method: "dialog" }, h("h2", { id: "keys" }, "Keys"), h("dl", {}, ...keys), h("div", {}, close)),
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

function onkey(event) {
  const typing = event.target.closest?.("input[type=text], select, textarea, dialog");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || app.screen !== null) return;
  const page = PAGES[Number(event.key) - 1];
  if (page) location.hash = page[0];
  else if (event.key === "?") help();
  else return;
  event.preventDefault();
}

app.onchange = draw;
addEventListener("hashchange", go);
addEventListener("keydown", onkey);
root.replaceChildren();
go();
app.take(app.state);
app.listen();
