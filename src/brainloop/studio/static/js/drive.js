// The page of a drive: the road, three gauges, the running evidence, and who drives and watches.

import { app } from "./app.js";
import { h, patchChildren } from "./dom.js";
import { gauges } from "./drive-gauges.js";
import { openDrive } from "./drive-socket.js";
import { drawStrip } from "./drive-strip.js";
import { button, fixed, number, plural, toasts, working } from "./ui.js";

const KEPT = 320; // instants: the strip shows the last 300
const FLASH = 1.2; // s that the road says what just happened
const EVENTS = 12; // that are told in words

const WATCHERS = {
  synthetic: [
    "A synthetic person",
    "Their EEG is made up: this shows that the parts work, not how well a brain can be read.",
  ],
  key: ["You, with the space bar", "Press the space bar as soon as you see a hazard."],
  headset: ["You, with a headset", "Look at the road; there is nothing to press."],
  calibration: [
    "You, with a headset: calibrate",
    "Look at the road for eight minutes; from then on your brain is understood, while the headset stays on.",
  ],
};
const LENGTHS = [30, 60, 120, 300, 600];

const query = new URLSearchParams(location.search);
const root = document.getElementById("drive");
const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
let instants = [];
let events = []; // in words, newest first
let summary = null;
let run = 0;
let pictured = 0; // s of the drive that the picture is of
let watcher = asked("watcher", able(), "synthetic");
let recording = query.get("record") === "1";

const socket = openDrive(take);

// Who can watch now.
function able() {
  return Object.keys(WATCHERS).filter((name) => app.state.drive.watchers[name] === null);
}

// ---- what comes

function take(news, bitmap) {
  if (news.run !== run) {
    [run, instants, events] = [news.run, [], []];
  }
  for (const one of news.instants) {
    events = [...told(one), ...events].slice(0, EVENTS);
    instants.push(one);
  }
  instants = instants.slice(-KEPT);
  summary = news.summary;
  const canvas = root.querySelector(".road canvas");
  if (canvas.width !== bitmap.width) Object.assign(canvas, { width: bitmap.width, height: bitmap.height });
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  pictured = news.time;
  canvas.dataset.time = pictured;
  if (news.instants.length > 0 || instants.length === 0) draw();
}

function told(one) {
  const at = `${one.time.toFixed(1)} s`;
  const said = [];
  if (one.onset) said.push(["hazard", `${at}: a hazard begins`]);
  if (one.alarm) said.push([one.alarm, `${at}: ${one.alarm === "hit" ? "a hazard is detected" : "a false alarm"}`]);
  if (one.ended === "collision") said.push(["collision", `${at}: a collision; on along the next road`]);
  return said.reverse().map(([kind, text]) => ({ kind, text, time: one.time }));
}

// ---- the page

const on = () => app.state.drive.on;
const driving = () => app.state.activity === "driving";
const watching = () => (driving() ? on()?.watching : null);
// Whoever is to say where hazards are must not read it off the page first.
const hidden = () => ["key", "headset", "calibration"].includes(watching());

function view() {
  return [
    header(),
    h(
      "main.drive",
      { "aria-label": "Drive" },
      controls(),
      h("div.drive-left", {}, road(), strip()),
      h("div.drive-right", {}, ...gauges(instants, app.state.drive, driving()), counts()),
      h("div.drive-below", {}, words(), recorded()),
    ),
    toasts(app),
    app.connected ? null : h("div.offline", { role: "alert" }, "The studio does not answer. Is it running?"),
  ];
}

function header() {
  return h(
    "header.drive-head",
    {},
    h("div", {}, h("h1", {}, "Drive"), h("p.lead", {}, lead())),
    h(
      "div.row",
      {},
      h("a.button", { href: "/" }, "Studio"),
      driving()
        ? button("Stop", () => app.post("drive/stop"), { kind: "danger", "aria-keyshortcuts": "Escape" })
        : h("button.primary", { type: "submit", form: "choices", disabled: app.state.activity !== "idle" }, "Start"),
    ),
  );
}

function lead() {
  const one = on();
  if (!one) return "A brain responds to what it sees on the road; what it says of hazards is read as it comes.";
  const parts = [`${one.driver} driver`, `watched by ${one.watcher}`, `seed ${one.seed}`];
  if (one.kind === "replay") parts.unshift("Replay");
  if (driving()) parts.push(`${Math.floor(instants.at(-1)?.time ?? 0)} of ${one.seconds} s`);
  return parts.join(" · ");
}

function road() {
  const last = instants.at(-1);
  const newest = events[0];
  const fresh = newest && last && driving() && last.time - newest.time < FLASH;
  const flash = fresh && !(hidden() && newest.kind === "hazard");
  const label = last
    ? `The road from the driver's seat at ${last.time.toFixed(0)} s, ${Math.round(3.6 * last.speed)} km/h`
    : "The road from the driver's seat, before the start";
  return h(
    "figure.road",
    {},
    h("canvas", { role: "img", "aria-label": label, width: "640", height: "360", "data-time": pictured, keep: () => {} }),
    flash ? h("div.flash", { class: `flash ${newest.kind}`, role: "status" }, FLASHES[newest.kind]) : null,
    watching() === "key"
      ? h(
          "button.press",
          { type: "button", onpointerdown: press, onclick: press, "aria-keyshortcuts": "Space" },
          "I see a hazard",
          h("kbd", {}, "Space"),
        )
      : null,
    driving() && instants.length === 0 ? h("div.wait", {}, working(app.state)) : null,
  );
}

const FLASHES = {
  hazard: "A hazard begins",
  hit: "The brain saw it: hazard detected",
  false: "False alarm",
  collision: "Collision",
};

function counts() {
  const s = summary;
  const cell = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));
  return h(
    "dl.counts",
    { "aria-label": "So far" },
    cell("hazards", number(s?.hazards)),
    cell("detected", number(s?.hits)),
    cell("false alarms", s ? number((s.false_alarms_per_hour * s.seconds) / 3600) : "–"),
    cell("median latency", s?.latency_s != null ? `${fixed(s.latency_s, 1)} s` : "–"),
    cell("collisions", number(s?.collisions)),
  );
}

// ---- the strip

function strip() {
  const label = summary
    ? `Last 30 seconds: evidence of hazards, ${plural(summary.hazards, "hazard")} so far, ${summary.hits} detected`
    : "Last 30 seconds: nothing yet";
  return h(
    "figure.strip",
    {},
    h("canvas", { role: "img", "aria-label": label, keep: (canvas) => drawStrip(canvas, instants, hidden()) }),
    h(
      "figcaption.legend",
      {},
      h("span", {}, h("i.mark.hazard"), "hazard"),
      h("span", {}, h("i.mark.hit", {}, "▲"), "detected"),
      h("span", {}, h("i.mark.false", {}, "△"), "false alarm"),
      h("span", {}, h("i.mark.collision", {}, "✕"), "collision"),
      h("span", {}, h("i.mark.evidence"), "evidence"),
      hidden() ? h("span.muted", {}, "hazards 2 s late") : null,
    ),
  );
}

function words() {
  const shown = events.filter((one) => !(hidden() && instants.at(-1).time - one.time < 2));
  return h(
    "section.card",
    { "aria-label": "What happened" },
    h("h2", {}, "What happened"),
    shown.length > 0
      ? h("ol.events", {}, ...shown.map((one) => h("li", { class: one.kind }, one.text)))
      : h("p.muted", {}, "Hazards, alarms and collisions are listed here."),
  );
}

// ---- choices

function controls() {
  const busy = app.state.activity !== "idle";
  const { drivers, watchers } = app.state.drive;
  const obstacle = watchers.calibration ?? watchers.headset;
  const whole = { type: "text", inputmode: "numeric", pattern: "[0-9]{1,9}" };
  const select = (name, title, value, options, more = {}) =>
    h("label.field", {}, h("span", {}, title), h("select", { name, value, disabled: busy, ...more }, ...options));
  const option = (value, text, disabled = false) => h("option", { value, disabled }, text);
  const seconds = (s) => option(String(s), s < 120 ? `${s} s` : `${s / 60} min`);
  return h(
    "form.drive-choices",
    { id: "choices", onsubmit: start, "aria-label": "A drive" },
    h(
      "div.row",
      {},
      select("driver", "Who drives", asked("driver", drivers, "careless"), drivers.map((name) => option(name, name))),
      select(
        "watcher",
        "Who watches",
        watcher,
        Object.entries(WATCHERS).map(([name, [title]]) => option(name, title, watchers[name] !== null)),
        { onchange: (event) => choose(event.target.value) },
      ),
      select("seconds", "How long", asked("seconds", lengths().map(String), "60"), lengths().map(seconds)),
      h(
        "label.field.seed",
        {},
        h("span", {}, "Seed"),
        h("input", { ...whole, name: "seed", value: query.get("seed") ?? "0", required: true, disabled: busy }),
      ),
      h(
        "label.check",
        {},
        h("input", { type: "checkbox", name: "record", checked: recording, disabled: busy, onchange: tick }),
        h("span", {}, "Record"),
      ),
    ),
    h("p.hint", {}, WATCHERS[watcher][1], obstacle ? ` With a headset: ${obstacle}.` : ""),
  );
}

function choose(name) {
  watcher = name;
  draw();
}

function tick(event) {
  recording = event.target.checked;
}

// What the address asks for, if it is to be had.
function asked(name, known, otherwise) {
  const value = query.get(name);
  return known.includes(value) ? value : otherwise;
}

function lengths() {
  const seconds = Number(query.get("seconds"));
  return seconds >= 1 && seconds <= 600 && !LENGTHS.includes(seconds) ? [seconds, ...LENGTHS] : LENGTHS;
}

function recorded() {
  const busy = app.state.activity !== "idle";
  const list = app.state.drive.recorded;
  return h(
    "section.card",
    { "aria-label": "Recorded drives" },
    h("h2", {}, "Recorded drives"),
    list.length > 0
      ? h(
          "ul.list",
          {},
          ...list.map((one) =>
            h(
              "li",
              { key: one.name },
              h(
                "button",
                { type: "button", disabled: busy, onclick: () => app.post("drive/replay", { name: one.name }) },
                h("span", {}, `Replay ${when(one)}`),
                h("span.muted", {}, `${one.driver} · ${one.watcher} · ${one.seconds} s`),
              ),
            ),
          ),
        )
      : h("p.muted", {}, "None yet. Tick “Record it” before a drive."),
  );
}

function when({ recorded: at, name }) {
  const date = new Date(at ?? NaN);
  return Number.isNaN(date.getTime()) ? name : date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

// ---- what somebody does

function start(event) {
  event.preventDefault();
  const { driver, seconds, watcher, seed, record } = Object.fromEntries(new FormData(event.target));
  app.post("drive/start", { driver, watcher, seed: Number(seed), seconds: Number(seconds), record: record === "on" });
}

function press(event) {
  event.preventDefault();
  // A click that follows a touch was told of already; that of a key was not.
  if (event.type !== "click" || event.detail === 0) socket.press(event.timeStamp);
}

// While it is somebody's task to press the space bar, it does nothing else: no button that has the focus, no scrolling.
function onkey(event) {
  if (event.target.closest?.("dialog")) return;
  if (event.code === "Space" && watching() === "key") {
    event.preventDefault();
    event.stopPropagation();
    if (event.type === "keydown" && !event.repeat) socket.press(event.timeStamp);
  } else if (event.key === "Escape" && event.type === "keydown" && driving()) app.post("drive/stop");
}

function draw() {
  patchChildren(root, h("div", {}, ...view()));
  for (const element of root.querySelectorAll("[data-keep]")) element.keep(element);
}

app.onchange = draw;
for (const type of ["keydown", "keyup"]) addEventListener(type, onkey, true);
addEventListener("resize", draw);
root.replaceChildren();
draw();
app.listen();
if (query.get("start") === "1") {
  // Once: not again when the page is loaded again; not for who asked for less motion, nor with another watcher.
  history.replaceState(null, "", location.pathname);
  const possible = (query.get("watcher") ?? watcher) === watcher && app.state.activity === "idle";
  if (possible && !calm) document.getElementById("choices").requestSubmit();
}
