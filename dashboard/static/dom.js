// Small helpers to make elements; text is always set as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

export function el(tag, props = {}, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === "class") e.className = value;
    else if (name.startsWith("data-") || name.startsWith("aria-") || name === "role") e.setAttribute(name, value);
    else e[name] = value;
  }
  e.append(...children);
  return e;
}

/** Write `text` only when it changes: a page of tiles is written to thirty times a second. */
export function put(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

export function putData(e, name, value) {
  if (e.dataset[name] !== value) e.dataset[name] = value;
}

function svg(viewBox, cls, ...shapes) {
  const e = document.createElementNS(SVG, "svg");
  e.setAttribute("viewBox", viewBox);
  e.setAttribute("class", cls);
  e.setAttribute("aria-hidden", "true");
  for (const [tag, attributes] of shapes) {
    const shape = document.createElementNS(SVG, tag);
    for (const [k, v] of Object.entries(attributes)) shape.setAttribute(k, v);
    e.append(shape);
  }
  return e;
}

const SHAPES = {
  high: ["polygon", { points: "8,1 15.5,15 0.5,15" }],
  medium: ["polygon", { points: "8,0.5 15.5,8 8,15.5 0.5,8" }],
  low: ["circle", { cx: 8, cy: 8, r: 7 }],
};
export const STARS = { high: "***", medium: "**", low: "*" };

/** Priority said three ways: shape, stars and (by CSS) colour. */
export function mark(priority) {
  return el(
    "span",
    { class: "mark", "data-priority": priority },
    svg("0 0 16 16", "shape", SHAPES[priority]),
    el("b", { textContent: STARS[priority] }),
  );
}

/** Four bars, `filled` of them lit. */
export function bars() {
  const e = svg(
    "0 0 18 12",
    "bars",
    ...[0, 1, 2, 3].map((i) => ["rect", { x: i * 5, y: 9 - 3 * i, width: 3, height: 3 + 3 * i, rx: 0.5 }]),
  );
  return e;
}

export function batteryIcon() {
  return svg(
    "0 0 22 12",
    "cell",
    ["rect", { x: 0.75, y: 0.75, width: 17.5, height: 10.5, rx: 2, class: "case" }],
    ["rect", { x: 19.5, y: 4, width: 2, height: 4, rx: 1, class: "tip" }],
    ["rect", { x: 2.5, y: 2.5, width: 14, height: 7, rx: 1, class: "charge" }],
  );
}
