// One patient: every lead live at true scale, the last minutes from the archive, the alarms.

import { LOST, STATE, WAVE } from "./frames.js";
import { History } from "./history.js";
import { LeadView } from "./view.js";
import { Rail } from "./rail.js";
import { Shell } from "./shell.js";
import { StreamBuffer } from "./buffer.js";
import { bars, batteryIcon, el, mark, put, putData } from "./dom.js";
import { clockTime, duration, kindText, onLanguage, rhythmText, t } from "./i18n.js";
import { linkState, qualityOf, signalFault } from "./tile.js";
import { onScale, pxPerMm } from "./scale.js";

const KEPT = "leadwire.patient";
const HISTORY_EVERY_S = 5;
const LOST_SHOWN_S = 10;

const $ = (selector) => document.querySelector(selector);
const name = new URLSearchParams(location.search).get("stream") ?? "";
const shell = new Shell({ streams: takeStreams, frame: takeFrame });
const view = new LeadView($("#view"));
const over = el("div", { class: "over", hidden: true });
const note = el("div", { class: "note", hidden: true });
const buffer = new StreamBuffer();
const options = { columns: 0, speed: 25, gain: 10, minutes: 5, lead: "", ...JSON.parse(localStorage.getItem(KEPT) ?? "{}") };
let archive = false, stream = null, archived = null, state = null, past = null, rail = null;
let older = [], review = null, seconds = 0, dirty = true, listed = "", frames = 0, lost = 0, lostUntil = 0;

const columns = () => (LeadView.leadsOf(stream).length > 3 ? options.columns || 2 : 1);
const shownLeads = () => LeadView.leadsOf(stream).map((index) => ({ index, name: stream.leads[index] }));
const timeOf = (sample) => buffer.timeOf(sample) ?? (archived && archived.started + sample / archived.fs);
const newest = () => buffer.end ?? archived?.end_sample ?? null;

function choose(changes) {
  Object.assign(options, changes);
  localStorage.setItem(KEPT, JSON.stringify(options));
  dirty = true;
  tools();
}

// -- what arrives

async function takeStreams(message, fresh) {
  archive = message.archive;
  const found = message.streams.find((s) => s.stream === name);
  if (found) {
    const same = stream && String(stream.leads) === String(found.leads);
    stream = found;
    if (!same) {
      tools();
      loadPast();
    }
    dirty ||= !same;
    shell.waves.subscribe({ [name]: LeadView.leadsOf(stream).map((i) => stream.leads[i]) });
  } else if (fresh && !stream) {
    const answer = archive && (await fetch(`/api/history/stream?${new URLSearchParams({ stream: name })}`));
    if (answer.ok && !stream) {
      archived = await answer.json();
      stream = { index: -1, ...archived, ended: archived.ended ?? archived.started + archived.end_sample / archived.fs };
      tools();
      dirty = true;
      loadPast();
    } else if (!stream) {
      over.hidden = false;
      put(over, t("ui.unknown_stream"));
    }
  }
}

function takeFrame(frame) {
  if (frame.stream !== stream?.index) return;
  if (frame.kind === WAVE) buffer.write(frame, shell.mono());
  else if (frame.kind === STATE) {
    state = frame;
    buffer.addBeats(frame.beats);
  } else if (frame.kind === LOST) {
    lost = lostUntil > shell.mono() ? lost + frame.frames : frame.frames;
    lostUntil = shell.mono() + LOST_SHOWN_S;
  }
}

// -- a moment of the past, drawn by the same sweep: sample 0 of the copy stands at the left edge

async function pick(sample) {
  if (!archive) return;
  const fs = buffer.fs || archived.fs;
  const n = Math.floor(seconds * fs);
  const start = Math.max(0, Math.round(sample - n / 2));
  const query = new URLSearchParams({ stream: name, start, stop: start + n });
  for (const lead of shownLeads()) query.append("lead", lead.name);
  const answer = await fetch(`/api/history/samples?${query}`);
  if (!answer.ok) return;
  const body = await answer.json();
  const copy = new StreamBuffer();
  const leads = shownLeads().map(({ index, name: lead }) => ({
    lead: index,
    off: false,
    mv: Float32Array.from(body.leads[lead], (v) => v ?? NaN),
  }));
  copy.write({ first: 0, n, fs, taken: 0, received: 0, late: false, buffered: true, leads }, 0);
  copy.addBeats(body.beats.map((b) => ({ ...b, sample: b.sample - start })));
  copy.head = n;
  review = { copy, start, stop: start + n };
  view.clear();
  tools();
  drawPast();
}

function live() {
  review = null;
  view.clear();
  tools();
  drawPast();
}

async function loadPast() {
  const end = newest();
  if (!past) return;
  past.reason = archive ? "" : "history_off";
  if (!archive || !stream || end === null) return drawPast();
  const fs = buffer.fs || archived.fs;
  const start = Math.max(0, Math.round(end - options.minutes * 60 * fs));
  if (end - start < 2) return;
  const lead = shownLeads().find((l) => l.name === options.lead)?.name ?? shownLeads()[0]?.name;
  if (!lead) return;
  await past.load(name, lead, start, Math.round(end));
  const answer = await fetch(`/api/history/alerts?${new URLSearchParams({ stream: name })}`).catch(() => null);
  if (answer?.ok) older = await answer.json();
  drawPast();
}

/** Alerts as the server has them now, and older ones of the archive. */
function allAlarms() {
  const found = new Map(older.map((alert) => [alert.id, alert]));
  for (const { alert } of shell.alarms.known.values()) if (alert.stream === name) found.set(alert.id, alert);
  return [...found.values()].sort((a, b) => b.onset - a.onset);
}

function drawPast() {
  past.draw(timeOf, allAlarms(), review);
}

// -- the page

function choice(label, value, list, change) {
  const group = el("span", { class: "group" });
  for (const [key, text] of list) {
    const button = el("button", { type: "button", textContent: text, onclick: () => change(key) });
    button.setAttribute("aria-pressed", String(key === value));
    group.append(button);
  }
  return el("span", { class: "choice", role: "group", "aria-label": label }, el("span", { textContent: label }), group);
}

function tools() {
  if (!stream || !past) return;
  const n = LeadView.leadsOf(stream).length;
  const layouts = [1, 2].map((c) => [c, `${Math.ceil(n / c)}×${c}`]);
  $("#tools").replaceChildren(
    ...(n > 3 ? [choice(t("ui.layout"), columns(), layouts, (c) => choose({ columns: c }))] : []),
    choice(`${t("ui.speed")} mm/s`, options.speed, [[12.5, "12.5"], [25, "25"], [50, "50"]], (v) => choose({ speed: v })),
    choice(`${t("ui.gain")} mm/mV`, options.gain, [[5, "5"], [10, "10"], [20, "20"]], (v) => choose({ gain: v })),
  );
  if (review) {
    const time = timeOf(review.start);
    const back = el("button", { type: "button", textContent: t("ui.history_live"), onclick: live });
    $("#tools").append(el("span", { id: "recorded" }, t("ui.history_at", { time: time === null ? "?" : clockTime(time) }), back));
  }
  $("#view").classList.toggle("recorded", review !== null);
  const leads = shownLeads().map((l) => [l.name, l.name]);
  const lead = leads.some(([l]) => l === options.lead) ? options.lead : leads[0]?.[0];
  const minutes = [2, 5, 10, 30].map((m) => [m, String(m)]);
  const select = el("select", { onchange: () => { choose({ lead: select.value }); loadPast(); } });
  select.append(...leads.map(([l]) => el("option", { value: l, textContent: l })));
  select.value = lead ?? "";
  select.setAttribute("aria-label", t("ui.lead"));
  $("#past-tools").replaceChildren(
    el("h2", { textContent: t("ui.history") }),
    choice(t("ui.minutes", { n: "" }).trim(), options.minutes, minutes, (v) => { choose({ minutes: v }); loadPast(); }),
    select,
    el("span", { textContent: t("ui.history_hint") }),
  );
}

const head = {
  who: el("div", { class: "who" }, el("b", {}), el("span", {})),
  word: el("span", { class: "word" }),
  hr: el("span", { class: "hr", textContent: "--" }),
  unit: el("span", { class: "unit" }),
  age: el("span", { class: "age" }),
  quality: el("span", { class: "quality" }, bars()),
  qualityWord: el("span", {}),
  battery: el("span", { class: "battery" }, batteryIcon(), el("b", {})),
  fault: el("span", { class: "fault" }),
};

function updateHead(now) {
  const root = $("#head");
  const alarm = shell.alarms.worst().get(name);
  const link = archived ? { kind: "ended", text: t("ui.ended_at", { time: clockTime(stream.ended, false) }) } : linkState(stream, buffer, state, now);
  const dead = link.kind !== "live" && link.kind !== "late";
  put(head.who.firstChild, t("ui.bed", { bed: stream.bed }));
  put(head.who.lastChild, [stream.clinic, stream.patient, `${Math.round(stream.fs)} Hz`, stream.device].filter(Boolean).join(" · "));
  putData(root, "priority", alarm?.alert.priority ?? "none");
  putData(root, "link", link.kind);
  const word = alarm ? rhythmText(alarm.alert.kind) : "";
  if (head.word.dataset.text !== word) {
    head.word.dataset.text = word;
    head.word.replaceChildren(...(alarm ? [mark(alarm.alert.priority), el("span", { textContent: word })] : []));
  }
  put(head.hr, dead || state?.rate == null ? "--" : String(Math.round(state.rate)));
  put(head.unit, `${t("ui.heart_rate")} ${t("ui.per_minute")}`);
  put(head.age, link.text);
  head.age.title = t("ui.link_age");
  const quality = qualityOf(dead ? null : state);
  putData(head.quality, "bars", String(quality.bars));
  put(head.qualityWord, quality.word);
  head.battery.hidden = state?.battery == null;
  put(head.battery.lastChild, `${state?.battery ?? ""}`);
  put(head.fault, dead ? "" : signalFault(stream, state));
  over.hidden = !(dead && !review);
  put(over, dead ? link.text : "");
  note.hidden = shell.mono() > lostUntil;
  put(note, note.hidden ? "" : t("ui.slow_client", { n: lost }));
  if (!document.body.classList.contains("lost")) shell.alarms.noData(null, stream, link.kind === "no_data" ? link.since : null);
}

function updateList() {
  const alarms = allAlarms();
  const key = JSON.stringify([document.documentElement.lang, buffer.anchor !== null, ...alarms.map((a) => [a.kind, a.onset, a.end])]);
  if (key === listed) return;
  listed = key;
  const rows = alarms.map((a) => {
    const at = timeOf(a.onset);
    const lasted = a.end === null ? t("state.active") : duration((a.end - a.onset) / (buffer.fs || stream.fs));
    const e = a.evidence;
    const why = e ? t("ui.evidence", { value: Number(e.value.toFixed(2)), unit: e.unit, threshold: Number(e.threshold.toFixed(2)) }) : "";
    const button = el(
      "button",
      { type: "button", "data-state": a.state, onclick: () => pick(a.onset) },
      el("span", { class: "what" }, mark(a.priority), kindText(a.kind)),
      el("span", { class: "when", textContent: `${at === null ? "" : clockTime(at)} · ${lasted}` }),
      el("span", { class: "when", textContent: why }),
    );
    return el("li", {}, button);
  });
  $("#list").replaceChildren(...(rows.length ? rows : [el("p", { textContent: t("ui.episodes_none") })]));
  drawPast();
}

function tick(now) {
  if (stream) {
    updateHead(now);
    updateList();
  }
  rail.update(now);
}

function animate() {
  if (stream && dirty) {
    dirty = false;
    seconds = view.layout(shownLeads(), columns(), { pxPerMm: pxPerMm(), speed: options.speed, gain: options.gain });
    if (review) pick((review.start + review.stop) / 2);
    drawPast();
  }
  buffer.step(shell.mono());
  view.draw(review ? review.copy : buffer);
  frames++;
  requestAnimationFrame(animate);
}

function keys(event) {
  if (event.target.matches("select, input, dialog *")) return;
  if (event.key === "Escape") {
    if (review) live();
    else location.href = "/";
  }
  const step = { ArrowLeft: -0.5, ArrowRight: 0.5 }[event.key];
  if (!step || !(review || past.span)) return;
  event.preventDefault();
  const width = seconds * (buffer.fs || archived.fs);
  pick(review ? (review.start + review.stop) / 2 + step * width : newest() - width / 2);
}

async function main() {
  $("#view").append(note, over);
  const row = el("div", { class: "row" }, head.quality, head.qualityWord, head.battery);
  $("#head").append(head.who, head.word, el("span", { class: "spacer" }), el("div", { class: "facts" }, head.age, row, head.fault), el("div", { class: "pulse" }, head.hr, head.unit));
  past = new History($("#strip"), pick);
  const onsetOf = (other, sample) => (other === name ? timeOf(sample) : null);
  rail = new Rail($("#rail"), shell.alarms, onsetOf, (alert) => shell.cases?.of(alert));
  shell.scaleText = () => t("ui.to_scale", { speed: options.speed, gain: options.gain });
  shell.ontick = tick;
  new ResizeObserver(() => (dirty = true)).observe($("#view"));
  onScale(() => (dirty = true));
  onLanguage(() => { listed = ""; tools(); });
  addEventListener("keydown", keys);
  await shell.start();
  animate();
  loadPast();
  setInterval(loadPast, HISTORY_EVERY_S * 1000);
}

window.leadwire = { shell, buffer, view, get past() { return past; }, get frames() { return frames; }, get review() { return review; } };
main();
