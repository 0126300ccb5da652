// Texts from the one catalogue (GET /api/catalogue), in the language chosen here, by the browser, or last time.

const KEY = "leadwire.language";
let texts = { en: {}, zh: {} };
let language = "en";
const listeners = new Set();

function preferred() {
  const kept = localStorage.getItem(KEY);
  if (kept === "en" || kept === "zh") return kept;
  return (navigator.languages ?? [navigator.language]).some((l) => /^zh/i.test(l)) ? "zh" : "en";
}

export async function loadTexts() {
  const answer = await fetch("/api/catalogue");
  if (!answer.ok) throw new Error(`catalogue: ${answer.status}`);
  texts = await answer.json();
  setLanguage(preferred(), false);
}

export function currentLanguage() {
  return language;
}

/** The text of `key`; an unknown key is shown as it is, so that an unknown condition is still seen. */
export function t(key, values) {
  let text = texts[language][key] ?? key;
  if (values) for (const [name, value] of Object.entries(values)) text = text.replaceAll(`{${name}}`, value);
  return text;
}

/** Condition words: `kind.x` in full, `rhythm.x` short; a kind that is not in the catalogue is its own word. */
export const kindText = (kind) => (`kind.${kind}` in texts[language] ? t(`kind.${kind}`) : kind);
export const rhythmText = (kind) => (`rhythm.${kind}` in texts[language] ? t(`rhythm.${kind}`) : kind.toUpperCase());

const named = (key) => t(key.includes(".") ? key : `ui.${key}`);

/** Fill every element that names its text: data-t (content), data-t-title (tooltip and label). */
export function translate(root = document) {
  for (const e of root.querySelectorAll("[data-t]")) e.textContent = named(e.dataset.t);
  for (const e of root.querySelectorAll("[data-t-title]")) {
    e.title = named(e.dataset.tTitle);
    e.setAttribute("aria-label", e.title);
  }
}

export function setLanguage(next, keep = true) {
  language = next;
  if (keep) localStorage.setItem(KEY, next);
  document.documentElement.lang = next === "zh" ? "zh-CN" : "en";
  document.title = t("ui.title");
  translate();
  for (const f of listeners) f();
}

export function onLanguage(f) {
  listeners.add(f);
}

const two = (n) => String(n).padStart(2, "0");

/** Time of day of `s` (epoch seconds), local, 24 h. */
export function clockTime(s, seconds = true) {
  const d = new Date(s * 1000);
  return `${two(d.getHours())}:${two(d.getMinutes())}${seconds ? `:${two(d.getSeconds())}` : ""}`;
}

/** A duration: "12 s", "3:05", "2:03:10". */
export function duration(s) {
  s = Math.max(0, Math.floor(s));
  if (s < 60) return t("ui.seconds", { n: s });
  const h = Math.floor(s / 3600);
  const m = Math.floor(s / 60) % 60;
  return h ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
}

/** Where: bed and clinic, whichever there is (an alert that nobody watches has no bed). */
export const placeText = (bed, clinic) => [bed && t("ui.bed", { bed }), clinic].filter(Boolean).join(" · ");
