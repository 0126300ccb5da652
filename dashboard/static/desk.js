// The desk: inbox of open cases, one case with everything that can be done to it, the clinic's calls.

import { Shell } from "./shell.js";
import { CasePanel } from "./casepanel.js";
import { Calls } from "./calls.js";
import { api, command } from "./api.js";
import { clockTime, duration, kindText, onLanguage, placeText, t } from "./i18n.js";
import { el, mark, put, putData } from "./dom.js";

const shell = new Shell({ streams: () => {}, frame: () => {} });
const list = document.querySelector("#cases");
const rows = new Map(); // case id -> row
const panel = new CasePanel(document.querySelector("#case"), () => shell.me);
const calls = new Calls(document.querySelector("#calls"), () => shell.me);

const chosen = () => decodeURIComponent(location.hash.slice(1));
let asked = ""; // the case that was asked for because it is no open one

async function fetchCase(id) {
  if (!id || id === asked || shell.cases.cases.has(id)) return;
  asked = id;
  const answer = await api("GET", `/api/cases/${encodeURIComponent(id)}`);
  if (answer.ok) shell.cases.cases.set(id, answer.body);
}

function row(told) {
  const parts = {};
  const part = (name) => (parts[name] = el("span", { class: name }));
  const root = el(
    "a",
    { class: "row", role: "listitem", href: `#${encodeURIComponent(told.id)}` },
    el("span", { class: "row-top" }, (parts.mark = mark(told.shown_priority)), part("kind"), part("since")),
    part("place"),
    el("span", { class: "row-low" }, part("who"), part("step")),
  );
  return { root, parts, priority: told.shown_priority };
}

function fill(entry, told, now) {
  const { root, parts } = entry;
  if (entry.priority !== told.shown_priority) {
    const fresh = mark(told.shown_priority);
    parts.mark.replaceWith(fresh);
    parts.mark = fresh;
    entry.priority = told.shown_priority;
  }
  putData(root, "priority", told.shown_priority);
  putData(root, "active", String(told.condition === "active"));
  root.classList.toggle("chosen", told.id === panel.id);
  const more = [];
  const n = Object.keys(told.members).length;
  if (n > 1) more.push(t("desk.recurrences", { n }));
  if (told.hides.length) more.push(t("desk.hides", { n: told.hides.length }));
  if (told.late) more.push(t("desk.late"));
  put(parts.kind, [kindText(told.kind), ...more].join(" · "));
  put(parts.since, duration(now - told.opened_at));
  put(parts.place, placeText(told.bed, told.clinic_name));
  const name = told.people[told.owner] ?? told.owner;
  put(parts.who, told.owner ? t("desk.owner", { name }) : told.task ? "" : t("desk.no_owner"));
  putData(root, "owned", String(Boolean(told.owner)));
  let step = "";
  if (told.responsibility === "exhausted") step = t("desk.exhausted");
  else if (!told.owner && told.next_escalation !== null) step = t("desk.next_step", { time: duration(told.next_escalation - now) });
  put(parts.step, step);
}

function tick(now) {
  const open = shell.cases.open();
  const ids = new Set(open.map((c) => c.id));
  for (const [id, entry] of rows)
    if (!ids.has(id)) {
      entry.root.remove();
      rows.delete(id);
    }
  open.forEach((told, i) => {
    let entry = rows.get(told.id);
    if (!entry) rows.set(told.id, (entry = row(told)));
    fill(entry, told, now);
    if (list.children[i] !== entry.root) list.insertBefore(entry.root, list.children[i] ?? null);
  });
  put(document.querySelector("#calm"), open.length ? "" : t("desk.calm"));
  calls.update(open, now);
  fetchCase(chosen());
  panel.update(shell.cases.cases.get(chosen()), now);
  document.body.classList.toggle("one", panel.shown);
  // The list shows every open case to whoever looks at it.
  shell.cases.seen(open.map((c) => c.id));
}

function say() {
  const me = document.querySelector("#me");
  const roles = (shell.me?.roles ?? []).map((r) => t(`role.${r}`)).join(", ");
  put(me, shell.me?.user ? roles : t("desk.nobody"));
}

/** A test alarm for one clinic: the hub's people and the installer send it through the whole chain. */
function drill() {
  const form = document.querySelector("#drill");
  const may = (shell.me?.roles ?? []).some((r) => !r.startsWith("clinic_"));
  form.hidden = !may || !shell.me.clinics?.length;
  if (form.hidden) return;
  const clinic = el("select", {}, ...shell.me.clinics.map((c) => el("option", { value: c, textContent: c })));
  clinic.setAttribute("aria-label", t("duty.clinic"));
  const why = el("p", { class: "why", role: "alert" });
  form.replaceChildren(clinic, el("button", { textContent: t("desk.test_alarm") }), why);
  form.onsubmit = async (event) => {
    event.preventDefault();
    const answer = await command("/api/test-alarms", { clinic: clinic.value });
    put(why, answer.ok ? "" : t("desk.refused", { why: t(`refusal.${answer.error.code}`) }));
  };
}

async function main() {
  shell.ontick = tick;
  shell.oncase = () => tick(shell.now());
  addEventListener("hashchange", () => tick(shell.now()));
  onLanguage(() => {
    panel.forget();
    calls.forget();
    say();
    drill();
  });
  await shell.start();
  say();
  drill();
}

// A hook for the tests; the page itself does not use it.
window.leadwire = { shell, panel, clockTime };
main();
