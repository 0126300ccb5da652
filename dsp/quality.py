"""Signal quality per lead, once per second of samples.

A second is the samples round(k fs) <= n < round((k + 1) fs) of the stream, whatever the chunks.
Each lead gets the flags of `model.QualityFlag`; thresholds are in mV and s:

lead_off   the device reported the electrode off in more than `MISSING_PART` of the second
missing    more than `MISSING_PART` of the second holds no measurement
flat       the trace moved less than `FLAT_MV` in the whole second
saturated  `RAIL_PART` of the second stands exactly at the end of the converter's range, or at an
           extreme that the stream has not left before, `RAIL_MV` away from where the trace usually lies
noisy      activity between the complexes, 5 to 25 Hz, is so large that a complex could hide in it
mains      more than `MAINS_MV` and `MAINS_PART` of the trace's swing of 50 or 60 Hz (amplitude)
wander     more than `WANDER_MV` of movement below 1 Hz

mains and wander are told and gate nothing: the QRS detector filters both. A rhythm rule may rely on
a lead with none of the other five (`USABLE_MASK`).

"Noisy" compares the median swing of 16 slices of the second, which complexes do not reach, with the
complexes' usual size on that lead (median of the latest 60 seconds in which some stood out),
because noise matters as far as it can hide or imitate complexes: 0.2 mV of it is nothing
beside 2 mV complexes and everything beside 0.5 mV ones. The mean of three seconds decides. A second
whose mean frequency in that band is below `NOISE_HZ` does not count: flutter and fibrillation
have no quiet slices either, but lie at 5 to 8 Hz where muscle and motion noise lie at 8 to 23
(vfdb, nstdb), and an alarm for them must never be withheld as noise. Nor does a second that repeats
itself, correlated by `REPEATED` or more with what lay `LAGS_S` before it: a tachycardia leaves no
quiet slices between its complexes, and noise does not repeat itself.

Noise against QRS energy is Zaunseder et al. 2011 and Di Marco et al. 2012 (CinC 2011); departures:
order statistics instead of means, a causal reference per patient, seconds instead of whole records.
"""

from functools import lru_cache, reduce
from operator import or_
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import signal

from leadwire.model import QualityFlag

OFF, FLAT, SATURATED, NOISY, MAINS, WANDER, MISSING = 1, 2, 4, 8, 16, 32, 64
NAMES: tuple[QualityFlag, ...] = ("lead_off", "flat", "saturated", "noisy", "mains", "wander", "missing")
UNMEASURED_MASK = OFF | MISSING
BLIND_MASK = OFF | MISSING | SATURATED | NOISY
USABLE_MASK = BLIND_MASK | FLAT

MISSING_PART = 0.2
FLAT_MV = 0.01
RAIL_PART = 0.3
RAIL_MV = 1.0
MAINS_MV = 0.1
MAINS_PART = 0.1
WANDER_MV = 1.0
NOISE_RATIO = 0.25
NOISE_HZ = 8.0
REPEATED = 0.75
"""So much of the power is then the rhythm's, and a quarter at most noise's."""
LAGS_S = 0.2, 0.6  # 300 to 100 beats per minute
FLOOR_MV = 0.15
"""The monitors' floor for a QRS complex: the reference that noise is compared with is never less."""
CEILING_MV = 5.0
"""No complex is larger in this band: what is, is a disturbance and no reference."""

SLICES = 16
BINS = 125  # samples per second that repetition is looked for in
LAG_BINS = round(LAGS_S[1] * BINS)
SECONDS = 60  # remembered sizes of complexes
FORGET_S = 0.5  # filters begin anew after so long without measurement

# Columns of a lead's row of state.
FED, OFF_N, LO, HI, LAST_SEEN = 0, 1, 2, 3, 4
TOP, BOTTOM, AT_TOP, AT_BOTTOM, LEVEL, LEVEL_N = 5, 6, 7, 8, 9, 10
SLOW, SLOW_LO, SLOW_HI = 11, 12, 13
BAND = 14  # 2 biquads
GOERTZEL = 18  # 2 frequencies
SIZE_N = 22
RATIOS = 23  # of the two seconds before
POWER, SLOPE, LAST_Y = 25, 26, 27
SLICE_LO = 28
SLICE_HI = SLICE_LO + SLICES
SIZES = SLICE_HI + SLICES
TRACE = SIZES + SECONDS  # in bins: the end of the second before, then this one
LEAD_STATE = TRACE + LAG_BINS + BINS


class Verdict(NamedTuple):
    """What the flags of all leads mean together; `dsp.abstract.Second` has the same words."""

    flags: tuple[int, ...]
    names: tuple[tuple[QualityFlag, ...], ...]
    union: int
    measured: bool
    seeing: bool
    usable: bool
    trouble: str


@lru_cache(maxsize=4096)
def verdict(flags: tuple[int, ...]) -> Verdict:
    """Judge the bit masks of all ECG leads, one each."""
    usable = any(not f & USABLE_MASK for f in flags)
    measured = [f for f in flags if not f & UNMEASURED_MASK]
    blocked = any(f & (SATURATED | NOISY) for f in measured)
    union = reduce(or_, flags, 0)
    return Verdict(
        flags=flags,
        names=tuple(names(f) for f in flags),
        union=union,
        measured=bool(measured),
        seeing=usable or (not blocked and any(f & FLAT for f in measured)),
        usable=usable,
        trouble="" if usable else ",".join(names(union & USABLE_MASK)),
    )


@lru_cache(maxsize=128)
def names(mask: int) -> tuple[QualityFlag, ...]:
    """The flags of a bit mask, in a fixed order."""
    return tuple(name for i, name in enumerate(NAMES) if mask >> i & 1)


class QualityMeter:
    """Streaming quality of one stream's ECG leads.

    Parameters
    ----------
    fs
        Sampling rate in Hz.
    n_sig
        Number of ECG leads.

    Notes
    -----
    `feed` takes samples inside one second; `second` closes it. All state is `state`, shape
    (n_sig, LEAD_STATE).
    """

    def __init__(self, fs: float, n_sig: int) -> None:
        self.fs = fs
        band = signal.butter(2, (5.0, min(25.0, 0.45 * fs)), btype="bandpass", fs=fs, output="sos")
        # Two sections of order two; the rows hold b0 b1 b2 a1 a2 and the steady state for a level of 1.
        self._sos = np.ascontiguousarray(np.hstack([band[:, :3], band[:, 4:], signal.sosfilt_zi(band)]))
        self._slow = 1.0 - float(np.exp(-2 * np.pi * 1.0 / fs))
        self._mains = np.array(
            [2 * np.cos(2 * np.pi * f / fs) if f < 0.45 * fs else np.nan for f in (50.0, 60.0)]
        )
        self._bins = min(BINS, int(fs))
        self._forget = FORGET_S * fs
        self._slope = (2 * np.pi * NOISE_HZ / fs) ** 2  # of power, at that frequency
        self.state = np.zeros((n_sig, LEAD_STATE))
        self.state[:, LAST_SEEN] = -np.inf
        self.state[:, TOP], self.state[:, BOTTOM] = -np.inf, np.inf
        _open_second(self.state)
        self.flags = np.zeros(n_sig, dtype=np.int64)
        self.scores = np.zeros(n_sig)

    def feed(self, x: NDArray[np.float64], off: NDArray[np.bool_], at: int, length: int) -> None:
        """Take samples of the present second.

        Parameters
        ----------
        x
            Shape (n_samples, n_sig), mV, NaN where nothing was measured.
        off
            Per lead, whether the device says that the electrode is off.
        at, length
            Place of the first sample within the second, and the second's length, in samples.
        """
        _feed(x, off, at, length, self._sos, self._slow, self._mains, self._forget, self._bins, self.state)

    def skip(self, n_samples: int) -> None:
        """Pass over `n_samples` without measurement; the present second begins anew."""
        self.state[:, LAST_SEEN] += n_samples
        self.state[:, TRACE:] = 0.0
        _open_second(self.state)

    def second(self, length: int, rails: NDArray[np.float64]) -> None:
        """Close the second of `length` samples: sets `flags` (bits) and `scores` (0..1) per lead.

        Parameters
        ----------
        rails
            Shape (n_sig, 2): lowest and highest value that the converter can give, mV.
        """
        _close_second(
            length, rails, self._mains, self._slope, self._bins, self.state, self.flags, self.scores
        )


@njit(cache=True, nogil=True)
def _open_second(state):  # type: ignore[no-untyped-def]
    for s in state:
        s[FED] = s[OFF_N] = 0.0
        s[POWER] = s[SLOPE] = 0.0
        s[AT_TOP] = s[AT_BOTTOM] = 0.0
        s[LO], s[HI] = np.inf, -np.inf
        s[SLOW_LO], s[SLOW_HI] = np.inf, -np.inf
        s[GOERTZEL : GOERTZEL + 4] = 0.0
        s[SLICE_LO : SLICE_LO + SLICES] = np.inf
        s[SLICE_HI : SLICE_HI + SLICES] = -np.inf
        s[TRACE + LAG_BINS :] = 0.0


@njit(cache=True, nogil=True)
def _feed(x, off, at, length, sos, slow, mains, forget, bins, state):  # type: ignore[no-untyped-def]
    # Scalars instead of the row's cells: they stay in registers, which halves the time.
    (b00, b01, b02, a01, a02, i01, i02), (b10, b11, b12, a11, a12, i11, i12) = sos[0], sos[1]
    for lead in range(x.shape[1]):
        s = state[lead]
        if off[lead]:
            s[OFF_N] += x.shape[0]
        last_seen, fed, lo, hi = s[LAST_SEEN], s[FED], s[LO], s[HI]
        top, bottom, at_top, at_bottom = s[TOP], s[BOTTOM], s[AT_TOP], s[AT_BOTTOM]
        level, low, high = s[SLOW], s[SLOW_LO], s[SLOW_HI]
        z00, z01, z10, z11 = s[BAND], s[BAND + 1], s[BAND + 2], s[BAND + 3]
        g0, h0, g1, h1 = s[GOERTZEL], s[GOERTZEL + 1], s[GOERTZEL + 2], s[GOERTZEL + 3]
        power, slope, last_y = s[POWER], s[SLOPE], s[LAST_Y]
        for i in range(x.shape[0]):
            v = x[i, lead]
            last_seen += 1.0
            if not np.isfinite(v):
                continue
            if last_seen == -np.inf or last_seen > forget:
                level = v
                z00, z01, z10, z11 = i01 * v, i02 * v, i11 * v, i12 * v
            last_seen = 0.0
            fed += 1.0
            lo, hi = min(lo, v), max(hi, v)
            if v >= top:
                at_top = at_top + 1.0 if v == top else 1.0
                top = v
            if v <= bottom:
                at_bottom = at_bottom + 1.0 if v == bottom else 1.0
                bottom = v
            level += slow * (v - level)
            low, high = min(low, level), max(high, level)
            u = b00 * v + z00
            z00 = b01 * v - a01 * u + z01
            z01 = b02 * v - a02 * u
            y = b10 * u + z10
            z10 = b11 * u - a11 * y + z11
            z11 = b12 * u - a12 * y
            power += y * y
            slope += (y - last_y) ** 2
            last_y = y
            part = (at + i) * SLICES // length
            if y < s[SLICE_LO + part]:
                s[SLICE_LO + part] = y
            if y > s[SLICE_HI + part]:
                s[SLICE_HI + part] = y
            s[TRACE + LAG_BINS + (at + i) * bins // length] = y
            w = v - level
            g0, h0 = w + mains[0] * g0 - h0, g0
            g1, h1 = w + mains[1] * g1 - h1, g1
        s[LAST_SEEN], s[FED], s[LO], s[HI] = last_seen, fed, lo, hi
        s[TOP], s[BOTTOM], s[AT_TOP], s[AT_BOTTOM] = top, bottom, at_top, at_bottom
        s[SLOW], s[SLOW_LO], s[SLOW_HI] = level, low, high
        s[BAND], s[BAND + 1], s[BAND + 2], s[BAND + 3] = z00, z01, z10, z11
        s[GOERTZEL], s[GOERTZEL + 1], s[GOERTZEL + 2], s[GOERTZEL + 3] = g0, h0, g1, h1
        s[POWER], s[SLOPE], s[LAST_Y] = power, slope, last_y


@njit(cache=True, nogil=True)
def _close_second(length, rails, mains, slope, bins, state, flags, scores):  # type: ignore[no-untyped-def]
    spans = np.empty(SLICES)
    for lead in range(state.shape[0]):
        s = state[lead]
        mask = 0
        fed = s[FED]
        if s[OFF_N] > MISSING_PART * length:
            mask |= OFF
        elif length - fed > MISSING_PART * length:
            mask |= MISSING
        scores[lead] = 0.0
        if mask == 0:
            at_rail = max(s[AT_TOP], s[AT_BOTTOM]) >= RAIL_PART * fed
            far = max(s[HI] - s[LEVEL], s[LEVEL] - s[LO]) > RAIL_MV
            if at_rail and ((s[LEVEL_N] > 0 and far) or s[HI] >= rails[lead, 1] or s[LO] <= rails[lead, 0]):
                mask |= SATURATED
            elif s[HI] - s[LO] < FLAT_MV:
                mask |= FLAT
            if s[SLOW_HI] - s[SLOW_LO] > WANDER_MV:
                mask |= WANDER
            for k in range(2):
                a, b = s[GOERTZEL + 2 * k], s[GOERTZEL + 2 * k + 1]
                power = a * a + b * b - mains[k] * a * b  # NaN where the rate is too low for it
                if power > (max(MAINS_MV, MAINS_PART * (s[HI] - s[LO])) * fed / 2) ** 2:
                    mask |= MAINS
            if mask & (SATURATED | FLAT) == 0:
                for k in range(SLICES):
                    span = s[SLICE_HI + k] - s[SLICE_LO + k]
                    spans[k] = span if span > 0 else 0.0
                spans.sort()
                size = spans[SLICES - 1]
                n = min(int(s[SIZE_N]), SECONDS)
                noise = spans[SLICES // 2]
                usual = min(max(FLOOR_MV, size), CEILING_MV)
                if n > 0:  # the present size counts at once after a gain step, yet only half
                    usual = max(FLOOR_MV, min(size, CEILING_MV) / 2, np.median(s[SIZES : SIZES + n]))
                ratio = noise / usual if s[SLOPE] >= slope * s[POWER] else 0.0
                if ratio > NOISE_RATIO and _repetition(s[TRACE : TRACE + LAG_BINS + bins], bins) >= REPEATED:
                    ratio = 0.0
                mean = (ratio + s[RATIOS] + s[RATIOS + 1]) / 3
                s[RATIOS], s[RATIOS + 1] = ratio, s[RATIOS]
                if mean > NOISE_RATIO:
                    mask |= NOISY
                if FLOOR_MV <= size <= CEILING_MV and noise <= NOISE_RATIO * size:
                    n = int(s[SIZE_N])
                    s[SIZES + n % SECONDS] = size
                    s[SIZE_N] = n + 1 if n + 1 < 2 * SECONDS else SECONDS
                scores[lead] = max(0.0, 1.0 - mean / (2 * NOISE_RATIO))
                s[LEVEL] = s[SLOW] if s[LEVEL_N] == 0 else s[LEVEL] + 0.1 * (s[SLOW] - s[LEVEL])
                s[LEVEL_N] = 1.0
        flags[lead] = mask
        s[TRACE : TRACE + LAG_BINS] = s[TRACE + bins : TRACE + LAG_BINS + bins].copy()
    _open_second(state)


@njit(cache=True, nogil=True)
def _repetition(trace, bins):  # type: ignore[no-untyped-def]
    """Largest correlation of the latest `bins` of `trace` with as many, `LAGS_S` earlier."""
    power = 0.0
    for i in range(LAG_BINS, LAG_BINS + bins):
        power += trace[i] * trace[i]
    best = 0.0
    for lag in range(int(LAGS_S[0] * bins), int(LAGS_S[1] * bins) + 1):
        product = other = 0.0
        for i in range(LAG_BINS, LAG_BINS + bins):
            product += trace[i] * trace[i - lag]
            other += trace[i - lag] * trace[i - lag]
        if power * other > 0:
            best = max(best, product / np.sqrt(power * other))
    return best
