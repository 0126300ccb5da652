"""What a few seconds of one lead look like, in numbers: the features that `dsp/waves.py` judges by.

All are computed once a second over the latest `WINDOW_S` of the trace, high-passed at 1 Hz and
reduced to about 60 Hz; those that end in 2 over the later half of it, which makes an onset short. None
depends on a QRS detection, and but for the first none on the gain.

swing         natural logarithm of the swing between the 2nd and the 98th percentile, mV
slope_rest    median of the slope over its 95th percentile: complexes are steep and rare, waves are not
leakage       VF-filter leakage: what is left when the trace is added to itself half a mean period
              later (Kuo & Dillman 1978); small for a sine, near 1 for QRS complexes
mean_hz       the mean frequency that goes with it
peaky         logarithm of the kurtosis of the slope: large where complexes are rare and steep
steady        smallest over largest swing of the window's `SLICES` slices
fast_part     logarithm of the energy of the curvature over that of the trace
crossings     level crossings of a fifth of the swing about the median a second (Thakor et al. 1990)
steps         sum of absolute steps over the swing, a second
repeat        largest normalised autocorrelation between 0.17 and 1 s
repeat_hz     at which rate

No value is sorted: quantiles come from a histogram of `BINS` bins, straight within one, and 1 % of the range
is finer than the trees ask for. All sums run in one order, so that the same trace gives the same numbers.
"""

import numpy as np
from numba import njit

WINDOW_S = 4.0
SLICES = 8
NAMES = (
    "swing",
    "slope_rest",
    "leakage",
    "mean_hz",
    "peaky",
    "steady",
    "fast_part",
    "crossings",
    "steps",
    "repeat",
    "repeat_hz",
    "slope_rest2",
    "leakage2",
    "mean_hz2",
    "peaky2",
    "repeat2",
    "repeat_hz2",
)
SWING, SLOPE_REST, LEAKAGE, STEADY, FAST_PART, CROSSINGS, STEPS, REPEAT = 0, 1, 2, 5, 6, 7, 8, 9
SLOPE_REST2, LEAKAGE2, REPEAT2 = 11, 12, 15
REPEAT_HZ = REPEAT + 1
BINS = 96
LEVEL = 0.2
FASTEST_S, SLOWEST_S, SLOWEST2_S = 0.17, 1.0, 0.45
"""Periods that are looked for, in the window and in its later half."""
BETTER = 0.05
LEAST_MV = 1e-3
"""A trace that moves less is called still: nothing is divided by its swing."""


@njit(cache=True, nogil=True)
def features(y, rate, rest_part, out):  # type: ignore[no-untyped-def]
    """Fill `out` (one row of `NAMES`) from `y`, mV at `rate` Hz, oldest first; False if it is still.

    With a `slope_rest` below `rest_part` only `swing` and `slope_rest` are filled.
    """
    n, half = y.size, y.size // 2
    low, middle, high = quantiles(y, 0.02, 0.5, 0.98)
    swing = high - low
    if not swing > LEAST_MV:
        return False
    out[SWING] = np.log(swing)
    slope = np.empty(n - 1)
    for i in range(n - 1):
        slope[i] = abs(y[i + 1] - y[i])
    _, usual, steep = quantiles(slope, 0.5, 0.5, 0.95)
    out[SLOPE_REST] = usual / max(steep, 1e-9)
    if out[SLOPE_REST] < rest_part:
        return True
    _, usual, steep = quantiles(slope[n - 1 - half :], 0.5, 0.5, 0.95)
    out[SLOPE_REST2] = usual / max(steep, 1e-9)
    a = shape(y, slope, middle, 0, n - half)
    b = shape(y, slope, middle, n - half, n)
    waves(y, middle, rate, 0, a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3], out[LEAKAGE : LEAKAGE + 3])
    waves(y, middle, rate, n - half, b[0], b[1], b[2], b[3], out[LEAKAGE2 : LEAKAGE2 + 3])
    out[FAST_PART] = np.log((a[5] + b[5]) / (a[4] + b[4] + 1e-12) + 1e-9)
    out[STEPS] = (a[1] + b[1]) / swing * rate / n
    out[STEADY] = steady(y)
    out[CROSSINGS] = crossings(y, middle, LEVEL * swing) * rate / n
    repeats(y, middle, rate, out)
    return True


@njit(cache=True, nogil=True)
def quantiles(v, first, second, third):  # type: ignore[no-untyped-def]
    """Three ascending quantiles of `v`, to a part of a bin of its range."""
    lo = hi = v[0]
    for i in range(1, v.size):
        lo, hi = min(lo, v[i]), max(hi, v[i])
    if not hi > lo:
        return lo, lo, lo
    bins = np.zeros(BINS, np.int32)
    per = (BINS - 1e-6) / (hi - lo)
    for i in range(v.size):
        bins[int((v[i] - lo) * per)] += 1
    a = b = c = hi
    seen, found = 0.0, 0
    for k in range(BINS):
        here = float(bins[k])
        if here > 0:
            if found == 0 and seen + here >= first * v.size:
                a, found = lo + (k + (first * v.size - seen) / here) / per, 1
            if found == 1 and seen + here >= second * v.size:
                b, found = lo + (k + (second * v.size - seen) / here) / per, 2
            if found == 2 and seen + here >= third * v.size:
                c = lo + (k + (third * v.size - seen) / here) / per
                break
            seen += here
    return a, b, c


@njit(cache=True, nogil=True)
def shape(y, slope, middle, start, stop):  # type: ignore[no-untyped-def]
    """Sums over a stretch: distance from the middle, slope, its 2nd and 4th powers, energy, curvature's."""
    total = steps = second = fourth = energy = curved = 0.0
    for i in range(start, stop):
        v = y[i] - middle
        total += abs(v)
        energy += v * v
    for i in range(start, min(stop, slope.size)):
        s = slope[i]
        square = s * s
        steps += s
        second += square
        fourth += square * square
    for i in range(max(start, 1), min(stop, slope.size)):
        c = y[i] - 0.5 * (y[i - 1] + y[i + 1])
        curved += c * c
    return total, steps, second, fourth, energy, curved


@njit(cache=True, nogil=True)
def waves(y, middle, rate, start, total, steps, second, fourth, out):  # type: ignore[no-untyped-def]
    """Fill leakage, mean_hz and peaky of y[start:], whose sums are given."""
    n = y.size - start
    half = min(max(int(np.pi * total / (steps + 1e-12) + 0.5), 1), n // 2)
    left = both = 0.0
    for i in range(start + half, y.size):
        a, b = y[i] - middle, y[i - half] - middle
        left += abs(a + b)
        both += abs(a) + abs(b)
    out[0] = left / (both + 1e-12)
    out[1] = rate * steps / (2 * np.pi * total + 1e-12)
    out[2] = np.log(fourth * (n - 1) / (second * second + 1e-30) + 1e-9)


@njit(cache=True, nogil=True)
def steady(y):  # type: ignore[no-untyped-def]
    """Smallest over largest swing of the slices."""
    smallest, largest = np.inf, 1e-12
    for k in range(SLICES):
        a, b = k * y.size // SLICES, (k + 1) * y.size // SLICES
        lo = hi = y[a]
        for i in range(a + 1, b):
            lo, hi = min(lo, y[i]), max(hi, y[i])
        smallest, largest = min(smallest, hi - lo), max(largest, hi - lo)
    return smallest / largest


@njit(cache=True, nogil=True)
def crossings(y, middle, level):  # type: ignore[no-untyped-def]
    """How often `y` leaves the band of `level` about the middle."""
    side, count = 0, 0
    for i in range(y.size):
        v = y[i] - middle
        now = (v > level) - (v < -level)
        count += now != 0 and now != side
        side = now
    return count


@njit(cache=True, nogil=True)
def repeats(y, middle, rate, out):  # type: ignore[no-untyped-def]
    """Fill the features of the autocorrelation, taken at half the rate."""
    n = y.size // 2
    first, last, last2 = int(FASTEST_S * rate / 2), int(SLOWEST_S * rate / 2), int(SLOWEST2_S * rate / 2)
    w = np.zeros(n + last + 2)  # the zeros behind make all lags' sums equally long
    for i in range(n):
        beyond = y[min(2 * i + 2, y.size - 1)]
        w[i] = 0.25 * (y[2 * i] + 2 * y[2 * i + 1] + beyond) - middle
    out[REPEAT], out[REPEAT_HZ] = _period(w, 0, n, first, last, rate / 2)
    out[REPEAT2], out[REPEAT2 + 1] = _period(w, n - n // 2, n, first, last2, rate / 2)


@njit(cache=True, nogil=True)
def _period(w, start, stop, first, last, rate):  # type: ignore[no-untyped-def]
    """Largest peak of the autocorrelation of w[start:stop] at lags `first` to `last`, and its rate."""
    n = stop - start
    mean = w[start:stop].sum() / n
    v = np.zeros(n + last + 2)
    energy = 1e-12
    for i in range(n):
        v[i] = w[start + i] - mean
        energy += v[i] * v[i]
    lags = last - first + 3
    r = np.zeros(lags)
    for i in range(n):
        a, ahead = v[i], v[i + first - 1 :]
        for k in range(lags):
            r[k] += a * ahead[k]
    for k in range(lags):
        r[k] *= n / (energy * (n - k - first + 1))
    best, at = 0.0, last
    for k in range(1, lags - 1):
        # The first of several nearly equal peaks is the period; later ones are its multiples.
        if r[k] >= r[k - 1] and r[k] >= r[k + 1] and r[k] > best + BETTER:
            best, at = r[k], k + first - 1
    return best, rate / at
