"""The standard test waveforms of cardiac monitors, drawn anew: what a monitor must read rightly.

IEC 60601-2-27 and ANSI/AAMI EC13 ask a monitor to show the rate of steps, bigeminies and tachycardias, to
ignore tall T waves, pacing pulses, drift and mains, and to see complexes down to 0.15 mV. The
figures of the standards are recordings; these are our own drawings with the properties that manuals quote
(rate, amplitude, width, order of beats), so they prove a property, never conformity.

All times in s, amplitudes in mV peak to peak, one lead; the electrode's signal as a device would digitize
it. Not here: whole patients (`synthetic.py`) and faults of devices (`faults.py`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

QRS_S = 0.08
T_AT_S, T_S = 0.30, 0.18
V_S = 0.14
VT_RATE, VT_MV = {"B1": 206.0, "B2": 195.0}, {"B1": 1.0, "B2": 2.0}
BIGEMINY_RATE = {"A1": 80.0, "A2": 60.0, "A3": 120.0, "A4": 90.0}
PULSE_RANGE_MV = 400.0  # an ordinary converter clips what is beyond


@dataclass(frozen=True)
class Beat:
    """One beat of a drawing: R peak at `at`; `kind` N (narrow, with T), V or v (wide, up or down)."""

    at: float
    kind: str = "N"


def rhythm(rate: float, start: float, stop: float, kind: str = "N") -> list[Beat]:
    """Beats at `rate` 1/min from `start` to before `stop`."""
    return [Beat(float(t), kind) for t in np.arange(start, stop - 1e-9, 60.0 / rate)]


def steps(rates: Sequence[tuple[float, float]], start: float = 0.4) -> list[Beat]:
    """Beats whose rate changes: (rate in 1/min, until when in s), one after the other."""
    beats: list[Beat] = []
    for rate, until in rates:
        beats += rhythm(rate, start, until)
        start = beats[-1].at + 60.0 / rate if beats else start
    return beats


def bigeminy(name: str, seconds: float, start: float = 0.4) -> list[Beat]:
    """A1 ventricular bigeminy (80/min), A2 slow and A3 rapid alternating (60, 120), A4 bidirectional (90).

    A2 and A3 alternate between two coupling intervals; A4 is wide complexes up and down in turn. Rates
    count every beat.
    """
    pair = 2 * 60.0 / BIGEMINY_RATE[name]
    kinds, parts = {
        "A1": ("NV", (0.38, 0.62)),
        "A2": ("NVNV", (0.32, 0.68, 0.44, 0.56)),
        "A3": ("NVNV", (0.42, 0.58, 0.46, 0.54)),
        "A4": ("Vv", (0.5, 0.5)),
    }[name]
    beats: list[Beat] = []
    at = start
    for kind, part in cycle(zip(kinds, parts, strict=True)):
        if at >= seconds:
            return beats
        beats.append(Beat(at, kind))
        at += part * pair
    return beats


def draw(
    beats: Iterable[Beat],
    seconds: float,
    fs: float,
    mv: float = 1.0,
    width: float = QRS_S,
    t_mv: float = 0.2,
    noise_mv: float = 0.003,
    seed: int = 1,
) -> Array:
    """The lead with these beats, shape (n_samples, 1), in mV.

    Parameters
    ----------
    mv, width
        Amplitude and duration of the narrow complex; wide ones have the same amplitude and last `V_S`.
    t_mv
        Height of the T wave of narrow beats (for `mv` 1: it scales with it).
    noise_mv
        Standard deviation of the electrode's own noise.
    """
    t = np.arange(round(seconds * fs)) / fs
    x = np.zeros(len(t))
    ordered = sorted(beats, key=lambda b: b.at)
    for number, beat in enumerate(ordered):
        after = ordered[number + 1].at - beat.at if number + 1 < len(ordered) else 1.0
        # QT shortens with the interval, so that T never runs into the next complex.
        squeeze = min(1.0, after / 0.6)
        if beat.kind == "N":
            _qrs(x, t, beat.at, mv, width)
            _bell(x, t, beat.at + T_AT_S * squeeze, mv * t_mv, T_S * squeeze)
        else:
            sign = 1.0 if beat.kind == "V" else -1.0
            _bell(x, t, beat.at, sign * 0.75 * mv, V_S)
            _bell(x, t, beat.at + 0.24 * squeeze, -sign * 0.25 * mv, 0.2 * squeeze)
    x += noise_mv * np.random.default_rng(seed).standard_normal(len(x))
    return x[:, None]


def ventricular_tachycardia(name: str, gain: float, before: float, seconds: float, fs: float) -> Array:
    """B1 (206/min, 1 mV) or B2 (195/min, 2 mV), times `gain`, after `before` seconds of 80/min at 1 mV."""
    normal = rhythm(80.0, 0.4, before)
    x = draw(normal, seconds, fs)
    period = 60.0 / VT_RATE[name]
    first = (normal[-1].at if normal else 0.0) + 0.45
    t = np.arange(len(x)) / fs
    for at in np.arange(first, seconds, period):
        _bell(x[:, 0], t, at, 0.6 * VT_MV[name] * gain, 0.6 * period)
        _bell(x[:, 0], t, at + period / 2, -0.4 * VT_MV[name] * gain, 0.6 * period)
    return x


def pulses(
    at: Iterable[float],
    seconds: float,
    fs: float,
    mv: float,
    width: float,
    overshoot_mv: float = 0.0,
    tail_s: float = 0.05,
) -> Array:
    """Pacing pulses as a delta-sigma converter gives them, shape (n_samples, 1).

    Each pulse of `mv` and `width` (0.0001 to 0.002 s) is spread by the converter's third-order sinc filter
    over three samples; an overshoot of opposite sign decays with time constant `tail_s`.
    """
    fine = 40  # steps of the converter's filter per sample
    n = round(seconds * fs)
    x = np.zeros(n)
    box = np.full(fine, 1.0 / fine)
    sinc = np.convolve(np.convolve(box, box), box)
    clipped = float(np.clip(mv, -PULSE_RANGE_MV, PULSE_RANGE_MV))
    sign = float(np.sign(mv))
    for start in at:
        first = int(start * fs)
        span = min(n - first, int((8 * tail_s if overshoot_mv else 0.0) * fs) + 8)
        t = (np.arange(span * fine) + 0.5) / (fs * fine) - (start - first / fs)
        # How much of each fine step the pulse covers: 0.1 ms is less than a step at low rates.
        half = 0.5 / (fs * fine)
        cover = np.clip((np.minimum(t + half, width) - np.maximum(t - half, 0.0)) / (2 * half), 0, 1)
        wave = clipped * cover - sign * overshoot_mv * np.exp(-np.maximum(t - width, 0) / tail_s) * (
            t > width
        )
        x[first : first + span] += np.convolve(wave, sinc)[: span * fine : fine]
    return x[:, None]


def drift(seconds: float, fs: float, mv: float = 4.0, hz: float = 0.1) -> Array:
    """A triangle of `mv` peak to peak at `hz`, shape (n_samples, 1)."""
    turn = np.arange(round(seconds * fs)) / fs * hz % 1.0
    return np.asarray(mv * (2 * np.abs(turn - 0.5) - 0.5))[:, None]


def mains(seconds: float, fs: float, hz: float = 50.0, mv: float = 0.1) -> Array:
    """Mains hum of `mv` peak to peak, shape (n_samples, 1)."""
    return np.asarray(0.5 * mv * np.sin(2 * np.pi * hz * np.arange(round(seconds * fs)) / fs))[:, None]


def _qrs(x: Array, t: Array, at: float, mv: float, width: float) -> None:
    """Q, R and S as straight lines: R 7/8 and S 1/8 of the amplitude, over `width` altogether."""
    knots = at + width * np.array([-0.5, -0.3, 0.0, 0.25, 0.5])
    near = slice(int(np.searchsorted(t, knots[0])), int(np.searchsorted(t, knots[-1])) + 1)
    x[near] += np.interp(t[near], knots, mv * np.array([0.0, 0.05, 0.875, -0.125, 0.0]), 0.0, 0.0)


def _bell(x: Array, t: Array, at: float, mv: float, width: float) -> None:
    """A raised cosine of `width` about `at`."""
    near = slice(int(np.searchsorted(t, at - width / 2)), int(np.searchsorted(t, at + width / 2)))
    x[near] += mv * 0.5 * (1 + np.cos(2 * np.pi * (t[near] - at) / width))
