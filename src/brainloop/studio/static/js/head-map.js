// The head from above, nose up, with the verdict on each electrode. Electrodes stand at x to the right and y to the
// front, 1 at the head's rim.

import { h } from "./dom.js";

const RIM = 84;

export function headMap(quality) {
  const placed = quality.filter((one) => one.x !== null && one.y !== null);
  if (placed.length === 0) return null;
  const radius = placed.length > 40 ? 7 : placed.length > 20 ? 9 : 11;
  const bad = placed.filter((one) => one.verdict !== "good").length;
  const electrodes = placed.map((one) =>
    h(
      "g",
      { transform: `translate(${(100 + RIM * one.x).toFixed(1)} ${(104 - RIM * one.y).toFixed(1)})` },
      h("title", {}, `${one.name}: ${one.why || one.verdict}`),
      h("circle", { class: one.verdict, r: String(radius), "stroke-width": "1.5" }),
      radius > 8 ? h("text", {}, one.name) : null,
    ),
  );
  return h(
    "svg.head-map",
    {
      viewBox: "0 0 200 204",
      role: "img",
      "aria-label": `Electrodes on the head: ${placed.length - bad} good, ${bad} not`,
    },
    h("path.outline", { d: "M88 22 L100 8 L112 22" }),
    h("path.outline", { d: "M15 88 q-9 16 0 32 M185 88 q9 16 0 32" }),
    h("circle.outline", { cx: "100", cy: "104", r: String(RIM + 2) }),
    ...electrodes,
  );
}
