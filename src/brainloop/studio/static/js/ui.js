// Small pieces that several pages show.

import { h } from "./dom.js";

export const percent = (share) => (share === null || share === undefined ? "–" : `${Math.round(100 * share)} %`);
// A probability, which is never 0 or 1.
export const chance = (p) => (p > 0.995 ? "> 99 %" : p < 0.005 ? "< 1 %" : percent(p));
export const number = (n) => (n === null || n === undefined ? "–" : Math.round(n).toLocaleString("en"));
export const fixed = (x, digits = 2) => (x === null || x === undefined ? "–" : x.toFixed(digits));
export const plural = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;

export function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${fixed(seconds / 3600, 1)} h`;
}

export function bytes(n) {
  if (n < 1000) return `${n} B`;
  return n < 1e6 ? `${Math.round(n / 1e3)} kB` : n < 1e9 ? `${fixed(n / 1e6, 1)} MB` : `${fixed(n / 1e9, 1)} GB`;
}

export function head(title, lead, ...actions) {
  return h(
    "div.head",
    {},
    h("div", {}, h("h1", { tabindex: "-1" }, title), lead ? h("p.lead", {}, lead) : null),
    actions.length > 0 ? h("div.row", {}, ...actions) : null,
  );
}

// What is looked for, in words and pictures; {target, images}: "not roses" is whatever is none.
export function sought({ target, images = [] }) {
  const [, negation, name] = /^(not )?(.*)$/s.exec(target);
  const photos = images.map((id) => h("img", { src: `/image/${id}/thumb`, alt: "" }));
  return h(
    "div.sought",
    {},
    h("span.muted", {}, "Look for"),
    h("strong", {}, negation ? h("b.not", {}, "NOT ") : null, name),
    photos.length > 0 ? h("div.photos", {}, ...photos) : null,
    negation && photos.length > 0 ? h("span.muted", {}, `These fit “${name}”. Look for what does not.`) : null,
  );
}

// Names of classes, in the colour of what is looked for.
export const names = (list) =>
  h("span", {}, ...list.flatMap((name, i) => [i === 0 ? "" : i === list.length - 1 ? " and " : ", ", h("em", {}, name)]));

export const notLive = ({ observer, name }) =>
  `Nobody sits before this study: its looks are ${OBSERVERS[observer]}. It goes on with: brainloop run ${name}`;
const OBSERVERS = { replay: "those of a recording", simulated: "simulated", own: "a program's" };

export const noStudy = (title) => [
  head(title),
  h("div.empty", {}, h("p", {}, "No study is open."), h("a.button", { href: "#study" }, "Open a study")),
];

export function facts(pairs, how = "facts") {
  const shown = pairs.filter((pair) => pair !== null);
  return h(`dl.${how}`, {}, ...shown.map(([name, ...value]) => h("div", {}, h("dt", {}, name), h("dd", {}, ...value))));
}

export function working({ progress, activity }) {
  if (progress === null) return h("p.muted", { role: "status" }, WORDS[activity] ?? "Working…");
  const { what, done, total } = progress;
  const label = what.charAt(0).toUpperCase() + what.slice(1);
  return h(
    "div.stack.tight",
    { role: "status" },
    h("div.row.spread", {}, h("span", {}, label), h("span.muted", {}, total ? percent(done / total) : "")),
    h("progress", { max: "1", value: total ? done / total : undefined, "aria-label": label }),
  );
}

const WORDS = { preparing: "Preparing…", training: "Learning from what was recorded…", stopping: "Stopping…" };

export const button = (text, onclick, how = {}) => {
  const { kind = "", ...attributes } = how;
  return h(`button${kind && `.${kind}`}`, { type: "button", onclick, ...attributes }, text);
};

export const note = (kind, ...children) => h(`p.note.${kind}`, {}, ...children);

// An AUC and its 95 % interval on a line from below chance to perfect.
export function interval({ auc, low, high, good }) {
  const at = (x) => `${(100 * (Math.min(1, Math.max(0.4, x)) - 0.4)) / 0.6}%`;
  const width = `calc(${at(high)} - ${at(low)})`;
  return h(
    "div.interval",
    {
      class: good ? "interval" : "interval low",
      role: "img",
      "aria-label": `AUC ${fixed(auc)}, 95 % interval ${fixed(low)} to ${fixed(high)}; chance is 0.50`,
    },
    h("div.axis"),
    h("div.range", { style: `left:${at(low)};width:${width}` }),
    h("div.point", { style: `left:${at(auc)}` }),
    h("span.tick", { style: "left:0" }, ".4"),
    h("span.tick", { style: `left:${at(0.5)}` }, ".5 chance"),
    h("span.tick", { style: `left:${at(0.75)}` }, ".75"),
    h("span.tick", { style: "left:100%" }, "1"),
  );
}

// Ask before something that cannot be taken back; resolves to whether to do it.
export function confirmed(title, text, action) {
  const dialog = h("dialog", { "aria-labelledby": "asked" });
  const form = h(
    "form",
    { method: "dialog" },
    h("h2", { id: "asked" }, title),
    h("p.muted", {}, text),
    h(
      "div.row",
      {},
      h("button.danger", { value: "yes" }, action),
      h("button", { value: "no", autofocus: true }, "Cancel"),
    ),
  );
  dialog.append(form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
  });
}

export function toasts(app) {
  const shown = app.toasts.map((toast) =>
    h(
      "div.toast",
      { class: `toast ${toast.level}`, key: toast.n, role: toast.level === "error" ? "alert" : "status" },
      h("span", {}, toast.text),
      h("button", { type: "button", "aria-label": "Dismiss", onclick: () => app.dismiss(toast) }, "✕"),
    ),
  );
  return h("div.toasts", {}, ...shown);
}
