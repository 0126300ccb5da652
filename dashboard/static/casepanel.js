// One case: what it rests on, whose it is, what can be done to it, and its story from the register.

import { api, command } from "./api.js";
import { clockTime, duration, kindText, placeText, t } from "./i18n.js";
import { el, mark, put } from "./dom.js";

const HUB = ["technician", "cardiologist"];
const VERDICTS = ["artefact", "duplicate", "true_not_actionable", "true_actionable"];
const RESULTS = ["answered", "busy", "no_answer", "wrong_number"];
const MARKS = ["first_medical_contact", "ecg", "diagnosis", "activation", "departure", "arrival", "wire"];

export class CasePanel {
  /** @param who function -> {user, roles} of whoever is logged in */
  constructor(root, who) {
    this.root = root;
    this.who = who;
    this.id = "";
    this.shown = false;
    this.told = 0; // entries shown of the story
  }

  /** Build it anew at the next update (another language). */
  forget() {
    this.id = "";
  }

  /** Show `told` (undefined: nothing chosen) as of server time `now`. */
  update(told, now) {
    this.shown = Boolean(told);
    this.root.hidden = !told;
    if (!told) {
      this.id = "";
      return;
    }
    if (this.id !== told.id) this.#build(told);
    this.#fill(told, now);
    if (told.entries !== this.told) this.#tell(told);
  }

  async #do(action, data = {}) {
    put(this.why, "");
    const answer = await command(`/api/cases/${encodeURIComponent(this.id)}/commands`, { action, data });
    if (answer.ok) return true;
    const { code, message } = answer.error;
    const named = t(`refusal.${code}`);
    put(this.why, t("desk.refused", { why: named === `refusal.${code}` ? `${code} ${message}` : named }));
    return false;
  }

  #button(key, action, data, cls = "") {
    return el("button", {
      type: "button",
      class: cls,
      textContent: t(`desk.${key}`),
      onclick: () => this.#do(action, typeof data === "function" ? data() : data),
    });
  }

  /** A form with one text; sending it gives `action` with what `data` makes of the text. */
  #form(key, label, action, data) {
    const input = el("input", { type: "text", required: true, maxLength: 500 });
    const form = el("form", { class: "line" }, el("label", {}, el("span", { textContent: t(`desk.${label}`) }), input));
    form.append(el("button", { textContent: t(`desk.${key}`) }));
    form.onsubmit = async (event) => {
      event.preventDefault();
      if (await this.#do(action, data(input.value.trim()))) input.value = "";
    };
    return form;
  }

  #build(told) {
    this.id = told.id;
    this.told = -1;
    const roles = this.who()?.roles ?? [];
    const hub = roles.some((r) => HUB.includes(r));
    const clinic = roles.some((r) => r.startsWith("clinic_"));
    this.head = el("div", { class: "case-head" });
    this.facts = el("dl", { class: "facts" });
    this.people = el("ul", { class: "people" });
    this.why = el("p", { class: "why", role: "alert" });
    this.story = el("ol", { class: "story" });
    this.root.replaceChildren(this.head, this.why);
    if (hub) this.root.append(...this.#hubActions());
    if (clinic) this.root.append(this.#clinicActions());
    this.root.append(
      el("section", {}, el("h3", { textContent: t("desk.evidence") }), this.facts),
      el("section", {}, el("h3", { textContent: t("desk.people_told") }), this.people),
      el("section", {}, el("h3", { textContent: t("desk.story") }), this.story),
    );
  }

  #hubActions() {
    const contact = el("select", {});
    contact.setAttribute("aria-label", t("duty.contact"));
    this.contact = contact;
    const who = el("input", { type: "text", maxLength: 100, placeholder: t("desk.who_answered") });
    who.setAttribute("aria-label", t("desk.who_answered"));
    this.phone = el("a", { class: "phone" });
    this.due = el("span", { class: "due" });
    const attempt = (result) => () => {
      const [name, number] = JSON.parse(contact.value || '["", ""]');
      return { contact: name, number, result, ...(result === "answered" ? { who: who.value.trim() || name } : {}) };
    };
    const marks = el("select", {}, ...MARKS.map((m) => el("option", { value: m, textContent: t(`mark.${m}`) })));
    marks.setAttribute("aria-label", t("desk.clock"));
    this.marks = el("span", { class: "marks" });
    this.callBack = el(
      "section",
      { class: "call-back" },
      el("h3", { textContent: t("desk.call_back") }),
      el("div", { class: "line" }, contact, this.phone, this.due),
      el("div", { class: "buttons" }, who, ...RESULTS.map((r) => this.#button(r, "attempt", attempt(r)))),
      this.#form("read_back", "words", "read_back", (words) => ({ words, by: who.value.trim() || this.reached })),
      this.#form("outcome", "outcome_text", "outcome", (text) => ({ text })),
      el(
        "div",
        { class: "line" },
        marks,
        el("button", {
          type: "button",
          textContent: t("desk.clock"),
          onclick: () => this.#do("clock", { mark: marks.value, at: this.now }),
        }),
        this.marks,
      ),
    );
    this.close = this.#form("close", "close_reason", "close", (reason) => ({ reason }));
    this.reopen = this.#form("reopen", "close_reason", "reopen", (reason) => ({ reason }));
    this.accept = this.#button("accept", "accept", {}, "primary");
    return [
      el(
        "div",
        { class: "buttons" },
        this.accept,
        this.#button("decline", "decline", { reason: "passed on" }),
        this.#button("acknowledge", "acknowledge", {}),
        this.#button("pause_audio", "pause_audio", { seconds: 120 }),
      ),
      el(
        "section",
        {},
        el("h3", { textContent: t("desk.triage") }),
        el(
          "div",
          { class: "buttons" },
          ...VERDICTS.map((v) => this.#button(v, "triage", { verdict: v })),
          this.#button("confirm", "confirm", {}, "primary"),
        ),
      ),
      this.callBack,
      el("section", {}, this.close, this.reopen, this.#form("note", "note", "note", (text) => ({ text }))),
    ];
  }

  #clinicActions() {
    return el(
      "section",
      { class: "clinic-actions" },
      el(
        "div",
        { class: "buttons" },
        this.#button("seen", "seen", {}),
        this.#button("with_patient", "with_patient", {}, "primary"),
        this.#button("clinic_acknowledge", "clinic_acknowledge", {}),
      ),
      this.#form("state_action", "action_text", "state_action", (text) => ({ text })),
    );
  }

  #fill(told, now) {
    this.now = now;
    const name = told.people[told.owner] ?? told.owner;
    const state = told.condition === "active" ? t("desk.since", { time: clockTime(told.opened_at) }) : t("desk.ended", { time: clockTime(told.ended_at ?? told.changed_at) });
    const line = [
      placeText(told.bed, told.clinic_name),
      state,
      told.owner ? t("desk.owner", { name }) : t("desk.no_owner"),
      t(`line.signal/${told.signal}`),
      told.clinical === "untriaged" ? "" : t(`line.clinical/${told.clinical}`),
      told.call_back.state === "none" ? "" : t(`line.callback/${told.call_back.state}`),
    ].filter(Boolean);
    const key = `${told.shown_priority}|${told.kind}|${line.join("|")}`;
    if (this.head.dataset.key !== key) {
      this.head.dataset.key = key;
      this.head.replaceChildren(
        el("h2", { "data-priority": told.shown_priority }, mark(told.shown_priority), el("span", { textContent: kindText(told.kind) })),
        el("p", { textContent: line.join(" · ") }),
        el("a", { class: "link", href: `/patient?stream=${encodeURIComponent(told.stream)}`, textContent: t("desk.strip") }),
      );
    }
    if (this.callBack) {
      this.accept.hidden = told.owner === this.who()?.user;
      this.callBack.hidden = told.call_back.state === "none";
      this.close.hidden = told.closed;
      this.reopen.hidden = !told.closed;
      this.#fillCallBack(told, now);
    }
    this.#fillFacts(told);
    this.#fillPeople(told);
  }

  #fillCallBack(told, now) {
    const contacts = told.call_back.contacts.length ? told.call_back.contacts : told.contacts;
    const key = JSON.stringify([contacts, told.call_back.contact]);
    if (this.contact.dataset.key !== key) {
      this.contact.dataset.key = key;
      this.contact.replaceChildren(
        ...contacts.map((c) => el("option", { value: JSON.stringify([c.name, c.phone]), textContent: `${c.name} ${c.phone}` })),
      );
      this.contact.selectedIndex = Math.min(told.call_back.contact, contacts.length - 1);
    }
    const [name, number] = JSON.parse(this.contact.value || '["", ""]');
    this.reached = told.call_back.reached || name;
    put(this.phone, number);
    this.phone.href = `tel:${number}`;
    const due = told.timers.attempt ?? null;
    put(this.due, due === null ? "" : t("desk.call_due", { time: duration(due - now) }));
    const marks = Object.entries(told.clock).map(([m, at]) => `${t(`mark.${m}`)} ${clockTime(at)}`);
    put(this.marks, marks.join(" · "));
  }

  #fillFacts(told) {
    const { evidence } = told.alert;
    const facts = [
      [evidence.rule, t("ui.evidence", { value: evidence.value, unit: evidence.unit, threshold: evidence.threshold })],
      [t("ui.lead"), (evidence.leads ?? []).join(", ")],
      [t("ui.quality"), String(Math.round(100 * (evidence.quality ?? 1))) + " %"],
      ["", evidence.detail ?? ""],
      ["", told.pack],
      ["", told.id],
    ].filter(([, value]) => value);
    const key = JSON.stringify(facts);
    if (this.facts.dataset.key === key) return;
    this.facts.dataset.key = key;
    this.facts.replaceChildren(...facts.flatMap(([n, v]) => [el("dt", { textContent: n }), el("dd", { textContent: v })]));
  }

  #fillPeople(told) {
    const pages = Object.values(told.pages);
    const key = JSON.stringify(pages.map((p) => [p.id, p.state]));
    if (this.people.dataset.key === key) return;
    this.people.dataset.key = key;
    this.people.replaceChildren(
      ...pages.map((p) =>
        el("li", {
          "data-state": p.state,
          textContent: `${told.people[p.user] ?? p.user} · ${t(`duty.${p.duty}`)} · ${t(`line.page/${p.state}`)} ${clockTime(p.changed_at)}`,
        }),
      ),
    );
  }

  async #tell(told) {
    this.told = told.entries;
    const answer = await api("GET", `/api/cases/${encodeURIComponent(told.id)}`);
    if (!answer.ok || this.id !== told.id) return;
    const { entries, people } = answer.body;
    this.story.replaceChildren(...entries.flatMap((e) => e.lines.map((line) => told_line(e, line, people))));
  }
}

function told_line(entry, line, people) {
  const word = line.line === "refused" ? `${t("line.refused")}: ${t(`refusal.${line.state}`)}` : line.line === "clock" ? `${t("line.clock")}: ${t(`mark.${line.state}`)}` : t(`line.${line.line}/${line.state}`);
  const data = line.data ?? {};
  const said = [data.result && t(`desk.${data.result}`), data.words, data.text, data.reason, data.contact, data.who, data.user && (people[data.user] ?? data.user)];
  const extra = said.filter((x) => typeof x === "string" && x).join(" · ");
  return el(
    "li",
    {},
    el("time", { textContent: clockTime(entry.at) }),
    el("span", { class: "by", textContent: entry.by ? (people[entry.by] ?? entry.by) : t("desk.leadwire") }),
    el("span", { textContent: extra ? `${word} — ${extra}` : word }),
  );
}
