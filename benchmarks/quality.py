"""Acceptability of 12-lead recordings: agreement with the readers of CinC 2011.

`accuracy` is over all records that have a label; `Se` is that of finding the unacceptable ones, `Sp` that of
keeping the acceptable. Records that fitted the model (the model file names them) are marked
"tuned", all others "new". `accuracy_cv` judges each record by weights fitted to nine tenths of the rest
(`train_acceptability.py`) and is the figure to believe where all records are "tuned".
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.frame import Result, record_names, track
from benchmarks.train_acceptability import FOLDS, cross_validated, labels, read
from dsp.acceptability import MODEL, assess, features, measure
from leadwire.errors import SettingError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add no option: the frame has all that are needed."""


def run(args: argparse.Namespace) -> Result:
    """Judge the records and compare with their labels."""
    known = labels(Path(args.data)) if args.data else {}
    names = [name for name in record_names(args) if name in known]
    if not names:
        raise SettingError(f"--data {args.data}: REFERENCE.csv with labels of these records was expected")
    tuned = set(json.loads(MODEL.read_text(encoding="utf-8"))["records"]["cinc2011"])
    rows: list[dict[str, Any]] = []
    found = []
    for name in track(names, "quality"):
        x, fs, leads = read(Path(args.data) / name)
        verdict = assess(x, fs, leads)
        found.append(features(measure(x, fs)))
        rows.append(
            {
                "record": name,
                "part": "tuned" if name in tuned else "new",
                "unacceptable": int(known[name]),
                "said": int(not verdict.acceptable),
                "right": int(verdict.acceptable != known[name]),
                "probability": verdict.probability,
                "reasons": " ".join(
                    f"{lead}:{'+'.join(why)}" for lead, why in zip(leads, verdict.reasons, strict=True) if why
                ),
            }
        )
    truth = np.array([known[name] for name in names])
    said = np.array([bool(row["said"]) for row in rows])
    total: dict[str, Any] = {"n": len(rows), **figures(truth, said)}
    for part in ("tuned", "new"):
        chosen = np.array([row["part"] == part for row in rows])
        total[f"accuracy_{part}"] = figures(truth[chosen], said[chosen])["accuracy"]
    crossed: dict[str, float | None] = {"accuracy": None, "Se": None, "Sp": None}
    if min(truth.sum(), (~truth).sum()) >= FOLDS:
        crossed = figures(truth, cross_validated(np.array(found), truth))
    total.update({f"{name}_cv": value for name, value in crossed.items()})
    return Result(total, rows)


def figures(truth: NDArray[np.bool_], said: NDArray[np.bool_]) -> dict[str, float | None]:
    """Accuracy, Se and Sp in percent; None where there is nothing to count."""

    def percent(right: NDArray[np.bool_]) -> float | None:
        return float(100 * right.mean()) if len(right) else None

    return {"accuracy": percent(truth == said), "Se": percent(said[truth]), "Sp": percent(~said[~truth])}
