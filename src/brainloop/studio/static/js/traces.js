// Live traces on a canvas: a sweep from left to right that overwrites what is oldest, as on a monitor.

const SECONDS = 6;
const ROW = 20; // least height of a channel, CSS pixels
const LABEL = 56; // width of the names
const GAP = 0.15; // s left empty before the newest samples, so that old and new are told apart

const SCALES = [10, 20, 50, 100, 200, 500, 1000]; // microvolts a row

export class Traces {
  constructor(canvas) {
    this.canvas = canvas;
    this.scale = 3;
    this.buffers = new Map(); // channel -> samples of one sweep
    this.clear();
  }

  get microvolts() {
    return SCALES[this.scale];
  }

  zoom(step) {
    this.scale = Math.min(SCALES.length - 1, Math.max(0, this.scale + step));
  }

  clear() {
    this.buffers.clear();
    this.newest = null;
  }

  // Take what the server sent: {t, sfreq, channels, uv}; pieces overlap, and places follow from time.
  push({ t, sfreq, channels, uv }) {
    const length = Math.round(SECONDS * sfreq);
    if (this.length !== length || channels.some((name) => !this.buffers.has(name))) {
      this.clear();
      this.length = length;
      for (const name of channels) this.buffers.set(name, new Float32Array(length).fill(NaN));
    }
    const first = Math.round(t * sfreq);
    for (const [c, name] of channels.entries()) {
      const buffer = this.buffers.get(name);
      if (this.newest !== null) {
        // What was not sent was not measured: it must not look like what was there a sweep ago.
        for (let i = Math.max(this.newest + 1, first - length); i < first; i += 1) buffer[i % length] = NaN;
      }
      for (let i = 0; i < uv[c].length; i += 1) buffer[(first + i) % length] = uv[c][i];
    }
    this.newest = first + uv[0].length - 1;
    this.gap = Math.round(GAP * sfreq);
    this.draw();
  }

  draw() {
    const { canvas } = this;
    const density = window.devicePixelRatio;
    const width = canvas.clientWidth;
    const rows = this.buffers.size;
    const row = Math.max(ROW, Math.floor(canvas.parentElement.clientHeight / Math.max(1, rows)));
    const height = row * rows;
    if (canvas.width !== Math.round(width * density) || canvas.height !== Math.round(height * density)) {
      canvas.width = Math.round(width * density);
      canvas.height = Math.round(height * density);
      canvas.style.height = `${height}px`;
    }
    const context = canvas.getContext("2d");
    context.setTransform(density, 0, 0, density, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "middle";
    const step = (width - LABEL) / this.length;
    context.strokeStyle = "#262c33";
    context.lineWidth = 1;
    context.beginPath();
    for (let s = 0; s <= SECONDS; s += 1) {
      const x = Math.round(LABEL + ((width - LABEL) * s) / SECONDS) + 0.5;
      context.moveTo(x, 0);
      context.lineTo(x, height);
    }
    context.stroke();
    let r = 0;
    for (const [name, buffer] of this.buffers) {
      const middle = (r + 0.5) * row;
      context.fillStyle = "#a7afba";
      context.fillText(name, 8, middle, LABEL - 12);
      context.strokeStyle = "#7fd6bb";
      context.beginPath();
      let down = false;
      const head = this.newest % this.length;
      for (let i = 0; i < this.length; i += 1) {
        const ahead = (i - head + this.length) % this.length;
        const value = buffer[i];
        if (Number.isNaN(value) || (ahead > 0 && ahead <= this.gap)) {
          down = false;
          continue;
        }
        const limited = Math.max(-1, Math.min(1, value / this.microvolts)); // a railed channel stays near its row
        const y = middle - limited * row;
        if (down) context.lineTo(LABEL + i * step, y);
        else context.moveTo(LABEL + i * step, y);
        down = true;
      }
      context.stroke();
      r += 1;
    }
  }
}
