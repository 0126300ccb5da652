// All leads of one stream in one canvas: grid, calibration pulse, and a sweep per column of leads.

import { el } from "./dom.js";
import { Sweep } from "./sweep.js";

const PULSE_MM = 11; // strip at the left of a column for the 1 mV pulse and the lead's name
const LANE_MIN_PX = 66;
const GRID = { fine: "#121b21", bold: "#1d2b34", pulse: "#93a4b1", name: "#c5d0d9" };

export const isEcg = (unit) => unit === "mV" || unit === "uV" || unit === "V";

export class LeadView {
  constructor(root) {
    this.root = root;
    this.grid = el("canvas", { class: "paper" });
    this.traces = el("canvas", { class: "traces" });
    for (const c of [this.grid, this.traces]) c.setAttribute("aria-hidden", "true");
    root.append(this.grid, this.traces);
    this.sweeps = [];
  }

  /** Indices of the leads that are drawn, for a stream as the server describes it. */
  static leadsOf(stream) {
    return stream.leads.map((_, i) => i).filter((i) => isEcg(stream.units[i]));
  }

  /** Make everything anew for `leads` ([{index, name}]) in `columns` columns. Returns the seconds a column holds. */
  layout(leads, columns, { pxPerMm, speed, gain }) {
    const dpr = window.devicePixelRatio || 1;
    const rows = Math.max(1, Math.ceil(leads.length / columns));
    this.root.style.minHeight = `${rows * LANE_MIN_PX}px`;
    const width = Math.round(this.root.clientWidth * dpr);
    const height = Math.round(this.root.clientHeight * dpr);
    for (const c of [this.grid, this.traces]) {
      c.width = width;
      c.height = height;
    }
    const mm = pxPerMm * dpr;
    this.#paper(width, height, mm);
    const context = this.traces.getContext("2d");
    const pulse = Math.ceil(PULSE_MM * mm);
    const columnWidth = Math.floor(width / columns);
    const band = height / rows;
    this.sweeps = [];
    for (let column = 0; column < columns; column++) {
      const own = leads.slice(column * rows, (column + 1) * rows);
      const lanes = own.map(({ index }, i) => ({
        lead: index,
        y: Math.round((i + 0.62) * band),
        top: Math.round(i * band + band * 0.15),
        bottom: Math.round((i + 1) * band - band * 0.05),
      }));
      own.forEach(({ name }, i) => this.#pulse(column * columnWidth, lanes[i].y, name, mm, speed, gain, dpr, band));
      if (!lanes.length) continue;
      const area = { x: column * columnWidth + pulse, y: 0, width: columnWidth - pulse - 4 * dpr, height };
      this.sweeps.push(new Sweep(context, area, lanes, { pxPerMm: mm, speed, gain }, { dpr, width: 1.4 * dpr, beats: true }));
    }
    return this.sweeps.length ? this.sweeps[0].area.width / (mm * speed) : 0;
  }

  draw(buffer) {
    for (const sweep of this.sweeps) sweep.draw(buffer);
  }

  clear() {
    this.traces.getContext("2d").clearRect(0, 0, this.traces.width, this.traces.height);
    for (const sweep of this.sweeps) sweep.void();
  }

  #paper(width, height, mm) {
    const c = this.grid.getContext("2d");
    for (const [step, colour] of [[1, GRID.fine], [5, GRID.bold]]) {
      c.fillStyle = colour;
      for (let i = 0; i * step * mm < width; i++) c.fillRect(Math.round(i * step * mm), 0, 1, height);
      for (let i = 0; i * step * mm < height; i++) c.fillRect(0, Math.round(i * step * mm), width, 1);
    }
  }

  // 1 mV for 200 ms, at the speed and gain of the trace beside it.
  #pulse(x, y, name, mm, speed, gain, dpr, band) {
    const c = this.grid.getContext("2d");
    const w = Math.min(0.2 * speed, PULSE_MM - 5) * mm;
    const left = x + 2.5 * mm;
    c.strokeStyle = GRID.pulse;
    c.lineWidth = 1.2 * dpr;
    c.beginPath();
    c.moveTo(left - 1.5 * mm, y);
    c.lineTo(left, y);
    c.lineTo(left, y - gain * mm);
    c.lineTo(left + w, y - gain * mm);
    c.lineTo(left + w, y);
    c.lineTo(left + w + 1.5 * mm, y);
    c.stroke();
    c.fillStyle = GRID.name;
    c.font = `600 ${12 * dpr}px sans-serif`;
    c.fillText(name, x + 1 * mm, Math.min(y + 14 * dpr, y + band * 0.38));
  }
}
