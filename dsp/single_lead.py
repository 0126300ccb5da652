"""A whole single-lead recording of 9 to 61 s: N (sinus), A (fibrillation), O (another rhythm), ~ (noisy).

The labels are those of CinC 2017 (Clifford et al. 2017). Beats come from `dsp.qrs`, their classes from
`dsp.beats`; what is measured of the intervals (`af_rr`), of the waves (`af_shape`) and of the noise goes to
small gradient-boosted trees (``models/af_recording.json``, fitted by ``benchmarks/train_af.py``). What the
streams' own trees say of the intervals is not asked: they were fitted on the same recordings, and would
flatter every cross-validation. This is for recordings that are there as a whole: the filters look both
ways. Streams are `rhythm/atrial.py`'s.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dsp import af_rr, af_shape, af_trees
from dsp.beat_state import SYMBOLS
from dsp.beats import BeatClassifier
from dsp.qrs import QrsDetector, named

Floats = NDArray[np.float64]

MODEL = "af_recording"
LEAST_S = 3.0
LABELS = ("N", "A", "O", "~")
_OWN = (
    "seconds",
    "beats",
    "rate",
    "fastest",
    "slowest",
    "silent",
    "quality",
    "poor quality",
    "early",
    "late",
    "jump",
    "drift",
    "sd1",
    "sd2",
    "evidence",
)
FEATURES = (*_OWN, *af_rr.NAMES, *(f"kept {name}" for name in af_rr.NAMES), *af_shape.NAMES)


def classify(x: ArrayLike, fs: float) -> tuple[str, dict[str, float]]:
    """Say what kind of rhythm a recording shows.

    Parameters
    ----------
    x
        Shape (n_samples,), mV, NaN where nothing was measured. It is not written to.
    fs
        Sampling rate in Hz, 100 to 1000.

    Returns
    -------
    label
        One of `LABELS`; "~" for less than `LEAST_S` of signal.
    scores
        The probability of each label, which add up to 1.

    Raises
    ------
    ValueError
        `x` has another shape.
    """
    samples = np.asarray(x, dtype=np.float64)
    if samples.ndim != 1:
        raise ValueError(f"samples of shape {samples.shape} came; (n_samples,) was expected")
    if np.isfinite(samples).sum() < LEAST_S * fs:
        return "~", {label: float(label == "~") for label in LABELS}
    trees = af_trees.load(MODEL)
    raw = af_trees.scores(trees, features(samples, fs))
    part = np.exp(raw - raw.max())
    part /= part.sum()
    found = dict(zip(trees.labels, part.tolist(), strict=True))
    weight = trees.about["weights"]
    label = max(trees.labels, key=lambda name: found[name] * weight[name])
    return label, {name: found[name] for name in LABELS}


def about() -> dict[str, Any]:
    """What the model was fitted on, and how well it does there when cross-validated."""
    return af_trees.load(MODEL).about


def fitted_on() -> frozenset[str]:
    """The names of the recordings that fitted the model."""
    return frozenset(about()["records"].split())


def features(x: Floats, fs: float) -> Floats:
    """Measure a recording, shape (n_samples,) in mV: one value per name in `FEATURES`, NaN: unknown."""
    out = np.full(len(FEATURES), np.nan)
    beats, symbols = _beats(x, fs)
    r = beats["sample"].astype(np.int64)
    wide = symbols == "V"
    own = dict.fromkeys(_OWN, np.nan)
    own["seconds"], own["beats"] = len(x) / fs, len(r) / (len(x) / fs)
    if len(r):
        own["quality"] = float(beats["quality"].mean())
        own["poor quality"] = float(np.quantile(beats["quality"], 0.1))
    rr = np.diff(r) / fs
    edges = np.diff(np.concatenate([[0], r, [len(x)]])) / fs
    own["silent"] = float(edges.max())
    at = len(_OWN)
    if len(rr) >= af_rr.LEAST:
        _intervals(rr, own)
        af_rr.irregularity(rr, out[at : at + len(af_rr.NAMES)])
        kept = rr[~(wide[1:] | wide[:-1])]
        if len(kept) >= af_rr.LEAST:
            af_rr.irregularity(kept, out[at + len(af_rr.NAMES) : at + 2 * len(af_rr.NAMES)])
    out[:at] = [own[name] for name in _OWN]
    out[at + 2 * len(af_rr.NAMES) :] = af_shape.shape(af_shape.prepare(x, fs), r[~wide] / fs)
    return out


def _beats(x: Floats, fs: float) -> tuple[NDArray[np.void], NDArray[np.str_]]:
    """Beats of the recording and their classes."""
    detector, classifier = QrsDetector(fs, 1), BeatClassifier(fs, 1)
    more = np.full((math.ceil(2.0 * fs), 1), np.nan)
    found, classes = [], []
    for piece in (x[:, None], more):
        rows = detector.find(piece)
        found.append(rows)
        classes.append(classifier.process(piece, rows))
    beats = named(np.concatenate(found))
    by_sample = {int(row[0]): SYMBOLS[row[2]] for row in np.concatenate(classes)}
    beats = beats[beats["sample"] < len(x)]
    return beats, np.array([by_sample.get(int(s), "Q") for s in beats["sample"]], dtype="<U1")


def _intervals(rr: Floats, own: dict[str, float]) -> None:
    median = float(np.median(rr))
    own["rate"] = 60.0 / median
    four = np.convolve(rr, np.ones(4) / 4, mode="valid")
    own["fastest"], own["slowest"] = 60.0 / four.min(), 60.0 / four.max()
    near = np.array([np.median(rr[max(0, i - 4) : i + 5]) for i in range(len(rr))])
    own["early"], own["late"] = float(np.mean(rr < 0.85 * near)), float(np.mean(rr > 1.2 * near))
    d = np.diff(rr)
    own["jump"] = float(np.abs(d).max() / median)
    own["drift"] = float(np.ptp(near) / median)
    own["sd1"] = float(np.std(d) / np.sqrt(2) / median)
    own["sd2"] = float(np.std(rr[1:] + rr[:-1]) / np.sqrt(2) / median)
    own["evidence"] = _evidence(d)


def _evidence(d: Floats) -> float:
    """Sarkar et al. 2008: filled cells of the Lorenz plot of successive differences, less the origin's.

    Per interval, so that the recording's length does not count.
    """
    if len(d) < 2:
        return 0.0
    cells = np.floor((np.column_stack([d[1:], d[:-1]]) + 0.02) / 0.04).astype(int)
    origin = int(np.all(cells == 0, axis=1).sum())
    filled = len(np.unique(cells[np.any(cells != 0, axis=1)], axis=0))
    return (filled - origin) / len(cells)
