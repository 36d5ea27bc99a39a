// A review as three piles, which change while evidence comes: what is looked for, what is not, and what is still open.

import { h } from "./dom.js";
import { Gallery } from "./gallery.js";
import { chance, facts, number, percent, working } from "./ui.js";

const PILES = [
  ["target", ({ names }) => names[0]],
  ["open", () => "Still open"],
  ["other", ({ names }) => `Not ${names[0]}`],
];

const galleries = new Map(); // by pile
let shown = ""; // the study that they show
let version = "";
let counts = null; // as the server gives them, with the folder of their study

export function piles(app) {
  const { study } = app.state;
  if (!study.embedded) return [working(app.state)];
  refresh(app);
  if (counts?.folder !== study.folder) return [h("p.muted", { role: "status" }, "Loading…")];
  const columns = PILES.map(([pile, title]) =>
    h(
      "section.pile",
      { "aria-label": title(study) },
      h("div.row.spread", {}, h("h2", {}, title(study)), h("span.count", {}, number(counts.piles[pile]))),
      h("div", { style: "--above:288px", keep: (element) => gallery(app, pile, title(study)).attach(element) }),
    ),
  );
  return [
    facts([
      ["Sorted by the classifier", number(counts.by_model)],
      ["Sorted by looks", number(counts.by_person)],
      ["Still open", number(counts.open)],
      ["Images an hour", number(counts.images_per_hour)],
      counts.precision === null ? null : ["Precision", percent(counts.precision)],
      counts.recall === null ? null : ["Recall", percent(counts.recall)],
    ]),
    h("div.piles", {}, ...columns),
  ];
}

function gallery(app, pile, label) {
  if (!galleries.has(pile)) {
    galleries.set(
      pile,
      new Gallery({
        label,
        load: (offset, limit) => app.get(`/api/piles?pile=${pile}&offset=${offset}&limit=${limit}`),
        caption: (item) => chance(item.probability),
        judge: async (item, isTarget) => (await app.post("correct", { image: item.id, is_target: isTarget })) !== null,
      }),
    );
  }
  return galleries.get(pile);
}

async function refresh(app) {
  const { study } = app.state;
  const now = JSON.stringify([study.folder, study.rounds.length, app.state.watch?.looks ?? study.looks, study.corrections]);
  if (now === version) return;
  version = now;
  const answer = await app.get("/api/results");
  if (answer?.review) counts = { ...answer.review, folder: study.folder };
  for (const one of galleries.values()) {
    if (shown === study.folder) one.refresh();
    else one.reset();
  }
  shown = study.folder;
  app.redraw();
}
