// Headset: find and connect one, see its signal, and which electrodes need a hand.

import { h } from "../dom.js";
import { headMap } from "../head-map.js";
import { Traces } from "../traces.js";
import { button, facts, fixed, head, note, plural } from "../ui.js";

let found = null; // headsets, once somebody has looked
let looking = false;
let traces = null;

export const done = (state) =>
  (state.headset !== null && state.headset.state === "streaming") || state.mode === "keyboard";

export function enter(app) {
  app.traces((message) => traces?.push(message));
}

export function leave(app) {
  app.traces(null);
  traces = null;
}

async function look(app) {
  looking = true;
  app.redraw();
  const answer = await app.post("headset/list");
  looking = false;
  found = answer?.headsets ?? found;
  app.redraw();
}

export function view(app) {
  return app.state.headset === null ? choose(app) : connected(app);
}

function choose(app) {
  const idle = app.state.activity === "idle";
  const keyboard = async () => {
    if (await app.post("mode", { mode: "keyboard" })) location.hash = "calibrate";
  };
  return [
    head(
      "Headset",
      "Switch it on and start its software, so that its signal is published as a Lab Streaming Layer stream.",
    ),
    h(
      "div.two",
      {},
      h(
        "section.card",
        {},
        h(
          "div.row.spread",
          {},
          h("h2", {}, "Headsets"),
          button(looking ? "Looking…" : found === null ? "Look for headsets" : "Look again", () => look(app), {
            kind: "primary",
            disabled: looking || !idle,
          }),
        ),
        found === null
          ? h("p.muted", {}, "Looking takes a second or two.")
          : found.length === 0
            ? h("div.stack.tight", {}, note("warn", "None was found."), help())
            : h("ul.list", {}, ...found.map((one) => entry(app, one))),
      ),
      h(
        "section.card",
        {},
        h("h2", {}, "No headset?"),
        h(
          "p",
          {},
          "Press the space bar at each target instead, while images flash by just as fast. Your reaction time is learned in a short calibration.",
        ),
        h("div", {}, button("Use the space bar", keyboard, { disabled: !idle })),
      ),
    ),
  ];
}

function entry(app, one) {
  const what = `${plural(one.channels.length, "channel")} · ${fixed(one.sfreq, 0)} Hz`;
  const connect = async () => {
    if ((await app.post("headset/connect", { id: one.id })) && app.state.mode === "keyboard")
      app.post("mode", { mode: "both" });
  };
  return h(
    "li",
    {},
    h("button", { type: "button", onclick: connect }, h("span", {}, one.name), h("span.muted", {}, what)),
  );
}

function help() {
  return h(
    "ul.bullets.muted",
    {},
    h("li", {}, "Does the headset's software publish to LSL? Most have a switch for it."),
    h("li", {}, "Is it on this network, and does the firewall let LSL through (UDP 16571, TCP and UDP 16572–16604)?"),
    h(
      "li",
      {},
      "Without a headset at hand, ",
      h("code", {}, "brainloop headset simulate"),
      " publishes a made-up one.",
    ),
  );
}

const STATES = { streaming: "Streaming", silent: "Silent", failed: "Recording failed", closed: "Closed" };

function connected(app) {
  const { headset, study, patch } = app.state;
  const live = headset.state === "streaming";
  const idle = app.state.activity === "idle";
  const zoom = (step) => {
    traces?.zoom(step);
    app.redraw();
  };
  return [
    head(
      headset.name,
      `${plural(headset.channels.length, "channel")}${headset.aux.length ? `, ${headset.aux.length} more (${headset.aux.slice(0, 4).join(", ")})` : ""}, ${fixed(headset.sfreq, 0)} Hz`,
      button("Disconnect", () => app.post("headset/disconnect"), { disabled: !idle }),
      h(live ? "a.button.primary" : "a.button", { href: "#calibrate" }, "Next: Calibrate"),
    ),
    facts([
      ["Signal", h("span", { class: live ? "good-text" : "bad-text" }, STATES[headset.state])],
      ["Rate", `${fixed(headset.rate, 1)} Hz`],
      ["Gaps", `${headset.gaps}${headset.lost_s > 0 ? ` (${fixed(headset.lost_s, 2)} s)` : ""}`],
      headset.mains ? [`Mains, ${headset.mains.hz} Hz`, `${fixed(headset.mains.uv, 1)} µV`] : null,
    ]),
    h(
      "div.aside",
      {},
      h(
        "div.stack",
        {},
        live
          ? null
          : note(
              "bad",
              `No samples come: ${STATES[headset.state].toLowerCase()}. See to its battery, cable and radio.`,
            ),
        verdict(headset),
        headMap(headset.quality),
        list(headset.quality),
        sensor(app, patch, study?.display ?? null),
      ),
      h(
        "section.traces",
        { "aria-label": "Live traces" },
        h(
          "div.row.spread",
          {},
          h("h2", {}, "Live signal"),
          h(
            "div.row",
            {},
            h("span.muted.small", {}, `A row is ${traces?.microvolts ?? 100} µV; 6 s across`),
            button("−", () => zoom(1), { "aria-label": "Smaller" }),
            button("+", () => zoom(-1), { "aria-label": "Larger" }),
          ),
        ),
        h("div.scroll", { tabindex: "0", "aria-label": "Traces of all channels", role: "img", keep: attach }),
      ),
    ),
  ];
}

function attach(element) {
  if (element.firstChild === null) {
    element.append(h("canvas"));
    traces = new Traces(element.firstChild);
  }
}

function verdict({ quality }) {
  if (quality.length === 0) return h("p.muted", {}, "The signal is being looked at…");
  const bad = quality.filter((one) => one.verdict !== "good");
  if (bad.length === 0) return note("good", `All ${quality.length} channels look good.`);
  const names =
    bad
      .slice(0, 4)
      .map((one) => one.name)
      .join(", ") + (bad.length > 4 ? " and others" : "");
  return note("warn", `${quality.length - bad.length} of ${quality.length} channels look good. See to ${names}.`);
}

const VERDICTS = { good: "good-text", noisy: "warn-text", flat: "bad-text", railed: "bad-text" };

function list(quality) {
  const worst = [...quality].sort((a, b) => (a.verdict === "good") - (b.verdict === "good"));
  return h(
    "ul.quality",
    { tabindex: "0", "aria-label": "Quality of each channel" },
    ...worst.map((one) =>
      h(
        "li",
        { title: one.why },
        h("b", {}, one.name),
        h("span", { class: VERDICTS[one.verdict] }, one.verdict),
        h("span.muted", {}, `${fixed(one.uv, one.uv < 10 ? 1 : 0)} µV`),
      ),
    ),
  );
}

function sensor(app, patch, display) {
  const measured = display
    ? `Measured: light comes ${fixed(1000 * display.offset, 1)} ms after the frame (SD ${fixed(1000 * display.sd, 1)} ms, ${display.n} edges).`
    : "Tape a light sensor over it, then run brainloop timing-check.";
  return h(
    "label.check",
    {},
    h("input", {
      type: "checkbox",
      checked: patch,
      onchange: (event) => app.post("patch", { on: event.target.checked }),
    }),
    h("span", {}, "Light up the lower left corner with each image", h("br"), h("span.hint", {}, measured)),
  );
}
