// One bed on the wall.

import { bars, batteryIcon, el, mark, put, putData } from "./dom.js";
import { clockTime, duration, rhythmText, t } from "./i18n.js";
import { Sweep } from "./sweep.js";
import { StreamBuffer } from "./buffer.js";

export const NO_DATA_S = 10;
const LATE_S = 5;
const LANE_MM = 21; // a lane shows 2.1 mV at 10 mm/mV, and more where there is room
const LOST_SHOWN_S = 10;

/** Ages and faults of a stream, the same words on tile and patient page. `now`: server time, s. */
export function linkState(stream, buffer, state, now) {
  if (stream.ended !== null || state?.link === "ended")
    return { kind: "ended", text: t("ui.ended_at", { time: clockTime(stream.ended ?? now, false) }) };
  const received = Math.max(buffer.received ?? 0, state?.received ?? 0) || null;
  const silent = now - (received ?? stream.started);
  if (silent >= NO_DATA_S) return { kind: "no_data", text: t("ui.no_data", { age: duration(silent) }), since: now - silent };
  if (buffer.head === null) return { kind: "waiting", text: t("ui.waiting") };
  const age = Math.max(0, now - buffer.timeOf(buffer.head));
  if (age > LATE_S) return { kind: "late", text: t("ui.late", { age: duration(age) }) };
  return { kind: "live", text: t("ui.seconds", { n: age.toFixed(1) }) };
}

/** Which of four bars the quality lights, and its word. */
export function qualityOf(state) {
  if (!state || state.quality === null) return { bars: 0, word: "" };
  if (!state.usable) return { bars: 1, word: t("ui.quality_poor") };
  const n = Math.max(2, Math.min(4, Math.ceil(state.quality * 4)));
  return { bars: n, word: t(n > 2 ? "ui.quality_good" : "ui.quality_fair") };
}

/** What is wrong with the signal, in words: leads off first, then the flags that all leads share. */
export function signalFault(stream, state) {
  if (!state) return "";
  const off = stream.leads.filter((_, i) => state.flags[i]?.includes("lead_off"));
  if (off.length > 3 && off.length === stream.leads.length) return t("ui.leads_off_all");
  if (off.length) return t("ui.leads_off", { leads: off.join(" ") });
  const [first, ...rest] = state.flags;
  const shared = (first ?? []).filter((f) => rest.every((flags) => flags.includes(f)));
  return !state.usable && shared.length ? shared.map((f) => t(`flag.${f}`)).join(", ") : "";
}

export class Tile {
  constructor(stream) {
    this.buffer = new StreamBuffer();
    this.state = null;
    this.sweep = null;
    this.lost = 0;
    this.lostUntil = 0;
    this.canvas = el("canvas", {});
    this.canvas.setAttribute("aria-hidden", "true");
    this.parts = {
      bed: el("span", { class: "bed" }),
      clinic: el("span", { class: "clinic" }),
      word: el("span", { class: "word" }),
      age: el("span", { class: "age" }),
      hr: el("span", { class: "hr", textContent: "--" }),
      unit: el("span", { class: "unit" }),
      fault: el("span", { class: "fault" }),
      quality: el("span", { class: "quality" }, bars()),
      battery: el("span", { class: "battery", hidden: true }, batteryIcon(), el("b", {})),
      leads: el("span", { class: "leads" }),
      over: el("span", { class: "over", hidden: true }),
      note: el("span", { class: "note", hidden: true }),
    };
    const p = this.parts;
    this.trace = el("div", { class: "trace" }, this.canvas, p.leads, p.note, p.over);
    this.root = el(
      "a",
      { class: "tile" },
      el("header", {}, p.bed, p.clinic, p.word, p.age),
      this.trace,
      el("div", { class: "vitals" }, el("div", { class: "rate" }, p.hr, p.unit), p.fault, el("div", { class: "small" }, p.quality, p.battery)),
    );
    this.describe(stream);
  }

  describe(stream) {
    const changed = this.stream && (this.stream.stream !== stream.stream || String(this.stream.leads) !== String(stream.leads));
    if (this.stream && this.stream.stream !== stream.stream) {
      this.buffer = new StreamBuffer();
      this.state = null;
    }
    this.stream = stream;
    this.root.href = `/patient?stream=${encodeURIComponent(stream.stream)}`;
    put(this.parts.bed, stream.bed);
    put(this.parts.clinic, [stream.clinic, stream.patient].filter(Boolean).join(" · "));
    if (changed) this.sweep = null;
  }

  /** Make the canvas fit; returns the names of the leads it shows. */
  layout(pxPerMm) {
    const dpr = window.devicePixelRatio || 1;
    const width = Math.round(this.trace.clientWidth * dpr);
    const height = Math.round(this.trace.clientHeight * dpr);
    const ecg = this.stream.leads.map((_, i) => i).filter((i) => ["mV", "uV", "V"].includes(this.stream.units[i]));
    const room = Math.floor(height / (LANE_MM * pxPerMm * dpr));
    const shown = ecg.slice(0, Math.max(1, Math.min(2, room)));
    const key = `${width} ${height} ${pxPerMm} ${shown}`;
    if (this.key !== key || !this.sweep) {
      this.key = key;
      this.canvas.width = width;
      this.canvas.height = height;
      const band = height / Math.max(1, shown.length);
      const lanes = shown.map((lead, i) => ({ lead, y: (i + 0.66) * band, top: i * band + 3 * dpr, bottom: (i + 1) * band - 3 * dpr }));
      this.sweep = new Sweep(
        this.canvas.getContext("2d"),
        { x: 0, y: 0, width, height },
        lanes,
        { pxPerMm: pxPerMm * dpr, speed: 25, gain: 10 },
        { dpr, width: 1.5 * dpr, erase: true },
      );
      const names = shown.map((i) => this.stream.leads[i]);
      this.parts.leads.replaceChildren(
        ...names.map((name, i) => {
          const e = el("span", { textContent: name });
          e.style.top = `${(i / names.length) * 100}%`;
          return e;
        }),
      );
    }
    return shown.map((i) => this.stream.leads[i]);
  }

  takeLost(frames, mono) {
    this.lost = this.lostUntil > mono ? this.lost + frames : frames;
    this.lostUntil = mono + LOST_SHOWN_S;
  }

  /** Every animation frame. */
  draw(mono) {
    this.buffer.step(mono);
    this.sweep?.draw(this.buffer);
  }

  /** Four times a second: words and numbers. Returns the link's state. */
  update(now, mono, alarm) {
    const p = this.parts;
    const link = linkState(this.stream, this.buffer, this.state, now);
    const dead = link.kind === "no_data" || link.kind === "ended" || link.kind === "waiting";
    putData(this.root, "link", link.kind);
    put(p.age, link.text);
    p.age.title = t("ui.link_age");
    const rate = dead ? null : this.state?.rate ?? null;
    put(p.hr, rate === null ? "--" : String(Math.round(rate)));
    put(p.unit, t("ui.per_minute"));
    p.over.hidden = !dead;
    put(p.over, dead ? link.text : "");
    this.#word(alarm);
    put(p.fault, dead ? "" : signalFault(this.stream, this.state));
    const quality = qualityOf(dead ? null : this.state);
    putData(p.quality, "bars", String(quality.bars));
    p.quality.title = `${t("ui.quality")}: ${quality.word || "--"}`;
    const battery = this.state?.battery ?? null;
    p.battery.hidden = battery === null;
    if (battery !== null) {
      put(p.battery.lastChild, `${battery}`);
      p.battery.title = t("ui.battery", { n: battery });
      putData(p.battery, "level", battery < 15 ? "low" : "ok");
      p.battery.querySelector(".charge").setAttribute("width", String((14 * battery) / 100));
    }
    p.note.hidden = mono > this.lostUntil;
    put(p.note, p.note.hidden ? "" : t("ui.slow_client", { n: this.lost }));
    this.root.setAttribute("aria-label", this.#label(rate, link, alarm));
    return link;
  }

  #word(alarm) {
    const key = alarm ? `${alarm.alert.id} ${alarm.alert.kind}` : "";
    const text = alarm ? rhythmText(alarm.alert.kind) : "";
    if (this.word === key + text) return;
    this.word = key + text;
    putData(this.root, "priority", alarm?.alert.priority ?? "none");
    this.parts.word.replaceChildren(...(alarm ? [mark(alarm.alert.priority), el("span", { textContent: text })] : []));
  }

  #label(rate, link, alarm) {
    const parts = [t("ui.details", { bed: this.stream.bed }), this.stream.clinic];
    if (rate !== null) parts.push(`${t("ui.heart_rate")} ${Math.round(rate)}`);
    if (alarm) parts.push(`${t(`priority.${alarm.alert.priority}`)} ${rhythmText(alarm.alert.kind)}`);
    if (link.kind !== "live") parts.push(link.text);
    return parts.filter(Boolean).join(", ");
  }
}
