"""Fit the two models of atrial fibrillation: ``python -m benchmarks.train_af DATA rhythm|recording``.

DATA holds cinc2017, and for ``rhythm`` mitdb, cpsc2021 and nsrdb as well; scikit-learn is needed here
and nowhere else. Seeds and folds are fixed. Nothing of the records that `benchmarks.af` holds out is used.

rhythm     windows of R-R intervals (`af_rr.WINDOW_NAMES`), from the analyzer's own beats, one a second. A
           window is fibrillation if more than 70 % of its last 10 beats are, none if less than 15 %, and
           teaches nothing in between. Recordings of cinc2017 are what their label says throughout.
           Simulated sinus arrhythmia is added, for the databases hold little of it: breathing, which swings
           evenly, and sighs, after which the rate comes back over a few beats.
recording  whole recordings of cinc2017 (`single_lead.FEATURES`, none of which comes from the rhythm model);
           five folds give the figures "F1_cv", then all recordings fit the model that is kept.
"""

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from benchmarks import af
from dsp import af_rr, single_lead
from dsp.abstract import Second
from dsp.rhythm.atrial import SETTLE_S
from dsp.stream import Layout, Running
from leadwire.model import RhythmEpisode, StreamEvent

MODELS = Path(__file__).parents[1] / "dsp" / "models"
SEED = 17
FOLDS = 5
WEIGHTS = {"N": 1.0, "A": 0.4, "O": 1.0, "~": 1.0}
"""What probabilities are weighed with: of the recordings here 30 % are A, of the challenge's 9 %."""
CHALLENGE = {"N": 0.60, "A": 0.09, "O": 0.28, "~": 0.03}
"""Parts of the labels in the challenge; "F1_A_challenge_cv" is weighed as if they were those here."""


class Windows:
    """A condition that says nothing and keeps, each second, newest beat, oldest of ten, and features."""

    kinds: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.state = msgspec.Struct()
        self.rows: list[NDArray[np.float64]] = []
        self._ectopic: list[int] = []
        self._clean = 0

    def second(self, now: Second) -> list[RhythmEpisode]:
        self._ectopic += [sample for sample, symbol in now.classed if symbol == "V"]
        if not now.usable:
            self._clean = now.stop
            return []
        phi = np.empty(len(af_rr.WINDOW_NAMES))
        last = now.stop - round(SETTLE_S * now.fs)
        ectopic = np.array(self._ectopic[-2 * af_rr.LONG :], dtype=np.int64)
        if now.rate is not None and af_rr.windows(now.beats, ectopic, self._clean, last, now.fs, phi):
            tail = now.beats[now.beats <= last][-af_rr.SHORT - 1 :]
            self.rows.append(np.concatenate([[tail[-1], tail[0]], phi]))
        return []

    def open(self) -> list[RhythmEpisode]:
        return []


def windows_of(path: Path) -> NDArray[np.float64]:
    """Return the windows of a record, one row a second."""
    kept, out = Windows(), list[StreamEvent]()
    running = None
    for chunk in af.chunks(path):
        running = running or Running(Layout.of(chunk), "train", 0, {"windows": kept})
        running.calibrate(chunk)
        running.feed(chunk, 0, out)
        out.clear()
    return np.array(kept.rows).reshape(-1, 2 + len(af_rr.WINDOW_NAMES))


class Case(NamedTuple):
    """The windows of a record that are clear, and which of them are fibrillation."""

    name: str
    x: NDArray[np.float64]
    y: NDArray[np.bool_]


def cases(data: Path) -> list[Case]:
    """Measure the records that may fit the rhythm model."""
    found = []
    for base, every in (("cpsc2021", 1), ("mitdb", 2), ("nsrdb", 10), ("cinc2017", 2)):
        labels = af.recording_labels(data / base)
        for header in sorted((data / base).glob("*.hea")):
            name = header.stem
            if af.part(name) == "held-out" or labels.get(name) == "~":
                continue
            rows = windows_of(header.with_suffix(""))[::every]
            if not len(rows):
                continue
            if labels:
                part = np.full((len(rows), 2), [labels.get(name) == "A", 0.0])
            else:
                ref = af.rhythm_reference(header.with_suffix(""), int(rows[-1, 0]) + 1, 250.0)
                part = np.zeros((len(rows), 2)) if ref is None else _parts(ref.state, rows)
            keep = (part[:, 0] > 0.7) | ((part[:, 0] < 0.15) & (part[:, 1] < 0.1))
            found.append(Case(f"{base}/{name}", rows[keep, 2:], part[keep, 0] > 0.7))
    drawn = np.concatenate([sinus_arrhythmia(3000), sighs(2000)])
    return [*found, Case("drawn", drawn, np.zeros(len(drawn), np.bool_))]


def rhythm_model(found: list[Case]) -> HistGradientBoostingClassifier:
    """Fit the learner of windows."""
    model = HistGradientBoostingClassifier(
        max_iter=80,
        max_leaf_nodes=6,
        learning_rate=0.07,
        min_samples_leaf=100,
        l2_regularization=20.0,
        random_state=SEED,
        early_stopping=False,
    )
    return model.fit(np.concatenate([c.x for c in found]), np.concatenate([c.y for c in found]))


def fit_rhythm(data: Path) -> dict[str, Any]:
    """Fit the trees of ``dsp/rhythm/atrial.py``."""
    found = cases(data)
    model = rhythm_model(found)
    used = " ".join(c.name for c in found if not c.name.startswith(("cinc2017", "drawn")))
    about = {
        "fitted by": "benchmarks/train_af.py rhythm",
        "records": f"{used} and cinc2017",
        "windows": sum(len(c.y) for c in found),
        "of fibrillation": int(sum(c.y.sum() for c in found)),
        "seed": SEED,
    }
    return exported(model, af_rr.WINDOW_NAMES, ("A",), about)


def sinus_arrhythmia(n: int) -> NDArray[np.float64]:
    """Return windows of intervals that breathing modulates by 4 to 30 % in 3.5 to 9 beats, with jitter."""
    rng = np.random.default_rng(SEED)
    out = np.empty((n, len(af_rr.WINDOW_NAMES)))
    none = np.empty(0, np.int64)
    for row in out:
        angle = rng.uniform(0, 7) + np.cumsum(2 * np.pi / rng.uniform(3.5, 9) * rng.uniform(0.9, 1.1, 31))
        rr = rng.uniform(0.5, 1.2) * (1 + rng.uniform(0.04, 0.3) * np.sin(angle))
        rr *= 1 + rng.uniform(0.005, 0.03) * rng.standard_normal(31)
        r = np.round(250 * np.cumsum(rr[: rng.integers(8, 32)])).astype(np.int64)
        af_rr.windows(r, none, 0, int(r[-1]), 250.0, row)
    return out


def sighs(n: int) -> NDArray[np.float64]:
    """Return windows of intervals that lengthen by 10 to 80 % every 3 to 11 beats and decay again."""
    rng = np.random.default_rng(SEED + 1)
    out = np.empty((n, len(af_rr.WINDOW_NAMES)))
    none = np.empty(0, np.int64)
    for row in out:
        longer, at = np.zeros(60), int(rng.integers(3, 12))
        while at < 31:
            size, rise = rng.uniform(0.1, 0.8), int(rng.integers(1, 3))
            fall = np.exp(-np.arange(1, 14) / rng.uniform(1.5, 5.0))
            one = size * np.concatenate([np.arange(1, rise + 1) / rise, fall])
            longer[at : at + len(one)] = np.maximum(longer[at : at + len(one)], one)
            at += int(rng.integers(3, 12))
        rr = rng.uniform(0.5, 1.0) * (1 + longer[:31])
        rr *= 1 + rng.uniform(0.005, 0.02) * rng.standard_normal(31)
        r = np.round(250 * np.cumsum(rr[: rng.integers(8, 32)])).astype(np.int64)
        af_rr.windows(r, none, 0, int(r[-1]), 250.0, row)
    return out


def _parts(state: NDArray[np.int8], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Which part of each window is fibrillation, and flutter."""
    sums = np.cumsum(np.column_stack([state == 1, state == 2]), axis=0)
    stop, start = rows[:, 0].astype(int), rows[:, 1].astype(int)
    return np.asarray((sums[stop] - sums[start]) / np.maximum(stop - start, 1)[:, None])


def recording_model(seed: int) -> HistGradientBoostingClassifier:
    """The learner of whole recordings, not fitted yet."""
    return HistGradientBoostingClassifier(
        max_iter=90,
        max_leaf_nodes=6,
        learning_rate=0.07,
        min_samples_leaf=10,
        l2_regularization=5.0,
        max_features=0.3,
        random_state=seed,
        early_stopping=False,
    )


def recording_features(data: Path) -> tuple[NDArray[np.float64], list[str], list[str]]:
    """Return features, labels and names of the recordings of cinc2017."""
    labels = af.recording_labels(data / "cinc2017")
    names = [p.stem for p in sorted((data / "cinc2017").glob("*.hea")) if p.stem in labels]
    rows = [single_lead.features(*af.read_lead(data / "cinc2017" / name)) for name in names]
    return np.array(rows), [labels[name] for name in names], names


def fit_recording(data: Path) -> dict[str, Any]:
    """Fit the trees of ``dsp/single_lead.py``, and cross-validate."""
    x, labels, names = recording_features(data)
    y = np.array([af.LABELS.index(label) for label in labels])
    fold = folds(y)
    probability = np.zeros((len(y), len(af.LABELS)))
    for k in range(FOLDS):
        probability[fold == k] = (
            recording_model(SEED).fit(x[fold != k], y[fold != k]).predict_proba(x[fold == k])
        )
    weight = np.array([WEIGHTS[label] for label in af.LABELS])
    said = np.argmax(probability * weight, axis=1)
    rows = [{"reference": labels[i], "label": af.LABELS[k]} for i, k in enumerate(said)]
    scores = {f"{key}_cv": round(value, 2) for key, value in af.label_scores(rows).items()}
    scores["F1_A_challenge_cv"] = round(as_in_challenge(y, said), 2)
    model = recording_model(SEED).fit(x, y)
    about = {
        "fitted by": "benchmarks/train_af.py recording",
        "records": " ".join(names),
        "seed": SEED,
        "folds": FOLDS,
        "weights": WEIGHTS,
        **scores,
    }
    return exported(model, single_lead.FEATURES, af.LABELS, about)


def as_in_challenge(y: NDArray[np.int64], said: NDArray[np.int64]) -> float:
    """Return the F1 of A in percent if the labels had the proportions of `CHALLENGE`."""
    parts = np.array([CHALLENGE[label] for label in af.LABELS]) / np.bincount(y, minlength=len(af.LABELS))
    a, weight = af.LABELS.index("A"), parts[y]
    true, told = weight * (y == a), weight * (said == a)
    return 200.0 * float((true * (said == a)).sum() / (true.sum() + told.sum()))


def folds(y: NDArray[np.int64]) -> NDArray[np.int64]:
    """Deal the recordings of each label to the folds in a fixed random order."""
    rng = np.random.default_rng(SEED)
    fold = np.empty(len(y), np.int64)
    for label in np.unique(y):
        mine = np.flatnonzero(y == label)
        fold[mine] = rng.permutation(len(mine)) % FOLDS
    return fold


def exported(
    model: HistGradientBoostingClassifier,
    features: tuple[str, ...],
    labels: tuple[str, ...],
    about: dict[str, Any],
) -> dict[str, Any]:
    """Return a fitted model in the form that `dsp.af_trees` reads."""
    trees = []
    for step in model._predictors:  # scikit-learn has no public way to its histogram trees
        for label, predictor in enumerate(step):
            nodes = predictor.nodes
            leaf = nodes["is_leaf"].astype(bool)
            trees.append(
                [
                    label,
                    np.where(leaf, 0, nodes["feature_idx"]).tolist(),
                    [
                        0 if end else float(f"{v:.6g}")
                        for end, v in zip(leaf, nodes["num_threshold"], strict=True)
                    ],
                    [0 if end else int(v) for end, v in zip(leaf, nodes["left"], strict=True)],
                    [0 if end else int(v) for end, v in zip(leaf, nodes["right"], strict=True)],
                    [round(float(v), 4) if end else 0 for end, v in zip(leaf, nodes["value"], strict=True)],
                ]
            )
    start = [round(float(v), 6) for v in np.ravel(model._baseline_prediction)]
    return {
        "about": about,
        "features": list(features),
        "labels": list(labels),
        "start": start,
        "trees": trees,
    }


def main() -> None:
    data, what = Path(sys.argv[1]), sys.argv[2]
    model = {"rhythm": fit_rhythm, "recording": fit_recording}[what](data)
    path = MODELS / f"af_{what}.json"
    path.write_text(json.dumps(model, separators=(",", ":")) + "\n", encoding="utf-8")
    size = path.stat().st_size
    print(f"{path.name}: {size} bytes, {len(model['trees'])} trees")
    print({k: v for k, v in model["about"].items() if k != "records"})


if __name__ == "__main__":
    main()
