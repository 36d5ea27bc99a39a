// The last half minute of a drive: what happened, what was detected, and the evidence in between.

const SECONDS = 30;
const LEFT = 84; // CSS pixels for the names of the rows
const ROW = 26; // height of the rows of hazards and alarms
const MOST = 6; // nats up and down
const SPOILER = 2; // s that what happened stays hidden from whoever is to say it

// Okabe and Ito's colours; every mark has a form of its own besides.
const COLOURS = {
  ink: "#e8eaed", muted: "#a7afba", rule: "#333a43", hazard: "#e69f00", hit: "#2fbf94", false: "#cc79a7",
  evidence: "#56b4e9", collision: "#ff8a80",
};

// Draw the rows of instants that came last. `hidden`: whether the newest hazards are not to be seen yet.
export function drawStrip(canvas, instants, hidden) {
  const density = window.devicePixelRatio;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (canvas.width !== Math.round(width * density) || canvas.height !== Math.round(height * density)) {
    canvas.width = Math.round(width * density);
    canvas.height = Math.round(height * density);
  }
  const context = canvas.getContext("2d");
  context.setTransform(density, 0, 0, density, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = "13px system-ui, sans-serif";
  const now = instants.at(-1)?.time ?? 0;
  const end = Math.max(now, SECONDS);
  const x = (time) => LEFT + ((time - (end - SECONDS)) / SECONDS) * (width - LEFT - 8);
  const top = 2 * ROW + 8;
  const y = (evidence) => top + ((MOST - Math.max(-MOST, Math.min(MOST, evidence))) / (2 * MOST)) * (height - top - 22);
  frame(context, { x, y, end, width, height, top });
  const shown = instants.filter((one) => one.time > end - SECONDS);
  hazards(context, x, hidden ? shown.filter((one) => one.time < now - SPOILER) : shown);
  for (const one of shown) {
    if (one.alarm) alarm(context, x(one.time), 1.5 * ROW, one.alarm === "hit");
    if (one.ended === "collision") cross(context, x(one.time), 0.5 * ROW);
  }
  evidence(context, x, y, shown, end - SECONDS);
}

function frame(context, { x, y, end, width, height, top }) {
  context.fillStyle = COLOURS.muted;
  context.textBaseline = "middle";
  context.textAlign = "left";
  context.fillText("Hazards", 0, 0.5 * ROW);
  context.fillText("Alarms", 0, 1.5 * ROW);
  context.fillText("Evidence,", 0, y(0) - 9);
  context.fillText("nats", 0, y(0) + 9);
  context.strokeStyle = COLOURS.rule;
  context.lineWidth = 1;
  context.textAlign = "right";
  for (const [at, text] of [[MOST, `+${MOST}`], [0, "0"], [-MOST, `−${MOST}`]]) {
    context.fillText(text, LEFT - 6, y(at));
    line(context, LEFT, y(at), width - 8, y(at), at === 0 ? [4, 4] : []);
  }
  for (const row of [1, 2]) line(context, LEFT, row * ROW, width - 8, row * ROW);
  context.textAlign = "center";
  for (let time = Math.ceil((end - SECONDS) / 5) * 5; time <= end; time += 5) {
    line(context, x(time), 0, x(time), height - 20);
    if (x(time) > LEFT + 8 && x(time) < width - 20) context.fillText(`${time} s`, x(time), height - 8);
  }
}

function line(context, x0, y0, x1, y1, dash = []) {
  context.setLineDash(dash);
  context.beginPath();
  context.moveTo(Math.round(x0) + 0.5, Math.round(y0) + 0.5);
  context.lineTo(Math.round(x1) + 0.5, Math.round(y1) + 0.5);
  context.stroke();
  context.setLineDash([]);
}

function hazards(context, x, shown) {
  context.fillStyle = COLOURS.hazard;
  let begin = null;
  for (const [i, one] of shown.entries()) {
    if (one.hazard) begin ??= one.time;
    const over = !one.hazard || i === shown.length - 1;
    if (begin === null || !over) continue;
    context.fillRect(x(begin), 6, Math.max(3, x(one.time) - x(begin)), ROW - 12);
    begin = null;
  }
}

// A hit is a filled triangle, a false alarm a hollow one.
function alarm(context, at, middle, hit) {
  context.beginPath();
  context.moveTo(at, middle - 8);
  context.lineTo(at + 7, middle + 6);
  context.lineTo(at - 7, middle + 6);
  context.closePath();
  context.lineWidth = 2;
  if (hit) {
    context.fillStyle = COLOURS.hit;
    context.fill();
  } else {
    context.strokeStyle = COLOURS.false;
    context.stroke();
  }
}

function cross(context, at, middle) {
  context.strokeStyle = COLOURS.collision;
  context.lineWidth = 3;
  context.beginPath();
  for (const side of [-1, 1]) {
    context.moveTo(at - 6, middle - side * 6);
    context.lineTo(at + 6, middle + side * 6);
  }
  context.stroke();
}

function evidence(context, x, y, shown, begin) {
  const heard = shown.flatMap((one) => one.heard).filter(([time]) => time > begin);
  context.strokeStyle = COLOURS.evidence;
  context.fillStyle = COLOURS.evidence;
  context.lineWidth = 2;
  context.lineJoin = "round";
  const span = heard.length > 0 ? heard.at(-1)[0] - heard[0][0] : 0;
  const dense = heard.length > 4 * Math.max(1, span); // pieces of running EEG, which overlap, make a curve
  context.beginPath();
  for (const [i, [time, nats]] of heard.entries()) {
    if (i > 0 && !dense) context.lineTo(x(time), y(heard[i - 1][1])); // it holds until the next is known
    if (i === 0) context.moveTo(x(time), y(nats));
    else context.lineTo(x(time), y(nats));
  }
  context.stroke();
  if (dense) return;
  for (const [time, nats] of heard) {
    context.beginPath();
    context.arc(x(time), y(nats), 2, 0, 7);
    context.fill();
  }
}
