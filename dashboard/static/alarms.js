// Which alarms there are: the server's alerts, and this page's own that a bed sends it no data. That one does not depend
// on any other stage; once the server says the same, the server's is shown.

const ORDER = { high: 0, medium: 1, low: 2 };
export const ENDED_SHOWN_S = 30;

export class Alarms {
  constructor() {
    this.known = new Map(); // alert id -> view
    this.local = new Map(); // id -> view of the same shape
    this.loaded = false;
    this.version = 0; // grows with every change
  }

  snapshot(views) {
    this.known = new Map(views.map((v) => [v.alert.id, v]));
    this.loaded = true;
    this.version++;
  }

  /** Take a transition; true: it is a new active alarm. */
  take(view) {
    const old = this.known.get(view.alert.id);
    if (old && old.alert.version > view.alert.version) return false;
    this.known.set(view.alert.id, view);
    this.version++;
    return view.alert.state === "active" && old?.alert.state !== "active";
  }

  /** Raise or end the page's own alarm that `stream` sends no data. */
  noData(view, stream, since) {
    const id = `${stream.stream}:no_data`;
    if (since === null) {
      if (this.local.delete(id)) this.version++;
      return;
    }
    if (this.local.has(id)) return;
    const alert = {
      id,
      version: 1,
      stream: stream.stream,
      kind: "no_data",
      priority: "medium",
      category: "technical",
      state: "active",
      onset: null,
      raised_at: since,
      changed_at: since,
    };
    this.local.set(id, { seq: -1, alert, clinic: stream.clinic, bed: stream.bed });
    this.version++;
  }

  #all() {
    const known = [...this.known.values()];
    if (!this.local.size) return known;
    const told = new Set();
    for (const { alert } of known) if (alert.kind === "no_data" && alert.state === "active") told.add(alert.stream);
    return known.concat([...this.local.values()].filter(({ alert }) => !told.has(alert.stream)));
  }

  /** All that is to be shown at `now`: active by priority, newest first, then those that ended just now. */
  list(now) {
    const shown = this.#all().filter(
      ({ alert }) => alert.state === "active" || now - alert.changed_at < ENDED_SHOWN_S,
    );
    const rank = ({ alert }) => (alert.state === "active" ? 0 : 10) + ORDER[alert.priority];
    return shown.sort((a, b) => rank(a) - rank(b) || b.alert.raised_at - a.alert.raised_at);
  }

  active() {
    return this.#all().filter(({ alert }) => alert.state === "active");
  }

  /** The most urgent active alarm of each stream. */
  worst() {
    const worst = new Map();
    for (const view of this.active()) {
      const { stream, priority, raised_at } = view.alert;
      const other = worst.get(stream)?.alert;
      if (
        !other ||
        ORDER[priority] < ORDER[other.priority] ||
        (priority === other.priority && raised_at > other.raised_at)
      )
        worst.set(stream, view);
    }
    return worst;
  }

  /** How many are active of each priority; `priorityOf` an alert may say another one, or null: not counted. */
  counts(priorityOf = (alert) => alert.priority) {
    const n = { high: 0, medium: 0, low: 0 };
    for (const { alert } of this.active()) {
      const priority = priorityOf(alert);
      if (priority) n[priority]++;
    }
    return n;
  }
}
