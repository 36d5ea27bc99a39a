// Watch: look at blocks of images while the classifier learns; start, stop and go on at any time.

import { accuracyChart, aucChart, sureChart } from "../charts.js";
import { h } from "../dom.js";
import { stations } from "../stations.js";
import { button, duration, facts, head, notLive, note, number, percent, working } from "../ui.js";

export const needsStudy = true;
export const done = (state) => Boolean(state.study?.rounds.at(-1)?.converged);

const LEADS = {
  train: "Images flash by, the classifier learns from your responses, and the ones it is unsure of come next.",
  audit: "Images flash by whose annotations are hard to believe; your responses say which of them are wrong.",
  review: "Images flash by that the classifier is unsure of; your responses sort them.",
};

export function view(app) {
  const { state } = app;
  const { study, watch } = state;
  const title = head(
    "Watch",
    LEADS[study.use],
    ...actions(app),
  );
  const last = study.rounds.at(-1);
  const sure = watch?.sure ?? (last ? 1 - last.unsure : null);
  const most = study.use === "train" ? study.max_looks : null; // the others end by themselves
  return [
    title,
    lacking(app),
    h(
      "dl.numbers",
      { "aria-label": "So far" },
      cell(most ? `Looks, of ${number(most)} at most` : "Looks", number(watch?.looks ?? study.looks)),
      cell("Images an hour", number(watch?.images_per_hour)),
      cell(study.use === "train" ? "Sure so far" : "Settled so far", percent(sure)),
      cell("Round", number(watch?.round ?? study.rounds.length)),
    ),
    state.progress === null ? null : working(state),
    watch === null ? null : session(study, watch),
    last?.converged
      ? note(
          "good",
          study.use === "train"
            ? "The classifier is sure of nearly all images. See the results; going on is possible, but teaches little."
            : "Nothing is left to look at. See the results.",
        )
      : null,
    stations(state),
    h("div.charts", {}, ...charts(study)),
  ].filter(Boolean);
}

function cell(name, value) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, value));
}

function actions(app) {
  const { state } = app;
  if (state.activity === "watching" || state.activity === "stopping") {
    const stopping = state.activity === "stopping";
    const stop = button(stopping ? "Stopping…" : "Stop", () => app.post("watch/stop"), { disabled: stopping });
    if (app.screen || stopping) return [stop];
    return [
      button(state.screen.connected ? "Show it here" : "Go on", () => app.present(), { kind: "primary.big" }),
      stop,
    ];
  }
  const ready = state.activity === "idle" && obstacle(state) === null;
  return [
    button(state.study.looks > 0 ? "Go on" : "Start", () => app.present("watch/start"), {
      kind: "primary.big",
      disabled: !ready,
    }),
  ];
}

function obstacle({ study, person, calibration, mode, headset }) {
  if (study.observer !== "live") return [notLive(study), "#results", "See the results"];
  if (person === null) return ["Nobody has sat down yet.", "#calibrate", "Sit down"];
  if (mode !== "keyboard" && headset === null) return ["No headset is connected.", "#headset", "Connect a headset"];
  if (calibration === null) return [`${person.name} has not calibrated yet.`, "#calibrate", "Calibrate"];
  if (!calibration.accepted) return [calibration.verdict, "#calibrate", "See the calibration"];
  return null;
}

function lacking(app) {
  const { state } = app;
  if (state.activity === "watching" && !app.screen) {
    return note(
      "warn",
      state.screen.connected
        ? "The presentation is shown in another window."
        : "The presentation is closed. It waits for you where it was.",
    );
  }
  const lacks = state.activity === "idle" ? obstacle(state) : null;
  return lacks && h("div.row", {}, note("warn", lacks[0]), h("a.button", { href: lacks[1] }, lacks[2]));
}

function session(study, watch) {
  const late = watch.late_share > 0.01;
  return facts([
    study.targets.length > 1 && watch.target ? ["Looked for", h("em", {}, watch.target)] : null,
    ["Block", number(watch.block)],
    ["This session", duration(60 * watch.minutes)],
    ["Shown late", h("span", { class: late ? "warn-text" : "" }, `${(100 * watch.late_share).toFixed(1)} %`)],
    ["Responses left out", percent(watch.rejected_share)],
  ]);
}

function charts({ rounds }) {
  if (rounds.length === 0) return [h("p.muted", {}, "Curves appear here after the first round.")];
  const sure = rounds.map(({ looks, unsure }) => ({ looks, share: unsure }));
  const auc = rounds
    .filter((round) => round.auc_low !== null)
    .map((round) => ({ looks: round.looks, auc: round.auc, low: round.auc_low, high: round.auc_high }));
  const accuracy = rounds
    .filter((round) => round.accuracy !== null)
    .map(({ looks, accuracy: share, accuracy_low: low, accuracy_high: high }) => ({ looks, accuracy: share, low, high }));
  const card = (title, figure) => h("section.card", {}, h("h2", {}, title), figure);
  return [
    auc.length > 0 ? card("How well it classifies", aucChart("auc", auc)) : null,
    accuracy.length > 0 ? card("How well it classifies", accuracyChart("accuracy", accuracy)) : null,
    card("How sure it is", sureChart("sure", sure)),
  ].filter(Boolean);
}
