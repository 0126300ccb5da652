// The alarm rail: every alarm as a card, the urgent first, and how many cards are out of sight.

import { clockTime, duration, kindText, onLanguage, placeText, t } from "./i18n.js";
import { el, mark, put, putData } from "./dom.js";

export class Rail {
  /**
   * @param onsetOf function (stream, sample) -> server time s, or null
   * @param caseOf function (alert id) -> its case, undefined if none is known
   */
  constructor(root, alarms, onsetOf, caseOf) {
    this.root = root;
    this.alarms = alarms;
    this.onsetOf = onsetOf;
    this.caseOf = caseOf;
    this.cards = new Map();
    this.version = -1;
    this.list = el("div", { class: "rail-cards", role: "list" });
    this.calm = el("p", { class: "rail-calm" });
    this.hidden = el("button", { class: "rail-hidden", type: "button" });
    this.hidden.setAttribute("aria-expanded", "false");
    this.hidden.onclick = () => this.expand(!this.expanded);
    this.list.addEventListener("scroll", () => this.#countHidden());
    root.append(this.calm, this.list, this.hidden);
    new ResizeObserver(() => this.#countHidden()).observe(root);
    onLanguage(() => (this.version = -1));
  }

  expand(on) {
    this.expanded = on;
    this.root.classList.toggle("expanded", on);
    this.hidden.setAttribute("aria-expanded", String(on));
    this.list.scrollTop = 0;
    this.#countHidden();
  }

  /** Bring the cards up to date; `now` is server time, s. */
  update(now) {
    const views = this.alarms.list(now);
    const key = `${this.alarms.version}:${views.length}`;
    if (key !== this.version) {
      this.version = key;
      this.#place(views);
    }
    for (const view of views) {
      const { age, card, owner } = this.cards.get(view.alert.id);
      const { alert } = view;
      const told = this.caseOf(alert.id);
      putData(card, "owned", String(Boolean(told?.owner)));
      put(owner, told?.owner ? (told.people[told.owner] ?? told.owner) : "");
      put(age, alert.state === "ended" ? t("state.ended") : t("ui.for", { time: duration(now - alert.raised_at) }));
    }
  }

  #place(views) {
    const ids = new Set(views.map((v) => v.alert.id));
    for (const [id, { card }] of this.cards)
      if (!ids.has(id)) {
        card.remove();
        this.cards.delete(id);
      }
    let before = this.list.firstChild;
    for (const view of views) {
      let entry = this.cards.get(view.alert.id);
      if (!entry) this.cards.set(view.alert.id, (entry = this.#card(view)));
      this.#fill(entry, view);
      if (entry.card === before) before = before.nextSibling;
      else this.list.insertBefore(entry.card, before);
    }
    const { loaded } = this.alarms;
    put(this.calm, views.length ? "" : t(loaded ? "ui.no_alarms" : "ui.alarms_unknown"));
    this.calm.hidden = views.length > 0;
    this.calm.classList.toggle("unknown", !loaded);
    this.#countHidden();
  }

  #card(view) {
    const entry = {
      kind: el("strong", { class: "card-kind" }),
      place: el("span", {}),
      owner: el("span", { class: "card-owner" }),
      age: el("span", { class: "card-age" }),
      onset: el("span", { class: "card-onset" }),
    };
    entry.card = el(
      "a",
      { class: "card", role: "listitem", href: `/patient?stream=${encodeURIComponent(view.alert.stream)}` },
      el("span", { class: "card-top" }, mark(view.alert.priority), entry.kind),
      el("span", { class: "card-place" }, entry.place, entry.owner),
      el("span", { class: "card-low" }, entry.age, entry.onset),
    );
    putData(entry.card, "priority", view.alert.priority);
    return entry;
  }

  #fill({ card, kind, place, onset }, view) {
    const { alert } = view;
    putData(card, "state", alert.state);
    put(kind, kindText(alert.kind));
    put(place, placeText(view.bed, view.clinic));
    const at = alert.onset === null ? null : this.onsetOf(alert.stream, alert.onset);
    put(onset, t("ui.onset", { time: clockTime(at ?? alert.raised_at) }));
    card.title = `${t(`priority.${alert.priority}`)}, ${t(`category.${alert.category}`)}: ${kind.textContent}`;
  }

  #countHidden() {
    const bottom = this.list.scrollTop + this.list.clientHeight;
    let n = 0;
    for (const { card } of this.cards.values())
      if (card.dataset.state !== "ended" && card.offsetTop + card.offsetHeight / 2 > bottom) n++;
    this.hiddenCount = n;
    put(this.hidden, t("ui.hidden", { n }));
    this.hidden.title = t(this.expanded ? "ui.show_less" : "ui.show_all");
    this.hidden.classList.toggle("some", n > 0);
  }
}
