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
    y: "% of images",
    layout: { barmode: "overlay", bargap: 0.04, xaxis: { range: [low, high] } },
  });
}
