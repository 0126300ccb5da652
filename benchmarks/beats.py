"""Beat classes: sensitivity and positive predictivity of VEB and SVEB, beat by beat (EC57).

The classifier gets the beats that our own QRS detector finds, streaming; `beat_score.py` says how the
classes are counted. Totals are of all records without paced beats. Records that fitted the trees
(`train_beats.py` names them) are marked "tuned", and for those of mitdb ``--cross N`` fits trees anew
without each person and tells that figure as ``VEB_cross`` and ``SVEB_cross``. All other records are "new".
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import beat_score, ec57, train_beats
from benchmarks.frame import Result, record_names, track
from dsp.beat_model import Model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--leads", choices=("first", "all"), default="all", help="leads that may be used")
    parser.add_argument("--annotator", default="atr", help="extension of the reference (default atr)")
    parser.add_argument("--cross", metavar="N", type=int, default=0, help="cross-validate DS1 in N parts too")


def run(args: argparse.Namespace) -> Result:
    """Classify the beats of the records and score them."""
    records = []
    for name in track(record_names(args), "reading"):
        record = beat_score.read(Path(args.data) / name, args.annotator)
        if record is not None:
            records.append(record)
    rows: list[dict[str, Any]] = []
    parts, later, latencies = [], [], []
    for record in track(records, "beat classes"):
        n = 1 if args.leads == "first" else record.x.shape[1]
        told = beat_score.classify(record, n)
        one = beat_score.confusion(record, told)
        parts.append((record, one))
        later.append((record, beat_score.confusion(record, told, ec57.LEARNING_S)))
        latency = (told[:, 1] - told[:, 0]) / record.fs * 1e3
        latencies.append(latency)
        rows.append(
            {
                "record": record.name,
                "part": part(record.name),
                "paced": record.paced,
                **_flat(one),
                "latency_p99_ms": float(np.percentile(latency, 99)) if len(latency) else None,
            }
        )
    total = _total(parts)
    total["VEB_skip"], total["SVEB_skip"] = (beat_score.summary(later)[k] for k in ("VEB", "SVEB"))
    if latencies:
        total["latency_p99_ms"] = float(np.percentile(np.concatenate(latencies), 99))
    if args.cross:
        total.update(_cross(records, args))
    # The table shows plain values only.
    total.update(
        {f"{k}_{m}": total[k][m] for k in ("VEB", "SVEB") for m in ("Se", "+P")}
        | {
            f"{k}_cross_{m}": total[f"{k}_cross"][m]
            for k in ("VEB", "SVEB")
            for m in ("Se", "+P")
            if args.cross
        }
    )
    return Result(total, rows)


def part(name: str) -> str:
    """Return whether a record is "tuned" (its person fitted the trees) or "new"."""
    return "tuned" if train_beats.fitted(name) else "new"


def _total(parts: list[tuple[beat_score.Record, beat_score.Confusion]]) -> dict[str, Any]:
    total = beat_score.summary(parts)
    for wanted in ("tuned", "new"):
        some = [(record, one) for record, one in parts if part(record.name) == wanted]
        found = beat_score.summary(some)
        total[f"VEB_{wanted}"], total[f"SVEB_{wanted}"] = found["VEB"], found["SVEB"]
    return total


def _cross(records: list[beat_score.Record], args: argparse.Namespace) -> dict[str, Any]:
    some = [record for record in records if record.name in train_beats.DS1]
    every = some + train_beats.others(Path(args.data).parent)
    models: dict[str, Model] = train_beats.cross_validate(
        some, train_beats.gather(every, train_beats.empty()), args.cross
    )
    parts = []
    for record in some:
        n = 1 if args.leads == "first" else record.x.shape[1]
        told = beat_score.classify(record, n, models[record.name])
        parts.append((record, beat_score.confusion(record, told)))
    found = beat_score.summary(parts)
    return {"VEB_cross": found["VEB"], "SVEB_cross": found["SVEB"]}


def _flat(one: beat_score.Confusion) -> dict[str, Any]:
    metrics = one.metrics()
    keys = ("Se", "+P", "TP", "FP", "FN")
    return {f"{name}_{key}": metrics[name][key] for name in ("VEB", "SVEB") for key in keys}
