// One stream's last seconds, and the playhead that runs through them at the true rate.

const OK = 0, MISSING = 1, OFF = 2;
export { OK, MISSING, OFF };

const SECONDS = 40;
const MAX_BEATS = 120;
// The trace lags the newest sample by a little more than the pause between two packets, so that it never halts.
const LAG_MIN = 0.2, LAG_MAX = 2.5;
const JUMP = 2.0;

export class StreamBuffer {
  constructor() {
    this.fs = 0;
    this.reset(0);
    this.beats = [];
    this.received = null;
  }

  reset(fs) {
    this.fs = fs;
    this.size = Math.ceil(SECONDS * fs);
    this.leads = new Map();
    this.start = null; // first sample kept
    this.end = null; // one past the newest
    this.head = null; // playhead, a fraction of a sample
    this.anchor = null; // {sample, taken}: when a sample was taken, server time
    this.epoch = (this.epoch ?? 0) + 1; // drawings of an older epoch are void
    this.interval = 0.3;
    this.lastArrival = null;
    this.lastStep = null;
  }

  /** Take a wave frame. `now`: this page's monotonic time, s. */
  write(frame, now) {
    if (frame.fs !== this.fs) this.reset(frame.fs);
    const stop = frame.first + frame.n;
    // A restart of the numbering, or a jump over all that is kept.
    if (this.end !== null && (stop < this.end - this.size || frame.first > this.end + this.size)) {
      if (frame.late || stop < this.end) return;
      this.reset(frame.fs);
    }
    if (this.end === null) this.start = this.end = frame.first;
    if (stop > this.end) {
      for (const lead of this.leads.values()) this.#fill(lead, this.end, stop);
      this.end = stop;
      this.start = Math.max(this.start, this.end - this.size);
      this.anchor = { sample: frame.first, taken: frame.taken };
    } else if (this.head !== null && frame.first < this.head) {
      this.epoch++; // a hole behind the playhead was filled: draw again
    }
    this.start = Math.max(Math.min(this.start, frame.first), this.end - this.size);
    for (const { lead, off, mv } of frame.leads) {
      let ring = this.leads.get(lead);
      if (!ring) {
        ring = { mv: new Float32Array(this.size).fill(NaN), state: new Uint8Array(this.size).fill(MISSING) };
        this.leads.set(lead, ring);
      }
      for (let i = Math.max(0, this.start - frame.first); i < mv.length; i++) {
        const k = (frame.first + i) % this.size;
        ring.mv[k] = mv[i];
        ring.state[k] = Number.isNaN(mv[i]) ? MISSING : off ? OFF : OK;
      }
    }
    if (!frame.buffered && !frame.late) {
      this.received = frame.received;
      if (this.lastArrival !== null) {
        const gap = Math.min(now - this.lastArrival, LAG_MAX);
        this.interval = Math.max(gap, this.interval * 0.97);
      }
      this.lastArrival = now;
    } else if (this.received === null) {
      this.received = frame.received;
    }
  }

  #fill(ring, from, to) {
    for (let s = Math.max(from, to - this.size); s < to; s++) {
      ring.mv[s % this.size] = NaN;
      ring.state[s % this.size] = MISSING;
    }
  }

  addBeats(beats) {
    for (const b of beats) {
      const same = this.beats.findIndex((x) => x.sample === b.sample);
      if (same >= 0) this.beats[same] = b;
      else this.beats.push(b);
    }
    if (this.beats.length > MAX_BEATS) this.beats.splice(0, this.beats.length - MAX_BEATS);
  }

  /** Move the playhead to `now` (s): true rate, nudged by a few percent to keep its lag; never past the data. */
  step(now) {
    if (this.end === null) return;
    const target = Math.min(LAG_MAX, Math.max(LAG_MIN, this.interval * 1.1 + 0.05));
    if (this.head === null) {
      this.head = Math.max(this.start, this.end - target * this.fs);
    } else {
      const lag = (this.end - this.head) / this.fs;
      const passed = Math.min(1, now - this.lastStep);
      if (lag > target + JUMP) this.head = this.end - target * this.fs;
      else {
        const rate = 1 + Math.max(-0.1, Math.min(0.25, (lag - target) * 0.3));
        this.head = Math.min(this.end, this.head + passed * this.fs * rate);
      }
    }
    this.lastStep = now;
  }

  /** When sample `s` was taken (server time, s); null: not known. */
  timeOf(s) {
    return this.anchor && this.anchor.taken + (s - this.anchor.sample) / this.fs;
  }

  /** Median of a lead over [from, to), of what is usable; null: nothing is. At most ~200 samples are looked at. */
  centre(lead, from, to) {
    const ring = this.leads.get(lead);
    if (!ring) return null;
    const values = [];
    const step = Math.max(1, Math.floor((to - from) / 200));
    for (let s = Math.max(this.start, Math.floor(from)); s < Math.min(to, this.end); s += step) {
      const v = ring.mv[s % this.size];
      if (!Number.isNaN(v)) values.push(v);
    }
    if (!values.length) return null;
    values.sort((a, b) => a - b);
    return values[values.length >> 1];
  }
}
