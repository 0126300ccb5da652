"""How irregular R-R intervals are, in numbers: the features that tell atrial fibrillation from other rhythms.

All are ratios to the mean interval, but for the rate and the fixed tolerance of `pairs`:

count      how many intervals there are
mean       their mean, s
rmssd      root mean square of the successive differences, natural logarithm
step       median of the absolute successive differences
spread     the middle half of the intervals
core       part of the intervals within `CORE` of the median: ectopy leaves a regular core, fibrillation none
pairs      part of all pairs closer than `PAIR_S` (Petrenas et al. 2015: a sample entropy of 8 beats)
matches    part of the pairs of successive pairs within `MATCH` (Lake & Moorman 2011: coefficient of
           sample entropy)
next       autocorrelation of the intervals one beat apart: breathing is smooth, fibrillation is not
second     the same two beats apart: high in bigeminy
third      the same three beats apart: high in trigeminy
periodic   least median distance to the interval 2, 3 or 4 beats before, over `step`
median_sum (sum of 3-point medians over sum of intervals - 1)^2, logarithm: Petrenas' B, near 0 in bigeminy
turning    part of the inner intervals that are local extremes (Dash et al. 2009)
shortest   shortest over median
longest    longest over median
repaid     part of the intervals shorter than 0.85 of the median whose successor is longer than 1.1: a
           compensatory pause
"""

import math

import numpy as np
from numba import njit

from dsp.af_trees import descend

NAMES = (
    "count",
    "mean",
    "rmssd",
    "step",
    "spread",
    "core",
    "pairs",
    "matches",
    "next",
    "second",
    "third",
    "periodic",
    "median_sum",
    "turning",
    "shortest",
    "longest",
    "repaid",
)
LEAST = 5
"""Fewer intervals say nothing."""
CORE = 0.06
PAIR_S = 0.03
MATCH = 0.08
EARLY, LATE = 0.85, 1.1


@njit(cache=True, nogil=True)
def _sort(values, n):  # type: ignore[no-untyped-def]
    """Sort the first n of a few values: by insertion, for nothing else is as quick with twenty."""
    for i in range(1, n):
        v = values[i]
        k = i - 1
        while k >= 0 and values[k] > v:
            values[k + 1] = values[k]
            k -= 1
        values[k + 1] = v


@njit(cache=True, nogil=True)
def _middle(values, n):  # type: ignore[no-untyped-def]
    """Median of the first n values, which are sorted by it."""
    _sort(values, n)
    return 0.5 * (values[(n - 1) // 2] + values[n // 2])


@njit(cache=True, nogil=True)
def irregularity(rr, out):  # type: ignore[no-untyped-def]
    """Fill `out` (one value per name in `NAMES`) from at least `LEAST` intervals `rr` in s."""
    n = rr.size
    mean = rr.mean()
    order, steps = rr.copy(), np.empty(n)
    median = _middle(order, n)
    square = 0.0
    for i in range(n - 1):
        d = abs(rr[i + 1] - rr[i])
        square += d * d
        steps[i] = d
    step = _middle(steps, n - 1) / mean
    out[0], out[1] = n, mean
    out[2] = 0.5 * math.log(square / (n - 1) / mean**2 + 1e-6)
    out[3] = step
    out[4] = (order[(3 * n) // 4] - order[n // 4]) / mean
    core = 0
    for v in rr:
        core += abs(v - median) < CORE * median
    out[5] = core / n
    near = alike = pairs = 0
    for i in range(n - 1):
        for j in range(i):
            d = abs(rr[i] - rr[j])
            near += d < PAIR_S
            alike += d < MATCH * mean and abs(rr[i + 1] - rr[j + 1]) < MATCH * mean
            pairs += 1
    out[6], out[7] = near / pairs, alike / pairs
    power = 1e-6 * mean**2
    for v in rr:
        power += (v - mean) ** 2 / n
    for lag in range(1, 4):
        total = 0.0
        for i in range(lag, n):
            total += (rr[i] - mean) * (rr[i - lag] - mean)
        out[7 + lag] = total / (n - lag) / power
    least = np.inf
    for lag in range(2, 5):
        if n - lag >= 3:
            for i in range(lag, n):
                steps[i - lag] = abs(rr[i] - rr[i - lag])
            least = min(least, _middle(steps, n - lag))
    out[11] = least / mean / (step + 0.005)
    sums = inner = turning = repaid = 0.0
    for i in range(1, n - 1):
        a, v, c = rr[i - 1], rr[i], rr[i + 1]
        sums += max(min(a, v), min(max(a, v), c))
        inner += v
        turning += (v > a and v > c) or (v < a and v < c)
        repaid += v < EARLY * median and c > LATE * median
    out[12] = math.log((sums / inner - 1) ** 2 + 1e-6)
    out[13] = turning / (n - 2)
    out[14], out[15] = order[0] / median, order[n - 1] / median
    out[16] = repaid / n


SHORT, LONG = 10, 20
"""Intervals of the two windows: the short one is quick, the long one is sure."""
LEAST_KEPT = 7
CLOCK = 0.06
"""Fibrillation spreads as many intervals by three times this and more."""
WINDOW_NAMES = (*(f"{name} {SHORT}" for name in NAMES), *(f"{name} {LONG}" for name in NAMES), "ectopic")


@njit(cache=True, nogil=True)
def intervals(beats, ectopic, first, last, fs, rr):  # type: ignore[no-untyped-def]
    """Fill the end of `rr` with the latest intervals, in s; return how many, and the part of ectopic beats.

    The parameters are those of `windows`.
    """
    n = count = wide = 0
    e = ectopic.size - 1
    later_out = True  # whether the beat after the present one is ectopic, or there is none
    for i in range(beats.size - 1, -1, -1):
        at = beats[i]
        if at > last:
            continue
        if at < first or n == LONG or count == 2 * LONG:
            break
        while e >= 0 and ectopic[e] > at:
            e -= 1
        own = e >= 0 and ectopic[e] == at
        if count and not own and not later_out:
            rr[LONG - 1 - n] = (beats[i + 1] - at) / fs
            n += 1
        later_out = own
        count += 1
        wide += own
    return n, wide / max(count, 1)


@njit(cache=True, nogil=True)
def windows(beats, ectopic, first, last, fs, out):  # type: ignore[no-untyped-def]
    """Fill `out` (one value per name in `WINDOW_NAMES`) from the latest beats; False if they are too few.

    Parameters
    ----------
    beats, ectopic
        R peaks and those of them that are ventricular, both ascending, in samples. The intervals to and
        from an ectopic beat are left out.
    first, last
        Only beats first <= sample <= last count.
    fs
        Sampling rate in Hz.
    """
    rr = np.empty(LONG)
    n, wide = intervals(beats, ectopic, first, last, fs, rr)
    if n < LEAST_KEPT:
        return False
    _measure(rr, n, wide, out)
    return True


@njit(cache=True, nogil=True)
def _measure(rr, n, wide, out):  # type: ignore[no-untyped-def]
    k = len(NAMES)
    irregularity(rr[LONG - min(n, SHORT) :], out[:k])
    irregularity(rr[LONG - n :], out[k : 2 * k])
    out[2 * k] = wide


@njit(cache=True, nogil=True)
def odds(beats, ectopic, first, last, fs, roots, nodes, start, out):  # type: ignore[no-untyped-def]
    """Return the log-odds of fibrillation by trees of `WINDOW_NAMES`; NaN if the beats are too few.

    The parameters are those of `windows` and of `af_trees.descend`. Intervals that differ by less than
    `CLOCK` of their mean are those of a clock: minus infinity, and the trees are not asked.
    """
    rr = np.empty(LONG)
    n, wide = intervals(beats, ectopic, first, last, fs, rr)
    if n < LEAST_KEPT:
        return np.nan
    kept = rr[LONG - n :]
    if kept.max() - kept.min() < CLOCK * kept.mean():
        return -np.inf
    _measure(rr, n, wide, out)
    return start + descend(out, roots, nodes)
