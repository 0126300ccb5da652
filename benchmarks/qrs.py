"""QRS detection: sensitivity, positive predictivity and latency, beat by beat (EC57).

Every detector is scored by `ec57.py` on all beats; ``--leads all`` gives our detector all ECG leads
of the record, the peers always take the first one. Records on which the detector's parameters were
chosen are marked "tuned"; `HELD_OUT` never tuned anything. A record outside both lists is "new".
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import wfdb
from numpy.typing import NDArray

from benchmarks import ec57
from benchmarks.frame import Result, record_names, track
from dsp.qrs import QrsDetector, detect

HELD_OUT = frozenset({"101", "104", "108", "116", "122", "201", "208", "220"})
"""MIT-BIH records, other persons than the tuned ones, that no parameter was chosen on."""

TUNED = frozenset(
    [
        "102",
        "106",
        "107",
        "109",
        "112",
        "114",
        "115",
        "118",
        "119",
        "124",
        "203",
        "205",
        "207",
        "209",
        "215",
        "217",
        "223",
        "230",
        "118e24",
        "118e18",
        "118e12",
        "118e06",
        "118e00",
        "118e_6",
        "16265",
        "16272",
        "16273",
        "16420",
        "16483",
    ]
)
TUNED_PREFIXES = ("sele", "data_", "cu")
"""So do the records of qtdb (from European ST-T), cpsc2021 and cudb begin, which tuned it as well."""

FIDUCIAL_S = 0.010


@dataclass(frozen=True)
class Record:
    """A record as the detectors get it: `x` (n_samples, n_sig) in mV."""

    name: str
    fs: float
    x: NDArray[np.float64]
    ref: ec57.Reference


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--leads", choices=("first", "all"), default="first", help="leads ours may use")
    parser.add_argument("--annotator", default="atr", help="extension of the reference (default atr)")


def run(args: argparse.Namespace) -> Result:
    """Run the detectors on the records and score them."""
    rows: list[dict[str, Any]] = []
    scores: dict[str, list[tuple[str, ec57.Score, ec57.Score]]] = {"leadwire": []}
    peers = load_peers() if args.peers else {}
    latencies: list[NDArray[np.float64]] = []
    offsets: list[NDArray[np.float64]] = []
    seconds: dict[str, float] = {}
    duration = 0.0
    QrsDetector(250.0, 1).process(np.zeros((1000, 1)))  # compiled before the clock runs
    for name in track(record_names(args), "QRS"):
        record = read(Path(args.data) / name, args.annotator)
        if record is None:
            continue
        duration += len(record.x) / record.fs
        x = record.x if args.leads == "all" else record.x[:, :1]
        start = time.perf_counter()
        beats = detect(x, record.fs)
        seconds["leadwire"] = seconds.get("leadwire", 0.0) + time.perf_counter() - start
        every, later = _scores(record, beats["sample"])
        scores["leadwire"].append((name, every, later))
        latency = (beats["detected"] - beats["sample"]) / record.fs * 1e3
        offset = _offsets(record, beats["sample"])
        latencies.append(latency)
        offsets.append(offset)
        rows.append(
            {
                "record": name,
                "part": part(name),
                **every.metrics(),
                "DER_skip": later.metrics()["DER"],
                "latency_p99_ms": _percentile(latency, 99),
                "fiducial_within_10ms": _within(offset),
            }
        )
        for peer, function in peers.items():
            start = time.perf_counter()
            found = function(record.x[:, 0], record.fs)
            seconds[peer] = seconds.get(peer, 0.0) + time.perf_counter() - start
            scores.setdefault(peer, []).append((name, *_scores(record, found)))
    totals = {who: _total(scored) for who, scored in scores.items()}
    for who, total in totals.items():
        total["x_realtime"] = duration / seconds[who] if seconds.get(who) else None
    totals["leadwire"]["latency_p50_ms"] = _percentile(_joined(latencies), 50)
    totals["leadwire"]["latency_p99_ms"] = _percentile(_joined(latencies), 99)
    totals["leadwire"]["fiducial_within_10ms"] = _within(_joined(offsets))
    return Result(totals.pop("leadwire"), rows, totals)


def part(name: str) -> str:
    """Return whether a record is "tuned", "held-out" or "new"."""
    if name in HELD_OUT:
        return "held-out"
    return "tuned" if name in TUNED or name.startswith(TUNED_PREFIXES) else "new"


def read(path: Path, annotator: str = "atr") -> Record | None:
    """Read a WFDB record's ECG leads and reference; None where it has no beat annotations."""
    if not path.with_suffix(f".{annotator}").exists():
        return None
    signals = wfdb.rdrecord(str(path))
    annotation = wfdb.rdann(str(path), annotator)
    x = np.asarray(signals.p_signal, np.float64)
    ref = ec57.reference(np.asarray(annotation.sample, np.int64), list(annotation.symbol), len(x))
    if not len(ref.beats):
        return None
    ecg = [i for i, unit in enumerate(signals.units) if unit == "mV"]
    return Record(path.name, float(signals.fs), np.ascontiguousarray(x[:, ecg]), ref)


def load_peers() -> dict[str, Callable[[NDArray[np.float64], float], NDArray[np.int64]]]:
    """Return the peers that are installed: name -> function(x in mV, fs) -> samples."""
    from benchmarks import peers

    return peers.available()


def _scores(record: Record, found: NDArray[np.int64]) -> tuple[ec57.Score, ec57.Score]:
    found = np.sort(np.asarray(found, np.int64))
    return (
        ec57.score(record.ref, found, record.fs),
        ec57.score(record.ref, found, record.fs, skip_s=ec57.LEARNING_S),
    )


def _total(scored: list[tuple[str, ec57.Score, ec57.Score]]) -> dict[str, Any]:
    nothing = ec57.Score(0, 0, 0)
    total: dict[str, Any] = sum((every for _, every, _ in scored), nothing).metrics()
    total["DER_skip"] = sum((later for _, _, later in scored), nothing).metrics()["DER"]
    for wanted in ("tuned", "held-out", "new"):
        some = [every for name, every, _ in scored if part(name) == wanted]
        total[f"DER_{wanted}"] = sum(some, nothing).metrics()["DER"]
    return total


def _offsets(record: Record, found: NDArray[np.int64]) -> NDArray[np.float64]:
    """Distance of the matched detections from their beats in s, less the record's own constant bias."""
    of_beat, _ = ec57.match(record.ref.beats, found, int(ec57.WINDOW_S * record.fs))
    matched = of_beat >= 0
    distance = (found[of_beat[matched]] - record.ref.beats[matched]) / record.fs
    return np.asarray(distance - np.median(distance) if len(distance) else distance)


def _within(offset: NDArray[np.float64]) -> float | None:
    return float(100 * np.mean(np.abs(offset) <= FIDUCIAL_S)) if len(offset) else None


def _percentile(values: NDArray[np.float64], q: float) -> float | None:
    return float(np.percentile(values, q)) if len(values) else None


def _joined(parts: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.concatenate(parts) if parts else np.empty(0)
