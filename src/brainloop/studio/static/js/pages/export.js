// Export: take the labels, the model, the recordings and a report away; see who was recorded, and erase them.

import { h } from "../dom.js";
import { bytes, confirmed, duration, head, number, button, working } from "../ui.js";

const chosen = new Set(["labels", "model", "report", "amended", "sorted"]);
let offered = []; // what this study may give: {name, group, title, what}
let files = null; // what is there: {name, bytes, url, made_by}
let folder = null; // the study whose files these are
let went = null; // what the last erasure took away: {name, rows}

export const needsStudy = true;

export function enter() {
  folder = null;
}

async function refresh(app) {
  if (folder === app.state.study.folder) return;
  folder = app.state.study.folder;
  ({ choices: offered, files } = (await app.get("/api/exports")) ?? { choices: [], files: [] });
  app.redraw();
}

export function view(app) {
  const { state } = app;
  refresh(app);
  return [
    head(
      "Export",
      "Nothing leaves this machine by itself: these files are made in the study's folder, and you take them where you like.",
    ),
    choices(app),
    made(),
    people(app),
  ];
}

function choices(app) {
  const { state } = app;
  const tick = (name) => (event) => {
    if (event.target.checked) chosen.add(name);
    else chosen.delete(name);
    app.redraw();
  };
  const write = async () => {
    const there = files.filter((file) => what.includes(file.made_by)).map((file) => file.name);
    const again = `${there.join(", ")} ${there.length === 1 ? "is" : "are"} there already, and would be written anew.`;
    if (there.length > 0 && !(await confirmed("Replace what is there?", again, "Replace"))) return;
    if ((await app.post("export", { what, force: there.length > 0 })) === null) return;
    app.say("info", `Written: ${offered.filter(({ name }) => what.includes(name)).map(({ title }) => title).join(", ")}.`);
    folder = null;
    app.redraw();
  };
  const what = offered.map(({ name }) => name).filter((name) => chosen.has(name));
  const box = ({ name, title, what: line }) =>
    h(
      "label.check",
      {},
      h("input", { type: "checkbox", checked: chosen.has(name), onchange: tick(name) }),
      h("span", {}, title, h("small.muted", {}, line)),
    );
  const groups = [...new Set(offered.map(({ group }) => group))].map((group) =>
    h(
      "fieldset.group",
      { "aria-label": group },
      h("h3", {}, group),
      ...offered.filter((one) => one.group === group).map(box),
    ),
  );
  const idle = state.activity === "idle";
  return h(
    "section.card",
    {},
    h("h2", {}, "What to take"),
    h("div.groups", {}, ...groups),
    idle
      ? h("div", {}, button("Write the files", write, { kind: "primary", disabled: what.length === 0 }))
      : working(state),
  );
}

function made() {
  const rows = (files ?? []).map((file) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, file.name),
      h("td.number", {}, bytes(file.bytes)),
      h("td", {}, h("a", { href: file.url, download: file.name }, "Download")),
    ),
  );
  return h(
    "section.card",
    {},
    h("h2", {}, "Files"),
    rows.length === 0
      ? h("p.muted", {}, files === null ? "Loading…" : "None yet.")
      : h(
          "table",
          {},
          h(
            "thead",
            {},
            h("tr", {}, h("th", { scope: "col" }, "File"), h("th.number", { scope: "col" }, "Size"), h("th", {}, "")),
          ),
          h("tbody", {}, ...rows),
        ),
  );
}

function people(app) {
  const { state } = app;
  const idle = state.activity === "idle";
  const erase = (one) => async () => {
    const text =
      "Raw EEG, events, decoder, evidence, corrections and exports go for good, and the classifier is trained again without them.";
    if (!(await confirmed(`Erase ${one.name}?`, text, "Erase"))) return;
    const answer = await app.post("person/forget", { name: one.name });
    if (answer === null) return;
    went = { name: one.name, rows: answer.went };
    folder = null;
    app.take(answer.state);
  };
  const rows = state.people.map((one) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, one.name),
      h("td.number", {}, number(one.sessions)),
      h("td.number", {}, duration(one.seconds)),
      h("td.number", {}, number(one.responses)),
      h("td", {}, one.decoder ? "yes" : "no"),
      h("td", {}, button("Erase…", erase(one), { kind: "danger", disabled: !idle, "aria-label": `Erase ${one.name}` })),
    ),
  );
  const columns = [
    ["Name"],
    ["Sessions", "number"],
    ["Recorded", "number"],
    ["Responses", "number"],
    ["Decoder"],
    [""],
  ];
  return h(
    "section.card",
    {},
    h("h2", {}, "People"),
    went === null
      ? null
      : h(
          "div.note.good",
          { role: "status" },
          `${went.name} was erased. What went:`,
          h("ul.bullets", {}, ...went.rows.map(([what, count]) => h("li", {}, `${what}: ${count}`))),
        ),
    rows.length === 0
      ? h("p.muted", {}, "Nobody is known in this study.")
      : h(
          "table",
          {},
          h(
            "thead",
            {},
            h("tr", {}, ...columns.map(([title, kind]) => h(kind ? `th.${kind}` : "th", { scope: "col" }, title))),
          ),
          h("tbody", {}, ...rows),
        ),
  );
}
