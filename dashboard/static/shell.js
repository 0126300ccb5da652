// What all pages share: the bar, the banner when something is wrong, the live region, calibration, sound, server time,
// who is logged in, and the cases.

import { CARD_MM, calibrate, isCalibrated, onScale, pxPerMm } from "./scale.js";
import { clockTime, currentLanguage, duration, kindText, loadTexts, onLanguage, setLanguage, t } from "./i18n.js";
import { AlertLink, WaveLink } from "./net.js";
import { Alarms } from "./alarms.js";
import { CaseLink } from "./cases.js";
import { api, whoAmI } from "./api.js";
import { Sound } from "./sound.js";
import { el, mark, put } from "./dom.js";

const LOST_AFTER_S = 2.5;
const RESET_SHOWN_S = 15;
const ASK_S = 5;

export class Shell {
  /** @param on {streams(message, fresh), frame(frame)}; `start` must be awaited. */
  constructor(on) {
    this.on = on;
    this.alarms = new Alarms();
    this.offset = null; // server time - this page's monotonic time, s
    this.offsets = [];
    this.feed = true;
    this.notice = 0;
    this.scaleText = null;
    this.asked = 0;
  }

  async start() {
    await loadTexts();
    this.me = await whoAmI();
    this.sound = new Sound();
    this.cases = new CaseLink({
      me: (me) => (this.me = { ...this.me, ...me }),
      changed: (told) => this.oncase?.(told),
    });
    this.#buildBar();
    this.alerts = new AlertLink({
      snapshot: (message) => {
        this.alarms.snapshot(message.alerts);
        if (message.reason !== "start") this.notice = this.mono() + RESET_SHOWN_S;
        this.onalarms?.();
      },
      alert: (view) => {
        if (this.alarms.take(view) && view.alert.priority === "high") this.#announce(view);
        this.onalarms?.();
      },
      time: (message) => this.#time(message.now, message.feed),
    });
    this.waves = new WaveLink({
      streams: (message, fresh) => this.on.streams(message, fresh),
      frame: (frame) => this.on.frame(frame),
      clock: (now, feed) => this.#time(now, feed),
    });
    setInterval(() => this.tick(), 250);
    this.tick();
  }

  /** This page's monotonic time, s. */
  mono() {
    return performance.now() / 1000;
  }

  /** Server time, s: the largest (stamp - arrival) of late is the one that travelled fastest. */
  now() {
    return this.mono() + (this.offset ?? Date.now() / 1000 - this.mono());
  }

  #time(stamp, feed) {
    this.feed = feed;
    this.offsets.push(stamp - this.mono());
    if (this.offsets.length > 60) this.offsets.shift();
    this.offset = Math.max(...this.offsets);
  }

  /** Seconds since the page lost the server (either websocket), 0 while all is well. */
  lostFor() {
    let longest = 0;
    for (const link of [this.alerts, this.waves, this.cases])
      if (link && !link.up) longest = Math.max(longest, (performance.now() - link.downSince) / 1000);
    return longest;
  }

  #announce(view) {
    const values = { kind: kindText(view.alert.kind), bed: view.bed, clinic: view.clinic };
    this.live.append(el("p", { textContent: t("ui.new_alarm", values) }));
    while (this.live.childElementCount > 5) this.live.firstChild.remove();
  }

  #buildBar() {
    const bar = document.querySelector("#bar");
    this.counts = {};
    const counters = el("div", { class: "counters" });
    for (const priority of ["high", "medium", "low"]) {
      const n = el("span", { class: "n", textContent: "0" });
      this.counts[priority] = n;
      n.parent = el("span", { class: "counter", "data-priority": priority }, mark(priority), n);
      counters.append(n.parent);
    }
    this.audio = el("button", { type: "button", class: "audio" });
    // Pressing unlocks by itself, and may have done so before the click is complete: what counts is whether sound
    // was blocked when it began. The first click must never pause what it was meant to enable.
    let unlocking = false;
    this.audio.onpointerdown = this.audio.onkeydown = (event) => {
      if (!event.repeat) unlocking = this.sound.blocked;
    };
    this.audio.onclick = () => {
      if (unlocking || this.sound.blocked) this.sound.enable();
      else this.sound.togglePause();
      unlocking = false;
      this.tick();
    };
    this.scale = el("button", { type: "button", class: "scale", hidden: !this.scaleText });
    this.scale.onclick = () => this.#calibration();
    const desk = el("a", { class: "link", href: "/desk", "data-t": "desk.open_desk", hidden: location.pathname === "/desk" });
    const leave = el("button", { type: "button", class: "leave", hidden: !this.me?.user });
    leave.dataset.tTitle = "desk.logout";
    put(leave, this.me?.name ?? "");
    leave.onclick = async () => {
      await api("DELETE", "/api/session");
      location.assign("/login");
    };
    this.language = el("button", { type: "button", class: "language", "data-t": "language", "data-t-title": "language_hint" });
    this.language.onclick = () => setLanguage(currentLanguage() === "zh" ? "en" : "zh");
    this.clock = el("time", { class: "clock" });
    bar.append(counters, desk, el("span", { class: "spacer" }), leave, this.scale, this.audio, this.language, this.clock);
    this.banner = document.querySelector("#banner");
    this.live = document.querySelector("#live");
    addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey || event.target.matches("input, select, dialog *")) return;
      if (event.key === "l" || event.key === "L") this.language.click();
      if (event.key === "a" || event.key === "A") this.audio.click();
    });
    onLanguage(() => this.tick());
    onScale(() => this.tick());
    setLanguage(currentLanguage(), false);
  }

  /** Four times a second: everything in the bar that time changes. */
  tick() {
    const now = this.now();
    put(this.clock, clockTime(now));
    const counts = this.alarms.counts();
    for (const [priority, n] of Object.entries(this.counts)) {
      put(n, String(counts[priority]));
      n.parent.classList.toggle("some", counts[priority] > 0);
      n.parent.title = `${t(`priority.${priority}`)}: ${counts[priority]}`;
    }
    this.#audioState();
    if (this.scaleText) {
      const scale = this.scaleText();
      put(this.scale, isCalibrated() ? scale : `${scale} · ${t("ui.not_to_scale")}`);
      this.scale.title = t("ui.calibrate");
      this.scale.classList.toggle("warn", !isCalibrated());
    }
    const lost = this.#banner();
    this.sound.update(this.alarms.counts((alert) => this.#soundsAs(alert)), lost);
    if (lost) this.#askWho();
    this.ontick?.(now, lost);
  }

  /** What somebody acknowledged is quiet; an alarm that no case is known of is not. */
  #soundsAs(alert) {
    const told = this.cases.of(alert.id);
    if (!told) return alert.priority;
    return told.audible ? told.shown_priority : null;
  }

  /** A lost server may be one that lets this session in no more. */
  #askWho() {
    if (this.mono() < this.asked + ASK_S) return;
    this.asked = this.mono();
    whoAmI();
  }

  #audioState() {
    const { blocked, pausedFor } = this.sound;
    const state = blocked ? "blocked" : pausedFor > 0 ? "paused" : "on";
    this.cases.audio = state;
    this.audio.dataset.state = state;
    const text = {
      blocked: () => t("ui.audio_blocked"),
      paused: () => t("ui.audio_paused", { time: duration(pausedFor) }),
      on: () => t("ui.audio_on"),
    }[state]();
    put(this.audio, text);
    this.audio.title = t({ blocked: "ui.audio_enable", paused: "ui.audio_resume", on: "ui.audio_pause" }[state]);
  }

  #banner() {
    const lostFor = this.lostFor();
    const lost = lostFor > LOST_AFTER_S;
    const noFeed = !lost && !this.feed;
    let text = ["", ""];
    if (lost) text = [t("ui.server_lost"), t("ui.server_lost_hint", { age: duration(lostFor) })];
    else if (noFeed) text = [t("ui.bus_lost"), t("ui.bus_lost_hint")];
    else if (this.mono() < this.notice) text = [t("ui.alerts_reset"), ""];
    const [head, hint] = this.banner.children;
    put(head, text[0]);
    put(hint, text[1]);
    this.banner.hidden = !text[0];
    this.banner.dataset.kind = lost || noFeed ? "lost" : "notice";
    document.body.classList.toggle("lost", lost || noFeed);
    return lost || noFeed;
  }

  #calibration() {
    const dialog = el("dialog", { class: "calibration" });
    const bar = el("div", { class: "card-bar" });
    const value = el("output", {});
    const slider = el("input", { type: "range", min: "2", max: "16", step: "0.005", value: String(pxPerMm()) });
    slider.setAttribute("aria-label", t("ui.calibrate"));
    const show = () => {
      bar.style.width = `${slider.value * CARD_MM}px`;
      put(value, t("ui.px_per_mm", { n: Number(slider.value).toFixed(3) }));
    };
    slider.oninput = show;
    show();
    const close = (next) => {
      if (next !== undefined) calibrate(next);
      dialog.close();
      dialog.remove();
    };
    const button = (key, action, cls = "") =>
      el("button", { type: "button", class: cls, textContent: t(`ui.${key}`), onclick: action });
    dialog.append(
      el("h2", { textContent: t("ui.calibrate") }),
      el("p", { textContent: t("ui.calibrate_text") }),
      el("div", { class: "card-frame" }, bar),
      slider,
      value,
      el(
        "div",
        { class: "buttons" },
        button("calibrate_clear", () => close(null)),
        button("cancel", () => close()),
        button("calibrate_save", () => close(Number(slider.value)), "primary"),
      ),
    );
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
  }
}
