"""The front end of the QRS detector: mend, remove pulses, smooth, decimate, two band envelopes.

Nothing is decided here about beats. It takes sample after sample of one lead with all filters in
registers, so the result cannot depend on how the samples were cut into chunks.

A pacing pulse lasts 0.1 to 2 ms and the converter's filter spreads it over three samples more; what
follows is the amplifier's recovery, of opposite sign (ANSI/AAMI EC13 draws both). No complex is so
short, and none moves by more than 0.4 mV/ms (mitdb, nsrdb, qtdb; the steepest in the standards: 0.5).
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
    line: Floats,
    env: Floats,
) -> None:
    """Run samples `start` to `stop` of lead sig; `env` (BLOCK, n_chan) gets the envelopes in mV.

    - Missing samples (NaN) hold the last value; the line goes on from there without a step. So does
      one that was stuck for `FLAT_S`: the jump back from a rail is no QRS complex.
    - A jump of more than `JUMP` mV/ms is held back while it may be a pulse. If the line returns, it was
      one; what it then recovers towards where it came from is taken out too. If it rests elsewhere, it
      was a step and is taken out. Else it was the signal.
    - The same for what is smaller but happens within `cfg.narrow` samples between quiet ones: what sticks out
      is a pulse and replaced by a straight line, what moves to another level is a step.
    - Low-pass, decimation, two band-passes; envelope = root of the smoothed square.

    `line` is scratch: the mended trace, from `KEPT` samples before `start` on.
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
    run, calm, base, top = row[q.RUN], row[q.CALM], row[q.BASE], row[q.TOP]
    recovery, since, quiet = row[q.RECOVERY], row[q.SINCE], row[q.QUIET_BEFORE]
    narrow, jump = cfg.narrow, cfg.jump
    line[: q.KEPT] = row[q.HISTORY : q.HISTORY + q.KEPT]
    phase = n[q.PHASE]
    ring = low.shape[1]
    slot = n[q.M] % ring
    tick = 0
    step = row[q.STEP]
    for t in range(start, stop):
        at = q.KEPT + t - start
        value = x[t, sig]
        last = fed
        if math.isfinite(value):
            if value == raw:
                flat += 1.0
            else:
                if flat > cfg.flat:
                    offset = value - fed
                    if flat > cfg.gap:
                        row[q.RESUMED] = n[q.M] + tick + cfg.lag // cfg.step
                flat = 0.0
            if missing > 0.0:
                offset = value - fed
                if missing > cfg.gap:
                    row[q.RESUMED] = n[q.M] + tick + cfg.lag // cfg.step
                missing = 0.0
            raw = value
            fed = min(q.FARTHEST_MV, max(-q.FARTHEST_MV, value - offset))
        else:
            missing += 1.0
        earlier, step = step, abs(fed - last)
        y = fed
        if run > 0.0:  # held
            y = base
            away = fed - base
            if abs(away) > abs(top):
                top = away
            run += 1.0
            calm = calm + 1.0 if step <= jump else 0.0
            if run - calm > cfg.longest:  # no pulse lasts so long
                run, y = -cfg.wild, fed
            elif calm >= cfg.calm:
                run, y = 0.0, fed
                if abs(away) > q.RETURNED * abs(top):
                    if max(step, quiet, earlier) <= q.STILL * abs(away):
                        offset += away
                        fed = y = base
                    else:
                        run = -cfg.wild
                elif away * top < 0.0:
                    recovery, since, y = away, 0.0, base
        elif step > jump and run == 0.0:
            offset += recovery
            fed -= recovery
            recovery, run, calm = 0.0, 1.0, 0.0
            y = base = line[at - 2]
            quiet = abs(line[at - 1] - base)
            line[at - 1] = base
            top = fed - base
        elif run < 0.0:
            run = run + 1.0 if step <= jump else -cfg.wild
        elif recovery != 0.0:
            y = max(0.0, fed - base) if recovery > 0.0 else min(0.0, fed - base)
            recovery = min(recovery, y) if recovery > 0.0 else max(recovery, y)
            y = fed - recovery
            since += 1.0
            if since > cfg.recover:
                offset += recovery
                fed -= recovery
                recovery = 0.0
        line[at] = y
        if narrow > 0 and run == 0.0:
            end = line[at - 2]
            first, middle = line[at - narrow - 3], line[at - narrow // 2 - 2]
            before, after = middle - first, middle - end
            left, away = abs(first - line[at - narrow - 4]), 0.0
            right = max(abs(line[at] - line[at - 1]), abs(line[at - 1] - end))
            height = min(abs(before), abs(after))
            if height > q.SPIKE_MV and before * after > 0.0 and max(left, right) <= q.FLANK * height:
                away = end - first
                if away * before < 0.0 and q.SPIKE_MV < abs(away) <= 2.0 * height:
                    end = first
                elif abs(away) <= q.RETURNED * height:
                    away = 0.0
                else:
                    height = away = 0.0
            else:
                height = 0.0
                second = line[at - 2 - cfg.sharp]
                away = end - second
                left = abs(second - line[at - 3 - cfg.sharp])
                left = max(left, abs(line[at - 3 - cfg.sharp] - line[at - 4 - cfg.sharp]))
                still = max(q.STEP_FLANK * abs(away), q.STILL_MV)
                if abs(away) > q.SPIKE_MV and max(right, left) <= still:
                    for k in range(at - 1 - cfg.sharp, at - 2):
                        line[k] = second
                    base = second
                else:
                    away = 0.0
            if height > 0.0:
                for k in range(narrow):
                    line[at - narrow - 2 + k] = first + (end - first) * (k + 1) / (narrow + 1)
            if away != 0.0:
                for k in range(at - 2, at + 1):
                    line[k] -= away
                offset += recovery
                fed -= recovery
                recovery, since, base = away, 0.0, base if height == 0.0 else first
        y = line[at - narrow - 2]
        y = min(q.RAIL_MV, max(-q.RAIL_MV, y))
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
    row[q.MISSING], row[q.FLAT], row[q.STEP] = missing, flat, step
    row[q.RUN], row[q.CALM], row[q.BASE], row[q.TOP] = run, calm, base, top
    row[q.RECOVERY], row[q.SINCE], row[q.QUIET_BEFORE] = recovery, since, quiet
    row[q.HISTORY : q.HISTORY + q.KEPT] = line[stop - start : stop - start + q.KEPT]
    row[f], row[f + 1], row[f + 2], row[f + 3] = l0, l1, l2, l3
    row[f + 4], row[f + 5], row[f + 6], row[f + 7] = s0, s1, s2, s3
    row[f + 8], row[f + 9], row[f + 10], row[f + 11] = f0, f1, f2, f3
    row[f + 12], row[f + 13], row[f + 14], row[f + 15] = p0, p1, p2, p3
    row[f + 16], row[f + 17], row[f + 18], row[f + 19] = r0, r1, r2, r3
