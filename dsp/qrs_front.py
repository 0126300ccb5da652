"""The front end of the QRS detector, sample by sample: mend, smooth, decimate, two band envelopes.

Nothing is decided here (see `qrs_judge.py`). There is one row of state per lead and one sample is
taken at a time, so the result cannot depend on how the samples were cut into chunks.
"""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import signal

Array = NDArray[np.float64]

MEDIAN_MAX = 9
# Columns of a lead's row of state.
FED, OFFSET, RAW, MISSING, FLAT, HISTORY = 0, 1, 2, 3, 4, 5
LOW = HISTORY + MEDIAN_MAX  # two biquads: the low-pass
BAND = LOW + 4  # two biquads for each of the two bands
POLES = BAND + 8  # four one-poles for each of the two envelopes
LEAD_STATE = POLES + 8

N_BANDS = 2
SLOW_HZ = (5.0, 18.0)
FAST_HZ = (12.0, 28.0)
LOW_HZ = 40.0
SMOOTH_S = 0.012
SPIKE_S = 0.010
SPIKE_MV = 0.2
FLAT_S = 0.06
RAIL_MV = 50.0


def design(
    fs: float, slow: tuple[float, float] = SLOW_HZ, fast: tuple[float, float] = FAST_HZ
) -> dict[str, Any]:
    """Coefficients and lengths for one sampling rate, from values in s, Hz and mV.

    Returns
    -------
    dict
        `step`: input samples per inner sample; `rate`: inner rate in Hz; `median`: length of the
        spike filter; `sos`: (6, 6) biquads; `pole`; `low_delay`: of the low-passed signal, in s;
        `peak_delay`: from a peak of the low-passed signal to the peak of its envelope, in s.
    """
    step = max(1, round(fs / 200.0))
    rate = fs / step
    low = signal.butter(4, min(LOW_HZ, 0.4 * rate), fs=fs, output="sos")
    bands = [
        signal.butter(2, (lo, min(hi, 0.4 * rate)), btype="bandpass", fs=rate, output="sos")
        for lo, hi in (slow, fast)
    ]
    median = 2 * int(SPIKE_S / 2 * fs) + 1 if fs >= 200 else 1
    pole = math.exp(-1.0 / (SMOOTH_S * rate))
    # Delays, measured on a pulse as wide as a QRS complex.
    fine = np.arange(int(fs)) / fs
    coarse = np.arange(int(rate)) / rate
    smoothed = signal.sosfilt(low, np.exp(-0.5 * ((fine - 0.3) / 0.015) ** 2))
    envelope = signal.sosfilt(bands[0], np.interp(coarse, fine, smoothed)) ** 2
    for _ in range(4):
        envelope = signal.lfilter([1 - pole], [1, -pole], envelope)
    top = fine[np.argmax(smoothed)]
    return {
        "step": step,
        "rate": rate,
        "median": min(MEDIAN_MAX, median),
        "sos": np.ascontiguousarray(np.concatenate([low, *bands])),
        "pole": pole,
        "low_delay": float(top - 0.3) + (min(MEDIAN_MAX, median) // 2) / fs,
        "peak_delay": float(coarse[np.argmax(envelope)] - top),
    }


@njit(cache=True, nogil=True)
def biquad(x: float, sos: Array, row: int, state: Array, at: int) -> float:
    """One sample through one biquad (transposed direct form II)."""
    y = sos[row, 0] * x + state[at]
    state[at] = sos[row, 1] * x - sos[row, 4] * y + state[at + 1]
    state[at + 1] = sos[row, 2] * x - sos[row, 5] * y
    return y  # type: ignore[no-any-return]


@njit(cache=True, nogil=True)
def mend(raw: float, lead: Array, flat_samples: float) -> float:
    """Hold the last value over missing samples and go on from there without a step.

    A line that did not move at all for `FLAT_S` (saturated, unplugged) is spliced likewise when it
    moves again: the jump back from a rail is no QRS complex.
    """
    if not math.isfinite(raw):
        lead[MISSING] += 1
        return lead[FED]  # type: ignore[no-any-return]
    if raw == lead[RAW]:
        lead[FLAT] += 1
    else:
        if lead[FLAT] > flat_samples:
            lead[OFFSET] = raw - lead[FED]
        lead[FLAT] = 0
    if lead[MISSING] > 0:
        lead[OFFSET] = raw - lead[FED]
        lead[MISSING] = 0
    lead[RAW] = raw
    lead[FED] = min(RAIL_MV, max(-RAIL_MV, raw - lead[OFFSET]))
    return lead[FED]  # type: ignore[no-any-return]


@njit(cache=True, nogil=True)
def despike(x: float, lead: Array, n: int) -> float:
    """Delay by n // 2 samples; replace what sticks out of the median of n by more than `SPIKE_MV`.

    Pacing pulses (0.1 to 2 ms) disappear, everything else passes unchanged.
    """
    for i in range(n - 1, 0, -1):
        lead[HISTORY + i] = lead[HISTORY + i - 1]
    lead[HISTORY] = x
    mid = lead[HISTORY + n // 2]
    if n == 3:
        a, b, c = lead[HISTORY], lead[HISTORY + 1], lead[HISTORY + 2]
        median = max(min(a, b), min(max(a, b), c))
    else:
        median = mid
        for i in range(n):
            v = lead[HISTORY + i]
            below = above = 0
            for j in range(n):
                u = lead[HISTORY + j]
                below += u < v
                above += u > v
            if below <= n // 2 and above <= n // 2:
                median = v
                break
    return median if abs(mid - median) > SPIKE_MV else mid  # type: ignore[no-any-return]


@njit(cache=True, nogil=True)
def envelopes(x: float, sos: Array, pole: float, lead: Array, out: Array) -> float:
    """One inner sample through both bands: `out` gets their envelopes in mV; returns the slow band."""
    slow = biquad(biquad(x, sos, 2, lead, BAND), sos, 3, lead, BAND + 2)
    fast = biquad(biquad(x, sos, 4, lead, BAND + 4), sos, 5, lead, BAND + 6)
    a, b = slow * slow, fast * fast
    for p in range(POLES, POLES + 4):
        a += pole * (lead[p] - a)
        lead[p] = a
        b += pole * (lead[p + 4] - b)
        lead[p + 4] = b
    out[0] = math.sqrt(a)
    out[1] = math.sqrt(b)
    return slow  # type: ignore[no-any-return]
