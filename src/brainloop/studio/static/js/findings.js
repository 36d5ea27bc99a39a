// What an audit found: each annotation that was doubted, before and after, with the word of a person to settle it.

import { h } from "./dom.js";
import { bytes, button, chance, confirmed, facts, number, plural, working } from "./ui.js";

const MORE = 48; // findings shown at first, and with every wish for more

const VERDICTS = [
  ["wrong", "Changed"],
  ["right", "Kept"],
  ["open", "Still open"],
];

let verdict = "wrong";
let most = MORE;
let found = null; // as the server gives it: {counts, total, items}
let asked = ""; // for which state of the study, and what of it
let written = null; // the amended files: {folder, files}

export function findings(app) {
  const { study } = app.state;
  if (!study.embedded) return [working(app.state)];
  refresh(app);
  const choose = (value) => () => {
    [verdict, most] = [value, MORE];
    app.redraw();
  };
  if (found?.folder !== study.folder) return [h("p.muted", { role: "status" }, "Loading…")];
  const { counts } = found;
  const segments = VERDICTS.map(([value, title]) =>
    h(
      "button",
      { type: "button", "aria-pressed": String(verdict === value), onclick: choose(value) },
      `${title} `,
      h("span.muted", {}, number(counts[value])),
    ),
  );
  return [
    facts([
      ["Annotations", number(counts.annotations)],
      ["Doubted and shown", number(counts.shown)],
      ["Found wrong", number(counts.wrong)],
      ["Settled by hand", number(counts.said)],
    ]),
    h(
      "div.row.spread",
      {},
      h("div.segments", { role: "group", "aria-label": "Which" }, ...segments),
      amend(app, study, counts),
    ),
    found.items.length === 0
      ? h("div.empty", {}, h("p", {}, EMPTY[verdict]))
      : h("ul.findings", {}, ...found.items.map((item) => finding(app, item))),
    found.items.length < found.total
      ? h(
          "div",
          {},
          button(`Show more of ${number(found.total)}`, () => {
            most += MORE;
            app.redraw();
          }),
        )
      : null,
  ].filter(Boolean);
}

const EMPTY = {
  wrong: "No annotation has been found wrong yet.",
  right: "No annotation that was doubted has been cleared yet.",
  open: "Nothing is open.",
};

async function refresh(app) {
  const { study } = app.state;
  const now = JSON.stringify([study.folder, study.rounds.length, study.looks, study.corrections, verdict, most]);
  if (now === asked) return;
  asked = now;
  const answer = await app.get(`/api/findings?verdict=${verdict}&limit=${most}`);
  if (answer !== null && now === asked) found = { ...answer, folder: study.folder };
  app.redraw();
}

function finding(app, item) {
  const { id, path, given, now, certainty, reason, looks, said } = item;
  const settle = (isWrong) => async () => {
    await app.post("correct", { image: id, target: `not ${given}`, is_target: isWrong });
    asked = "";
    app.redraw();
  };
  const changed = now !== given;
  const pressed = (isWrong) => ({ "aria-pressed": String(said === isWrong), "aria-label": `${isWrong ? "Change" : "Keep"} ${path}` });
  return h(
    "li.finding",
    { key: id },
    h("img", { src: `/image/${id}/thumb`, alt: path, loading: "lazy" }),
    h(
      "div.stack.tight",
      {},
      h(
        "p.labels",
        {},
        changed ? [h("s", {}, given), h("span", { "aria-hidden": "true" }, "→"), h("strong", {}, now)] : h("strong.kept", {}, given),
      ),
      h(
        "div.certainty",
        { title: "How likely this is right, by classifier and looks together" },
        h("progress", { max: "1", value: certainty, "aria-label": "Certainty" }),
        h("span", {}, chance(certainty)),
      ),
      h("p.muted.small", {}, reason, looks > 0 ? "" : " Not looked at."),
      h(
        "div.row.settle",
        {},
        button("Change", settle(said === true ? null : true), pressed(true)),
        button("Keep", settle(said === false ? null : false), pressed(false)),
        said === null ? null : h("span.muted.small", {}, "your word"),
      ),
    ),
  );
}

function amend(app, study, counts) {
  const write = async () => {
    const answer = await app.get("/api/exports");
    if (answer === null) return;
    const there = answer.files.some((file) => file.made_by === "amended");
    const again = "The files of the last time are replaced. The annotations you gave are never touched.";
    if (there && !(await confirmed("Write the amended annotations again?", again, "Replace them"))) return;
    const made = await app.post("export", { what: ["amended"], force: there });
    if (made === null) return;
    written = { folder: study.folder, files: made.files.filter((file) => file.made_by === "amended") };
    app.say("info", `${plural(counts.wrong, "annotation")} changed in a copy; yours are as they were.`);
  };
  const links =
    written?.folder === study.folder
      ? written.files.map((file) => h("a.button", { href: file.url, download: file.name }, file.name, " ", h("span.muted", {}, bytes(file.bytes))))
      : [];
  return h(
    "div.row",
    {},
    ...links,
    button("Write amended annotations", write, { kind: "primary", disabled: app.state.activity !== "idle" }),
  );
}
