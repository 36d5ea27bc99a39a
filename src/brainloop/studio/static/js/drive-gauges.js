// Three gauges: hazard, attention, emotion; each with what it cannot do, and with the reason where it shows nothing.

import { h } from "./dom.js";
import { chance } from "./ui.js";

const REACH = 3; // SD to both sides

// Of the instants so far, of {caveats, on} and of whether a drive is on.
export function gauges(instants, { caveats, on }, driving) {
  const last = instants.at(-1);
  const state = instants.findLast((one) => one.state !== null)?.state ?? null;
  const why = (name) => absent(name, state, on, driving, last);
  return [
    hazard(instants, driving, caveats.hazard),
    deviation("Attention", "attention", state, ["low", "high"], why, caveats.attention),
    deviation("Emotion", "valence", state, ["withdrawal", "approach"], why, caveats.valence, "experimental"),
  ];
}

// One gauge; `unit` null where `value` is a reason why there is none.
function gauge({ title, badge = null, value, unit = null, meter, caveat }) {
  const shown = unit === null ? h("span.muted", {}, value) : h("b", {}, value);
  return h(
    "section.gauge",
    { "aria-label": title },
    h(
      "div.row.spread",
      {},
      h("h2", {}, title, badge ? h("span.badge", {}, badge) : null),
      h("p", {}, shown, unit ? h("span.muted", {}, ` ${unit}`) : null),
    ),
    meter,
    h("p.caveat", {}, caveat),
  );
}

function hazard(instants, driving, caveat) {
  const last = instants.at(-1);
  const heard = instants.slice(-10).flatMap((one) => one.heard.map(([, nats]) => nats));
  if (!last || last.chance === null) {
    const why = heard.length > 0 ? "not now: the signal cannot be read" : "nothing is heard";
    return gauge({ title: "Hazard", value: driving && last ? why : "–", meter: bar(null), caveat });
  }
  const value = chance(last.chance);
  const meter = bar({ from: 0, to: last.chance, kind: "hazard", text: `${value} likely` });
  return gauge({ title: "Hazard", value, unit: `likely · ${signed(Math.max(...heard))} nats`, meter, caveat });
}

function deviation(title, name, state, [low, high], why, caveat, badge) {
  const ends = [`−${REACH} SD, ${low}`, `${high}, +${REACH} SD`];
  const sd = state?.[name] ?? null;
  if (sd === null) return gauge({ title, badge, value: why(name), meter: bar(null, ends), caveat });
  const share = (1 + Math.max(-1, Math.min(1, sd / REACH))) / 2;
  const shown = { from: Math.min(0.5, share), to: Math.max(0.5, share), kind: name, text: `${signed(sd)} SD` };
  return gauge({ title, badge, value: signed(sd), unit: "SD of your own baseline", meter: bar(shown, ends), caveat });
}

const signed = (x) => `${x < 0 ? "−" : "+"}${Math.abs(x).toFixed(1)}`;

function absent(name, state, on, driving, last) {
  if (on?.missing?.[name]) return `not available: ${on.missing[name]}`;
  // Of several reasons, that of this gauge.
  const reasons = state?.blank?.split("; ") ?? [];
  const own = reasons.find((one) => one.startsWith(`${name}: `))?.slice(name.length + 2) ?? reasons[0];
  if (own) return `not now: ${own}`;
  if (!last) return "–";
  if (on?.watching === "calibration") return "not while you calibrate";
  if (on?.watching === "headset" || on?.watching === "synthetic") return driving ? "not yet" : "–";
  return `not available: no EEG ${driving ? "is" : "was"} measured`;
}

// A meter whose bar goes from one share to another; null where there is nothing to show.
function bar(shown, ends = null) {
  const said = shown && {
    role: "meter", "aria-label": "Now", "aria-valuemin": "0", "aria-valuemax": "100",
    "aria-valuenow": String(Math.round(100 * shown.to)), "aria-valuetext": shown.text,
  };
  const place = shown && `left:${100 * shown.from}%;width:${100 * (shown.to - shown.from)}%`;
  return h(
    "div",
    {},
    h(
      "div.meter",
      said ?? { "aria-hidden": "true" },
      ends ? h("i") : null,
      shown ? h("span", { class: shown.kind, style: place }) : null,
    ),
    ends ? h("div.row.spread.ends", { "aria-hidden": "true" }, ...ends.map((end) => h("span", {}, end))) : null,
  );
}
