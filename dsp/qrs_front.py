"""The front end of the QRS detector: mend, smooth, decimate, two band envelopes. Nothing is decided here.

It takes sample after sample of one lead with all filters in registers, so the result cannot depend
on how the samples were cut into chunks.
"""

import math

from dsp import qrs_state as q
from dsp.kernels import Floats, Ints, Ring, kernel


@kernel
def front(
    x: Floats,
    start: int,
    stop: int,
    sig: int,
    n: Ints,
    lead: Floats,
    low: Ring,
    band: Ring,
    cfg: q.Config,
    env: Floats,
) -> None:
    """Run samples `start` to `stop` of lead sig; `env` (BLOCK, n_chan) gets the envelopes in mV.

    - Missing samples (NaN) hold the last value; the line goes on from there without a step. So does
      one that was stuck for `FLAT_S`: the jump back from a rail is no QRS complex.
    - What sticks out of its surroundings of `SPIKE_S` by more than `SPIKE_MV` (a pacing pulse) is
      replaced by them.
    - Low-pass, decimation, two band-passes; envelope = root of the smoothed square.
    """
    sos = cfg.sos
    row = lead[sig]
    fed, offset, raw = row[q.FED], row[q.OFFSET], row[q.RAW]
    missing, flat = row[q.MISSING], row[q.FLAT]
    f = q.FILTERS
    l0, l1, l2, l3 = row[f], row[f + 1], row[f + 2], row[f + 3]
    s0, s1, s2, s3 = row[f + 4], row[f + 5], row[f + 6], row[f + 7]
    f0, f1, f2, f3 = row[f + 8], row[f + 9], row[f + 10], row[f + 11]
    p0, p1, p2, p3 = row[f + 12], row[f + 13], row[f + 14], row[f + 15]
    r0, r1, r2, r3 = row[f + 16], row[f + 17], row[f + 18], row[f + 19]
    a00, a01, a02, a04, a05 = sos[0, 0], sos[0, 1], sos[0, 2], sos[0, 4], sos[0, 5]
    a10, a11, a12, a14, a15 = sos[1, 0], sos[1, 1], sos[1, 2], sos[1, 4], sos[1, 5]
    b00, b01, b02, b04, b05 = sos[2, 0], sos[2, 1], sos[2, 2], sos[2, 4], sos[2, 5]
    b10, b11, b12, b14, b15 = sos[3, 0], sos[3, 1], sos[3, 2], sos[3, 4], sos[3, 5]
    c00, c01, c02, c04, c05 = sos[4, 0], sos[4, 1], sos[4, 2], sos[4, 4], sos[4, 5]
    c10, c11, c12, c14, c15 = sos[5, 0], sos[5, 1], sos[5, 2], sos[5, 4], sos[5, 5]
    pole = cfg.pole
    spike = cfg.spike
    at = n[q.IN] % spike
    phase = n[q.PHASE]
    ring = low.shape[1]
    slot = n[q.M] % ring
    tick = 0
    for t in range(start, stop):
        value = x[t, sig]
        if math.isfinite(value):
            if value == raw:
                flat += 1.0
            else:
                if flat > cfg.flat:
                    offset = value - fed
                flat = 0.0
            if missing > 0.0:
                offset = value - fed
                missing = 0.0
            raw = value
            fed = min(q.RAIL_MV, max(-q.RAIL_MV, value - offset))
        else:
            missing = 1.0
        y = fed
        if spike > 1:
            row[q.HISTORY + at] = fed
            at = at + 1 if at + 1 < spike else 0
            first = row[q.HISTORY + at]
            y = row[q.HISTORY + (at + spike // 2) % spike]
            if y > max(first, fed) + q.SPIKE_MV or y < min(first, fed) - q.SPIKE_MV:
                y = 0.5 * (first + fed)
        w = a00 * y + l0
        l0 = a01 * y - a04 * w + l1
        l1 = a02 * y - a05 * w
        y = a10 * w + l2
        l2 = a11 * w - a14 * y + l3
        l3 = a12 * w - a15 * y
        phase += 1
        if phase < cfg.step:
            continue
        phase = 0
        w = b00 * y + s0
        s0 = b01 * y - b04 * w + s1
        s1 = b02 * y - b05 * w
        u = b10 * w + s2
        s2 = b11 * w - b14 * u + s3
        s3 = b12 * w - b15 * u
        w = c00 * y + f0
        f0 = c01 * y - c04 * w + f1
        f1 = c02 * y - c05 * w
        v = c10 * w + f2
        f2 = c11 * w - c14 * v + f3
        f3 = c12 * w - c15 * v
        low[sig, slot] = y
        band[sig, slot] = u
        slot = slot + 1 if slot + 1 < ring else 0
        u *= u
        v *= v
        p0 = u + pole * (p0 - u)
        p1 = p0 + pole * (p1 - p0)
        p2 = p1 + pole * (p2 - p1)
        p3 = p2 + pole * (p3 - p2)
        r0 = v + pole * (r0 - v)
        r1 = r0 + pole * (r1 - r0)
        r2 = r1 + pole * (r2 - r1)
        r3 = r2 + pole * (r3 - r2)
        env[tick, 2 * sig] = math.sqrt(p3)
        env[tick, 2 * sig + 1] = math.sqrt(r3)
        tick += 1
    row[q.FED], row[q.OFFSET], row[q.RAW] = fed, offset, raw
    row[q.MISSING], row[q.FLAT] = missing, flat
    row[f], row[f + 1], row[f + 2], row[f + 3] = l0, l1, l2, l3
    row[f + 4], row[f + 5], row[f + 6], row[f + 7] = s0, s1, s2, s3
    row[f + 8], row[f + 9], row[f + 10], row[f + 11] = f0, f1, f2, f3
    row[f + 12], row[f + 13], row[f + 14], row[f + 15] = p0, p1, p2, p3
    row[f + 16], row[f + 17], row[f + 18], row[f + 19] = r0, r1, r2, r3
