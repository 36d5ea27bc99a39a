// Study: make one or open one; where folders do not say what is a target, pick examples.

import { h } from "../dom.js";
import { Gallery } from "../gallery.js";
import { stations } from "../stations.js";
import { button, confirmed, facts, head, names, notLive, note, number, plural, working } from "../ui.js";
import { form } from "./create.js";

const ENOUGH = 10; // targets that make a calibration worth while; three are the least it takes

let gallery = null;
let shown = null; // the study that the gallery shows
let marked = null; // the class that images are marked as, where there are several

export const done = (state) => state.study !== null && state.study.calibrates.targets >= 3;

export function view(app) {
  return app.state.study === null ? choose(app) : opened(app);
}

function choose(app) {
  const { state } = app;
  const busy = state.activity !== "idle";
  const open = (folder) => app.post("study/open", { folder });
  return [
    head("Study", "A study is one folder of images and what looks at them are for. Make a new one, or go on with one."),
    h(
      "div.begin",
      {},
      form(app),
      h(
        "section.card",
        {},
        h("h2", {}, "Go on with a study"),
        state.studies.length === 0
          ? h("p.muted", {}, "None in ", h("code", {}, state.home), " yet.")
          : h("ul.list", {}, ...state.studies.map((study) => entry(study, open, busy))),
      ),
    ),
  ];
}

const PURPOSES = {
  train: (list) => (list.length > 1 ? `tells apart ${list.join(", ")}` : `looks for ${list[0]}`),
  audit: (list) => `checks annotations of ${list.join(", ")}`,
  review: (list) => `reviews for ${list[0]}`,
};
const purpose = (study) => (study.names.length > 0 ? PURPOSES[study.use](study.names) : "");

function entry(study, open, busy) {
  return h(
    "li",
    {},
    h(
      "button",
      { type: "button", disabled: busy, onclick: () => open(study.folder) },
      h("span", {}, study.name, " ", h("span.muted", {}, purpose(study))),
      h("span.muted", {}, "Open"),
    ),
  );
}

function opened(app) {
  const { study, activity, progress } = app.state;
  const { counts } = study;
  const close = button("Close", () => app.post("study/close"), { disabled: activity !== "idle" });
  const told = calibrates(study);
  const next =
    app.state.headset || app.state.mode === "keyboard" ? ["#calibrate", "Calibrate"] : ["#headset", "Headset"];
  return [
    head(
      study.name,
      [...said(study), " in ", h("code", {}, study.images)],
      close,
      h(done(app.state) ? "a.button.primary" : "a.button", { href: next[0] }, `Next: ${next[1]}`),
    ),
    facts([
      ["Images to label", number(counts.pool ?? 0)],
      ["Kept for testing", number(counts.test ?? 0)],
      counts.calibration ? ["For calibration", number(counts.calibration)] : null,
      counts.unusable ? ["Cannot be read", number(counts.unusable)] : null,
      ["Images a second", (1 / study.soa).toFixed(1).replace(/\.0$/, "")],
      ["Looks so far", number(study.looks)],
      ["Corrected by hand", number(study.corrections)],
    ]),
    activity === "idle" && progress !== null ? working(app.state) : null,
    stations(app.state),
    told ? note("good", told) : examples(app, study),
    h("div", {
      style: `--above:${told ? 272 : 368}px`,
      keep: (element) => browser(app, study).attach(element),
    }),
  ].filter(Boolean);
}

const SAID = { train: "Looks for ", audit: "Checks who is rightly annotated as ", review: "Reviews for " };
const said = (study) => [SAID[study.use], names(study.names)];

// What calibration is made of where nobody has to pick examples; otherwise null.
function calibrates(study) {
  if (study.observer !== "live") return notLive(study);
  if (study.use === "audit")
    return "Calibration uses some of the annotations, most of which are right; what is looked for is what does not fit.";
  if (!study.counts.calibration) return null;
  return `The folders say which images show ${study.calibrates.target}: calibration uses some of them, and results can be checked against the rest.`;
}

function browser(app, study) {
  if (gallery === null || shown !== study.folder) {
    shown = study.folder;
    gallery = new Gallery({
      label: "Images of the study",
      load: (offset, limit) => app.get(`/api/gallery?order=path&part=pool&offset=${offset}&limit=${limit}`),
      caption: () => "",
      judge: async (item, isTarget) =>
        (await app.post("correct", { image: item.id, target: marked, is_target: isTarget })) !== null,
    });
  }
  return gallery;
}

function examples(app, study) {
  if (!study.targets.includes(marked)) marked = study.targets[0];
  const { targets, others } = study.examples[marked];
  const clear = async () => {
    if (
      !(await confirmed(
        "Take back all examples?",
        `${plural(targets.length + others.length, "image")} will be unmarked.`,
        "Take back",
      ))
    )
      return;
    if (await app.post("study/examples", { target: marked, targets: [], others: [] })) gallery.reset();
  };
  const mark = (event) => {
    marked = event.target.value;
    app.redraw();
  };
  const of = h(
    "select",
    { "aria-label": "Examples of", value: marked, onchange: mark },
    ...study.targets.map((one) => h("option", { value: one }, one)),
  );
  const few = targets.length < 3;
  const advice = few
    ? `Mark at least 3 images that show ${marked}; ${ENOUGH} or more make a better calibration.`
    : targets.length < ENOUGH
      ? `Enough to begin. ${ENOUGH} or more make a better calibration.`
      : "Plenty. Others are filled up with images picked at random.";
  return h(
    "section.stack.tight",
    { "aria-label": "Examples" },
    h(
      "div.row.spread",
      {},
      h("div.row", {}, h("h2", {}, "Examples to calibrate with"), study.targets.length > 1 ? of : null),
      h(
        "div.row",
        {},
        h(
          "span",
          {},
          h("b.target-text", {}, number(targets.length)),
          ` ${targets.length === 1 ? "target" : "targets"} · `,
          h("b.other-text", {}, number(others.length)),
          " others",
        ),
        button("Take all back", clear, { kind: "plain", disabled: targets.length + others.length === 0 }),
      ),
    ),
    h(
      "p",
      { class: few ? "warn-text" : "muted", role: "status" },
      advice,
      " ",
      h("kbd", {}, "T"),
      "target ",
      h("kbd", {}, "N"),
      "not ",
      h("kbd", {}, "U"),
      "undo",
    ),
  );
}
