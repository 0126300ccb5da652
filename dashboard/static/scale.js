// Millimetres on this screen: CSS pixels per mm, measured once with a bank card and kept on this workstation.

const KEY = "leadwire.px_per_mm";
const NOMINAL = 96 / 25.4; // what CSS assumes; no screen is sure to have it
export const CARD_MM = 85.6;
const listeners = new Set();

export function pxPerMm() {
  const kept = Number.parseFloat(localStorage.getItem(KEY));
  return kept >= 1 && kept <= 40 ? kept : NOMINAL;
}

export function isCalibrated() {
  const kept = Number.parseFloat(localStorage.getItem(KEY));
  return kept >= 1 && kept <= 40;
}

export function calibrate(value) {
  if (value === null) localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, String(value));
  for (const f of listeners) f();
}

export function onScale(f) {
  listeners.add(f);
}
