"""Throughput: how many times faster than real time one core is, QRS alone and the whole analyzer.

The whole analyzer gets 1-s chunks, of the first lead (`pipeline`) and of all; QRS alone the whole lead.

Times are CPU seconds of this process, so that neighbours on the machine do not count; the best of
three runs is taken. Peers see one lead of the same signal in the same run, whole.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import peers
from benchmarks.frame import Result, record_names, track
from benchmarks.qrs import read
from dsp.qrs import QrsDetector, detect

RUNS = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--seconds", type=float, default=600.0, help="at most so much of each record")


def run(args: argparse.Namespace) -> Result:
    """Measure on each record that has a beat reference, then sum up by the median."""
    found = peers.available() if args.peers else {}
    rows: list[dict[str, Any]] = []
    others: dict[str, list[float]] = {}
    for name in track(record_names(args), "throughput"):
        record = read(Path(args.data) / name)
        if record is None:
            continue
        x, fs = record.x[: int(args.seconds * record.fs)], record.fs
        one = np.ascontiguousarray(x[:, :1])
        row: dict[str, Any] = {
            "record": name,
            "fs": fs,
            "x_realtime": speed(partial(detect, one, fs), len(x) / fs),
            "x_realtime_1s_chunks": speed(partial(in_seconds, one, fs), len(x) / fs),
            "x_realtime_all_leads": speed(partial(detect, x, fs), len(x) / fs),
            "n_sig": x.shape[1],
        }
        row["x_realtime_analyzer"] = speed(analyzer(one, fs), len(x) / fs)
        row["x_realtime_analyzer_all_leads"] = speed(analyzer(x, fs), len(x) / fs)
        rows.append(row)
        for peer, function in found.items():
            others.setdefault(peer, []).append(speed(partial(function, one[:, 0], fs), len(x) / fs))
    keys = [key for key in (rows[0] if rows else {}) if key.startswith("x_realtime")]
    total: dict[str, Any] = {key: float(np.median([row[key] for row in rows])) for key in keys}
    if keys:
        total["pipeline"] = {"x_realtime": total["x_realtime_analyzer"]}
        total["qrs"] = {"x_realtime": total["x_realtime"]}
    totals = {}
    for peer, speeds in others.items():
        typical = float(np.median(speeds))
        totals[peer] = {"x_realtime": typical, "ours_to_it": total["x_realtime"] / typical}
    return Result(total, rows, totals)


def speed(work: Callable[[], object], duration: float) -> float:
    """Return how many times faster than real time `work` is over a signal of `duration` s."""
    work()  # compiles, fills caches
    best = min(_cpu(work) for _ in range(RUNS))
    return duration / max(best, 1e-9)


def in_seconds(x: NDArray[np.float64], fs: float) -> None:
    """Run the detector in 1-s chunks, as a live stream does."""
    detector = QrsDetector(fs, x.shape[1])
    second = round(fs)
    for start in range(0, len(x), second):
        detector.process(x[start : start + second])


def analyzer(x: NDArray[np.float64], fs: float) -> Callable[[], object]:
    """Return the whole analyzer over the leads of x (n_samples, n_sig), in 1-s chunks."""
    from dsp.pipeline import StreamAnalyzer
    from leadwire.model import SampleChunk
    from leadwire.settings import Limits

    gain = 200.0
    samples = np.nan_to_num(np.round(x * gain)).astype(np.int16)
    n_sig = x.shape[1]
    second = round(fs)
    chunks = [
        SampleChunk(
            samples=samples[start : start + second].tobytes(),
            stream="bench",
            first_sample=start,
            fs=fs,
            sig_name=tuple(f"ECG{i + 1}" for i in range(n_sig)),
            units=("mV",) * n_sig,
            adc_gain=(gain,) * n_sig,
            baseline=(0,) * n_sig,
            device_time=start / fs,
            receive_time=start / fs,
        )
        for start in range(0, len(samples), second)
    ]

    def work() -> None:
        stream = StreamAnalyzer(Limits())
        for chunk in chunks:
            stream.process(chunk)

    return work


def _cpu(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start
