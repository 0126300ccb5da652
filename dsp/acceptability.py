"""Acceptability of a short standard ECG (10 s, 12 leads): can a reader interpret it, and if not, why.

`assess` measures each lead, names what is wrong with it, and sums up for the recording.
A lead has the reasons (thresholds in mV and s):

missing        more than `MISSING_PART` of it holds no measurement
lead_off       for `FLAT_PART` of it or more it stands still, `OFF_MV` or farther from zero
flat           for `FLAT_PART` of it or more it moves less than `FLAT_MV` in a second
saturated      `RAIL_PART` of it stands exactly at its highest or lowest value, which is a tall one
poor_contact   it stays more than `FAR_MV` off its usual level, `FAR_S` in all of stays longer than complexes
noisy          half of it swings, 5 to 25 Hz, by more than `NOISE_RATIO` of its complexes and by `NOISE_MV`
mains          50 or 60 Hz of more than `MAINS_MV` amplitude
wander         more than `WANDER_MV` of movement below 0.5 Hz
low_voltage    its complexes are lower than `LOW_MV`
swapped        lead I mirrors V6 and aVR does not: left and right arm are likely exchanged

The verdict is a logistic model (`models/acceptability.json`, made by `benchmarks/train_acceptability.py`)
of a few sums over the leads, because readers forgive one short artefact and not several:
the named features of `features`. Reasons explain; they do not decide. `swapped` is a remark
that a reader can act on and never makes a recording unacceptable.

Task and labels: Silva et al. 2011 (CinC). Flatness, steps and amplitude as signs: Hayn et al. 2012,
Johannesen and Galeotti 2012; departures: time spent off the level instead of a largest value, a fitted
weight for each sign instead of a chain of limits.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from leadwire.errors import BugError

Reason = Literal[
    "missing",
    "lead_off",
    "flat",
    "saturated",
    "poor_contact",
    "noisy",
    "mains",
    "wander",
    "low_voltage",
    "swapped",
]
REASONS: tuple[Reason, ...] = get_args(Reason)
MODEL = Path(__file__).parent / "models" / "acceptability.json"

MISSING_PART = 0.1
FLAT_MV = 0.02
FLAT_PART = 0.3
OFF_MV = 5.0
RAIL_PART = 0.1
RAIL_MV = 2.0
FAR_MV = 2.0
FAR_S = 0.2
STAY_S = 0.06
"""The tallest complexes leave a level by `FAR_MV` too, but not for so long."""
NOISE_RATIO = 0.4
NOISE_MV = 0.1
MAINS_MV = 0.1
WANDER_MV = 1.5
LOW_MV = 0.1
MIRRORED = -0.7
SLICE_S = 1 / 16
"""The pieces that swings are taken over: a complex fills two or three, the rest between them is noise."""
COMPLEXES = 0.05
"""Part of the slices that complexes reach at the slowest rates: their swing is that quantile from above."""
USUAL_MV = 0.3
"""Complexes of a lead larger than this say nothing about quality."""
FEATURES = ("flat", "far", "wander", "small")


@dataclass(frozen=True)
class Measures:
    """What is measured of the leads; each an array of shape (n_leads,).

    Attributes
    ----------
    missing, flat, rail
        Parts (0..1) of the time: without measurement; of the seconds that hardly move; exactly at an extreme.
    level, far, stay
        Usual level (mV), time (s) spent farther than `FAR_MV` from it, and that of it in stays of `STAY_S`.
    size, noise
        Swing of the complexes and of what lies between them, 5 to 25 Hz (mV).
    mains, wander
        Amplitude of 50 or 60 Hz, and range of what lies below 0.5 Hz (mV).
    """

    missing: NDArray[np.float64]
    flat: NDArray[np.float64]
    rail: NDArray[np.float64]
    level: NDArray[np.float64]
    far: NDArray[np.float64]
    stay: NDArray[np.float64]
    size: NDArray[np.float64]
    noise: NDArray[np.float64]
    mains: NDArray[np.float64]
    wander: NDArray[np.float64]


@dataclass(frozen=True)
class Acceptability:
    """The verdict on a recording.

    `probability` is that of being acceptable (0..1), `acceptable` whether it is at least 0.5, and
    `reasons` has one tuple per lead, in the order of the leads.
    """

    acceptable: bool
    probability: float
    reasons: tuple[tuple[Reason, ...], ...]


def assess(x: NDArray[np.float64], fs: float, sig_name: Sequence[str]) -> Acceptability:
    """Judge a recording.

    Parameters
    ----------
    x
        Shape (n_samples, n_leads), mV, NaN where nothing was measured; at least 2 s.
    fs
        Sampling rate, Hz.
    sig_name
        Names of the leads. The verdict was fitted to twelve; `swapped` needs I, aVR and V6.

    Raises
    ------
    BugError
        Fewer than 2 s, no lead, or not one name per lead.
    """
    if x.ndim != 2 or len(x) < 2 * fs or x.shape[1] == 0 or len(sig_name) != x.shape[1]:
        raise BugError(
            f"shape {x.shape} with {len(sig_name)} names came; 2 s or more of 1 lead or more expected"
        )
    found = measure(x, fs)
    weights = model()
    values = (features(found) - weights["mean"]) / weights["scale"]
    odds = float(np.clip(values @ weights["weights"] + weights["bias"][0], -50.0, 50.0))
    unacceptable = 1.0 / (1.0 + np.exp(-odds))
    return Acceptability(
        bool(unacceptable <= 0.5), round(1.0 - unacceptable, 3), reasons(x, fs, sig_name, found)
    )


def measure(x: NDArray[np.float64], fs: float) -> Measures:
    """Measure each lead of `x`, shape (n_samples, n_leads), mV, NaN where nothing was measured."""
    missing = np.mean(~np.isfinite(x), axis=0)
    x = _filled(x)
    level = np.median(x, axis=0)
    away = np.abs(x - level) > FAR_MV
    per = round(fs)
    seconds = x[: len(x) // per * per].reshape(-1, per, x.shape[1])
    ranges = np.ptp(seconds, axis=1)
    at_end = np.maximum(np.mean(x == x.max(axis=0), axis=0), np.mean(x == x.min(axis=0), axis=0))
    band = _filter(x, (5.0, min(25.0, 0.45 * fs)), "bandpass", fs)
    per = max(2, round(SLICE_S * fs))
    swings = np.ptp(band[: len(band) // per * per].reshape(-1, per, x.shape[1]), axis=1)
    slow = _filter(x, 0.5, "lowpass", fs)
    return Measures(
        missing=missing,
        flat=np.mean(ranges < FLAT_MV, axis=0),
        rail=at_end * (np.ptp(x, axis=0) > RAIL_MV),
        level=level,
        far=np.sum(away, axis=0) / fs,
        stay=np.sum(ndimage.binary_opening(away, np.ones((max(1, round(STAY_S * fs)), 1))), axis=0) / fs,
        size=np.quantile(swings, 1 - COMPLEXES, axis=0),
        noise=np.median(swings, axis=0),
        mains=_mains(x - slow, fs),
        wander=np.ptp(slow, axis=0),
    )


def features(m: Measures) -> NDArray[np.float64]:
    """What the verdict rests on, shape (len(FEATURES),).

    flat
        Largest part of a lead that stands still or is missing, as a root.
    far
        Logarithm of the time that all leads together spend off their level, in units of `FAR_S`.
    wander
        Logarithm of the largest wander, 0.2 to 5 mV.
    small
        Mean over the leads of how much smaller than `USUAL_MV` the complexes are (logarithm, <= 0).
    """
    dead = np.clip(m.flat + m.missing, 0.0, 1.0)
    size = np.where(dead < FLAT_PART, np.clip(m.size, 0.02, 5.0), USUAL_MV)
    return np.array(
        [
            np.sqrt(dead.max()),
            np.log1p(m.far.sum() / FAR_S),
            np.log(np.clip(m.wander.max(), 0.2, 5.0)),
            np.mean(np.minimum(np.log(size / USUAL_MV), 0.0)),
        ]
    )


def reasons(
    x: NDArray[np.float64], fs: float, sig_name: Sequence[str], m: Measures
) -> tuple[tuple[Reason, ...], ...]:
    """Name what is wrong with each lead, in the order of `REASONS`."""
    gone = m.missing > MISSING_PART
    still = ~gone & (m.flat >= FLAT_PART)
    live = ~gone & ~still
    rail = live & (m.rail >= RAIL_PART)
    said: dict[Reason, NDArray[np.bool_]] = {
        "missing": gone,
        "lead_off": still & (np.abs(m.level) >= OFF_MV),
        "flat": still & (np.abs(m.level) < OFF_MV),
        "saturated": rail,
        "poor_contact": live & ~rail & (m.stay >= FAR_S),
        "noisy": live & (m.noise > np.maximum(NOISE_MV, NOISE_RATIO * m.size)),
        "mains": live & (m.mains > MAINS_MV),
        "wander": live & (m.wander > WANDER_MV),
        "low_voltage": live & (m.size < LOW_MV),
        "swapped": _swapped(x, fs, sig_name) & live,
    }
    return tuple(tuple(r for r in REASONS if said[r][i]) for i in range(x.shape[1]))


@lru_cache(maxsize=1)
def model() -> dict[str, NDArray[np.float64]]:
    """The fitted weights: `mean`, `scale`, `weights` per feature, `bias` of one."""
    found = json.loads(MODEL.read_text(encoding="utf-8"))
    if tuple(found["features"]) != FEATURES:
        raise BugError(f"{MODEL.name} has the features {found['features']}; {list(FEATURES)} were expected")
    return {name: np.array(found[name], dtype=np.float64) for name in ("mean", "scale", "weights", "bias")}


def _filled(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """A copy in which what is missing holds the lead's last value (0 before the first)."""
    known = np.isfinite(x)
    last = np.maximum.accumulate(np.where(known, np.arange(len(x))[:, None], -1), axis=0)
    filled = np.take_along_axis(x, np.maximum(last, 0), axis=0)
    return np.where(last >= 0, filled, 0.0)


def _filter(
    x: NDArray[np.float64], hz: float | tuple[float, float], kind: str, fs: float
) -> NDArray[np.float64]:
    sos = signal.butter(2, hz, btype=kind, fs=fs, output="sos")
    return np.asarray(signal.sosfiltfilt(sos, x, axis=0))


def _mains(x: NDArray[np.float64], fs: float) -> NDArray[np.float64]:
    """Amplitude of 50 or 60 Hz that is there all the time: the median over the seconds."""
    per = round(fs)
    t = np.arange(per) / fs
    seconds = x[: len(x) // per * per].reshape(-1, per, x.shape[1])
    found = np.zeros(x.shape[1])
    for hz in (50.0, 60.0):
        if hz < 0.45 * fs:
            wave = np.exp(-2j * np.pi * hz * t) * np.hanning(per) * 4 / per
            found = np.maximum(found, np.median(np.abs(np.tensordot(seconds, wave, axes=(1, 0))), axis=0))
    return found


def _swapped(x: NDArray[np.float64], fs: float, sig_name: Sequence[str]) -> NDArray[np.bool_]:
    """True at lead I where the arms are likely exchanged: I upside down beside V6, aVR upright."""
    found = np.zeros(x.shape[1], dtype=np.bool_)
    upper = [name.upper() for name in sig_name]
    if not {"I", "AVR", "V6"} <= set(upper):
        return found
    y = _filter(_filled(x), (0.5, 40.0 if fs > 90 else 0.4 * fs), "bandpass", fs)
    lead_1, avr, v6 = (np.clip(y[:, upper.index(name)], -3.0, 3.0) for name in ("I", "AVR", "V6"))
    if min(lead_1.std(), avr.std(), v6.std()) > 0:
        found[upper.index("I")] = (
            np.corrcoef(lead_1, v6)[0, 1] < MIRRORED and np.corrcoef(avr, v6)[0, 1] > -MIRRORED
        )
    return found
