// Reads the binary frames of /ws/waveforms; dashboard/frames.py describes them byte by byte.

export const WAVE = 1, STATE = 2, LOST = 3, CLOCK = 4;
export const FLAGS = ["lead_off", "flat", "saturated", "noisy", "mains", "wander", "missing"];
export const LINKS = ["", "connected", "disconnected", "ended"];
const INVALID = -32768;

export function* parse(buffer) {
  const view = new DataView(buffer);
  let at = 0;
  while (at + 8 <= buffer.byteLength) {
    const kind = view.getUint8(at);
    const stream = view.getUint16(at + 2, true);
    const length = view.getUint32(at + 4, true);
    if (length < 8 || at + length > buffer.byteLength) throw new Error(`frame of ${length} bytes at ${at}`);
    if (kind === WAVE) yield wave(view, at, stream);
    else if (kind === STATE) yield state(view, at, stream);
    else if (kind === LOST)
      yield { kind, stream, frames: view.getUint32(at + 8, true), total: view.getUint32(at + 12, true) };
    else if (kind === CLOCK) yield { kind, now: view.getFloat64(at + 8, true), feed: view.getUint8(at + 16) === 1 };
    at += length;
  }
}

function wave(view, at, stream) {
  const n = view.getUint32(at + 44, true);
  const nLeads = view.getUint8(at + 48);
  const flags = view.getUint8(at + 49);
  const leads = [];
  let data = at + 56 + 16 * nLeads;
  for (let i = 0; i < nLeads; i++) {
    const p = at + 56 + 16 * i;
    const gain = view.getFloat32(p + 4, true);
    const baseline = view.getFloat64(p + 8, true);
    const mv = new Float32Array(n);
    for (let k = 0; k < n; k++, data += 2) {
      const digit = view.getInt16(data, true);
      mv[k] = digit === INVALID ? NaN : (digit - baseline) / gain;
    }
    leads.push({ lead: view.getUint8(p), off: view.getUint8(p + 1) === 1, mv });
  }
  return {
    kind: WAVE,
    stream,
    first: view.getFloat64(at + 8, true),
    taken: view.getFloat64(at + 16, true),
    received: view.getFloat64(at + 24, true),
    sent: view.getFloat64(at + 32, true),
    fs: view.getFloat32(at + 40, true),
    n,
    late: (flags & 1) !== 0,
    buffered: (flags & 2) !== 0,
    leads,
  };
}

function state(view, at, stream) {
  const number = (x) => (Number.isNaN(x) ? null : x);
  const nLeads = view.getUint8(at + 43);
  const nBeats = view.getUint32(at + 44, true);
  const beats = [];
  let p = at + 48;
  for (let i = 0; i < nBeats; i++, p += 16)
    beats.push({
      sample: view.getFloat64(p, true),
      amplitude: view.getFloat32(p + 8, true),
      symbol: String.fromCharCode(view.getUint8(p + 12)),
    });
  const flags = [];
  for (let i = 0; i < nLeads; i++, p += 2) {
    const bits = view.getUint16(p, true);
    flags.push(FLAGS.filter((_, k) => bits & (1 << k)));
  }
  const battery = view.getUint8(at + 42);
  return {
    kind: STATE,
    stream,
    sample: view.getFloat64(at + 8, true),
    received: number(view.getFloat64(at + 24, true)),
    rate: number(view.getFloat32(at + 32, true)),
    quality: number(view.getFloat32(at + 36, true)),
    usable: view.getUint8(at + 40) === 1,
    link: LINKS[view.getUint8(at + 41)] ?? "",
    battery: battery === 255 ? null : battery,
    beats,
    flags,
  };
}
