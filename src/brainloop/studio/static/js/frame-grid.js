// The frames of a screen as a straight line: frame number -> time.
//
// A screen refreshes evenly, but a page under load does not see every frame. Each time stamp that is seen is given the
// number of its frame by time, not by counting, and a line is fitted through all of them: what is planned in whole
// frames then falls on frames of the screen, however many were not seen and however long the block is.

const ENOUGH = 30; // frames before the fitted period replaces the one that the grid began with

export class FrameGrid {
  // period: milliseconds a frame, right to a few per cent
  constructor(period) {
    this.period = period;
    this.index = 0; // number of the last frame that was seen
    this.start = 0; // time of frame 0, as fitted
    this.origin = NaN; // time of frame 0, as seen
    this.last = NaN;
    this.n = this.sumI = this.sumT = this.sumII = this.sumIT = 0;
  }

  // Take the time stamp of a frame, ms; give the frame's number, 0 for the first.
  add(stamp) {
    if (this.n === 0) this.origin = this.start = stamp;
    else this.index += Math.round((stamp - this.last) / this.period);
    this.last = stamp;
    const i = this.index;
    const t = stamp - this.origin;
    this.n += 1;
    this.sumI += i;
    this.sumT += t;
    this.sumII += i * i;
    this.sumIT += i * t;
    if (this.n >= ENOUGH) {
      this.period = (this.n * this.sumIT - this.sumI * this.sumT) / (this.n * this.sumII - this.sumI * this.sumI);
      this.start = this.origin + (this.sumT - this.period * this.sumI) / this.n;
    }
    return i;
  }

  // Time of a frame by its number, ms.
  time(index) {
    return this.start + index * this.period;
  }
}

// Period of a screen from time stamps of its frames, ms; some frames may not have been seen.
export function measurePeriod(stamps) {
  const steps = stamps.slice(1).map((stamp, i) => stamp - stamps[i]);
  const grid = new FrameGrid(steps.sort((a, b) => a - b)[steps.length >> 1]);
  for (const stamp of stamps) grid.add(stamp);
  return grid.period;
}
