"""Noise stress: QRS detection error at each signal-to-noise ratio of nstdb (EC57, whole record).

The records NNNeSS of the MIT-BIH Noise Stress Test Database are NNN of mitdb with electrode motion
added at SS dB ("_6" is -6 dB): five clean minutes, then two noisy and two clean ones in turn. `DER_12dB` ...
are scored on all beats of all records of that ratio, the clean minutes included, as EC57 has it;
`noisy_12dB` counts only what lies in the noisy minutes. Other records of the folder are passed over.
"""

import argparse
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import ec57
from benchmarks.frame import Result, record_names, track
from benchmarks.qrs import Record, load_peers, part, read
from dsp.qrs import detect

CLEAN_S, TURN_S = 300.0, 120.0


@dataclass(frozen=True)
class _Scored:
    decibel: int
    every: ec57.Score
    noisy: ec57.Score


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--leads", choices=("first", "all"), default="first", help="leads ours may use")


def run(args: argparse.Namespace) -> Result:
    """Run the detectors on the noisy records and score them per ratio."""
    peers = load_peers() if args.peers else {}
    scored: dict[str, list[_Scored]] = {"leadwire": []}
    rows: list[dict[str, Any]] = []
    for name in track(record_names(args), "noise"):
        ratio = decibel(name)
        record = None if ratio is None else read(Path(args.data) / name)
        if ratio is None or record is None:
            continue
        x = record.x if args.leads == "all" else record.x[:, :1]
        ours = _score(record, ratio, detect(x, record.fs)["sample"])
        scored["leadwire"].append(ours)
        rows.append(
            {
                "record": name,
                "part": part(name),
                "dB": ratio,
                **ours.every.metrics(),
                "DER_noisy": ours.noisy.metrics()["DER"],
            }
        )
        for peer, function in peers.items():
            found = np.sort(np.asarray(function(record.x[:, 0], record.fs), np.int64))
            scored.setdefault(peer, []).append(_score(record, ratio, found))
    totals = {who: _total(some) for who, some in scored.items()}
    return Result(totals.pop("leadwire"), rows, totals)


def decibel(name: str) -> int | None:
    """Return the signal-to-noise ratio that a record's name tells; None if it tells none."""
    told = re.fullmatch(r"\d{3}e(_?)(\d+)", name)
    return None if told is None else int(told[2]) * (-1 if told[1] else 1)


def _score(record: Record, ratio: int, found: NDArray[np.int64]) -> _Scored:
    quiet: list[tuple[int, int]] = [(0, int(CLEAN_S * record.fs) - 1)]
    start = CLEAN_S + TURN_S
    while start * record.fs < len(record.x):
        quiet.append((int(start * record.fs), int((start + TURN_S) * record.fs) - 1))
        start += 2 * TURN_S
    loud = ec57.Reference(record.ref.beats, (*record.ref.excluded, *quiet))
    return _Scored(ratio, ec57.score(record.ref, found, record.fs), ec57.score(loud, found, record.fs))


def _total(scored: list[_Scored]) -> dict[str, Any]:
    total: dict[str, Any] = {}
    nothing = ec57.Score(0, 0, 0)
    ratios = sorted({one.decibel for one in scored}, reverse=True)
    for ratio in ratios:
        some = [one.every for one in scored if one.decibel == ratio]
        total[f"DER_{ratio}dB"] = sum(some, nothing).metrics()["DER"]
    for ratio in ratios:
        some = [one.noisy for one in scored if one.decibel == ratio]
        total[f"noisy_{ratio}dB"] = sum(some, nothing).metrics()["DER"]
    return total
