"""What a few seconds of one lead look like, in numbers: the features that `dsp/waves.py` judges by.

All are computed once a second over the latest `WINDOW_S` of the trace, band-passed to 1-30 Hz and
reduced to about 60 Hz. None depends on a QRS detection, and but for the first none on the gain.

swing         natural logarithm of the swing between the 2nd and the 98th percentile, mV
leakage       VF-filter leakage: what is left when the trace is added to itself half a mean period
              later (Kuo & Dillman 1978); small for a sine, near 1 for QRS complexes
mean_hz       the mean frequency that goes with it
slope_rest    median of the slope over its 95th percentile: complexes are steep and rare, waves are not
trace_rest    median distance from the median over its 95th percentile: the trace rests between complexes
steady        smallest over largest swing of the window's `SLICES` slices
peak_hz       frequency of the largest power between 1.5 and 9 Hz
peak_part     part of the power within 1 Hz of it (Barro et al. 1989)
harmonics     part of the power near its second to fourth harmonics
fast_part     part of the power above 12 Hz
slow_part     part of the power below 2 Hz
entropy       of the spectrum, 0 a line .. 1 flat
repeat        largest normalised autocorrelation between 0.17 and 1 s
repeat_hz     at which rate
crossings     level crossings of a fifth of the swing about the median a second (Thakor et al. 1990)
steps         sum of absolute steps over the swing, a second
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

WINDOW_S = 4.0
SLICES = 8
NAMES = (
    "swing",
    "leakage",
    "mean_hz",
    "slope_rest",
    "trace_rest",
    "steady",
    "peak_hz",
    "peak_part",
    "harmonics",
    "fast_part",
    "slow_part",
    "entropy",
    "repeat",
    "repeat_hz",
    "crossings",
    "steps",
)
STEP_HZ, TOP_HZ = 0.5, 25.0
LEAST_MV = 1e-3
"""A trace that moves less is called still: nothing is divided by its swing."""


def fourier(n: int, rate: float) -> NDArray[np.float64]:
    """Rows that give the real and the imaginary part of a Hann-windowed spectrum, shape (2 n_bins, n)."""
    f = np.arange(STEP_HZ, min(TOP_HZ, 0.49 * rate) + STEP_HZ / 2, STEP_HZ)
    t = np.arange(n) / rate
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(n) + 0.5) / n)
    angle = 2 * np.pi * f[:, None] * t
    return np.ascontiguousarray(np.vstack([np.cos(angle) * hann, np.sin(angle) * hann]))


@njit(cache=True, nogil=True)
def features(y, rate, waves, rest_part, out):  # type: ignore[no-untyped-def]
    """Fill `out` (one row of `NAMES`) from `y`, mV at `rate` Hz, oldest first; False if it is still.

    With a `steady` below `rest_part` only `swing` and `steady` are filled.
    """
    n = y.size
    order = np.sort(y)
    low, high = order[n // 50], order[n - 1 - n // 50]
    swing = high - low
    if not swing > LEAST_MV:
        return False
    middle = order[n // 2]
    out[0] = np.log(swing)

    smallest, largest = np.inf, 0.0
    for k in range(SLICES):
        a, b = k * n // SLICES, (k + 1) * n // SLICES
        lo = hi = y[a]
        for i in range(a + 1, b):
            lo, hi = min(lo, y[i]), max(hi, y[i])
        smallest, largest = min(smallest, hi - lo), max(largest, hi - lo)
    out[5] = smallest / largest
    if out[5] < rest_part:
        return True

    total = steps = 0.0
    for i in range(n):
        total += abs(y[i] - middle)
    slope = np.empty(n - 1)
    for i in range(n - 1):
        slope[i] = abs(y[i + 1] - y[i])
        steps += slope[i]
    half = min(max(int(np.pi * total / steps + 0.5), 1), n // 2)
    left = both = 0.0
    for i in range(half, n):
        left += abs(y[i] + y[i - half] - 2 * middle)
        both += abs(y[i] - middle) + abs(y[i - half] - middle)
    out[1] = left / both
    out[2] = rate * steps / (2 * np.pi * total)
    slope.sort()
    out[3] = slope[n // 2] / max(slope[(95 * n) // 100], 1e-9)
    rest = np.sort(np.abs(y - middle))
    out[4] = rest[n // 2] / max(rest[(95 * n) // 100], 1e-9)

    bins = waves.shape[0] // 2
    z = np.dot(waves, y - middle)
    power = z[:bins] ** 2 + z[bins:] ** 2
    spectrum(power, out)
    repeats(y, middle, rate, out)

    level = 0.2 * swing
    above, count = False, 0
    below = False
    for i in range(n):
        v = y[i] - middle
        if v > level:
            if not above:
                count += 1
            above, below = True, False
        elif v < -level:
            if not below:
                count += 1
            above, below = False, True
        else:
            above = below = False
    out[14] = count * rate / n
    out[15] = steps / swing * rate / n
    return True


@njit(cache=True, nogil=True)
def spectrum(power, out):  # type: ignore[no-untyped-def]
    """Fill the features that come from the power at `STEP_HZ`, 2 `STEP_HZ` ..."""
    bins = power.size
    total = power.sum() + 1e-12
    best = 2
    for k in range(2, 18):
        if power[k] > power[best]:
            best = k
    near = power[max(0, best - 2) : best + 3].sum()
    harmonic = 0.0
    for m in range(2, 5):
        centre = m * (best + 1) - 1
        first = max(centre - 1, best + 3)
        if centre + 2 <= bins:
            harmonic += power[first : centre + 2].sum()
    fast = power[24:].sum()
    slow = power[:3].sum()
    entropy = 0.0
    for k in range(bins):
        p = power[k] / total
        if p > 0:
            entropy -= p * np.log(p)
    out[6] = (best + 1) * STEP_HZ
    out[7] = near / total
    out[8] = harmonic / total
    out[9] = fast / total
    out[10] = slow / total
    out[11] = entropy / np.log(bins)


@njit(cache=True, nogil=True)
def repeats(y, middle, rate, out):  # type: ignore[no-untyped-def]
    """Fill the features of the autocorrelation, taken at half the rate."""
    n = y.size // 2
    w = np.empty(n)
    for i in range(n):
        w[i] = 0.5 * (y[2 * i] + y[2 * i + 1]) - middle
    w -= w.mean()
    energy = np.dot(w, w) + 1e-12
    first, last = int(0.17 * rate / 2), int(rate / 2)
    r = np.empty(last + 2)
    for lag in range(first - 1, last + 2):
        r[lag] = np.dot(w[lag:], w[: n - lag]) / energy * n / (n - lag)
    best, at = 0.0, last
    for lag in range(first, last + 1):
        # The first of several nearly equal peaks is the period; later ones are its multiples.
        if r[lag] >= r[lag - 1] and r[lag] >= r[lag + 1] and r[lag] > best + 0.05:
            best, at = r[lag], lag
    out[12] = best
    out[13] = rate / 2 / at
