"""Synthetic 12-lead patients: the waves of neurokit2, the rhythms of a script, ground truth beside them.

The waves P, Q, R, S and T are simulated one by one with ECGSYN as neurokit2 has it and put together
here, beat by beat. They look like the rhythm that the script names and serve demonstrations and tests of the
pipeline; nothing measured on them says how well a detector does on patients. VT and VF above all are
caricatures: wide beats in a row, and a few drifting sines.

References
----------
McSharry et al., A dynamical model for generating synthetic electrocardiogram signals, IEEE Trans
Biomed Eng 50(3), 2003. Makowski et al., NeuroKit2, Behav Res Methods 53, 2021 (`ecg_simulate`).

Departures: neurokit2's own twelve leads scale each lead to one range and so break I + III = II and the
sign of aVR; here eight independent leads (I, II, V1..V6) get adult amplitudes in mV and the other four
follow by Einthoven and Goldberger. Beat times come from the script, not from the model's RR process,
so that a rhythm can change between two beats. Each wave is cut at its feet, for the model's slow return
to zero would fill an asystole; T moves and widens with the square root of RR. PVCs are the same waves,
widened, without P and with T against QRS.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from leadwire.errors import SettingError
from simulators.script import LEADS, Part, parse_script
from simulators.source import ArraySource, from_physical

Array = NDArray[np.float64]

_WAVES = ("P", "Q", "R", "S", "T")
_HALF_S = {"P": 0.12, "Q": 0.06, "R": 0.06, "S": 0.06, "T": 0.22}  # from the peak to the feet
_FINE = 1000  # Hz of the stored waves
# Offsets of the waves from R in s at RR = 1 s: ECGSYN's angles, with P and T moved to adult intervals.
_AT = {"P": -0.17, "Q": -0.035, "R": 0.0, "S": 0.035, "T": 0.28}
# mV of P, Q, R, S, T in the independent leads: an ordinary adult.
_AMPLITUDE = {
    "I": (0.10, -0.05, 0.70, -0.15, 0.25),
    "II": (0.15, -0.08, 1.10, -0.20, 0.32),
    "V1": (0.05, 0.0, 0.25, -0.95, -0.05),
    "V2": (0.06, 0.0, 0.50, -1.30, 0.45),
    "V3": (0.06, 0.0, 0.90, -0.90, 0.50),
    "V4": (0.07, -0.05, 1.50, -0.50, 0.45),
    "V5": (0.07, -0.08, 1.40, -0.25, 0.38),
    "V6": (0.07, -0.08, 1.10, -0.12, 0.30),
}
_PVC_AXIS = {"I": 0.5, "II": 1.6, "V1": -1.4, "V2": -1.5, "V3": -0.8, "V4": 1.2, "V5": 1.4, "V6": 1.2}
_AUX = {
    "sinus": "(N", "bradycardia": "(SBR", "tachycardia": "(SVTA", "af": "(AFIB", "bigeminy": "(B",
    "trigeminy": "(T", "vt": "(VT", "vf": "(VF", "asystole": "(ASYS", "pause": "(P",
}  # fmt: skip
_TO_12 = np.zeros((8, 12))  # the eight independent leads to all twelve
for _i, _row in enumerate(
    [
        {"I": 1, "III": -1, "aVR": -0.5, "aVL": 1, "aVF": -0.5},
        {"II": 1, "III": 1, "aVR": -0.5, "aVL": -0.5, "aVF": 1},
    ]
):
    for _lead, _weight in _row.items():
        _TO_12[_i, LEADS.index(_lead)] = _weight
for _i in range(6):
    _TO_12[2 + _i, 6 + _i] = 1


@dataclass(frozen=True)
class Truth:
    """What a synthetic record is, sample by sample; numbers as in `ArraySource.read`.

    Attributes
    ----------
    beats
        (sample of R, WFDB beat symbol), in order.
    rhythms
        (first sample, WFDB aux_note), in order; each lasts until the next.
    """

    beats: tuple[tuple[int, str], ...]
    rhythms: tuple[tuple[int, str], ...]


def simulate(script: str, fs: float = 250.0, seed: int = 0) -> tuple[ArraySource, Truth]:
    """Play `script` (`simulators.script`) on the patient of `seed`.

    The end joins the beginning without a step, so that the record may be looped.

    Returns
    -------
    source, truth
        Twelve leads in mV at `fs` Hz, and what they are. Same arguments, same bytes.

    Raises
    ------
    SettingError
        The script cannot be read, or neurokit2 is not installed.
    """
    parts = parse_script(script)
    rng = np.random.default_rng(seed)
    ends = np.cumsum([round(p.seconds * fs) for p in parts])
    starts = [0, *(int(e) for e in ends[:-1])]
    n = int(ends[-1])
    beats = _schedule(parts, np.array([*starts, n]) / fs, rng)
    patient = _Patient.of(rng)
    x = np.zeros((n, 8))
    for t, symbol, rr in beats:
        part = parts[int(np.searchsorted(ends / fs, t, side="right"))]
        _add_beat(x, patient, t, symbol, rr, fs, atrial=symbol == "N" and part.rhythm != "af", rng=rng)
    for part, first, end in zip(parts, starts, ends, strict=True):
        if part.rhythm in ("af", "vf"):
            x[first:end] += _waves_without_beats(part.rhythm, int(end) - first, fs, rng)
    y = x @ _TO_12 + _wander(n, fs, rng) + 0.004 * rng.standard_normal((n, 12))
    off = []
    for part, first, end in zip(parts, starts, ends, strict=True):
        if part.noise:
            y[first:end] += _muscle(int(end) - first, part.noise, rng)
        if part.off:
            y[first:end, [LEADS.index(lead) for lead in part.off]] = np.nan
            off.append((first, int(end), part.off))
    truth = Truth(
        tuple((round(t * fs), symbol) for t, symbol, _ in beats if round(t * fs) < n),
        tuple((first, _AUX[part.rhythm]) for part, first in zip(parts, starts, strict=True)),
    )
    return from_physical(y, fs, LEADS, off=tuple(off)), truth


@cache
def _wave_shapes() -> dict[str, Array]:
    """Each wave alone, peak 1, at `_FINE` Hz, from foot to foot."""
    try:
        import neurokit2
    except ImportError:
        raise SettingError(
            "synthetic patients need neurokit2, which is not installed; pip install 'leadwire[demo]'"
        ) from None
    shapes = {}
    for i, wave in enumerate(_WAVES):
        alone = np.zeros(5)
        alone[i] = 1.0
        ecg = neurokit2.ecg_simulate(
            duration=6,
            sampling_rate=_FINE,
            noise=0,
            heart_rate=60,
            heart_rate_std=0,
            ai=alone,
            random_state=1,
        )
        half = round(_HALF_S[wave] * _FINE)
        settled = np.asarray(ecg, dtype=np.float64)[2500:4500]  # after two cycles; two more with their peaks
        peak = half + int(np.argmax(settled[half:-half]))
        shape = settled[peak - half : peak + half + 1]
        shape = shape - np.linspace(shape[0], shape[-1], len(shape))
        shapes[wave] = shape / shape[half] * np.hanning(len(shape)) ** 0.25
    return shapes


@dataclass(frozen=True)
class _Patient:
    """Amplitudes (8 leads, 5 waves) in mV of an ordinary and of a ventricular beat, PR and QT."""

    normal: Array
    ventricular: Array
    pr: float
    qt: float

    @classmethod
    def of(cls, rng: np.random.Generator) -> "_Patient":
        normal = np.array(list(_AMPLITUDE.values()))
        normal = normal * rng.normal(1, 0.08, normal.shape) * rng.uniform(0.8, 1.2)
        axis = np.array([_PVC_AXIS[lead] for lead in _AMPLITUDE]) * rng.normal(1, 0.1, 8)
        none = np.zeros(8)
        ventricular = np.column_stack([none, -0.15 * axis, axis, -0.25 * axis, -0.35 * axis])
        return cls(normal, ventricular, rng.uniform(0.95, 1.08), rng.uniform(0.95, 1.08))


def _schedule(
    parts: tuple[Part, ...], bounds: Array, rng: np.random.Generator
) -> list[tuple[float, str, float]]:
    """Beats as (time of R in s, symbol, mean RR of their rhythm in s), each after the one before."""
    beats: list[tuple[float, str, float]] = []
    t, last, mean = float(rng.uniform(0.3, 0.5)), -1.0, 0.8
    for part, start, end in zip(parts, bounds[:-1], bounds[1:], strict=True):
        if not part.rate:
            # An asystole or a fibrillation lasts from end to end, a pause from beat to beat.
            t = float(end) + 0.25
            if part.rhythm == "pause" and beats:
                t = last + max(part.seconds, mean)
                if t < end:
                    beats.append((t, "N", mean))
                    last, t = t, t + mean
            continue
        t = max(t, float(start))
        mean, breath = 60 / part.rate, rng.uniform(0, 2 * np.pi)
        count, early = 0, False
        while t < end - 0.1:
            if part.rhythm in ("bigeminy", "trigeminy"):
                early = count % (2 if part.rhythm == "bigeminy" else 3) == 1
            elif part.pvc and not early:
                early = bool(rng.random() < part.pvc / part.rate)
            else:
                early = False
            if part.rhythm == "vt":
                symbol, rr = "V", mean * rng.normal(1, 0.015)
            elif part.rhythm == "af":
                symbol, rr = "N", max(0.3, mean * float(np.clip(rng.gamma(16, 1 / 16), 0.5, 1.9)))
            else:
                sway = 0.03 * np.sin(2 * np.pi * 0.25 * t + breath)
                symbol, rr = "N", mean * (1 + sway + rng.normal(0, 0.008))
            # An extrasystole comes early, and its pause makes up for it.
            at = t - 0.35 * rr
            if early and count and at > last + 0.3:
                last, symbol = at, "V"
            else:
                last = t
            beats.append((last, symbol, mean))
            t, count = t + rr, count + 1
    return beats


def _add_beat(
    x: Array,
    patient: _Patient,
    t: float,
    symbol: str,
    rr: float,
    fs: float,
    atrial: bool,
    rng: np.random.Generator,
) -> None:
    """Add the beat with R at `t` s to `x`, going round its end."""
    shapes = _wave_shapes()
    stretch = float(np.sqrt(np.clip(rr, 0.25, 1.4)))
    amplitudes = patient.ventricular if symbol == "V" else patient.normal
    amplitudes = amplitudes * rng.normal(1, 0.02)
    for i, wave in enumerate(_WAVES):
        if wave == "P" and not atrial:
            continue
        at, width = _AT[wave], 1.0
        if wave == "P":
            at, width = at * patient.pr * min(1.0, 0.6 + 0.4 * stretch), min(1.0, 0.5 + 0.5 * stretch)
        elif wave == "T":
            at, width = at * patient.qt * stretch, stretch
        if symbol == "V":
            at, width = at * (1.1 if wave == "T" else 1.7), width * (1.0 if wave == "T" else 1.8)
        half = _HALF_S[wave] * width
        first, last = int(np.ceil((t + at - half) * fs)), int(np.floor((t + at + half) * fs))
        index = np.arange(first, last + 1)
        fine = (index / fs - t - at) / width * _FINE + _HALF_S[wave] * _FINE
        shape = np.interp(fine, np.arange(len(shapes[wave])), shapes[wave])
        x[index % len(x)] += shape[:, None] * amplitudes[:, i]


def _waves_without_beats(rhythm: str, n: int, fs: float, rng: np.random.Generator) -> Array:
    """The f waves of atrial fibrillation, or ventricular fibrillation: drifting sines, faded at the ends."""
    t = np.arange(n) / fs
    low, high, mv = (5.0, 8.0, 0.04) if rhythm == "af" else (3.5, 6.0, 0.35)
    out = np.zeros((n, 8))
    for _ in range(3):
        drift = np.interp(t, np.arange(0, t[-1] + 2.0), rng.uniform(low, high, int(t[-1] + 2) + 1))
        size = np.interp(t, np.arange(0, t[-1] + 2.0), rng.uniform(0.4, 1.0, int(t[-1] + 2) + 1))
        wave = size * np.sin(2 * np.pi * np.cumsum(drift) / fs + rng.uniform(0, 6))
        out += wave[:, None] * rng.normal(0, mv, 8)
    fade = np.clip(np.minimum(t, t[::-1]) / 0.3, 0, 1)
    return out * fade[:, None]


def _wander(n: int, fs: float, rng: np.random.Generator) -> Array:
    """Breathing: a whole number of sines over the record, so that its end joins its beginning."""
    t = np.arange(n)[:, None] / n
    cycles = max(1, round(n / fs * 0.22))
    phase, mv = rng.uniform(0, 2 * np.pi, 12), rng.uniform(0.01, 0.05, 12)
    return np.asarray(mv * np.sin(2 * np.pi * cycles * t + phase))


def _muscle(n: int, mv: float, rng: np.random.Generator) -> Array:
    """Muscle noise of `mv` standard deviation: white noise less its slow part."""
    white = rng.standard_normal((n + 1, 12))
    noise: Array = np.diff(white, axis=0) * (mv / np.sqrt(2))
    return noise
