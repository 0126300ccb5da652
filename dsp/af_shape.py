"""What a single-lead recording looks like apart from its rhythm: P waves, f waves, complexes, noise.

P waves are looked for in the stretch before the complexes: how much of it repeats from beat to beat
(`coherence`: power of the mean over mean power). In fibrillation what lies there has no fixed place.
f waves are looked for in what is left when the mean beat is taken away.
Inverted leads are turned over first.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import signal

Floats = NDArray[np.float64]

RATE_HZ = 200.0
LEFT_S, RIGHT_S = 0.36, 0.44
LEAST_BEATS = 4
NAMES = (
    "rho median",
    "rho low",
    "rho poor",
    "whole rho median",
    "whole rho low",
    "height",
    "height cv",
    "width",
    "peaks",
    "after",
    "P coherence",
    "P rho",
    "P height",
    "P height to noise",
    "P place",
    "P place spread",
    "P sharp",
    "T coherence",
    "T height",
    "Q coherence",
    "rest power",
    "rest peak",
    "rest purity",
    "rest 4-9",
    "rest 9-15",
    "PR coherence early",
    "noise fast",
    "noise slow",
    "noise even",
    "noise burst",
    "kurtosis",
    "still",
    "fast to slow",
)


def prepare(x: Floats, fs: float) -> Floats:
    """Return the lead at `RATE_HZ`, band-passed to 0.7-40 Hz without delay."""
    sos = signal.butter(2, (0.7, min(40.0, 0.45 * fs)), btype="bandpass", fs=fs, output="sos")
    filled = np.interp(np.arange(len(x)), np.flatnonzero(np.isfinite(x)), x[np.isfinite(x)])
    y = signal.sosfiltfilt(sos, filled, padlen=min(len(x) - 1, int(2 * fs)))
    t = np.arange(int(len(x) / fs * RATE_HZ)) / RATE_HZ
    return np.asarray(np.interp(t, np.arange(len(x)) / fs, y))


def shape(y: Floats, r: Floats) -> Floats:
    """Return the features of `NAMES` (NaN: cannot be told).

    Parameters
    ----------
    y
        What `prepare` gave.
    r
        R peaks in s.
    """
    out = dict.fromkeys(NAMES, np.nan)
    _noise(y, out)
    left, right = round(LEFT_S * RATE_HZ), round(RIGHT_S * RATE_HZ)
    at = np.round(r * RATE_HZ).astype(np.int64)
    at = at[(at >= left) & (at + right < len(y))]
    if len(at) >= LEAST_BEATS:
        beats = y[at[:, None] + np.arange(-left, right)]
        beats, at = _aligned(y, beats, at, left, right)
        mean = np.median(beats, axis=0)
        if -mean[left - 12 : left + 13].min() > 1.2 * mean[left - 12 : left + 13].max():
            y, beats, mean = -y, -beats, -mean
        _complexes(beats, mean, left, out)
        _waves(beats, mean, left, out)
        _rest(y, at, mean, left, out)
    return np.array([out[name] for name in NAMES])


def _aligned(
    y: Floats, beats: Floats, at: NDArray[np.int64], left: int, right: int
) -> tuple[Floats, NDArray[np.int64]]:
    """Move each beat by up to 0.04 s to where its complex fits the median best."""
    mean = np.median(beats, axis=0)[left - 20 : left + 21]
    reach = 8
    lags = np.arange(-reach, reach + 1)
    padded = np.pad(y, reach + 20)
    pieces = padded[at[:, None, None] + reach + 20 + lags[None, :, None] + np.arange(-20, 21)]
    best = lags[np.argmax(pieces @ (mean - mean.mean()), axis=1)]
    at = np.clip(at + best, left, len(y) - right - 1)
    return y[at[:, None] + np.arange(-left, right)], at


def _rho(beats: Floats, mean: Floats) -> Floats:
    a = beats - beats.mean(axis=1, keepdims=True)
    b = mean - mean.mean()
    return np.asarray(a @ b / np.sqrt((a**2).sum(axis=1) * (b**2).sum() + 1e-12))


def _coherence(beats: Floats) -> float:
    """Power of the mean over mean power, each beat about its own mean; free of the number of beats."""
    z = beats - beats.mean(axis=1, keepdims=True)
    n = len(z)
    part = (z.mean(axis=0) ** 2).sum() / ((z**2).sum(axis=1).mean() + 1e-9)
    return float((n * part - 1) / (n - 1))


def _complexes(beats: Floats, mean: Floats, left: int, out: dict[str, float]) -> None:
    qrs = slice(left - 20, left + 25)
    rho = _rho(beats[:, qrs], mean[qrs])
    out["rho median"], out["rho low"] = float(np.median(rho)), float(np.quantile(rho, 0.1))
    out["rho poor"] = float(np.mean(rho < 0.85))
    rho = _rho(beats[:, left - 50 :], mean[left - 50 :])
    out["whole rho median"], out["whole rho low"] = float(np.median(rho)), float(np.quantile(rho, 0.1))
    heights = np.ptp(beats[:, qrs], axis=1)
    out["height"] = float(np.median(heights))
    out["height cv"] = float(np.subtract(*np.quantile(heights, (0.75, 0.25))) / (np.median(heights) + 1e-6))
    slope = np.diff(mean[left - 30 : left + 36]) ** 2
    run = np.cumsum(slope) / (slope.sum() + 1e-12)
    out["width"] = float(np.searchsorted(run, 0.95) - np.searchsorted(run, 0.05)) / RATE_HZ
    size = np.ptp(mean[qrs])
    out["peaks"] = float(len(signal.find_peaks(np.abs(mean[qrs]), prominence=0.08 * size)[0]))
    out["after"] = float(mean[left + 3 : left + 20].min() / (size + 1e-6))


def _waves(beats: Floats, mean: Floats, left: int, out: dict[str, float]) -> None:
    size = np.ptp(mean[left - 20 : left + 25]) + 1e-6
    p = slice(left - 52, left - 12)  # 0.26 to 0.06 s before R
    out["P coherence"] = _coherence(beats[:, p])
    out["PR coherence early"] = _coherence(beats[:, left - 70 : left - 40])
    out["P rho"] = float(np.median(_rho(beats[:, p], mean[p])))
    flat = mean[p] - np.linspace(mean[p][:4].mean(), mean[p][-4:].mean(), len(mean[p]))
    where = int(np.argmax(flat))
    out["P height"] = float(flat[where] / size)
    rough = np.std(beats[:, p] - mean[p], axis=0).mean() / np.sqrt(len(beats))
    out["P height to noise"] = float(flat[where] / (rough + 1e-6))
    out["P place"] = (52 - where) / RATE_HZ
    smooth = signal.lfilter(np.ones(5) / 5, 1.0, beats[:, p], axis=1)
    places = np.argmax(smooth, axis=1)
    out["P place spread"] = float(np.subtract(*np.quantile(places, (0.75, 0.25)))) / RATE_HZ
    out["P sharp"] = float(np.ptp(np.diff(flat)) / size)
    t = slice(left + 30, left + 88)
    out["T coherence"] = _coherence(beats[:, t])
    out["T height"] = float(np.ptp(mean[t]) / size)
    out["Q coherence"] = _coherence(beats[:, left - 20 : left + 20])


def _rest(y: Floats, at: NDArray[np.int64], mean: Floats, left: int, out: dict[str, float]) -> None:
    """What is left without the mean beats, as part of the complexes' size."""
    rest = y.copy()
    taper = np.ones(len(mean))
    taper[:10] = np.linspace(0, 1, 10)
    taper[-10:] = np.linspace(1, 0, 10)
    taper[: left - 16] = 0.0  # the P wave stays: it is what is asked for
    taper[left - 16 : left - 11] = np.linspace(0, 1, 5)
    own = mean * taper
    for k in at:
        piece = rest[k - left : k - left + len(mean)]
        gain = float(piece[left - 10 : left + 11] @ own[left - 10 : left + 11])
        gain /= float(own[left - 10 : left + 11] @ own[left - 10 : left + 11]) + 1e-9
        piece -= own * min(max(gain, 0.5), 1.5)
        piece[left - 12 : left + 14] *= 0.1
    f, power = signal.welch(rest, RATE_HZ, nperseg=min(len(rest), 800))
    band = (f >= 1.0) & (f <= 20.0)
    total = power[band].sum() + 1e-12
    atrial = (f >= 4.0) & (f <= 9.0)
    peak = f[atrial][np.argmax(power[atrial])]
    out["rest power"] = float(np.log(np.sqrt(total) / (np.ptp(mean) + 1e-6) + 1e-6))
    out["rest peak"] = float(peak)
    out["rest purity"] = float(power[np.abs(f - peak) <= 0.6].sum() / (power[atrial].sum() + 1e-12))
    out["rest 4-9"] = float(power[atrial].sum() / total)
    out["rest 9-15"] = float(power[(f > 9) & (f <= 15)].sum() / total)


def _noise(y: Floats, out: dict[str, float]) -> None:
    n = int(RATE_HZ)
    seconds = y[: len(y) // n * n].reshape(-1, n)
    rms = np.sqrt((seconds**2).mean(axis=1)) + 1e-6
    out["noise even"] = float(rms.min() / np.median(rms))
    out["noise burst"] = float(rms.max() / np.median(rms))
    out["still"] = float(np.mean(np.ptp(seconds, axis=1) < 0.05))
    f, power = signal.welch(y, RATE_HZ, nperseg=min(len(y), 800))
    total = power.sum() + 1e-12
    out["noise fast"] = float(power[f > 25].sum() / total)
    out["noise slow"] = float(power[f < 1.5].sum() / total)
    out["fast to slow"] = float(
        np.log((power[(f > 15)].sum() + 1e-9) / (power[(f > 5) & (f < 15)].sum() + 1e-9))
    )
    z = y - y.mean()
    out["kurtosis"] = float((z**4).mean() / ((z**2).mean() ** 2 + 1e-12))
