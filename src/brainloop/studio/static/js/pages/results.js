// Results: what the looks came to, curves and distributions, and all images, to browse and to put right.

import { accuracyChart, askedChart, aucChart, classChart, erpChart, fusionChart, histogram, sureChart } from "../charts.js";
import { confusion } from "../confusion.js";
import { h } from "../dom.js";
import { findings } from "../findings.js";
import { Gallery } from "../gallery.js";
import { people } from "../people.js";
import { piles } from "../piles.js";
import { button, chance, facts, fixed, head, names, percent } from "../ui.js";

const ORDERS = [
  ["probability", "Most likely first"],
  ["unsure", "Least sure first"],
  ["evidence", "Strongest responses first"],
  ["path", "By name"],
];
const PARTS = [
  ["pool", "Images to label"],
  ["test", "Kept for testing"],
  ["calibration", "For calibration"],
];
// What there is to see, the first at first; an audit and a review have come to something of their own.
const EVERY = [
  ["charts", "Charts"],
  ["images", "Images"],
];
const TABS = {
  train: EVERY,
  audit: [["findings", "Annotations"], ...EVERY],
  review: [["piles", "Piles"], ...EVERY],
};
const LEADS = {
  train: (study) => ["What was learned of ", names(study.names), " so far."],
  audit: (study) => ["Doubted annotations of ", names(study.names), "."],
  review: (study) => ["Images sorted for ", names(study.names), "; they move as evidence comes."],
};

let tab = null; // null: the first there is
let order = "probability";
let part = "pool";
let results = null; // as the server gives them, with the folder of their study
let version = ""; // of the study, when the results were asked for
let fusion = []; // what classifier and brain say together, by target, with the folder of the study
let crowd = []; // who looked, and what each came to
let fused = null; // which target of them is shown
let gallery = null;
let shown = null;
let marked = null; // what an image is marked as, where there are several classes

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
  fusion = [];
  app.redraw();
  const { people: found } = (await app.get("/api/people")) ?? { people: [] };
  if (now !== version) return;
  crowd = found;
  app.redraw();
  if (app.state.activity !== "idle" || now !== version) return; // it takes some seconds of another process
  const { targets } = (await app.get("/api/fusion")) ?? { targets: [] };
  if (now !== version) return;
  fusion = targets;
  app.redraw();
}

export function view(app) {
  const { study } = app.state;
  const tabs = TABS[study.use];
  const now = tabs.some(([value]) => value === tab) ? tab : tabs[0][0];
  const choose = (value) => () => {
    tab = value;
    app.redraw();
  };
  const segments = tabs.map(([value, title]) =>
    h("button", { type: "button", "aria-pressed": String(now === value), onclick: choose(value) }, title),
  );
  const title = head(
    "Results",
    LEADS[study.use](study),
    h("div.segments", { role: "group", "aria-label": "What to show" }, ...segments),
  );
  return [title, ...VIEWS[now](app)];
}

const VIEWS = {
  charts: (app) => {
    refresh(app);
    return [charts(app)];
  },
  images: (app) => images(app, app.state.study),
  findings,
  piles,
};

// ---- charts

function charts(app) {
  if (results?.folder !== app.state.study.folder) return h("p.muted", { role: "status" }, "Loading…");
  const { auc, scores, evidence, confidence, unsure, erp, estimated, accuracy, classes } = results;
  if (unsure.length === 0 && evidence.length === 0 && !erp) {
    return h(
      "div.empty",
      {},
      h("p", {}, "Nothing has been looked at yet."),
      h("a.button", { href: "#watch" }, "Watch"),
    );
  }
  const section = (kind, title, what, ...figures) =>
    h(kind, {}, h("div", {}, h("h2", {}, title), h("p.muted.small", {}, what)), ...figures);
  const card = (...parts) => section("section.card", ...parts);
  const known = auc.filter((row) => row.auc !== null);
  const last = known.at(-1);
  const reach = Math.max(2, ...evidence.map(Math.abs));
  const limit = Math.min(10, Math.ceil(reach));
  const cards = [
    classes &&
      section(
        "section.card.wide",
        "What is taken for what",
        `${percent(classes.accuracy)} of ${classes.n} images that were never shown are told rightly`,
        h(
          "div.both",
          {},
          confusion(classes.names, classes.confusion),
          classChart("per-class", classes.names, classes.auc),
        ),
      ),
    accuracy.length > 0
      ? card(
          "Accuracy over time",
          `Now ${percent(accuracy.at(-1).accuracy)} [${percent(accuracy.at(-1).low)}, ${percent(accuracy.at(-1).high)}], on images that were never shown`,
          accuracyChart("accuracy", accuracy, "minutes"),
        )
      : null,
    classes &&
      card(
        "What was looked for when",
        "Looks by class, round by round: each block looks where it tells most",
        askedChart("asked", classes.names, classes.asked),
      ),
    last && !classes
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
          "Evidence of each look for what was looked for, nats; 0 says nothing",
          histogram(
            "evidence",
            "Distribution of evidence",
            scores
              ? [
                  { name: "At others", values: scores.other, colour: "other" },
                  { name: "At targets", values: scores.target, colour: "target" },
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
    people(crowd),
    fusion.length > 0 ? together(app) : null,
    erp ? card("Mean response", "In calibration, with 95 % intervals", erpChart("erp", erp)) : null,
  ];
  return h("div.charts", { key: cards.map(Boolean).join() }, ...cards.filter(Boolean));
}

// What the classifier says of each image without the looks at it, what the looks say, and both.
function together(app) {
  const one = fusion.find(({ target }) => target === fused) ?? fusion[0];
  const choose = (event) => {
    fused = event.target.value;
    app.redraw();
  };
  const targets = fusion.map(({ target }) => h("option", { value: target }, target));
  return h(
    "section.card.wide",
    {},
    h(
      "div.row.spread",
      {},
      h("h2", {}, "Classifier and brain together"),
      fusion.length > 1 ? h("select", { "aria-label": "Target", value: one.target, onchange: choose }, ...targets) : null,
    ),
    h("p.muted.small", {}, `${one.is_target.length} images that were looked at; the classifier learned from others alone`),
    h(
      "div.fusion",
      {},
      facts([
        ["Classifier's AUC", fixed(one.classifier, 3)],
        ["Brain's AUC", fixed(one.brain, 3)],
        ["Both together", h("b.good-text", {}, fixed(one.combined, 3))],
      ]),
      fusionChart("fusion", one),
    ),
  );
}

// ---- images

function images(app, study) {
  const key = JSON.stringify([study.folder, order, part, study.rounds.length]);
  if (!study.targets.includes(marked)) marked = study.targets[0];
  const several = study.targets.length > 1;
  gallery ??= new Gallery({
    label: "Images",
    load: (offset, limit) => app.get(`/api/gallery?order=${order}&part=${part}&offset=${offset}&limit=${limit}`),
    caption: (item) => (item.probability === null ? "" : chance(item.probability)),
    name: (item) =>
      app.state.study.targets.length > 1 && item.probability !== null ? item.name : item.path.split("/").at(-1),
    judge: async (item, isTarget) => {
      const answer = await app.post("correct", { image: item.id, target: marked, is_target: isTarget });
      item.said = marked;
      return answer !== null;
    },
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
        several ? select("Mark as", marked, study.targets.map((one) => [one, `Mark as ${one}`]), (one) => (marked = one)) : null,
        button("Reload", () => gallery.reset(), { kind: "plain" }),
      ),
      h(
        "p.muted.small",
        {},
        h("kbd", {}, "←↑→↓"),
        "move ",
        h("kbd", {}, "T"),
        several ? `${marked} ` : "target ",
        h("kbd", {}, "N"),
        several ? `not ${marked} ` : "not a target ",
        h("kbd", {}, "U"),
        "undo",
      ),
    ),
    h("div", { style: `--above:${several ? 264 : 232}px`, keep: (element) => gallery.attach(element) }),
    h("p.hint", {}, "What you say here is taken as the truth the next time that the classifier learns."),
  ];
}
