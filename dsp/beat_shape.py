"""What a beat looks like against this patient's others: windows, correlation, width, templates."""

import math

import numpy as np

from dsp import beat_state as b
from dsp.beat_state import State, Work
from dsp.kernels import Floats, Ring, kernel


@kernel
def window(st: State, at: int, cfg: b.Config, out: Floats) -> int:
    """Copy the beat about inner sample `at` to out (n_sig, length), each lead about its own mean, mV.

    A lead that was not measured throughout, or does not move, becomes zero. Returns how many remain.
    """
    n_sig, ring = st.low.shape
    length = out.shape[1]
    begin = at - cfg.left
    valid = 0
    for lead in range(n_sig):
        slot = begin % ring
        mean, least, most = 0.0, np.inf, -np.inf
        for j in range(length):
            value = np.float64(st.low[lead, slot])
            out[lead, j] = value
            mean += value
            least, most = min(least, value), max(most, value)
            slot = slot + 1 if slot + 1 < ring else 0
        if begin < 0 or not math.isfinite(mean) or most - least < 0.02:
            out[lead, :] = 0.0
            continue
        mean /= length
        for j in range(length):
            out[lead, j] -= mean
        valid += 1
    return valid


@kernel
def lead_weights(x: Floats, st: State, cfg: b.Config, out: Floats) -> None:
    """Weigh the leads so that each counts by its usual size and the quieter ones count more."""
    first, last = cfg.left - int(b.QRS_LEFT_S * cfg.rate), cfg.left + int(b.QRS_RIGHT_S * cfg.rate)
    dominant = int(st.n[b.DOMINANT])
    for lead in range(len(x)):
        own = usual = rough = 0.0
        for j in range(first, last + 1):
            own += x[lead, j] ** 2
            usual += np.float64(st.templates[dominant, lead, j]) ** 2
        for j in range(1, first):
            rough += (x[lead, j] - x[lead, j - 1]) ** 2
        rough *= (last - first + 1) / max(first - 1, 1)
        size = usual if usual > 1e-4 else own
        out[lead] = 0.0 if own == 0.0 or size < 1e-4 else 1.0 / (size + 20.0 * rough)


@kernel
def correlate(x: Floats, y: Ring, weight: Floats, first: int, last: int, lag: int, out: Floats) -> None:
    """Correlate leads of x, moved by lag, with those of y over first..last; each piece about its mean.

    out gets: product, energy of x, energy of y (weighted sums), and the worst lead's correlation.
    """
    product = energy = own = 0.0
    worst = 1.0
    count = last - first + 1
    for lead in range(len(x)):
        if weight[lead] <= 0.0:
            continue
        sx = sy = xx = yy = xy = 0.0
        for j in range(first, last + 1):
            u, v = x[lead, j + lag], np.float64(y[lead, j])
            sx += u
            sy += v
            xx += u * u
            yy += v * v
            xy += u * v
        xx -= sx * sx / count
        yy -= sy * sy / count
        xy -= sx * sy / count
        if yy > 1e-6 and xx > 1e-6:
            worst = min(worst, xy / math.sqrt(xx * yy))
        product += weight[lead] * xy
        energy += weight[lead] * xx
        own += weight[lead] * yy
    out[0], out[1], out[2], out[3] = product, energy, own, worst


@kernel
def align(x: Floats, y: Ring, weight: Floats, cfg: b.Config, wk: Work) -> int:
    """Return the lag at which the QRS complex of x fits template y best.

    `Work.best` gets what `correlate` says, but for the worst lead. All lags go together: their products in
    one pass over y, their energies as sums that slide over x.
    """
    first, last = cfg.left - int(b.QRS_LEFT_S * cfg.rate), cfg.left + int(b.QRS_RIGHT_S * cfg.rate)
    reach = int(b.LAG_S * cfg.rate)
    lags, count, begin = 2 * reach + 1, last - first + 1, first - reach
    product, energy, piece = wk.lags[:lags], wk.lags[lags : 2 * lags], wk.piece
    product[:] = 0.0
    energy[:] = 0.0
    own = 0.0
    for lead in range(len(x)):
        w = weight[lead]
        if w <= 0.0:
            continue
        row = x[lead, begin : last + reach + 1]
        sy = yy = sx = xx = 0.0
        for j in range(count):
            u, v = row[j], np.float64(y[lead, first + j])
            piece[j] = v
            sy += v
            yy += v * v
            sx += u
            xx += u * u
        mean = sy / count
        own += w * (yy - sy * mean)
        for k in range(lags):
            energy[k] += w * (xx - sx * sx / count)
            if k + 1 < lags:
                gone, come = row[k], row[k + count]
                sx += come - gone
                xx += come * come - gone * gone
        for j in range(count):
            v = w * (piece[j] - mean)
            for k in range(lags):
                product[k] += row[j + k] * v
    where, most = 0, -2.0
    for k in range(lags):
        rho = product[k] / math.sqrt(max(energy[k] * own, 1e-12))
        if rho > most:
            where, most = k, rho
    wk.best[0], wk.best[1], wk.best[2] = product[where], energy[where], own
    return where - reach


@kernel
def extent(x: Floats, weight: Floats, cfg: b.Config, slope: Floats, out: Floats) -> None:
    """Measure out = width in s, mean frequency in Hz, activity before as part of that within.

    The width holds the middle 90 % of the squared slope: no baseline is needed for it. `slope` is room for
    a beat.
    """
    first = cfg.left - int(b.WIDTH_LEFT_S * cfg.rate)
    last = cfg.left + int(b.WIDTH_RIGHT_S * cfg.rate)
    slope[: last + 1] = 0.0
    for lead in range(len(x)):
        for j in range(1, last + 1):
            slope[j] += weight[lead] * (x[lead, j] - x[lead, j - 1]) ** 2
    total = early = 0.0
    for j in range(1, first):
        early += slope[j]
    for j in range(first, last + 1):
        total += slope[j]
    early *= (last - first) / max(first - 1.0, 1.0)
    # Where the running sum passes 5 % and 95 %, between samples.
    onset, offset = float(first), float(last)
    some = 0.0
    for j in range(first, last + 1):
        before = some
        some += slope[j]
        if before < 0.05 * total <= some:
            onset = j - 1 + (0.05 * total - before) / max(slope[j], 1e-12)
        if before < 0.95 * total <= some:
            offset = j - 1 + (0.95 * total - before) / max(slope[j], 1e-12)
    energy = 0.0
    for lead in range(len(x)):
        mean = 0.0
        for j in range(first, last + 1):
            mean += x[lead, j]
        mean /= last - first + 1
        for j in range(first, last + 1):
            energy += weight[lead] * (x[lead, j] - mean) ** 2
    out[0] = (offset - onset) / cfg.rate
    out[1] = math.sqrt(total / max(energy, 1e-9)) * cfg.rate / (2 * math.pi)
    out[2] = early / max(total, 1e-9)


@kernel
def sharpness(st: State, at: int, cfg: b.Config) -> tuple[float, float]:
    """Return the sharpest pulse before the beat about inner sample `at` and what the complex has, mV."""
    ring = len(st.sharp)
    before = within = 0.0
    edge, begin, end = int(0.025 * cfg.rate), int(0.16 * cfg.rate), int(0.06 * cfg.rate)
    slot = (at - begin) % ring
    for j in range(-begin, end):
        value = np.float64(st.sharp[slot])
        if j < -edge:
            before = max(before, value)
        else:
            within = max(within, value)
        slot = slot + 1 if slot + 1 < ring else 0
    return before, within


@kernel
def join(
    st: State, x: Floats, t: int, lag: int, ratio: float, width: float, frequency: float, v: float
) -> int:
    """Average a beat into template t, or (t < 0) let it found one in the poorest place; returns which."""
    stats = st.stats
    for k in range(b.N_TEMPLATES):
        stats[k, b.S_COUNT] *= 1.0 - 1.0 / b.FADE_BEATS
    if t < 0:
        t = 0
        for k in range(1, b.N_TEMPLATES):
            if stats[k, b.S_COUNT] < stats[t, b.S_COUNT]:
                t = k
        stats[t] = 0.0
        st.templates[t] = 0.0
        lag = 0
    stats[t, b.S_COUNT] += 1.0
    stats[t, b.S_N] += 1.0
    stats[t, b.S_LAST] = st.n[b.TOTAL]
    part = max(1.0 / stats[t, b.S_N], 1.0 / b.LEARN_BEATS)
    stats[t, b.S_RATIO] += part * (ratio - stats[t, b.S_RATIO])
    stats[t, b.S_WIDTH] += part * (width - stats[t, b.S_WIDTH])
    stats[t, b.S_FREQUENCY] += part * (frequency - stats[t, b.S_FREQUENCY])
    stats[t, b.S_V] += part * (v - stats[t, b.S_V])
    length = x.shape[1]
    for lead in range(len(x)):
        for j in range(length):
            known = np.float64(st.templates[t, lead, j])
            moved = x[lead, min(length - 1, max(0, j + lag))]
            st.templates[t, lead, j] = known + part * (moved - known)
    return t


@kernel
def merge(st: State, t: int, i: int, cfg: b.Config, wk: Work) -> int:
    """Unite template t with the dominant one if they have become alike; returns which it is now."""
    stats, dominant = st.stats, int(st.n[b.DOMINANT])
    if t == dominant or stats[dominant, b.S_COUNT] <= 0.0 or stats[t, b.S_N] < 2.0:
        return t
    best = wk.best
    wk.other[:] = st.templates[t]
    lag = align(wk.other, st.templates[dominant], wk.weight, cfg, wk)
    size = best[1] / max(best[2], 1e-9)
    if best[0] < b.MERGE * math.sqrt(best[1] * best[2]) or not b.SMALLER < size < b.LARGER:
        return t
    if abs(lag) > 0.025 * cfg.rate:
        return t
    stats[dominant, b.S_COUNT] += stats[t, b.S_COUNT]
    stats[t] = 0.0
    for k in range(max(0, i - b.N_BEATS + 1), i + 1):
        if st.beats[b.row(k)][b.B_TEMPLATE] == t:
            st.beats[b.row(k)][b.B_TEMPLATE] = dominant
    return dominant


@kernel
def choose_dominant(st: State) -> None:
    """The dominant template: the most frequent; early or wide ones have to be much more frequent.

    An old choice stays until another is clearly better: what is measured against it must not swing.
    """
    stats = st.stats
    total = 0.0
    for t in range(b.N_TEMPLATES):
        total += stats[t, b.S_COUNT]
    narrow = 1.0
    for t in range(b.N_TEMPLATES):
        if stats[t, b.S_COUNT] > 0.1 * total:
            narrow = min(narrow, max(stats[t, b.S_WIDTH], 0.03))
    best, most = int(st.n[b.DOMINANT]), -1.0
    for t in range(b.N_TEMPLATES):
        value = stats[t, b.S_COUNT]
        if value <= 0.0:
            continue
        if stats[t, b.S_RATIO] < b.PREMATURE:
            value *= 0.25
        narrower = min(1.0, narrow / max(stats[t, b.S_WIDTH], 0.03))
        value *= narrower * narrower * narrower
        if t == st.n[b.DOMINANT]:
            value *= 1.3
        if value > most:
            best, most = t, value
    st.n[b.DOMINANT] = best
