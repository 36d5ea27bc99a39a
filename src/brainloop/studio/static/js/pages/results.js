// Results: curves and distributions; all images, to browse and to put right.

import { aucChart, erpChart, histogram, sureChart } from "../charts.js";
import { h } from "../dom.js";
import { Gallery } from "../gallery.js";
import { button, fixed, head, percent } from "../ui.js";

const ORDERS = [
  ["probability", "Most likely targets first"],
  ["unsure", "Least sure first"],
  ["evidence", "Strongest responses first"],
  ["path", "By name"],
];
const PARTS = [
  ["pool", "Images to label"],
  ["test", "Kept for testing"],
  ["calibration", "For calibration"],
];

let tab = "charts";
let order = "probability";
let part = "pool";
let results = null; // as the server gives them, with the folder of their study
let version = ""; // of the study, when the results were asked for
let gallery = null;
let shown = null;

// What must change for the results to have changed.
const versionOf = ({ study, calibration }) =>
  JSON.stringify([study.folder, study.rounds.length, study.looks, study.corrections, calibration?.seconds]);

export const needsStudy = true;

export function enter() {
  version = "";
}

async function refresh(app) {
  const now = versionOf(app.state);
  if (now === version) return;
  version = now;
  const { folder } = app.state.study;
  const answer = await app.get("/api/results");
  if (answer !== null) results = { ...answer, folder };
  app.redraw();
}

export function view(app) {
  const { study } = app.state;
  if (tab === "charts") refresh(app);
  const choose = (value) => () => {
    tab = value;
    app.redraw();
  };
  const segment = (value, title) =>
    h("button", { type: "button", "aria-pressed": String(tab === value), onclick: choose(value) }, title);
  const tabs = h(
    "div.segments",
    { role: "group", "aria-label": "What to show" },
    segment("charts", "Charts"),
    segment("images", "Images"),
  );
  const title = head("Results", ["What was learned of ", h("em", {}, study.target), " so far."], tabs);
  return tab === "charts" ? [title, charts(app)] : [title, ...images(app, study)];
}

// ---- charts

function charts(app) {
  if (results?.folder !== app.state.study.folder) return h("p.muted", { role: "status" }, "Loading…");
  const { auc, scores, evidence, confidence, unsure, erp, estimated } = results;
  if (unsure.length === 0 && evidence.length === 0 && !erp) {
    return h(
      "div.empty",
      {},
      h("p", {}, "Nothing has been looked at yet."),
      h("a.button", { href: "#watch" }, "Watch"),
    );
  }
  const card = (title, what, figure) =>
    h("section.card", {}, h("div", {}, h("h2", {}, title), h("p.muted.small", {}, what)), figure);
  const known = auc.filter((row) => row.auc !== null);
  const last = known.at(-1);
  const reach = Math.max(2, ...evidence.map(Math.abs));
  const limit = Math.min(10, Math.ceil(reach));
  const cards = [
    last
      ? card(
          "Quality over time",
          `Now ${fixed(last.auc, 3)} [${fixed(last.low, 3)}, ${fixed(last.high, 3)}], on images that were never shown`,
          aucChart("auc", auc, "minutes"),
        )
      : unsure.length > 0
        ? card(
            "Sure of, over time",
            estimated
              ? `Estimated AUC ${fixed(estimated.auc, 3)}, from the classifier's own probabilities; no truth is known to check it with`
              : "",
            sureChart("sure", unsure),
          )
        : null,
    evidence.length > 0
      ? card(
          "What the looks said",
          "Evidence for a target of each image that was looked at, nats; 0 says nothing",
          histogram(
            "evidence",
            "Distribution of evidence",
            scores
              ? [
                  { name: "Others", values: scores.other, colour: "other" },
                  { name: "Targets", values: scores.target, colour: "target" },
                ]
              : [{ name: "All", values: evidence, colour: "accent" }],
            { x: "Evidence, nats", low: -limit, high: limit },
          ),
        )
      : null,
    confidence.length > 0
      ? card(
          "How sure the classifier is",
          `At least 90 % sure of ${percent(confidence.filter((c) => c >= 0.9).length / confidence.length)} of the images`,
          histogram(
            "confidence",
            "Distribution of confidence",
            [{ name: "All", values: confidence, colour: "accent" }],
            { x: "Confidence", low: 0.5, high: 1, bins: 25 },
          ),
        )
      : null,
    erp ? card("Mean response", "In calibration, with 95 % intervals", erpChart("erp", erp)) : null,
  ];
  return h("div.charts", { key: cards.map((one) => one !== null).join() }, ...cards.filter(Boolean));
}

// ---- images

function images(app, study) {
  const key = JSON.stringify([study.folder, order, part, study.rounds.length]);
  gallery ??= new Gallery({
    label: "Images",
    load: (offset, limit) => app.get(`/api/gallery?order=${order}&part=${part}&offset=${offset}&limit=${limit}`),
    caption: (item) => (item.probability === null ? "" : percent(item.probability)),
    judge: async (item, isTarget) => (await app.post("correct", { image: item.id, is_target: isTarget })) !== null,
  });
  if (shown !== null && shown !== key) gallery.reset();
  shown = key;
  const select = (label, value, choices, take) =>
    h(
      "select",
      {
        "aria-label": label,
        value,
        onchange: (event) => {
          take(event.target.value);
          app.redraw();
        },
      },
      ...choices.map(([one, title]) => h("option", { value: one }, title)),
    );
  const parts = PARTS.filter(([one]) => one === "pool" || study.counts[one]);
  return [
    h(
      "div.row.spread",
      {},
      h(
        "div.row",
        {},
        select("Part", part, parts, (one) => (part = one)),
        select("Order", order, ORDERS, (one) => (order = one)),
        button("Reload", () => gallery.reset(), { kind: "plain" }),
      ),
      h(
        "p.muted.small",
        {},
        h("kbd", {}, "←↑→↓"),
        "move ",
        h("kbd", {}, "T"),
        "target ",
        h("kbd", {}, "N"),
        "not a target ",
        h("kbd", {}, "U"),
        "undo",
      ),
    ),
    h("div", { style: "--above:232px", keep: (element) => gallery.attach(element) }),
    h("p.hint", {}, "What you say here is taken as the truth the next time that the classifier learns."),
  ];
}
