// The full-screen presentation, as far as the main thread goes: the canvas that the worker draws on, the keys, and what
// is said between blocks. During a block nothing here touches the page's layout.

import { h } from "./dom.js";
import { sought } from "./ui.js";

const TAIL = 1500; // ms after a block in which the space bar still answers its last images
const ALIVE = 100; // ms between two words that every press so far has been told
const DELIVERY = 50; // ms that a key press may take from the keyboard to this thread

const absolute = (t) => performance.timeOrigin + t;

// Open the screen; must be called from a click or a key press, or the browser refuses full screen.
// onclose(text or null): called once when it is over, with what there is to say.
// Gives {close(), running}: `running` while a block is shown and the page should keep still.
export function openScreen({ onclose }) {
  const canvas = h("canvas", { "aria-hidden": "true" });
  const card = h("div.screen-card", { role: "status", "aria-live": "polite" });
  const overlay = h(
    "div.screen",
    { role: "dialog", "aria-modal": "true", "aria-label": "Presentation", tabindex: "-1" },
    canvas,
    card,
  );
  const handle = { running: false, close };
  let state = "opening"; // then waiting, resting, running, tail, busy, lost
  let worker = null;
  let countdown = null;
  let tail = null;
  let alive = null;
  let wakeLock = null;
  let target = null; // what the next block looks for, as the server announced it: {target, images, is_new}
  let resting = null; // the rest that is going on: {text, done, end}
  const warning = h("p.warn-text", { role: "alert", hidden: true });
  const before = document.activeElement;

  document.body.append(overlay);
  overlay.focus();
  say("One moment", "The screen's refresh rate is measured.");
  const full = overlay.requestFullscreen({ navigationUI: "hide" }).then(
    () => navigator.keyboard?.lock?.(["Escape"]), // so that Esc pauses before it leaves full screen
    () => null, // in a window, then
  );
  Promise.resolve(full)
    .catch(() => null)
    .then(begin);
  keepAwake();
  const listeners = [
    [window, "keydown", onkey],
    [window, "resize", resized],
    [document, "visibilitychange", hidden],
    [document, "fullscreenchange", left],
  ];
  for (const [on, type, what] of listeners) on.addEventListener(type, what, true);
  return handle;

  function begin() {
    if (state === "closed") return;
    const size = measure();
    Object.assign(canvas, { width: size.width, height: size.height });
    const offscreen = canvas.transferControlToOffscreen();
    worker = new Worker("/static/js/screen-worker.js", { type: "module", name: "brainloop-screen" });
    worker.onmessage = ({ data }) => take(data);
    worker.onerror = (event) => close(`The presentation failed: ${event.message}`);
    const url = `${location.origin.replace(/^http/, "ws")}/ws/screen`;
    const origin = performance.timeOrigin;
    worker.postMessage({ type: "open", canvas: offscreen, ...size, timeOrigin: origin, url, takeOver: false }, [
      offscreen,
    ]);
  }

  function measure() {
    const density = window.devicePixelRatio;
    return { width: Math.round(innerWidth * density), height: Math.round(innerHeight * density), density };
  }

  function take(message) {
    if (message.type === "running") run();
    else if (message.type === "shown") end();
    else if (message.type === "connected") say("One moment", "The next images are being prepared.");
    else if (message.type === "target") announced(message);
    else if (message.type === "wait") wait(message.text);
    else if (message.type === "rest") rest(message);
    else if (message.type === "warning") warn(message.text);
    else if (message.type === "busy") busy();
    else if (message.type === "lost") {
      stop("lost");
      say("The studio does not answer", "Nothing that was recorded is lost. Trying to reach it again…", "Esc leaves");
    } else if (message.type === "taken") close("Another window shows the presentation now.");
    else if (message.type === "over") close(message.text);
  }

  // ---- a block

  function run() {
    stop("running");
    handle.running = true;
    card.hidden = true;
    alive = setInterval(() => worker.postMessage({ type: "alive", t: absolute(performance.now()) - DELIVERY }), ALIVE);
  }

  function end() {
    stop("tail");
    tail = setTimeout(() => {
      state = state === "tail" ? "resting" : state;
      tail = null;
    }, TAIL);
  }

  function stop(next) {
    clearInterval(alive);
    clearInterval(countdown);
    handle.running = false;
    state = next;
  }

  function pause(why) {
    stop("waiting");
    worker.postMessage({ type: "pause", why });
    say("Paused", "", "Space goes on · Esc leaves", ...lookFor());
  }

  // ---- between blocks

  function wait(text) {
    stop("waiting");
    say(
      "",
      text,
      "Keep your eyes on the cross. Stop at once if the flashing makes you feel unwell: Esc pauses, and once more leaves.",
      ...lookFor(),
    );
  }

  // What is looked for may change with every block. It comes while the person rests, or waits to begin.
  function announced(message) {
    target = message;
    if (state === "resting" || state === "tail") {
      rest({ ...(resting ?? { text: "", done: 0 }), seconds: message.seconds, known: true });
    }
  }

  function lookFor() {
    return target === null ? [] : [sought(target)];
  }

  function rest({ seconds, text, done, known = false }) {
    const inTail = tail !== null;
    stop(inTail ? "tail" : "resting");
    resting = { text, done };
    const end = performance.now() + 1000 * seconds;
    const left = h("span.count", {}, "");
    const bar = h("progress", { max: "1", "aria-label": "Done so far" });
    bar.value = done ?? 0;
    const tick = () => {
      left.textContent = String(Math.max(0, Math.ceil((end - performance.now()) / 1000)));
    };
    tick();
    countdown = setInterval(tick, 250);
    const changes = known && target.is_new;
    const title = changes ? "Something else now " : "Rest your eyes ";
    const next = known ? lookFor() : [];
    say(h("span", {}, title, left), changes ? "" : text, "Space goes on now · Esc pauses", ...next, bar);
  }

  function busy() {
    stop("busy");
    const here = h("button.primary", {
      onclick: () => {
        say("One moment", "");
        worker.postMessage({ type: "take_over" });
      },
    });
    here.append("Show it here instead");
    const leave = h("button", { onclick: () => close(null) }, "Leave");
    say(
      "Another window shows the presentation",
      "One window at a time can show it.",
      "",
      h("div.row", {}, here, leave),
    );
    here.focus();
  }

  // What the person should know and can do nothing about; blocks go on, and their images are never covered.
  function warn(text) {
    warning.textContent = text ?? "";
    warning.hidden = text === null;
  }

  function say(title, text, foot = "", ...more) {
    card.replaceChildren(
      ...(title ? [h("h2", {}, title)] : []),
      ...more,
      ...(text ? [h("p", {}, text)] : []),
      ...(foot ? [h("p.foot", {}, foot)] : []),
      warning,
    );
    card.hidden = false;
  }

  // ---- keys, and what takes the screen away

  function onkey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    event.stopPropagation();
    if (event.code === "Space" && state !== "busy") {
      event.preventDefault();
      if (event.repeat) return;
      if (state === "running" || state === "tail") {
        worker.postMessage({ type: "press", t: absolute(event.timeStamp) });
      } else if (state === "waiting" || state === "resting") {
        if (document.fullscreenElement === null) {
          overlay.requestFullscreen({ navigationUI: "hide" }).then(
            () => navigator.keyboard?.lock?.(["Escape"]),
            () => null,
          );
        }
        worker.postMessage({ type: "go" });
        say("One moment", "");
      }
    } else if (event.key === "Escape") {
      event.preventDefault();
      if (event.repeat) return;
      if (["running", "tail", "resting"].includes(state)) pause("esc");
      else close(null);
    }
  }

  function hidden() {
    if (document.hidden) {
      if (["running", "tail", "resting"].includes(state)) pause("hidden");
    } else keepAwake();
  }

  function left() {
    if (document.fullscreenElement === null && ["running", "tail"].includes(state)) pause("esc");
  }

  function resized() {
    worker?.postMessage({ type: "size", ...measure() });
  }

  function keepAwake() {
    navigator.wakeLock?.request("screen").then(
      (lock) => {
        wakeLock = lock;
        if (state === "closed") lock.release();
      },
      () => null, // a browser that saves its battery may say no
    );
  }

  function close(text) {
    if (state === "closed") return;
    stop("closed");
    clearTimeout(tail);
    for (const [on, type, what] of listeners) on.removeEventListener(type, what, true);
    worker?.postMessage({ type: "close" });
    wakeLock?.release();
    navigator.keyboard?.unlock?.();
    if (document.fullscreenElement === overlay) document.exitFullscreen().catch(() => null);
    overlay.remove();
    before?.focus?.();
    onclose(text);
  }
}
