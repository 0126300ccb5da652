// The clinic's banner: for each open case of its own patients what the hospital does now, and what to press.

import { command } from "./api.js";
import { kindText, placeText, t } from "./i18n.js";
import { el, mark, put, putData } from "./dom.js";

export class Calls {
  constructor(root, who) {
    this.root = root;
    this.who = who;
    this.cards = new Map();
  }

  forget() {
    for (const { card } of this.cards.values()) card.remove();
    this.cards.clear();
  }

  /** Bring the banners up to date; nobody but a clinic's people sees them. */
  update(open) {
    const mine = (this.who()?.roles ?? []).some((r) => r.startsWith("clinic_"));
    this.root.hidden = !mine;
    const shown = mine ? open.filter((c) => !c.task && (c.priority !== "low" || c.call_back.state !== "none")) : [];
    const ids = new Set(shown.map((c) => c.id));
    for (const [id, { card }] of this.cards)
      if (!ids.has(id)) {
        card.remove();
        this.cards.delete(id);
      }
    for (const told of shown) {
      let entry = this.cards.get(told.id);
      if (!entry) this.cards.set(told.id, (entry = this.#card(told)));
      this.#fill(entry, told);
    }
  }

  #card(told) {
    const say = (action, key, cls = "") =>
      el("button", {
        type: "button",
        class: cls,
        textContent: t(`desk.${key}`),
        onclick: () => command(`/api/cases/${encodeURIComponent(told.id)}/commands`, { action, data: {} }),
      });
    const text = el("p", { class: "call-text" });
    const title = el("strong");
    const buttons = { seen: say("seen", "seen"), with_patient: say("with_patient", "with_patient", "primary"), understood: say("clinic_acknowledge", "clinic_acknowledge", "primary") };
    const card = el(
      "article",
      { class: "call" },
      el("header", {}, mark(told.shown_priority), title, el("a", { class: "link", href: `#${encodeURIComponent(told.id)}`, textContent: t("desk.story") })),
      text,
      el("div", { class: "buttons" }, ...Object.values(buttons)),
    );
    this.root.append(card);
    return { card, title, text, buttons };
  }

  #fill({ card, title, text, buttons }, told) {
    const back = told.call_back;
    const name = told.people[told.owner] ?? told.owner;
    put(title, [kindText(told.kind), placeText(told.bed, "")].filter(Boolean).join(" · "));
    let state = "checking";
    let said = t("desk.clinic_checking");
    if (told.owner) [state, said] = ["seen", t("desk.clinic_hub_seen", { name })];
    if (back.state === "open") [state, said] = ["call", t("desk.clinic_call", { phone: told.hub_phone })];
    if (back.words) [state, said] = ["read_back", t("desk.clinic_read_back", { words: back.words })];
    if (back.action) [state, said] = ["done", t("desk.clinic_done", { action: back.action })];
    put(text, said);
    putData(card, "state", state);
    putData(card, "priority", told.shown_priority);
    buttons.seen.hidden = ["seen", "with_patient"].includes(told.clinic_side);
    buttons.with_patient.hidden = told.clinic_side === "with_patient";
    buttons.understood.hidden = !back.words || Boolean(back.acknowledged_by);
  }
}
