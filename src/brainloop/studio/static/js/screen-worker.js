// Shows blocks of images: plans come from the server by this worker's own socket, frames are drawn on an
// OffscreenCanvas, and every presentation is reported with the frame that drew it. Nothing that happens on the page's
// main thread delays it.
//
// All times that leave here are absolute milliseconds of the browser: performance.timeOrigin + performance.now().

import { FrameGrid, measurePeriod } from "./frame-grid.js";

const BACKGROUND = "#1b1e23";
const CROSS = "#c9d0d8";
const FIXATION = 1200; // ms of the cross alone: the response to its onset is over when the first image comes
const PINGS = 100;
const MEASURED = 130; // frames from which the refresh rate is measured
const SETTLE = 10; // frames before those: a canvas that has just appeared skips some
const RETRY = 1000; // ms between attempts to reach the server again
const SHARE = 0.7; // of the screen's shorter side that an image fills,
const LARGEST = 768; // and its longest side at most, device pixels: about 2 MB each, of which two blocks are held
const PATCH = 64; // side of the photodiode's patch, CSS pixels

let canvas, context, density, frameOrigin, refresh, takeOver, url;
let socket = null;
let closed = false;
let run = null; // the block that is being shown
let lastBlock = 0;
let pong = null; // who waits for the answer to a ping

const now = () => performance.timeOrigin + performance.now();
const tellPage = (message) => self.postMessage(message);

function tellServer(message) {
  if (socket !== null && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

// ---- from the main thread

self.onmessage = ({ data }) => {
  if (data.type === "open") open(data);
  else if (data.type === "size") resize(data);
  else if (data.type === "pause") pause(data.why);
  else if (data.type === "take_over") {
    takeOver = true;
    connect();
  } else if (data.type === "close") {
    closed = true;
    run = null;
    tellServer({ type: "quit" });
    socket?.close();
    self.close();
  } else tellServer(data); // press, alive, go
};

async function open(data) {
  ({ canvas, density, url, takeOver } = data);
  context = canvas.getContext("2d", { alpha: false });
  rest();
  refresh = 1000 / (await measure(data.timeOrigin));
  connect();
}

function resize(data) {
  ({ density } = data);
  canvas.width = data.width;
  canvas.height = data.height;
  if (run === null || run.position < run.start) rest();
  else draw(run.position);
}

// ---- the screen's frames

// Which time a frame's stamp counts from is for the browser to say: this worker's beginning, or the window's.
function measure(windowOrigin) {
  return new Promise((resolve) => {
    const stamps = [];
    let skipped = 0;
    requestAnimationFrame(function look(stamp) {
      if (skipped < SETTLE) skipped += 1;
      else stamps.push(stamp);
      if (stamps.length < MEASURED) {
        requestAnimationFrame(look);
        return;
      }
      const off = (origin) => Math.abs(origin + stamp - now());
      frameOrigin = off(windowOrigin) < off(performance.timeOrigin) ? windowOrigin : performance.timeOrigin;
      resolve(measurePeriod(stamps));
    });
  });
}

// ---- the server

function connect() {
  socket = new WebSocket(url);
  socket.onopen = () => {
    tellServer({
      type: "hello",
      refresh_hz: refresh,
      width: canvas.width,
      height: canvas.height,
      take_over: takeOver,
    });
    takeOver = false;
    tellPage({ type: "connected", refresh });
  };
  socket.onmessage = ({ data }) => {
    const received = now(); // before all else: what is done first would be an error of the clock
    const message = JSON.parse(data);
    if (message.type === "pong") pong?.(message, received);
    else take(message);
  };
  socket.onclose = ({ code }) => {
    const was = run !== null;
    run = null;
    if (was) rest();
    if (closed) return;
    if (code === 4409) return; // "busy" or "taken" came before it
    tellPage({ type: "lost" });
    setTimeout(() => closed || connect(), RETRY);
  };
}

function take(message) {
  if (message.type === "preload") preload(message.block, message.images);
  else if (message.type === "show") show(message);
  else if (message.type === "target" || message.type === "warning") tellPage(message);
  else {
    if (run !== null) {
      run = null; // the server interrupts the block: a wait
      rest();
    }
    tellPage(message); // wait, rest, over, busy, taken
  }
}

// The time of the server against ours: pairs of ours with its own between, so that the shortest trip can be chosen.
async function ping(mine) {
  const pings = [];
  while (pings.length < PINGS && run === mine) {
    pings.push(
      await new Promise((resolve) => {
        pong = (message, received) => resolve([message.sent, message.server, received]);
        tellServer({ type: "ping", sent: now() });
      }),
    );
  }
  pong = null;
  return pings;
}

// ---- images

const bitmaps = new Map(); // image id -> ImageBitmap, or null where it cannot be had
const loading = new Set();
const wanted = new Map(); // block -> its image ids
const waiting = new Map(); // block -> who must know when its images are all there
const images = new Worker("./image-worker.js", { type: "module", name: "brainloop-images" });

images.onmessage = ({ data: { id, bitmap } }) => {
  loading.delete(id);
  bitmaps.set(id, bitmap);
  for (const block of waiting.keys()) settle(block);
  release();
};

function preload(block, ids) {
  wanted.delete(block); // and set again as the newest
  wanted.set(block, new Set(ids));
  for (const old of wanted.keys()) if (wanted.size > 2 && old !== run?.block) wanted.delete(old);
  const missing = ids.filter((id) => !loading.has(id) && !bitmaps.get(id));
  for (const id of missing) {
    bitmaps.delete(id);
    loading.add(id);
  }
  images.postMessage({ ids: missing, side: side() });
  loaded(block).then(() => tellServer({ type: "loaded", block, failed: ids.filter((id) => !bitmaps.get(id)) }));
  release();
}

function loaded(block) {
  return new Promise((resolve) => {
    waiting.set(block, [...(waiting.get(block) ?? []), resolve]);
    settle(block);
  });
}

function settle(block) {
  for (const id of wanted.get(block) ?? []) if (!bitmaps.has(id)) return;
  for (const resolve of waiting.get(block) ?? []) resolve();
  waiting.delete(block);
}

function release() {
  for (const [id, bitmap] of bitmaps) {
    let needed = false;
    for (const ids of wanted.values()) needed ||= ids.has(id);
    if (!needed) {
      bitmap?.close();
      bitmaps.delete(id);
    }
  }
}

// ---- a block

async function show(message) {
  const mine = {
    block: message.block,
    images: message.images,
    start: message.start,
    frames: message.frames,
    half: Math.ceil(message.frames / 2),
    patch: message.patch,
    grid: new FrameGrid(1000 / refresh),
    fixated: 0, // from when on the first image may come
    first: -1, // number of the frame of position `start`
    position: message.start - 1, // what is on the screen
    planned: NaN, // of that one
    drawn: NaN, // its stamp until it is reported; then NaN
    lit: false,
  };
  run = mine;
  lastBlock = mine.block;
  if (!wanted.has(mine.block)) preload(mine.block, [...new Set(mine.images)]);
  tellPage({ type: "running" });
  rest();
  await loaded(mine.block);
  const pings = await ping(mine);
  if (run !== mine) return;
  tellServer({ type: "clock", block: mine.block, pings });
  mine.fixated = now() + FIXATION;
  requestAnimationFrame(frame);
}

function frame(stamp) {
  const r = run;
  if (r === null) return;
  const index = r.grid.add(stamp);
  if (r.first < 0) {
    if (frameOrigin + stamp < r.fixated) {
      requestAnimationFrame(frame);
      return;
    }
    r.first = index;
  }
  const since = index - r.first;
  const position = Math.min(r.start + Math.floor(since / r.frames), r.images.length);
  const before = r.position;
  if (position > before) {
    if (position < r.images.length) draw(position);
    else rest();
  } else if (r.lit && since % r.frames >= r.half) patch(false);

  // All that is drawn is drawn; now it is said, in order.
  if (!Number.isNaN(r.drawn)) {
    tellServer({
      type: "shown",
      block: r.block,
      position: before,
      planned: r.planned,
      draw: r.drawn,
      next: frameOrigin + stamp,
    });
    r.drawn = NaN;
  }
  if (position > before) {
    if (before < r.start) {
      const t0 = frameOrigin + r.grid.time(r.first);
      tellServer({ type: "started", block: r.block, t0, period: r.grid.period });
    }
    for (let missed = before + 1; missed < position; missed += 1) tellMissed(r, missed);
    r.position = position;
    if (position === r.images.length) {
      finish(r);
      return;
    }
    if (bitmaps.get(r.images[position])) {
      r.planned = planned(r, position);
      r.drawn = frameOrigin + stamp;
    } else tellMissed(r, position);
  }
  requestAnimationFrame(frame);
}

const planned = (r, position) => frameOrigin + r.grid.time(r.first + (position - r.start) * r.frames);

function tellMissed(r, position) {
  tellServer({ type: "missed", block: r.block, position, planned: planned(r, position) });
}

function finish(r) {
  run = null;
  refresh = 1000 / r.grid.period;
  tellServer({ type: "done", block: r.block });
  tellPage({ type: "shown" });
  wanted.delete(r.block);
  release();
}

// An image whose next frame was not seen has not been reported: it is shown again when the person goes on.
function pause(why) {
  const position = run === null ? 0 : Number.isNaN(run.drawn) ? run.position + 1 : run.position;
  run = null;
  rest();
  tellServer({ type: "paused", block: lastBlock, why, position });
}

// ---- drawing

const side = () => Math.round(Math.min(SHARE * Math.min(canvas.width, canvas.height), LARGEST));

function draw(position) {
  const bitmap = bitmaps.get(run.images[position]);
  context.fillStyle = BACKGROUND;
  context.fillRect(0, 0, canvas.width, canvas.height);
  if (bitmap) {
    const { width, height } = bitmap; // fitted when it was loaded: drawn pixel by pixel
    context.drawImage(bitmap, (canvas.width - width) >> 1, (canvas.height - height) >> 1);
  }
  if (run.patch) patch(Boolean(bitmap));
}

function patch(lit) {
  run.lit = lit;
  const size = Math.round(PATCH * density);
  context.fillStyle = lit ? "#ffffff" : "#000000";
  context.fillRect(0, canvas.height - size, size, size);
}

// The cross that the eyes rest on when there is no image.
function rest() {
  context.fillStyle = BACKGROUND;
  context.fillRect(0, 0, canvas.width, canvas.height);
  const arm = Math.round(14 * density);
  const thick = Math.max(2, Math.round(2 * density));
  const x = canvas.width >> 1;
  const y = canvas.height >> 1;
  context.fillStyle = CROSS;
  context.fillRect(x - arm, y - (thick >> 1), 2 * arm, thick);
  context.fillRect(x - (thick >> 1), y - arm, thick, 2 * arm);
  if (run?.patch) patch(false);
}
