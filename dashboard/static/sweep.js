// Draws a stream as a sweep: new samples only, an erase bar ahead of them, holes hatched and never joined.
//
// x = sample / fs * speed * px_per_mm, modulo the width; y = (centre - mV) * gain * px_per_mm. The centre is the lead's
// median when a sweep begins, and holds for the whole of that sweep: a drift or an ST shift within it is true.

import { MISSING, OFF } from "./buffer.js";

export const ERASE_PX = 9;
const COLOURS = { trace: "#3fe08f", off: "#5d6b77", hatch: "#46525d", beat: "#8fa0ae", vbeat: "#ffd23f" };

let hatch = null;

function hatchPattern(context) {
  if (!hatch) {
    const tile = document.createElement("canvas");
    tile.width = tile.height = 8;
    const c = tile.getContext("2d");
    c.strokeStyle = COLOURS.hatch;
    c.lineWidth = 1.5;
    c.beginPath();
    for (const d of [-8, 0, 8]) {
      c.moveTo(d - 1, 9);
      c.lineTo(d + 9, -1);
    }
    c.stroke();
    hatch = tile;
  }
  return context.createPattern(hatch, "repeat");
}

export class Sweep {
  /**
   * A region of a canvas, in device pixels.
   * @param area {x, y, width, height}
   * @param lanes [{lead, y, top, bottom}]: index of the lead, its zero line, the band of its hatching
   * @param scale {pxPerMm, speed, gain}: device px/mm, mm/s, mm/mV
   * @param options {beats: draw beat marks, width: line width}
   */
  constructor(context, area, lanes, scale, options = {}) {
    this.context = context;
    this.area = { ...area, width: Math.floor(area.width) };
    this.lanes = lanes.map((lane) => ({ ...lane, centre: null }));
    this.scale = scale;
    this.options = options;
    this.pattern = hatchPattern(context);
    this.erase = ERASE_PX * (options.dpr ?? 1);
    this.void();
  }

  void() {
    this.drawn = null; // samples before this one are drawn
    this.cleared = null; // columns (not wrapped) before this one are cleared
    this.sweep = null; // number of the sweep whose centre holds
    this.epoch = null;
    this.marked = new Map(); // sample of a beat: the class it was marked with
  }

  /** Columns from the beginning of the stream to sample `s`, not wrapped. */
  column(buffer, s) {
    return (s / buffer.fs) * this.scale.speed * this.scale.pxPerMm;
  }

  /** Draw what the playhead passed since the last call. */
  draw(buffer) {
    if (buffer.head === null) return;
    const { width } = this.area;
    const perSample = this.column(buffer, 1);
    const to = Math.floor(buffer.head);
    const oldest = to - (width - this.erase) / perSample;
    if (this.drawn === null || this.epoch !== buffer.epoch || this.drawn < oldest) {
      this.#clear(0, width);
      this.void();
      this.epoch = buffer.epoch;
      this.drawn = Math.max(buffer.start, Math.ceil(oldest));
      this.cleared = Math.ceil(this.column(buffer, to));
    }
    if (to <= this.drawn) return;
    const c = this.context;
    c.save();
    c.beginPath();
    c.rect(this.area.x, this.area.y, width, this.area.height);
    c.clip();
    this.#clearTo(Math.ceil(this.column(buffer, to)) + this.erase);
    while (this.drawn < to) {
      const sweep = Math.floor(this.column(buffer, this.drawn) / width);
      if (sweep !== this.sweep) this.#centre(buffer, sweep, width / perSample);
      // The last sample of a sweep is drawn in both, so that the line reaches the edge.
      const stop = Math.min(to, Math.ceil(((sweep + 1) * width) / perSample));
      for (const lane of this.lanes) this.#lane(buffer, lane, this.drawn, Math.min(to, stop + 1), sweep * width);
      this.drawn = Math.max(stop, this.drawn + 1);
    }
    if (this.options.beats) this.#beats(buffer, to, oldest);
    c.restore();
  }

  #centre(buffer, sweep, samples) {
    this.sweep = sweep;
    for (const lane of this.lanes) {
      const centre = buffer.centre(lane.lead, this.drawn - samples, Math.max(this.drawn, this.drawn + buffer.fs));
      lane.centre = centre ?? lane.centre ?? 0;
    }
  }

  #clearTo(column) {
    const { width } = this.area;
    if (column <= this.cleared) return;
    const from = column - this.cleared >= width ? column - width : this.cleared;
    const a = from % width;
    const n = column - from;
    this.#clear(a, Math.min(n, width - a));
    if (a + n > width) this.#clear(0, a + n - width);
    this.cleared = column;
  }

  #clear(x, width) {
    this.context.clearRect(this.area.x + x, this.area.y, width, this.area.height);
  }

  #lane(buffer, lane, from, to, shift) {
    const ring = buffer.leads.get(lane.lead);
    const c = this.context;
    const { pxPerMm, gain } = this.scale;
    const perSample = this.column(buffer, 1);
    const x = (s) => this.area.x + s * perSample - shift;
    const y = (mv) => lane.y - (mv - lane.centre) * gain * pxPerMm;
    const stateOf = (s) => (ring && s >= buffer.start ? ring.state[s % buffer.size] : MISSING);
    let s = from;
    while (s < to) {
      const state = stateOf(s);
      let stop = s + 1;
      while (stop < to && stateOf(stop) === state) stop++;
      if (state === MISSING) {
        const left = Math.round(x(s));
        c.fillStyle = this.pattern;
        c.fillRect(left, lane.top, Math.max(1, Math.round(x(stop)) - left), lane.bottom - lane.top);
      } else {
        c.strokeStyle = state === OFF ? COLOURS.off : COLOURS.trace;
        c.lineWidth = this.options.width ?? 1.5;
        c.lineJoin = c.lineCap = "round";
        c.beginPath();
        // Joined to the sample before, but never across a hole.
        if (s > buffer.start && stateOf(s - 1) !== MISSING) c.moveTo(x(s - 1), y(ring.mv[(s - 1) % buffer.size]));
        else c.moveTo(x(s), y(ring.mv[s % buffer.size]));
        for (let i = s; i < stop; i++) c.lineTo(x(i), y(ring.mv[i % buffer.size]));
        c.stroke();
      }
      s = stop;
    }
  }

  #beats(buffer, to, oldest) {
    const c = this.context;
    for (const beat of buffer.beats) {
      if (beat.sample > to || beat.sample < oldest || this.marked.get(beat.sample) === beat.symbol) continue;
      this.marked.set(beat.sample, beat.symbol);
      const dpr = this.options.dpr ?? 1;
      const x = this.area.x + (this.column(buffer, beat.sample) % this.area.width);
      const y = this.area.y + 2 * dpr;
      const plain = beat.symbol === "N" || beat.symbol === "Q";
      c.fillStyle = plain ? COLOURS.beat : COLOURS.vbeat;
      c.beginPath();
      c.moveTo(x - 3 * dpr, y);
      c.lineTo(x + 3 * dpr, y);
      c.lineTo(x, y + 5 * dpr);
      c.fill();
      if (!plain) {
        c.font = `600 ${11 * dpr}px sans-serif`;
        c.textAlign = "center";
        c.fillText(beat.symbol, x, y + 16 * dpr);
      }
    }
    if (this.marked.size > 400) for (const s of this.marked.keys()) if (s < oldest) this.marked.delete(s);
  }
}
