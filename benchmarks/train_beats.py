"""Fit the beat classifier's trees (`dsp/models/beats.json`) and cross-validate them by person.

    python -m benchmarks.train_beats --data DIR [--out FILE] [--folds N]

Data, in folders of DIR: mitdb, the records of DS1 (de Chazal et al. 2004) and no others; what there is of
the other databases in `OTHERS`, mostly people without ectopic beats. First lead, and both together. Each
lead count of each record is one voice: a person with a thousand ectopic beats counts for little more than
one with fifty. Few of them have atrial runs or sick sinus: such rhythms are drawn with their own beats
(`drawn_beats.py`) and teach S only. Gradient boosting with monotonic constraints, fixed seed. With `--folds`
each person's beats are classified by trees that never saw that person (201 and 202 are one), through the
streaming classifier itself; nothing is written then.
"""

import argparse
import json
import time
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import beat_score
from benchmarks.drawn_beats import ATRIAL, SINUS, draw
from dsp import beat_state as b
from dsp.beat_model import DEPTH, Model, flatten
from dsp.beats import BeatClassifier
from dsp.qrs import QrsDetector

DS1 = (
    *("101", "106", "108", "109", "112", "114", "115", "116", "118", "119", "122"),
    *("124", "201", "203", "205", "207", "208", "209", "215", "220", "223", "230"),
)
OTHERS = ("nsrdb/162*", "qtdb/sele*", "cpsc2021/data_*")
"""Other databases with beats; those of qtdb that are no excerpts of mitdb, and not all of nsrdb."""
MODEL = Path(__file__).parents[1] / "dsp" / "models" / "beats.json"
SEED = 0
MOST = 400
"""Beats of one class, record and lead count that are drawn for fitting."""
RARE = 3.0
DRAWN, CALM, HARD = 1.0, 0.4, 0.9
"""Drawn beats: weights of S and of N as part of that of the real S. Only those that come before `HARD` of the
patient's interval ask anything of the trees."""

# The direction in which a feature may push: 1 towards the class, -1 away, 0 either.
V_FEATURES = {
    "rho": -1,
    "rho of the worst lead": -1,
    "difference": 1,
    "energy": 0,
    "width": 1,
    "width ratio": 1,
    "frequency ratio": -1,
    "own": -1,
    "share": -1,
    "template width": 1,
    "template ratio": -1,
    "rho T": -1,
    "rho P": -1,
    "rr timely": -1,
    "rr 8": -1,
    "irregularity": 0,
    "before": 0,
    "previous rho": 0,
    "rho usual": 1,
    "rho T usual": 1,
    "difference P usual": 1,
    "difference T usual": 1,
    "rr usual": -1,
}
S_FEATURES = {
    "early": -1,
    "early usual": -1,
    "rr timely": -1,
    "alike": 1,
    "alike slow": 1,
    "P seen": -1,
    "rho P usual": 1,
    "width ratio": -1,
    "rr late": -1,
    "late to usual": 0,
    "doubled": -1,
}


@dataclass(frozen=True)
class Beats:
    """Features (n, N_PHI) of beats, their true classes, whose (record), how many leads, and the `kind` of
    rhythm they were drawn into ("": real ones).
    """

    phi: NDArray[np.float64]
    true: NDArray[np.int64]
    record: NDArray[np.str_]
    leads: NDArray[np.int64]
    kind: NDArray[np.str_]


def others(root: Path) -> list[beat_score.Record]:
    """Read the records with beats of the databases beside mitdb."""
    paths = sorted(path for pattern in OTHERS for path in root.glob(f"{pattern}.hea"))
    return [r for path in paths if (r := beat_score.read(path.with_suffix(""))) is not None]


def gather(records: list[beat_score.Record], model: Model) -> Beats:
    """Measure the features of every beat that is found in the records, or drawn with theirs."""
    rows: list[tuple[NDArray[np.float64], NDArray[np.int64], str, int, str]] = []
    for record in records:
        for n in sorted({1, record.x.shape[1]}):
            x = np.ascontiguousarray(record.x[:, :n])
            rows.append((*_measure(record, x, QrsDetector(record.fs, n).find(x), model), record.name, n, ""))
        for drawn in draw(record):
            for n in sorted({1, record.x.shape[1]}):
                x = np.ascontiguousarray(drawn.record.x[:, :n])
                rows.append((*_measure(drawn.record, x, drawn.found, model), record.name, n, drawn.kind))
    size = [len(row[1]) for row in rows]
    return Beats(
        np.concatenate([row[0] for row in rows]),
        np.concatenate([row[1] for row in rows]),
        np.repeat([row[2] for row in rows], size),
        np.repeat([row[3] for row in rows], size),
        np.repeat([row[4] for row in rows], size),
    )


def _measure(
    record: beat_score.Record, x: NDArray[np.float64], found: NDArray[np.float64], model: Model
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the features (n, N_PHI) of beats found in some leads of a record, and their true classes."""
    trace = np.zeros((len(found) + b.N_BEATS, b.N_PHI))
    told = BeatClassifier(record.fs, x.shape[1], model)._process(x, found, trace)
    return trace[: len(told)], beat_score.truth(record, told[:, 0])


def fit(beats: Beats, some: NDArray[np.bool_]) -> dict[str, Any]:
    """Return the document of a model fitted to `some` of the beats."""
    real = _voices(beats, some & (beats.kind == ""))
    ectopic = beats.true == b.SUPRAVENTRICULAR
    # S is asked of what is no V, and is rare: what it costs to miss one and to invent one is set here.
    other = np.isin(beats.true, (b.VENTRICULAR, b.FUSION, beat_score.NO_BEAT))
    for_s = real * np.where(other, 0.1, np.where(ectopic, RARE, 1.0))
    for_s += _drawn(beats, some, for_s[ectopic].sum())
    return {
        "about": "fitted by benchmarks/train_beats.py, which names the data; trees are lists of nodes: "
        "[feature, threshold, node if <=, node if >] or [log odds]",
        "V": _trees(beats, V_FEATURES, b.VENTRICULAR, real * (beats.true != b.FUSION)),
        "S": _trees(beats, S_FEATURES, b.SUPRAVENTRICULAR, for_s),
    }


def _voices(beats: Beats, some: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the weights of real beats: `MOST` are drawn of each voice and class, the others have none."""
    rng = np.random.default_rng(SEED)
    weight = np.zeros(len(beats.true))
    voices = 100 * np.unique(beats.record, return_inverse=True)[1] + beats.leads
    for code in (b.NORMAL, b.SUPRAVENTRICULAR, b.VENTRICULAR, b.FUSION, beat_score.NO_BEAT):
        mine = some & (beats.true == code)
        where = np.flatnonzero(mine)
        for voice in np.unique(voices[where]):
            all_ = where[voices[where] == voice]
            drawn = rng.choice(all_, min(len(all_), MOST), replace=False)
            weight[drawn] = len(all_) ** 0.6 / len(drawn)
        if mine.any():
            weight[mine] *= mine.sum() / weight[mine].sum()
    return weight


def _drawn(beats: Beats, some: NDArray[np.bool_], total: float) -> NDArray[np.float64]:
    """Return the weights of drawn beats, as parts of `total`."""
    weight = np.zeros(len(beats.true))
    hard = some & (beats.phi[:, b.EARLY] < HARD)
    for code, kinds, part in ((b.SUPRAVENTRICULAR, ATRIAL, DRAWN), (b.NORMAL, SINUS, CALM)):
        for kind in kinds:
            mine = hard & (beats.kind == kind) & (beats.true == code)
            weight[mine] = part * total / len(kinds) / max(int(mine.sum()), 1)
    return weight


def _trees(beats: Beats, features: dict[str, int], code: int, weight: NDArray[np.float64]) -> dict[str, Any]:
    from sklearn.ensemble import HistGradientBoostingClassifier

    columns = [b.FEATURES.index(name) for name in features]
    used = weight > 0
    fitted = HistGradientBoostingClassifier(
        max_iter=60,
        learning_rate=0.15,
        max_leaf_nodes=2**DEPTH,
        max_depth=DEPTH,
        l2_regularization=10.0,
        min_samples_leaf=30,
        max_features=0.3,
        max_bins=64,
        early_stopping=False,
        monotonic_cst=list(features.values()),
        random_state=SEED,
    ).fit(beats.phi[used][:, columns], beats.true[used] == code, sample_weight=weight[used])
    trees = []
    for (predictor,) in fitted._predictors:
        trees.append(
            [
                [round(float(node["value"]), 5)]
                if node["is_leaf"]
                else [
                    int(node["feature_idx"]),
                    round(float(node["num_threshold"]), 5),
                    int(node["left"]),
                    int(node["right"]),
                ]
                for node in predictor.nodes
            ]
        )
    return {
        "features": list(features),
        "bias": round(float(np.ravel(fitted._baseline_prediction)[0]), 5),
        "trees": trees,
    }


def person(name: str) -> str:
    """Whose record it is: 201 and 202 are one person's."""
    return "201" if name == "202" else name


def fitted(name: str) -> bool:
    """Whether the record's person fitted the trees."""
    return person(name) in DS1 or any(fnmatch(name, pattern.partition("/")[2]) for pattern in OTHERS)


def cross_validate(records: list[beat_score.Record], beats: Beats, folds: int) -> dict[str, Model]:
    """Return for each record a model that was fitted without its person."""
    persons = sorted({person(record.name) for record in records})
    np.random.default_rng(1).shuffle(persons)
    models = {}
    for k in range(folds):
        out = persons[k::folds]
        some = ~np.isin([person(name) for name in beats.record], out)
        model = flatten(fit(beats, some))
        models.update({r.name: model for r in records if person(r.name) in out})
    return models


def empty() -> Model:
    """A model that knows nothing."""
    nothing: dict[str, Any] = {"features": [], "bias": -5.0, "trees": []}
    return flatten({"V": nothing, "S": nothing})


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=MODEL)
    parser.add_argument("--folds", type=int, default=0)
    args = parser.parse_args()
    start = time.time()
    records = [r for name in DS1 if (r := beat_score.read(args.data / "mitdb" / name)) is not None]
    beats = gather(records + others(args.data), empty())
    print(f"{len(beats.true)} beats of {len(np.unique(beats.record))} records, {time.time() - start:.0f} s")
    if not args.folds:
        args.out.write_text(json.dumps(fit(beats, np.ones(len(beats.true), bool))) + "\n", encoding="utf-8")
        return
    models = cross_validate(records, beats, args.folds)
    for n in (1, 2):
        total = beat_score.Confusion()
        for record in records:
            told = beat_score.classify(record, n, models[record.name])
            one = beat_score.confusion(record, told)
            total = total + one
            print(n, record.name, one)
        print(n, "total", total, total.metrics())
    print(f"{time.time() - start:.0f} s")


if __name__ == "__main__":
    main()
