// Stations that share the study: which one this is, who else is there, and whether their store can be reached.

import { h } from "./dom.js";
import { duration, note, number } from "./ui.js";

// Below the page, so that nothing is covered, while the store is away.
export const lost = ({ station }) => (station?.lost ? h("div.lost", { role: "alert" }, station.lost) : null);

// For the foot of the rail: what kind of news, and its words; null for a study of one station.
export function mark({ station }) {
  if (station === null) return null;
  const alive = station.others.filter((one) => one.alive).length;
  if (station.lost) return ["bad", `${station.name} · no store`];
  return ["good", alive > 0 ? `${station.name} · ${alive} more` : station.name];
}

// All stations in a table; null for a study of one station.
export function stations({ station }) {
  if (station === null) return null;
  const { name, others, clock_offset: offset, skew } = station;
  const off = [[`This machine (${name})`, offset], ...others.map((one) => [one.name, one.clock_offset])].filter(
    ([, seconds]) => Math.abs(seconds ?? 0) > skew,
  );
  return h(
    "section.card",
    { "aria-label": "Stations" },
    h(
      "div",
      {},
      h("h2", {}, "Stations"),
      h("p.muted.small", {}, `This one is ${name}. Nobody is shown what another station is looking at.`),
    ),
    ...off.map(([who, seconds]) =>
      note(
        "warn",
        `The clock of ${who} is ${Math.abs(seconds).toFixed(1)} s ${seconds > 0 ? "ahead of" : "behind"} the store's. Looking goes on as it should; only the times that its recordings bear are off. Let it follow a time server.`,
      ),
    ),
    others.length === 0 ? h("p.muted", {}, "No other station has been here yet.") : table(others),
  );
}

function table(others) {
  const row = (one) =>
    h(
      "tr",
      { key: one.name },
      h("th", { scope: "row" }, one.name),
      h("td", {}, one.person || "–"),
      h("td", {}, h("span", { class: one.alive ? "good-text" : "muted" }, one.alive ? "looking" : "not there")),
      h("td.number", {}, number(one.looks)),
      h("td.number", {}, one.alive ? "now" : ago(one.seen)),
    );
  return h(
    "table",
    {},
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        ...["Station", "Person", "Now"].map((name) => h("th", { scope: "col" }, name)),
        ...["Looks", "Last seen"].map((name) => h("th.number", { scope: "col" }, name)),
      ),
    ),
    h("tbody", {}, ...others.map(row)),
  );
}

const ago = (seconds) => (seconds < 10 ? "just now" : `${duration(seconds)} ago`);
