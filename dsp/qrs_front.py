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
def mend(
    x: Floats, start: int, stop: int, sig: int, n: Ints, row: Floats, cfg: q.Config, line: Floats
) -> None:
    """Write samples `start` to `stop` of lead sig to `line`, from `KEPT` on, without what no heart makes.

    - Missing samples (NaN) hold the last value; the line goes on from there without a step. So does
      one that was stuck for `FLAT_S`: the jump back from a rail is no QRS complex.
    - A jump of more than `JUMP` mV/ms is held back while it may be a pulse. If the line returns, it was
      one; what it then recovers towards where it came from is taken out too. If it rests elsewhere, it
      was a step and is taken out. Else it was the signal.
    - The same for what is smaller but happens within `cfg.narrow` samples between quiet ones: `smooth_over`.

    A sample may still change until `cfg.narrow + 2` more have come. `row` is the lead's state; its last
    `KEPT` samples come first in `line`.
    """
    fed, offset, raw = row[q.FED], row[q.OFFSET], row[q.RAW]
    missing, flat = row[q.MISSING], row[q.FLAT]
    run, calm, base, top = row[q.RUN], row[q.CALM], row[q.BASE], row[q.TOP]
    recovery, since, quiet = row[q.RECOVERY], row[q.SINCE], row[q.QUIET_BEFORE]
    step = row[q.STEP]
    narrow, sharp, jump = cfg.narrow, cfg.sharp, cfg.jump
    line[: q.KEPT] = row[q.HISTORY : q.HISTORY + q.KEPT]
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
                        row[q.RESUMED] = n[q.M] + (n[q.PHASE] + t - start) // cfg.step + cfg.lag // cfg.step
                flat = 0.0
            if missing > 0.0:
                offset = value - fed
                if missing > cfg.gap:
                    row[q.RESUMED] = n[q.M] + (n[q.PHASE] + t - start) // cfg.step + cfg.lag // cfg.step
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
            height = min(
                abs(line[at - narrow // 2 - 2] - line[at - narrow - 3]), abs(line[at - narrow // 2 - 2] - end)
            )
            if max(height, abs(end - line[at - 2 - sharp])) > q.SPIKE_MV:
                away, level = smooth_over(line, at, narrow, sharp)
                if away != 0.0:
                    offset += recovery
                    fed -= recovery
                    recovery, since, base = away, 0.0, level
    row[q.FED], row[q.OFFSET], row[q.RAW] = fed, offset, raw
    row[q.MISSING], row[q.FLAT], row[q.STEP] = missing, flat, step
    row[q.RUN], row[q.CALM], row[q.BASE], row[q.TOP] = run, calm, base, top
    row[q.RECOVERY], row[q.SINCE], row[q.QUIET_BEFORE] = recovery, since, quiet
    row[q.HISTORY : q.HISTORY + q.KEPT] = line[stop - start : stop - start + q.KEPT]


@kernel
def smooth_over(line: Floats, at: int, narrow: int, sharp: int) -> tuple[float, float]:
    """Take a small pulse or step that ends at `at - 2` out of the line, if there is one between quiet flanks.

    What sticks out is a pulse and replaced by a straight line, what moves to another level is a step.
    Returns by how much the line lies elsewhere now (0: not at all), and where it lay before.
    """
    end = line[at - 2]
    first, middle = line[at - narrow - 3], line[at - narrow // 2 - 2]
    before, after = middle - first, middle - end
    left, away, level = abs(first - line[at - narrow - 4]), 0.0, first
    right = max(abs(line[at] - line[at - 1]), abs(line[at - 1] - end))
    height = min(abs(before), abs(after))
    if height > q.SPIKE_MV and before * after > 0.0 and max(left, right) <= q.FLANK * height:
        away = end - first
        if away * before < 0.0 and q.SPIKE_MV < abs(away) <= 2.0 * height:
            end = first
        elif abs(away) <= q.RETURNED * height:
            away = 0.0
        else:
            return 0.0, 0.0
        for k in range(narrow):
            line[at - narrow - 2 + k] = first + (end - first) * (k + 1) / (narrow + 1)
    else:
        level = line[at - 2 - sharp]
        away = end - level
        left = abs(level - line[at - 3 - sharp])
        left = max(left, abs(line[at - 3 - sharp] - line[at - 4 - sharp]))
        if abs(away) <= q.SPIKE_MV or max(right, left) > max(q.STEP_FLANK * abs(away), q.STILL_MV):
            return 0.0, 0.0
        for k in range(at - 1 - sharp, at - 2):
            line[k] = level
    if away != 0.0:
        for k in range(at - 2, at + 1):
            line[k] -= away
    return away, level


@kernel
def envelopes(
    line: Floats,
    n_samples: int,
    sig: int,
    n: Ints,
    row: Floats,
    chan: Floats,
    low: Ring,
    band: Ring,
    cfg: q.Config,
    env: Floats,
    means: Floats,
) -> None:
    """Low-pass and decimate the mended `line`; two bands; envelope = root of the smoothed square.

    `env` (BLOCK, n_chan) gets the envelopes in mV, `means` their running means. All zeros of the
    filters lie at 0 Hz and at half the sampling rate: `b1 = 2 b0` or 0, which saves half the products.
    """
    f = q.FILTERS
    l0, l1, l2, l3 = row[f], row[f + 1], row[f + 2], row[f + 3]
    s0, s1, s2, s3 = row[f + 4], row[f + 5], row[f + 6], row[f + 7]
    f0, f1, f2, f3 = row[f + 8], row[f + 9], row[f + 10], row[f + 11]
    p0, p1, p2, p3 = row[f + 12], row[f + 13], row[f + 14], row[f + 15]
    r0, r1, r2, r3 = row[f + 16], row[f + 17], row[f + 18], row[f + 19]
    c = cfg.filters
    ga, a00, a01, a10, a11 = c[0, 0], c[0, 1], c[0, 2], c[0, 3], c[0, 4]
    gb, b00, b01, b10, b11 = c[1, 0], c[1, 1], c[1, 2], c[1, 3], c[1, 4]
    gc, c00, c01, c10, c11 = c[2, 0], c[2, 1], c[2, 2], c[2, 3], c[2, 4]
    pole, gain, mean_pole = cfg.pole, 1.0 - cfg.pole, cfg.mean_pole
    slow, fast = chan[2 * sig, q.MEAN], chan[2 * sig + 1, q.MEAN]
    ring, first, every = low.shape[1], q.KEPT - cfg.narrow - 2, cfg.step
    phase, slot, tick = n[q.PHASE], n[q.M] % low.shape[1], 0
    for t in range(first, first + n_samples):
        a = ga * min(q.RAIL_MV, max(-q.RAIL_MV, line[t]))
        y = a + l0
        l0 = (a + a + l1) - a00 * y
        l1 = a - a01 * y
        a = y
        y = a + l2
        l2 = (a + a + l3) - a10 * y
        l3 = a - a11 * y
        phase += 1
        if phase < every:
            continue
        phase = 0
        a, b = gb * y, gc * y
        u, v = a + s0, b + f0
        s0, f0 = (a + a + s1) - b00 * u, (b + b + f1) - c00 * v
        s1, f1 = a - b01 * u, b - c01 * v
        a, b = u, v
        u, v = a + s2, b + f2
        s2, f2 = (s3 - (a + a)) - b10 * u, (f3 - (b + b)) - c10 * v
        s3, f3 = a - b11 * u, b - c11 * v
        low[sig, slot] = y
        band[sig, slot] = u
        slot = slot + 1 if slot + 1 < ring else 0
        u, v = gain * u * u, gain * v * v
        p0, r0 = u + pole * p0, v + pole * r0
        p1, r1 = gain * p0 + pole * p1, gain * r0 + pole * r1
        p2, r2 = gain * p1 + pole * p2, gain * r1 + pole * r2
        p3, r3 = gain * p2 + pole * p3, gain * r2 + pole * r3
        u, v = math.sqrt(p3), math.sqrt(r3)
        slow, fast = u + mean_pole * (slow - u), v + mean_pole * (fast - v)
        env[tick, 2 * sig], env[tick, 2 * sig + 1] = u, v
        means[tick, 2 * sig], means[tick, 2 * sig + 1] = slow, fast
        tick += 1
    row[f], row[f + 1], row[f + 2], row[f + 3] = l0, l1, l2, l3
    row[f + 4], row[f + 5], row[f + 6], row[f + 7] = s0, s1, s2, s3
    row[f + 8], row[f + 9], row[f + 10], row[f + 11] = f0, f1, f2, f3
    row[f + 12], row[f + 13], row[f + 14], row[f + 15] = p0, p1, p2, p3
    row[f + 16], row[f + 17], row[f + 18], row[f + 19] = r0, r1, r2, r3
