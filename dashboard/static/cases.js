// The cases this user may see, as the server tells them, and telling the server that somebody looks.

import { Link } from "./net.js";

const RANK = { high: 0, medium: 1, low: 2 };

export class CaseLink extends Link {
  /** @param on {me(message), changed(case)} */
  constructor(on) {
    super("/ws/cases");
    this.on = on;
    this.cases = new Map(); // case id -> case
    this.ofAlert = new Map(); // alert id -> case id
    this.presence = "";
    this.told = new Set();
    document.addEventListener("visibilitychange", () => this.#say());
  }

  /** Whether the page can sound now: "on", "paused", "blocked". */
  set audio(state) {
    if (this.state === state) return;
    this.state = state;
    this.#say();
  }

  #say() {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    const audio = this.state ?? "blocked";
    this.socket.send(JSON.stringify({ type: "presence", visible: !document.hidden, audio }));
  }

  opened() {
    this.#say();
  }

  /** These cases are before the user's eyes; each is said once. */
  seen(ids) {
    const fresh = ids.filter((id) => !this.told.has(id));
    if (!fresh.length || document.hidden || this.socket?.readyState !== WebSocket.OPEN) return;
    for (const id of fresh) this.told.add(id);
    this.socket.send(JSON.stringify({ type: "seen", alerts: fresh.slice(0, 100) }));
  }

  message(data) {
    const message = JSON.parse(data);
    if (message.type === "me") this.on.me?.(message);
    if (message.type !== "case") return;
    const { case: told } = message;
    this.cases.set(told.id, told);
    for (const alert of Object.keys(told.members)) this.ofAlert.set(alert, told.id);
    this.on.changed?.(told);
  }

  /** The case that an alert belongs to; undefined: there is none (yet). */
  of(alert) {
    return this.cases.get(this.ofAlert.get(alert));
  }

  /** Open cases: the urgent first, then those that nobody has, then the newest. */
  open() {
    const open = [...this.cases.values()].filter((c) => !c.closed);
    return open.sort(
      (a, b) =>
        RANK[a.shown_priority] - RANK[b.shown_priority] || Boolean(a.owner) - Boolean(b.owner) || b.opened_at - a.opened_at,
    );
  }
}
