"""The front end of the beat classifier: mend, low-pass, decimate; how sharp a pulse each sample holds."""

import math

from dsp import beat_state as b
from dsp.beat_state import State
from dsp.kernels import Floats, kernel, unmeasured


@kernel
def feed(x: Floats, start: int, stop: int, st: State, cfg: b.Config, mended: Floats) -> None:
    """Take samples start to stop of x (n_samples, n_sig) in mV.

    Missing samples (NaN) hold the last value; after `GONE_S` of them `low` is NaN too. `sharp` gets, per
    inner sample, by how much the raw trace of any lead sticks out of its surroundings of `PULSE_S`, where
    that is `SHARP_MV` or more. `mended` is room for stop - start + pulse - 1 samples.
    """
    n, low, sharp, sos = st.n, st.low, st.sharp, cfg.sos
    ring = low.shape[1]
    first_m, phase_0 = n[b.M], n[b.PHASE]
    total = phase_0 + stop - start
    made = total // cfg.step
    for m in range(first_m if phase_0 == 0 else first_m + 1, first_m + made + 1):
        sharp[m % ring] = 0.0
    a00, a01, a02, a04, a05 = sos[0, 0], sos[0, 1], sos[0, 2], sos[0, 4], sos[0, 5]
    a10, a11, a12, a14, a15 = sos[1, 0], sos[1, 1], sos[1, 2], sos[1, 4], sos[1, 5]
    step, gone = cfg.step, cfg.gone
    hold = cfg.pulse - 1
    half = hold // 2
    least = b.SHARP_MV * b.SHARP_MV
    absent = 0
    for lead in range(x.shape[1]):
        row = st.lead[lead]
        fed, missing = row[b.FED], row[b.MISSING]
        z0, z1, z2, z3 = row[b.FILTERS], row[b.FILTERS + 1], row[b.FILTERS + 2], row[b.FILTERS + 3]
        for k in range(hold):
            mended[k] = row[b.HISTORY + k]
        phase = phase_0
        slot = first_m % ring
        k = hold
        for t in range(start, stop):
            value = x[t, lead]
            if math.isfinite(value):
                if missing > gone:
                    # As if it had always stood there: no step goes through the filter.
                    z0, z1, z2, z3 = (
                        value * sos[0, 6],
                        value * sos[0, 7],
                        value * sos[1, 6],
                        value * sos[1, 7],
                    )
                    for j in range(k - hold, k):
                        mended[j] = value
                missing = 0.0
                fed = value
            else:
                missing += 1.0
                absent += 1
            mended[k] = fed
            if hold > 0:
                centre = mended[k - half]
                before, after = centre - mended[k - hold], centre - fed
                if before * after >= least:
                    sharp[slot] = max(sharp[slot], min(abs(before), abs(after)))
            k += 1
            w = a00 * fed + z0
            z0 = a01 * fed - a04 * w + z1
            z1 = a02 * fed - a05 * w
            y = a10 * w + z2
            z2 = a11 * w - a14 * y + z3
            z3 = a12 * w - a15 * y
            phase += 1
            if phase == step:
                phase = 0
                low[lead, slot] = y if missing <= gone else math.nan
                slot = slot + 1 if slot + 1 < ring else 0
        row[b.FED], row[b.MISSING] = fed, missing
        row[b.FILTERS], row[b.FILTERS + 1], row[b.FILTERS + 2], row[b.FILTERS + 3] = z0, z1, z2, z3
        for j in range(hold):
            row[b.HISTORY + j] = mended[k - hold + j]
    if absent == 0:
        n[b.DARK_N] = 0
    else:
        listen(x, start, stop, st, cfg)
    n[b.IN] += stop - start
    n[b.M] += made
    n[b.PHASE] = total % step


@kernel
def listen(x: Floats, start: int, stop: int, st: State, cfg: b.Config) -> None:
    """Note where all leads have been missing for `DARK_S`."""
    n = st.n
    dark = max(1, int(b.DARK_S * cfg.fs))
    for t in range(start, stop):
        if not unmeasured(x, t):
            n[b.DARK_N] = 0
            continue
        n[b.DARK_N] += 1
        if n[b.DARK_N] == dark:
            for k in range(3, 0, -1):
                n[b.DARKS + k] = n[b.DARKS + k - 1]
            n[b.DARKS] = n[b.IN] + t - start
