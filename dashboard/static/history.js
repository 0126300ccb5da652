// The last minutes of one lead as an envelope, with the alarms above it; a click picks a moment.

import { el } from "./dom.js";
import { clockTime, t } from "./i18n.js";

const TOP = 16, BOTTOM = 16; // alarm lane and time axis, CSS px
const COLOURS = { trace: "#2f9f6a", axis: "#93a4b1", line: "#1d2b34", hole: "#2a343c", pick: "rgb(156 201 255 / .22)", edge: "#9cc9ff" };
const ALARM = { high: "#ff5a5f", medium: "#ffd23f", low: "#56d7f0" };

export class History {
  /** @param onpick function (sample) */
  constructor(root, onpick) {
    this.root = root;
    this.canvas = el("canvas", { tabIndex: 0 });
    this.note = el("p", { class: "history-note" });
    root.append(this.canvas, this.note);
    this.canvas.onclick = (event) => {
      if (!this.span) return;
      const box = this.canvas.getBoundingClientRect();
      onpick(this.span.start + ((event.clientX - box.left) / box.width) * (this.span.stop - this.span.start));
    };
    this.canvas.onkeydown = (event) => {
      if (event.key !== "Enter" || !this.span) return;
      onpick((this.span.start + this.span.stop) / 2);
    };
    this.data = null;
  }

  /** Load the span of `lead`; `timeOf` maps samples to server time. */
  async load(stream, lead, start, stop) {
    const columns = Math.max(50, Math.min(2000, Math.floor(this.canvas.clientWidth)));
    const query = new URLSearchParams({ stream, lead, start, stop, columns });
    const asked = (this.asked = {});
    let answer, body;
    try {
      answer = await fetch(`/api/history/envelope?${query}`);
      body = await answer.json();
    } catch {
      return; // the banner tells of a lost server
    }
    if (asked !== this.asked) return; // a newer question is under way
    this.data = null;
    this.reason = "history_none";
    if (answer.ok) {
      this.span = { start, stop };
      // What is not in the archive yet is no hole.
      while (body.low.length && body.low.at(-1) === null) {
        body.low.pop();
        body.high.pop();
        body.edges.pop();
      }
      this.data = body;
      if (body.low.some((v) => v !== null)) this.reason = "";
    }
  }

  /** @param marks [{onset, end, priority}] in samples; `picked` {start, stop} or null */
  draw(timeOf, marks, picked) {
    const dpr = window.devicePixelRatio || 1;
    const width = (this.canvas.width = Math.round(this.canvas.clientWidth * dpr));
    const height = (this.canvas.height = Math.round(this.canvas.clientHeight * dpr));
    this.note.textContent = this.reason ? t(`ui.${this.reason}`) : "";
    this.note.hidden = !this.reason;
    if (!this.data?.edges.length) return;
    const c = this.canvas.getContext("2d");
    const { start, stop } = this.span;
    const x = (s) => ((s - start) / (stop - start)) * width;
    this.#axis(c, timeOf, x, width, height, dpr);
    this.#envelope(c, x, TOP * dpr, height - BOTTOM * dpr, dpr);
    for (const { onset, end, priority } of marks) {
      c.fillStyle = ALARM[priority];
      const left = Math.max(0, x(onset));
      const w = Math.max(3 * dpr, x(end ?? stop) - left);
      if (left < width && left + w > 0) c.fillRect(left, 3 * dpr, w, { high: 11, medium: 8, low: 5 }[priority] * dpr);
    }
    if (picked) {
      c.fillStyle = COLOURS.pick;
      c.fillRect(x(picked.start), TOP * dpr, Math.max(2, x(picked.stop) - x(picked.start)), height - (TOP + BOTTOM) * dpr);
      c.fillStyle = COLOURS.edge;
      for (const s of [picked.start, picked.stop]) c.fillRect(x(s), TOP * dpr, dpr, height - (TOP + BOTTOM) * dpr);
    }
  }

  #axis(c, timeOf, x, width, height, dpr) {
    const { start, stop } = this.span;
    const t0 = timeOf(start), t1 = timeOf(stop);
    if (t0 === null || !(t1 > t0)) return;
    const step = [10, 30, 60, 120, 300, 600].find((s) => ((t1 - t0) / s) * 70 * dpr < width) ?? 900;
    c.font = `${11 * dpr}px sans-serif`;
    for (let at = Math.ceil(t0 / step) * step; at < t1; at += step) {
      const left = x(start + ((at - t0) / (t1 - t0)) * (stop - start));
      c.fillStyle = COLOURS.line;
      c.fillRect(left, TOP * dpr, dpr, height - (TOP + BOTTOM) * dpr);
      c.fillStyle = COLOURS.axis;
      c.fillText(clockTime(at, step < 60), left + 3 * dpr, height - 4 * dpr);
    }
  }

  #envelope(c, x, top, bottom, dpr) {
    const { edges, low, high } = this.data;
    const seen = low.concat(high).filter((v) => v !== null).sort((a, b) => a - b);
    if (!seen.length) return;
    // A single spike must not flatten the rest: the middle 99 % fill the height.
    const lowest = seen[Math.floor(seen.length * 0.005)];
    const highest = seen[Math.ceil(seen.length * 0.995) - 1];
    const range = Math.max(0.5, highest - lowest);
    const y = (mv) => Math.min(bottom, Math.max(top, bottom - ((mv - lowest) / range) * (bottom - top)));
    for (let i = 0; i < low.length; i++) {
      const left = x(edges[i]);
      const w = Math.max(1, x(edges[i + 1]) - left);
      if (low[i] === null) {
        c.fillStyle = COLOURS.hole;
        for (let d = 0; d < bottom - top; d += 6 * dpr) c.fillRect(left, top + d, w, 1.5 * dpr);
      } else {
        c.fillStyle = COLOURS.trace;
        c.fillRect(left, y(high[i]), w, Math.max(dpr, y(low[i]) - y(high[i])));
      }
    }
  }
}
