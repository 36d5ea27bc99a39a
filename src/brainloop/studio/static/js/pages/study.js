// Study: make one or open one; where folders do not say what is a target, pick examples.

import { h } from "../dom.js";
import { Gallery } from "../gallery.js";
import { button, confirmed, facts, head, note, number, plural, working } from "../ui.js";

const PACES = [
  [0.1, "10 images a second: for practised eyes"],
  [0.15, "6.7 images a second"],
  [0.2, "5 images a second"],
  [0.25, "4 images a second"],
  [0.3, "3.3 images a second: the surest answers"],
];
const ENOUGH = 10; // targets that make a calibration worth while; three are the least it takes

let gallery = null;
let shown = null; // the study that the gallery shows

export const done = (state) =>
  state.study !== null && (state.study.has_truth || state.study.examples.targets.length >= 3);

export function view(app) {
  return app.state.study === null ? choose(app) : opened(app);
}

function choose(app) {
  const { state } = app;
  const busy = state.activity !== "idle";
  const create = async (event) => {
    event.preventDefault();
    const { name, images, target, soa } = Object.fromEntries(new FormData(event.target));
    await app.post("study/create", { name, images, target, soa: Number(soa) });
  };
  const open = (folder) => app.post("study/open", { folder });
  const text = (name, title, hint, placeholder) =>
    h(
      "label.field",
      {},
      h("span", {}, title),
      h("input", {
        type: "text",
        name,
        required: true,
        placeholder,
        autocomplete: "off",
        spellcheck: "false",
        disabled: busy,
      }),
      h("small", {}, hint),
    );
  const paces = PACES.map(([soa, title]) => h("option", { value: String(soa) }, title));
  return [
    head(
      "Study",
      "A study is one folder of images and one thing to look for in them. Make a new one, or go on with one.",
    ),
    h(
      "div.two",
      {},
      h(
        "form.card",
        { onsubmit: create, "aria-label": "New study" },
        h("h2", {}, "New study"),
        text(
          "images",
          "Folder of images",
          "On this computer; folders in it may say what is in the images, but need not.",
          "/home/you/photographs",
        ),
        text("target", "What to look for", "The name of one of its folders, or any words.", "cats"),
        text("name", "Name", `A folder of this name is made in ${state.home}.`, "cats-2025"),
        h(
          "label.field",
          {},
          h("span", {}, "Pace"),
          h("select", { name: "soa", value: "0.2", disabled: busy }, ...paces),
        ),
        busy ? working(state) : h("div", {}, h("button.primary", { type: "submit" }, "Create study")),
      ),
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

function entry(study, open, busy) {
  const looked = study.looks === null ? "" : plural(study.looks, "look");
  return h(
    "li",
    {},
    h(
      "button",
      { type: "button", disabled: busy, onclick: () => open(study.folder) },
      h("span", {}, study.name, " ", h("span.muted", {}, study.target ? `looks for ${study.target}` : "")),
      h("span.muted", {}, looked || "Open"),
    ),
  );
}

function opened(app) {
  const { study, activity, progress } = app.state;
  const { counts } = study;
  const close = button("Close", () => app.post("study/close"), { disabled: activity !== "idle" });
  const next =
    app.state.headset || app.state.mode === "keyboard" ? ["#calibrate", "Calibrate"] : ["#headset", "Headset"];
  return [
    head(
      study.name,
      [h("span", {}, "Looks for ", h("em", {}, study.target), " in "), h("code", {}, study.images)],
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
    study.has_truth
      ? note(
          "good",
          `The folders say which images show ${study.target}: calibration uses some of them, and results can be checked against the rest.`,
        )
      : examples(app, study),
    h("div", {
      style: `--above:${study.has_truth ? 272 : 368}px`,
      keep: (element) => browser(app, study).attach(element),
    }),
  ].filter(Boolean);
}

function browser(app, study) {
  if (gallery === null || shown !== study.folder) {
    shown = study.folder;
    gallery = new Gallery({
      label: "Images of the study",
      load: (offset, limit) => app.get(`/api/gallery?order=path&part=pool&offset=${offset}&limit=${limit}`),
      caption: () => "",
      judge: async (item, isTarget) => (await app.post("correct", { image: item.id, is_target: isTarget })) !== null,
    });
  }
  return gallery;
}

function examples(app, study) {
  const { targets, others } = study.examples;
  const clear = async () => {
    if (
      !(await confirmed(
        "Take back all examples?",
        `${plural(targets.length + others.length, "image")} will be unmarked.`,
        "Take back",
      ))
    )
      return;
    if (await app.post("study/examples", { targets: [], others: [] })) gallery.reset();
  };
  const few = targets.length < 3;
  const said = few
    ? `Mark at least 3 images that show ${study.target}; ${ENOUGH} or more make a better calibration.`
    : targets.length < ENOUGH
      ? `Enough to begin. ${ENOUGH} or more make a better calibration.`
      : "Plenty. Others are filled up with images picked at random.";
  return h(
    "section.stack.tight",
    { "aria-label": "Examples" },
    h(
      "div.row.spread",
      {},
      h("h2", {}, "Examples to calibrate with"),
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
      said,
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
