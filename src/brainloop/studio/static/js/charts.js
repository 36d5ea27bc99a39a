// Charts by Plotly, which is loaded when the first one is drawn.

import { h } from "./dom.js";

const COLOURS = {
  ink: "#e8eaed",
  muted: "#a7afba",
  rule: "#333a43",
  accent: "#2fbf94",
  target: "#f08a3c",
  other: "#56b4e9",
};
// Okabe and Ito's, which survive colour blindness and print.
const CLASSES = ["#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#d55e00", "#0072b2", "#999999"];
const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';

let loading = null;

function plotly() {
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = "/static/plotly.min.js";
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => reject(new Error("plotly.min.js could not be loaded"));
    document.head.append(script);
  });
  return loading;
}

// An element that shows a figure {data, x, y, layout?}; drawn again when its data change.
export function chart(key, label, figure) {
  return h("div.chart", { key, role: "img", "aria-label": label, keep: (element) => draw(element, figure) });
}

async function draw(element, { data, x, y, layout = {} }) {
  const signature = JSON.stringify([data, x, y, layout]);
  if (element.signature === signature) return;
  element.signature = signature;
  const Plotly = await plotly();
  if (element.signature !== signature || !element.isConnected) return;
  if (element.firstChild === null) element.append(document.createElement("div"));
  const axis = { gridcolor: COLOURS.rule, zerolinecolor: COLOURS.rule, linecolor: COLOURS.rule, automargin: true };
  const title = (text) => ({ text, standoff: 8, font: { size: 13 } });
  await Plotly.react(
    element.firstChild,
    data,
    {
      paper_bgcolor: "transparent",
      plot_bgcolor: "transparent",
      font: { family: FONT, size: 13, color: COLOURS.muted },
      margin: { l: 52, r: 12, t: 8, b: 40 },
      height: element.clientHeight,
      showlegend: data.some((trace) => trace.name && trace.showlegend !== false),
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { color: COLOURS.ink } },
      hoverlabel: { bgcolor: "#272d35", font: { color: COLOURS.ink } },
      ...layout,
      xaxis: { ...axis, title: title(x), ...layout.xaxis },
      yaxis: { ...axis, title: title(y), ...layout.yaxis },
    },
    { displayModeBar: false, responsive: true },
  );
}

function band(x, low, high, colour, group) {
  const edge = { x, mode: "lines", line: { width: 0 }, hoverinfo: "skip", showlegend: false, legendgroup: group };
  return [
    { ...edge, y: low },
    { ...edge, y: high, fill: "tonexty", fillcolor: `${colour}33` },
  ];
}

// AUC after each round that could measure one, with its interval; rows {looks, minutes, auc, low, high}.
export function aucChart(key, rows, over = "looks") {
  const known = rows.filter((row) => row.auc !== null);
  const x = known.map((row) => row[over]);
  const column = (name) => known.map((row) => row[name]);
  const bar = {
    visible: known.length === 1, // one round has no band
    array: known.map((row) => row.high - row.auc),
    arrayminus: known.map((row) => row.auc - row.low),
    thickness: 1.5,
  };
  return chart(key, `AUC against ${over}, latest ${known.at(-1)?.auc.toFixed(3) ?? "unknown"}`, {
    data: [
      ...band(x, column("low"), column("high"), COLOURS.accent),
      {
        x,
        y: column("auc"),
        error_y: bar,
        mode: "lines+markers",
        line: { color: COLOURS.accent },
        hovertemplate: "%{y:.3f}<extra></extra>",
      },
    ],
    x: over === "looks" ? "Looks" : "Minutes, machine's included",
    y: "AUC on images never shown",
    layout: { xaxis: { rangemode: "tozero" }, yaxis: { range: [Math.min(0.45, ...column("low")) - 0.02, 1.005] } },
  });
}

// Share of the pool that the classifier is sure of, after each round; rows {looks, share unsure}.
export function sureChart(key, rows) {
  const y = rows.map((row) => 100 * (1 - row.share));
  const line = { color: COLOURS.accent };
  return chart(key, `Images that the classifier is sure of against looks, latest ${Math.round(y.at(-1) ?? 0)} %`, {
    data: [
      { x: rows.map((row) => row.looks), y, mode: "lines+markers", line, hovertemplate: "%{y:.0f} %<extra></extra>" },
    ],
    x: "Looks",
    y: "Sure of, % of the pool",
    layout: { xaxis: { rangemode: "tozero" }, yaxis: { range: [0, 102] } },
  });
}

// Share of never shown images that are told rightly, after each round; rows {looks, minutes, accuracy, low, high}.
export function accuracyChart(key, rows, over = "looks") {
  const x = rows.map((row) => row[over]);
  const column = (name) => rows.map((row) => 100 * row[name]);
  return chart(key, `Accuracy against ${over}, latest ${Math.round(100 * rows.at(-1).accuracy)} %`, {
    data: [
      ...band(x, column("low"), column("high"), COLOURS.accent),
      {
        x,
        y: column("accuracy"),
        mode: "lines+markers",
        line: { color: COLOURS.accent },
        hovertemplate: "%{y:.1f} %<extra></extra>",
      },
    ],
    x: over === "looks" ? "Looks" : "Minutes, machine's included",
    y: "Told rightly, %",
    layout: { xaxis: { rangemode: "tozero" }, yaxis: { range: [0, 102] } },
  });
}

// Area under the curve of each class against all others.
export function classChart(key, names, aucs) {
  const known = names.map((name, i) => [name, aucs[i]]).filter(([, auc]) => auc !== null);
  return chart(key, `AUC of each class: ${known.map(([name, auc]) => `${name} ${auc.toFixed(3)}`).join(", ")}`, {
    data: [
      {
        type: "bar",
        orientation: "h",
        x: known.map(([, auc]) => auc),
        y: known.map(([name]) => name),
        text: known.map(([, auc]) => auc.toFixed(3)),
        textposition: "outside",
        textfont: { color: COLOURS.ink, size: 13 },
        marker: { color: COLOURS.accent },
        hoverinfo: "skip",
      },
    ],
    x: "AUC against all others",
    y: "",
    layout: { xaxis: { range: [0.5, 1.08], tickvals: [0.5, 0.6, 0.7, 0.8, 0.9, 1] }, yaxis: { autorange: "reversed", ticksuffix: "  " }, bargap: 0.35 },
  });
}

// How many looks each round spent on each class; asked[round][class].
export function askedChart(key, names, asked) {
  const rounds = asked.map((_, i) => i + 1);
  const total = (i) => asked.reduce((sum, row) => sum + row[i], 0);
  return chart(key, `Looks by what was looked for: ${names.map((name, i) => `${name} ${total(i)}`).join(", ")}`, {
    data: names.map((name, i) => ({
      type: "bar",
      name,
      x: rounds,
      y: asked.map((row) => row[i]),
      marker: { color: CLASSES[i % CLASSES.length] },
      hovertemplate: `${name}: %{y}<extra></extra>`,
    })),
    x: "Round",
    y: "Looks",
    layout: { barmode: "stack", bargap: 0.1, xaxis: { dtick: Math.ceil(rounds.length / 16) } },
  });
}

// AUC or weight (`what`) of people over the day; of each person {name, stretches: [{begin, end, weight, auc}]}, times in
// seconds since 1970.
export function driftChart(key, people, what) {
  const isWeight = what === "weight";
  const values = people.flatMap(({ stretches }) => stretches.map((one) => one[what] ?? 0));
  const latest = people.map(({ name, stretches }) => `${name} ${stretches.at(-1)[what]?.toFixed(2) ?? "unknown"}`);
  return chart(key, `${isWeight ? "Weight" : "AUC"} of people over the day, latest ${latest.join(", ")}`, {
    data: people.map(({ name, stretches }, i) => {
      const known = stretches.filter((one) => one.begin !== null && one[what] !== null);
      return {
        name,
        x: known.map(({ begin, end }) => localTime((begin + end) / 2)),
        y: known.map((one) => one[what]),
        mode: "lines+markers",
        line: { color: CLASSES[i % CLASSES.length] },
        hovertemplate: `${name}: %{y:.2f}<extra></extra>`,
        showlegend: true,
      };
    }),
    x: "Time of day",
    y: isWeight ? "Weight of a look" : "AUC of single looks",
    layout: {
      xaxis: { type: "date" },
      yaxis: { range: isWeight ? [0, 1.1 * Math.max(1, ...values)] : [0.3, 1.005] },
      shapes: [
        { type: "line", xref: "paper", x0: 0, x1: 1, y0: isWeight ? 1 : 0.5, y1: isWeight ? 1 : 0.5, line: { color: COLOURS.muted, width: 1, dash: "dash" } },
      ],
    },
  });
}

// Plotly shows a date as it is written; this writes it by the clock of who reads.
function localTime(seconds) {
  const then = new Date(1000 * seconds);
  return new Date(then - 60_000 * then.getTimezoneOffset()).toISOString().slice(0, -1);
}

// Each image by what the classifier says of it and what the looks said, and the line on which both together are
// undecided; {log_odds, evidence, is_target} of the same images.
export function fusionChart(key, { log_odds: z, evidence, is_target: truth }) {
  const limit = (values) => Math.min(12, Math.max(2, ...values.map(Math.abs)) * 1.05);
  const [right, top] = [limit(z), limit(evidence)];
  const clip = (value, most) => Math.max(-most, Math.min(most, value));
  const group = (name, wanted, colour) => {
    const rows = z.map((_, i) => i).filter((i) => truth[i] === wanted);
    return {
      type: "scatter",
      mode: "markers",
      name: `${name} (${rows.length})`,
      x: rows.map((i) => clip(z[i], right)),
      y: rows.map((i) => clip(evidence[i], top)),
      marker: { color: colour, size: 6, opacity: 0.7 },
      hovertemplate: "z %{x:.1f}, L %{y:.1f}<extra></extra>",
    };
  };
  const reach = Math.min(right, top);
  return chart(key, "What the classifier says of each image against what the looks said", {
    data: [
      group("Others", false, COLOURS.other),
      group("Targets", true, COLOURS.target),
      {
        x: [-reach, reach],
        y: [reach, -reach],
        mode: "lines",
        name: "z + L = 0",
        line: { color: COLOURS.ink, dash: "dash", width: 1.5 },
        hoverinfo: "skip",
      },
    ],
    x: "Classifier's log-odds z, nats",
    y: "Evidence of the looks L, nats",
    layout: { xaxis: { range: [-right, right] }, yaxis: { range: [-top, top] } },
  });
}

// Mean response to targets and to others, with 95 % bands.
export function erpChart(key, erp) {
  const ms = erp.times.map((t) => 1000 * t);
  const curve = (name, mean, half, colour, n) => [
    ...band(
      ms,
      mean.map((v, i) => v - half[i]),
      mean.map((v, i) => v + half[i]),
      colour,
      name,
    ),
    {
      x: ms,
      y: mean,
      name: `${name} (${n})`,
      mode: "lines",
      line: { color: colour },
      legendgroup: name,
      hovertemplate: "%{y:.1f} µV<extra></extra>",
    },
  ];
  return chart(key, `Mean response at ${erp.channel} to ${erp.n[1]} targets and ${erp.n[0]} others`, {
    data: [
      ...curve("Others", erp.other, erp.other_half, COLOURS.other, erp.n[0]),
      ...curve("Targets", erp.target, erp.target_half, COLOURS.target, erp.n[1]),
    ],
    x: "After the image, ms",
    y: `${erp.channel}, µV`,
    layout: { hovermode: "x" },
  });
}

// Histograms, one a group {name, values, colour}, each as a share of its own number.
export function histogram(key, label, groups, { x, low, high, bins = 40 }) {
  const xbins = { start: low, end: high, size: (high - low) / bins };
  const shown = groups.filter((group) => group.values.length > 0);
  return chart(key, label, {
    data: shown.map((group) => ({
      type: "histogram",
      x: group.values.map((value) => Math.min(high - 1e-9, Math.max(low, value))),
      name: groups.length > 1 ? `${group.name} (${group.values.length})` : undefined,
      histnorm: "percent",
      xbins,
      marker: { color: COLOURS[group.colour] },
      opacity: groups.length > 1 ? 0.7 : 1,
      hovertemplate: "%{y:.1f} %<extra></extra>",
    })),
    x,
    y: "%",
    layout: { barmode: "overlay", bargap: 0.04, xaxis: { range: [low, high] } },
  });
}
