"""Drawn ECG for tests of the analysis: beats where the test says, and everything that goes wrong."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from leadwire.model import INVALID_SAMPLE, SampleChunk

FS = 250.0
GAIN = 200.0
LEADS = ("II", "V1")
BAD_S = 12.3, 24.1


def ecg(
    r_peaks: Iterable[float],
    seconds: float,
    fs: float = FS,
    mv: float = 1.0,
    noise: float = 0.01,
    seed: int = 1,
) -> NDArray[np.float64]:
    """Two leads in mV with a P, QRS and T at each time of `r_peaks` (s); `noise` is its sd in mV."""
    t = np.arange(round(seconds * fs)) / fs
    x = np.zeros((len(t), 2))
    for r in r_peaks:
        for centre, width, height, other in (
            (-0.16, 0.025, 0.10, 0.06),
            (-0.03, 0.010, -0.12, 0.10),
            (0.0, 0.012, 1.0, 0.55),
            (0.03, 0.010, -0.22, -0.8),
            (0.25, 0.045, 0.22, -0.12),
        ):
            near = slice(
                max(0, int((r + centre - 6 * width) * fs)), max(0, int((r + centre + 6 * width) * fs))
            )
            bell = np.exp(-0.5 * ((t[near] - r - centre) / width) ** 2)
            x[near, 0] += mv * height * bell
            x[near, 1] += mv * other * bell
    x += 0.05 * np.sin(2 * np.pi * 0.2 * t)[:, None]
    return x + noise * np.random.default_rng(seed).standard_normal(x.shape)


def wide(r_peaks: Iterable[float], seconds: float, fs: float = FS) -> NDArray[np.float64]:
    """Two leads in mV with a ventricular complex and its opposite T at each time of `r_peaks` (s)."""
    t = np.arange(round(seconds * fs)) / fs
    x = np.zeros((len(t), 2))
    for r in r_peaks:
        for centre, width, height, other in ((0.0, 0.045, 1.4, -1.2), (0.18, 0.06, -0.6, 0.5)):
            bell = np.exp(-0.5 * ((t - r - centre) / width) ** 2)
            x += bell[:, None] * (height, other)
    return x


def ectopic() -> NDArray[np.float64]:
    """Every ectopic pattern: couplet, run, bigeminy, trigeminy, missed beat, R-on-T, SVT, two shapes."""
    plain, fast, slow = [(0.8, 0)], [(0.38, 0)], [(1.4, 0)]
    bigeminy, other_shape = [(0.45, 1), (1.15, 0)], [(0.45, -1), (1.15, 0)]
    steps = [
        *(7 * plain + [(0.42, 1), (0.42, 1), (1.1, 0)] + 2 * plain),
        *(4 * [(0.42, 1)] + [(1.1, 0)] + plain),
        *(4 * bigeminy + 3 * (plain + other_shape)),
        *(6 * plain + [(1.56, 0)] + 2 * plain + 8 * fast),
        *(14 * slow + [(0.36, 1), (2.2, 0)] + 3 * slow),
    ]
    times = 0.4 + np.cumsum([step for step, _ in steps])
    sign = np.array([ventricular for _, ventricular in steps])
    seconds = float(times[-1]) + 2.0
    x = ecg(times[sign == 0], seconds)
    t = np.arange(len(x)) / FS
    for r, up in zip(times[sign != 0], sign[sign != 0], strict=True):
        for centre, width, height, other in ((0.0, 0.04, 1.4, -1.2), (0.2, 0.06, -0.5, 0.4)):
            x += np.exp(-0.5 * ((t - r - centre) / width) ** 2)[:, None] * (up * height, other)
    return x


def fibrillation(seconds: float, fs: float = FS, mv: float = 0.5, seed: int = 5) -> NDArray[np.float64]:
    """Two leads of waves about 5 Hz whose rate and size wander."""
    rng = np.random.default_rng(seed)
    n = round(seconds * fs)
    x = np.zeros((n, 2))
    for lead in range(2):
        steps = np.repeat(rng.standard_normal((2, n // 50 + 1)), 50, axis=1)[:, :n]
        phase = 2 * np.pi * np.cumsum(5.0 + 0.6 * steps[0]) / fs
        size = 1 + 0.4 * np.convolve(steps[1], np.ones(100) / 100, "same")
        x[:, lead] = mv * size * (np.sin(phase) + 0.3 * np.sin(1.7 * phase + lead))
    return x + 0.01 * rng.standard_normal(x.shape)


def regular(rate: float, seconds: float, start: float = 0.4) -> NDArray[np.float64]:
    """R peaks at `rate` 1/min, in s."""
    return np.arange(start, seconds, 60.0 / rate)


def digital(x: NDArray[np.float64], gain: float = GAIN) -> NDArray[np.int16]:
    """mV to int16; NaN becomes `INVALID_SAMPLE`, too much stays at the end of the range."""
    d = np.clip(np.round(np.nan_to_num(x, nan=0.0) * gain), -2047, 2047)
    d[np.isnan(x)] = INVALID_SAMPLE
    return d.astype("<i2")


def chunk(
    d: NDArray[np.int16],
    first: int = 0,
    fs: float = FS,
    leads: tuple[str, ...] = LEADS,
    lead_off: tuple[str, ...] = (),
    late: bool = False,
    stream: str = "t",
) -> SampleChunk:
    """`d` as one chunk beginning at sample `first`."""
    n = d.shape[1]
    return SampleChunk(
        stream=stream,
        first_sample=first,
        fs=fs,
        sig_name=leads[:n],
        units=("mV",) * n,
        adc_gain=(GAIN,) * n,
        baseline=(0,) * n,
        samples=np.ascontiguousarray(d).tobytes(),
        device_time=0.0,
        receive_time=0.0,
        lead_off=lead_off,
        late=late,
    )


def cut(whole: Sequence[SampleChunk], lengths: Sequence[int]) -> list[SampleChunk]:
    """The same rows in chunks of other lengths (used over and over; 0 makes an empty chunk)."""
    out = []
    turn = 0
    for c in whole:
        at = c.first_sample
        while at < c.end_sample:
            stop = min(at + lengths[turn % len(lengths)], c.end_sample)
            out.append(c.rows(at, stop))
            at, turn = stop, turn + 1
    return out


def _troubled(kind: str) -> list[SampleChunk]:
    x = ecg(regular(72, 40), 40)
    n = len(x)
    a, b = round(BAD_S[0] * FS), round(BAD_S[1] * FS)
    if kind == "clean":
        return [chunk(digital(x))]
    if kind == "missing":
        x[a:b] = np.nan
    elif kind == "one lead missing":
        x[a:, 0] = np.nan
    elif kind == "flat":
        x[a:b] = 0.0
    elif kind == "saturated":
        x[a:b] = 20.0
    elif kind == "gain step":
        x[a:] *= 0.2
    elif kind == "lead swap":
        x[a:] = x[a:, ::-1]
    elif kind == "noise":
        x[a:b] = 0.02 * np.random.default_rng(7).standard_normal((b - a, 2))
    elif kind == "loud noise":
        x[a:b] += 1.5 * np.random.default_rng(7).standard_normal((b - a, 2))
    elif kind == "asystole":
        x = ecg(regular(72, 15), 40)
    elif kind == "slow and fast":
        x = ecg([*regular(35, 13), *regular(170, 21, 13.5), *regular(130, 26, 21), *regular(45, 40, 26)], 40)
    elif kind == "ectopic":
        x = ectopic()
    elif kind == "fibrillation":
        x[a:b] = fibrillation((b - a) / FS)
    elif kind == "ventricular tachycardia":
        x = wide(regular(160, 40), 40)
    elif kind == "ventricular rhythm":
        x = ecg(regular(80, 14), 40) + wide([*regular(60, 26, 14.5), *regular(34, 39, 27)], 40)
    elif kind == "irregular":
        rr = np.random.default_rng(11).uniform(0.45, 1.15, 34)
        r = 0.4 + np.cumsum(rr)
        x = ecg([*r, *(r[-1] + regular(80, 39.5 - r[-1], 0.7))], 40)
    elif kind == "broken rows":
        x[np.random.default_rng(3).random(n) < 0.05] = np.nan
    d = digital(x)
    if kind == "gap":
        return [chunk(d[:a]), chunk(d[b:], b)]
    if kind == "long gap":
        return [chunk(d[:a]), chunk(d[a:], a + 1_000_003)]
    if kind == "lead off":
        return [
            chunk(d[:a]),
            chunk(d[a:b], a, lead_off=("II",)),
            chunk(d[b : b + 900], b, lead_off=LEADS),
            chunk(d[b + 900 :], b + 900),
        ]
    if kind == "other leads":
        return [chunk(d[:a]), chunk(d[a:b, :1], a, leads=("III",)), chunk(d[b:], b)]
    if kind == "other rate":
        return [chunk(d[:a]), chunk(d[a:], a, fs=360.0)]
    return [chunk(d)]


TROUBLES = (
    "clean",
    "missing",
    "one lead missing",
    "flat",
    "saturated",
    "gain step",
    "lead swap",
    "noise",
    "loud noise",
    "asystole",
    "slow and fast",
    "ectopic",
    "fibrillation",
    "ventricular tachycardia",
    "ventricular rhythm",
    "irregular",
    "broken rows",
    "gap",
    "long gap",
    "lead off",
    "other leads",
    "other rate",
)


def trouble(kind: str) -> list[SampleChunk]:
    """40 s of a heart at 72/min to which `kind` happens during `BAD_S` (or from then on)."""
    return _troubled(kind)
