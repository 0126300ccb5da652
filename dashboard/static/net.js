// The two websockets, each with reconnection. A second without a word from the server is not yet trouble, four are.

import { CLOCK, parse } from "./frames.js";

const SILENCE_MS = 4000;
// The server is told of every so many bytes that were worked on; it keeps no more than a window under way.
const ACK_BYTES = 1 << 16;
const BACKOFF_MS = [300, 600, 1200, 2500, 5000];

export class Link {
  constructor(path) {
    this.path = path;
    this.up = false;
    this.downSince = performance.now();
    this.tries = 0;
    this.heard = this.watched = 0;
    setInterval(() => this.#watch(), 500);
    // Subclasses set themselves up first.
    queueMicrotask(() => this.#open());
  }

  #open() {
    const url = new URL(this.path + this.query(), location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.heard = performance.now();
    socket.onopen = () => socket === this.socket && this.opened();
    socket.onmessage = (event) => {
      if (socket !== this.socket) return;
      this.heard = performance.now();
      this.tries = 0;
      this.up = true;
      this.message(event.data);
    };
    socket.onclose = () => socket === this.socket && this.#again();
  }

  #again() {
    if (this.up) this.downSince = performance.now();
    this.up = false;
    this.socket = null;
    const wait = BACKOFF_MS[Math.min(this.tries++, BACKOFF_MS.length - 1)];
    setTimeout(() => this.#open(), wait * (0.75 + Math.random() / 2));
  }

  #watch() {
    const now = performance.now();
    // A page that was itself held up has not read what came meanwhile.
    if (now - this.watched > 1500) this.heard = now;
    this.watched = now;
    if (!this.socket || performance.now() - this.heard < SILENCE_MS) return;
    const dead = this.socket;
    this.#again();
    dead.close();
  }

  opened() {}

  query() {
    return "";
  }
}

export class WaveLink extends Link {
  /** @param on {streams(message), frame(frame), clock(now, feed)} */
  constructor(on) {
    super("/ws/waveforms");
    this.on = on;
    this.wanted = "{}";
  }

  /** Ask for {stream: [lead, ...]}; kept across reconnections. */
  subscribe(streams) {
    const wanted = JSON.stringify({ type: "subscribe", streams });
    if (wanted === this.wanted) return;
    this.wanted = wanted;
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(wanted);
  }

  opened() {
    if (this.wanted !== "{}") this.socket.send(this.wanted);
    this.fresh = true;
    this.bytes = this.acked = 0;
    this.#ack();
  }

  #ack() {
    this.acked = this.bytes;
    this.socket.send(JSON.stringify({ type: "ack", bytes: this.bytes }));
  }

  message(data) {
    if (typeof data === "string") {
      const message = JSON.parse(data);
      if (message.type === "streams") this.on.streams(message, this.fresh);
      this.fresh = false;
      return;
    }
    for (const frame of parse(data)) {
      if (frame.kind === CLOCK) this.on.clock(frame.now, frame.feed);
      else this.on.frame(frame);
    }
    this.bytes += data.byteLength;
    if (this.bytes - this.acked >= ACK_BYTES && this.socket?.readyState === WebSocket.OPEN) this.#ack();
  }
}

export class AlertLink extends Link {
  /** @param on {snapshot(message), alert(view), time(message)} */
  constructor(on) {
    super("/ws/alerts");
    this.on = on;
    this.next = null; // the sequence number to resume from
  }

  query() {
    return this.next === null ? "" : `?from=${this.next}`;
  }

  message(data) {
    const message = JSON.parse(data);
    if (message.type === "snapshot") {
      this.next = message.next;
      this.on.snapshot(message);
    } else if (message.type === "alert") {
      // The server sends each once; a doubled one would only be a server's mistake.
      if (this.next !== null && message.view.seq < this.next) return;
      this.next = message.view.seq + 1;
      this.on.alert(message.view);
    } else if (message.type === "time") {
      this.on.time(message);
    }
  }
}
