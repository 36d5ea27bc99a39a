// A confusion matrix as a picture: counts, and shades that say which share of a class went where.

import { h } from "./dom.js";
import { percent } from "./ui.js";

// names: of the classes; counts[i][j]: images of class i that were taken for class j.
export function confusion(names, counts) {
  const heads = names.map((name) => h("th", { scope: "col" }, h("span", {}, name)));
  const rows = counts.map((row, i) => {
    const all = row.reduce((sum, n) => sum + n, 0);
    const cells = row.map((n, j) => cell(n, all ? n / all : 0, i === j, `${n} of ${all} ${names[i]} taken for ${names[j]}`));
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, names[i]),
      ...cells,
      h("td.total", {}, all ? percent(row[i] / all) : "–"),
    );
  });
  return h(
    "div.confusion",
    { tabindex: "0", role: "group", "aria-label": "Confusion matrix" },
    h(
      "table",
      {},
      h(
        "thead",
        {},
        h("tr", {}, h("td"), h("th.axis", { colspan: String(names.length), scope: "colgroup" }, "Taken for"), h("td")),
        h("tr", {}, h("th.axis", { scope: "col" }, "Is"), ...heads, h("th.total", { scope: "col" }, h("span", {}, "right"))),
      ),
      h("tbody", {}, ...rows),
    ),
  );
}

function cell(n, share, right, title) {
  const strength = `--share:${Math.round(100 * Math.sqrt(share))}%`; // a root, so that few mistakes can be seen too
  const kind = n === 0 ? "td.none" : right ? "td.right" : "td.wrong";
  return h(kind, { style: strength, title }, String(n));
}
