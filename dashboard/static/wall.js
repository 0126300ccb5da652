// The wall: one tile per bed in an order that never changes under the eye, the alarm rail above it.

import { LOST, STATE, WAVE } from "./frames.js";
import { Shell } from "./shell.js";
import { Rail } from "./rail.js";
import { Tile } from "./tile.js";
import { onScale, pxPerMm } from "./scale.js";
import { el, put } from "./dom.js";
import { onLanguage, t } from "./i18n.js";

const MIN_W = 270, MIN_H = 110, MAX_H = 300, GAP = 6;

const grid = document.querySelector("#grid");
const empty = document.querySelector("#empty");
const tiles = new Map(); // bed key -> Tile, in the order of the screen
const byIndex = new Map(); // number in binary frames -> Tile
const byStream = new Map();
const shell = new Shell({ streams: takeStreams, frame: takeFrame });
let rail = null;
let dirty = true;
let frames = 0;
let spent = 0; // seconds of drawing

// Clinic and bed, so that a new recording of a bed takes over its tile; two recordings at once get two tiles.
function keyOf(stream) {
  const key = `${stream.clinic}\n${stream.bed}`;
  const holder = tiles.get(key)?.stream;
  return holder && holder.stream !== stream.stream && byStream.has(holder.stream) ? `${key}\n${stream.stream}` : key;
}

function takeStreams(message, fresh) {
  const gone = new Set(message.gone);
  if (fresh) {
    const listed = new Set(message.streams.map((s) => s.stream));
    for (const name of byStream.keys()) if (!listed.has(name)) gone.add(name);
    byIndex.clear();
  }
  for (const name of gone) {
    const tile = byStream.get(name);
    if (!tile) continue;
    byStream.delete(name);
    if (byIndex.get(tile.stream.index) === tile) byIndex.delete(tile.stream.index);
  }
  const numeric = new Intl.Collator("en", { numeric: true });
  const inOrder = [...message.streams].sort((a, b) => numeric.compare(a.clinic, b.clinic) || numeric.compare(a.bed, b.bed));
  for (const stream of inOrder) {
    let tile = byStream.get(stream.stream);
    if (!tile) {
      const key = keyOf(stream);
      tile = tiles.get(key);
      if (!tile) {
        tile = new Tile(stream);
        tiles.set(key, tile);
        grid.append(tile.root);
      }
      byStream.set(stream.stream, tile);
    }
    tile.describe(stream);
    byIndex.set(stream.index, tile);
  }
  for (const [key, tile] of tiles)
    if (byStream.get(tile.stream.stream) !== tile) {
      tile.root.remove();
      tiles.delete(key);
      shell.alarms.noData(null, tile.stream, null);
    }
  dirty = true;
}

function takeFrame(frame) {
  const tile = byIndex.get(frame.stream);
  if (!tile) return;
  if (frame.kind === WAVE) tile.buffer.write(frame, shell.mono());
  else if (frame.kind === STATE) tile.state = frame;
  else if (frame.kind === LOST) tile.takeLost(frame.frames, shell.mono());
}

/** Columns and row height that show all tiles at once if they can be read so; otherwise the wall scrolls. */
function arrange(n, width, height) {
  let best = null;
  for (let cols = 1; cols <= Math.max(1, Math.floor((width + GAP) / (MIN_W + GAP))); cols++) {
    const rows = Math.ceil(n / cols);
    const w = (width - GAP * (cols - 1)) / cols;
    const h = Math.min(MAX_H, (height - GAP * (rows - 1)) / rows);
    if (h < MIN_H) continue;
    const score = w * h - Math.abs(w / h - 2.8) * 4000;
    if (!best || score > best.score) best = { cols, h: Math.floor(h), score };
  }
  return best ?? { cols: Math.max(1, Math.floor((width + GAP) / (MIN_W + 40 + GAP))), h: 148 };
}

function layout() {
  dirty = false;
  const space = grid.getBoundingClientRect();
  const { cols, h } = arrange(tiles.size, grid.clientWidth, Math.max(MIN_H, window.innerHeight - space.top - 30));
  grid.style.gridTemplateColumns = `repeat(${cols}, minmax(0, 1fr))`;
  grid.style.gridAutoRows = `${h}px`;
  const scale = pxPerMm();
  const wanted = {};
  for (const tile of tiles.values()) wanted[tile.stream.stream] = tile.layout(scale);
  shell.waves?.subscribe(wanted);
  empty.hidden = tiles.size > 0;
}

function tick(now) {
  const worst = shell.alarms.worst();
  const mono = shell.mono();
  for (const tile of tiles.values()) {
    const link = tile.update(now, mono, worst.get(tile.stream.stream));
    // While the server is away nobody knows whether data flow: the banner says so, and no bed is blamed.
    if (!document.body.classList.contains("lost")) shell.alarms.noData(null, tile.stream, link.kind === "no_data" ? link.since : null);
  }
  rail.update(now);
  put(document.querySelector("#beds"), String(tiles.size));
}

function animate() {
  if (dirty) layout();
  const mono = shell.mono();
  for (const tile of tiles.values()) tile.draw(mono);
  spent += shell.mono() - mono;
  frames++;
  requestAnimationFrame(animate);
}

function moveFocus(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const rows = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step && !rows) return;
  const all = [...grid.children];
  const cols = getComputedStyle(grid).gridTemplateColumns.split(" ").length;
  const at = all.indexOf(document.activeElement);
  const next = at < 0 ? 0 : at + (step ?? rows * cols);
  if (!all[next] || event.target.matches("input, select, dialog *")) return;
  event.preventDefault();
  all[next].focus();
}

async function main() {
  shell.scaleText = () => t("ui.to_scale", { speed: 25, gain: 10 });
  shell.ontick = tick;
  const onsetOf = (stream, sample) => byStream.get(stream)?.buffer.timeOf(sample) ?? null;
  rail = new Rail(document.querySelector("#rail"), shell.alarms, onsetOf, (alert) => shell.cases?.of(alert));
  new ResizeObserver(() => (dirty = true)).observe(grid);
  addEventListener("resize", () => (dirty = true));
  onScale(() => (dirty = true));
  onLanguage(() => (dirty = true));
  document.addEventListener("keydown", moveFocus);
  await shell.start();
  animate();
}

// A hook for measurements and tests; the page itself does not use it.
window.leadwire = { shell, tiles, get frames() { return frames; }, get spent() { return spent; }, get rail() { return rail; } };
main();
