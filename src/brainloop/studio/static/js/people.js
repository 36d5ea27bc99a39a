// People beside each other: a table, who is to be pointed out, and how they changed over the day.

import { driftChart } from "./charts.js";
import { h } from "./dom.js";
import { fixed, note, number } from "./ui.js";

// The section of the results page; null where fewer than two looked. Of each person: {name, looks, rejected, auc,
// auc_low, auc_high, weight, stations, seen, warning, stretches: [{begin, end, looks, weight, auc}]}.
export function people(list) {
  if (list.length < 2) return null;
  const timed = list.filter(({ stretches }) => stretches.some(({ begin }) => begin !== null));
  return h(
    "section.card.wide",
    { "aria-label": "People" },
    h(
      "div",
      {},
      h("h2", {}, "People"),
      h(
        "p.muted.small",
        {},
        "What people say of an image adds up; each counts as much as they agree with the others and with the classifier. A weight of 1 is what calibration promised.",
      ),
    ),
    ...list.filter(({ warning }) => warning).map(({ warning }) => note("warn", `${warning}.`)),
    table(list),
    timed.length > 0
      ? h("div.both.drift", {}, driftChart("drift-auc", timed, "auc"), driftChart("drift-weight", timed, "weight"))
      : null,
  );
}

const COLUMNS = [["Person"], ["Looks", true], ["Rejected", true], ["AUC [95 % interval]", true], ["Weight", true], ["Station"], ["Last look", true]];

function table(list) {
  const cell = (text, isNumber = true) => h(isNumber ? "td.number" : "td", {}, text);
  return h(
    "div.scroll",
    { tabindex: "0", role: "region", "aria-label": "Table of people" },
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, ...COLUMNS.map(([name, isNumber]) => h(isNumber ? "th.number" : "th", { scope: "col" }, name)))),
      h(
        "tbody",
        {},
        ...list.map((one) =>
          h(
            "tr",
            { key: one.name },
            h("th", { scope: "row" }, one.name),
            cell(number(one.looks)),
            cell(number(one.rejected)),
            cell(one.auc === null ? "–" : one.auc_low === null ? fixed(one.auc) : `${fixed(one.auc)} [${fixed(one.auc_low)}, ${fixed(one.auc_high)}]`),
            h("td.number", {}, h("span", { class: one.warning ? "warn-text" : "" }, fixed(one.weight))),
            cell(one.stations.join(", "), false),
            cell(one.seen === null ? "–" : clock(one.seen), false),
          ),
        ),
      ),
    ),
  );
}

// A time of today, or a day and a time, from seconds since 1970.
function clock(seconds) {
  const then = new Date(1000 * seconds);
  const time = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  const isToday = then.toDateString() === new Date().toDateString();
  return then.toLocaleString("en-GB", isToday ? time : { ...time, day: "numeric", month: "short" });
}
