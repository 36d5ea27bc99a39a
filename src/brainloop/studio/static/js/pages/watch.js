// Watch: look at blocks of images while the classifier learns; start, stop and go on at any time.

import { aucChart, sureChart } from "../charts.js";
import { h } from "../dom.js";
import { button, duration, facts, head, note, number, percent, working } from "../ui.js";

export const needsStudy = true;
export const done = (state) => Boolean(state.study?.rounds.at(-1)?.converged);

export function view(app) {
  const { state } = app;
  const { study, watch } = state;
  const title = head(
    "Watch",
    "Images flash by, the classifier learns from your responses, and the ones it is unsure of come next.",
    ...actions(app),
  );
  const last = study.rounds.at(-1);
  const sure = watch?.sure ?? (last ? 1 - last.unsure : null);
  const most = watch?.max_looks ?? study.max_looks;
  return [
    title,
    lacking(app),
    h(
      "dl.numbers",
      { "aria-label": "So far" },
      cell(most ? `Looks, of ${number(most)} at most` : "Looks", number(watch?.looks ?? study.looks)),
      cell("Images an hour", number(watch?.images_per_hour)),
      cell("Sure so far", percent(sure)),
      cell("Round", number(watch?.round ?? study.rounds.length)),
    ),
    state.progress === null ? null : working(state),
    watch === null ? null : session(watch),
    last?.converged
      ? note(
          "good",
          "The classifier is sure of nearly all images. See the results; going on is possible, but teaches little.",
        )
      : null,
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

function obstacle({ person, calibration, mode, headset }) {
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

function session(watch) {
  const late = watch.late_share > 0.01;
  return facts([
    ["Block", watch.blocks ? `${watch.block} of ${watch.blocks}` : number(watch.block)],
    ["This session", duration(60 * watch.minutes)],
    ["Shown late", h("span", { class: late ? "warn-text" : "" }, `${(100 * watch.late_share).toFixed(1)} %`)],
    ["Responses left out", percent(watch.rejected_share)],
  ]);
}

function charts({ rounds }) {
  if (rounds.length === 0) return [h("p.muted", {}, "Curves appear here after the first round.")];
  const sure = rounds.map(({ looks, unsure }) => ({ looks, share: unsure }));
  const auc = rounds.map((round) => ({ looks: round.looks, auc: round.auc, low: round.auc_low, high: round.auc_high }));
  const card = (title, figure) => h("section.card", {}, h("h2", {}, title), figure);
  return [
    auc.some((row) => row.auc !== null) ? card("How well it classifies", aucChart("auc", auc)) : null,
    card("How sure it is", sureChart("sure", sure)),
  ].filter(Boolean);
}
