"""Faults: beats made out of nothing, and seconds until beats are found again.

Of every record the cleanest `LENGTH_S` are taken (most conducted sinus beats; records with more than
`ODD` other beats there are passed over) and each fault of `FAULTS` is applied at `AT_S`, to the first
lead. Every fault is a pure function of the samples and a fixed seed.

- `false_beats`: detections after the fault began that no reference beat accounts for, less those that
  the same detector makes in the same place without the fault (never less than 0).
- `recover_max_s`: from the first beat after the signal is good again to the first of `STEADY` found in a
  row. 0: not one beat was lost. A detector that finds none again gets the whole remaining time.

In a burst of motion the heart beats on, and what is no QRS there looks like one: its false
detections are told as `false_motion`, outside `false_beats`. A lead swap or a gain step that leaves
complexes smaller than `SEEN_MV` is left out: a monitor must not count those. Peers get the whole signal
at once and zeros for NaN; a gap is cut out of their signal. Ours is told of it.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import wfdb
from numpy.typing import NDArray

from benchmarks import ec57
from benchmarks.frame import Result, record_names, track
from benchmarks.qrs import load_peers, part, read
from dsp.qrs import QrsDetector
from simulators import monitor

Floats = NDArray[np.float64]
Samples = NDArray[np.int64]
Detector = Callable[[Floats, float, tuple[int, int] | None], Samples]

LENGTH_S, AT_S = 150.0, 45.0
ODD = 0.05
STEADY = 4
SEEN_MV = 0.25  # the floor of 0.15 mV, and room for complexes smaller than the usual one
CONDUCTED = frozenset("NLR")


@dataclass(frozen=True)
class Clean:
    """The stretch of a record that faults are applied to: `x` (n_samples, n_sig) in mV."""

    x: Floats
    fs: float
    beats: Samples


@dataclass(frozen=True)
class Fault:
    """What happens to the first lead from `AT_S` on.

    `apply(x, other, fs, rng)` changes `x`, the faulty samples, in place (`other`: another lead of them).
    `seconds` it lasts, None: to the end, and the signal is good at once. `hides` says that no beat is to be
    seen meanwhile, `cut` that the samples never come.
    """

    apply: Callable[[Floats, Floats, float, np.random.Generator], None]
    seconds: float | None
    hides: bool = False
    cut: bool = False


def _fill(value: float) -> Callable[[Floats, Floats, float, np.random.Generator], None]:
    def apply(x: Floats, other: Floats, fs: float, rng: np.random.Generator) -> None:
        x[:] = value

    return apply


def _scale(factor: float) -> Callable[[Floats, Floats, float, np.random.Generator], None]:
    def apply(x: Floats, other: Floats, fs: float, rng: np.random.Generator) -> None:
        x *= factor

    return apply


def _swap(x: Floats, other: Floats, fs: float, rng: np.random.Generator) -> None:
    x[:] = other


def _pacing(x: Floats, other: Floats, fs: float, rng: np.random.Generator) -> None:
    seconds = len(x) / fs
    x += monitor.pulses(np.arange(0.3, seconds - 0.1, 0.83), seconds, fs, 5.0, 0.0005)[:, 0]


def _noise(x: Floats, other: Floats, fs: float, rng: np.random.Generator) -> None:
    x[:] = 0.02 * rng.standard_normal(len(x))


def _jump(x: Floats, other: Floats, fs: float, rng: np.random.Generator) -> None:
    x += 2.0


def _mains(x: Floats, other: Floats, fs: float, rng: np.random.Generator) -> None:
    x += monitor.mains(len(x) / fs, fs, 50.0, 0.5)[: len(x), 0]


def _motion(x: Floats, other: Floats, fs: float, rng: np.random.Generator) -> None:
    """Strides at about 3 Hz with a random size, and what they shake."""
    t = np.arange(len(x)) / fs
    knots = np.arange(0.0, len(t) / fs + 1.0)
    hz = np.interp(t, knots, rng.uniform(2.0, 4.0, len(knots)))
    x += 0.8 * np.sin(2 * np.pi * np.cumsum(hz) / fs)
    x += np.convolve(rng.standard_normal(len(x)), np.hanning(int(0.06 * fs)), "same") * 0.15


FAULTS = {
    "nan": Fault(_fill(np.nan), 5.0, hides=True),
    "gap": Fault(_fill(np.nan), 5.0, hides=True, cut=True),
    "flat": Fault(_fill(0.0), 10.0, hides=True),
    "saturation": Fault(_fill(10.0), 10.0, hides=True),
    "noise": Fault(_noise, 60.0, hides=True),
    "gain_fifth": Fault(_scale(0.2), None),
    "gain_five": Fault(_scale(5.0), None),
    "inversion": Fault(_scale(-1.0), None),
    "lead_swap": Fault(_swap, None),
    "jump": Fault(_jump, None),
    "pacing": Fault(_pacing, 30.0),
    "mains": Fault(_mains, 30.0),
    "motion": Fault(_motion, 10.0),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--faults", metavar="A,B", help=f"only these of {', '.join(FAULTS)}")


def run(args: argparse.Namespace) -> Result:
    """Apply every fault to every clean record and measure all detectors."""
    wanted = args.faults.split(",") if args.faults else list(FAULTS)
    detectors: dict[str, Detector] = {"leadwire": ours}
    for peer, function in (load_peers() if args.peers else {}).items():
        detectors[peer] = _whole(function)
    rows: list[dict[str, Any]] = []
    measured: dict[str, list[dict[str, Any]]] = {who: [] for who in detectors}
    for name in track(record_names(args), "robustness"):
        clean = stretch(Path(args.data) / name)
        if clean is None:
            continue
        for who, detector in detectors.items():
            row = measure(clean, detector, wanted)
            measured[who].append(row)
            if who == "leadwire":
                rows.append({"record": name, "part": part(name), **row})
    totals = {who: _total(some) for who, some in measured.items()}
    return Result(totals.pop("leadwire"), rows, totals)


def stretch(path: Path) -> Clean | None:
    """Return the cleanest stretch of a record; None where there is none."""
    record = read(path)
    if record is None or len(record.x) < LENGTH_S * record.fs:
        return None
    annotation = wfdb.rdann(str(path), "atr")
    odd = np.array(
        [
            s
            for s, code in zip(annotation.sample, annotation.symbol, strict=True)
            if code not in CONDUCTED | {"+"}
        ]
    )
    n, step = int(LENGTH_S * record.fs), int(30 * record.fs)
    starts = range(0, len(record.x) - n + 1, step)
    count = [int(((odd >= a) & (odd < a + n)).sum()) for a in starts]
    a = starts[int(np.argmin(count))]
    beats = record.ref.beats[(record.ref.beats >= a) & (record.ref.beats < a + n)] - a
    if min(count) > ODD * len(beats) or len(beats) < LENGTH_S / 2:
        return None
    return Clean(record.x[a : a + n], record.fs, beats)


def ours(x: Floats, fs: float, gap: tuple[int, int] | None) -> Samples:
    """Our detector, fed in seconds; `gap` are the samples that never came."""
    detector = QrsDetector(fs, 1)
    found = []
    step = int(fs)
    at = 0
    while at < len(x):
        stop = min(at + step, len(x))
        if gap is not None and at == gap[0]:
            stop = gap[1]
            found.append(detector.skip(stop - at)["sample"])
        else:
            if gap is not None and at < gap[0]:
                stop = min(stop, gap[0])
            found.append(detector.process(x[at:stop, None])["sample"])
        at = stop
    found.append(detector.skip(int(0.4 * fs))["sample"])
    return np.concatenate(found)


def _whole(function: Callable[[Floats, float], Samples]) -> Detector:
    def detector(x: Floats, fs: float, gap: tuple[int, int] | None) -> Samples:
        if gap is None:
            return np.sort(np.asarray(function(x, fs), np.int64))
        found = np.sort(np.asarray(function(np.delete(x, slice(*gap)), fs), np.int64))
        return np.where(found >= gap[0], found + gap[1] - gap[0], found)

    return detector


def measure(clean: Clean, detector: Detector, faults: list[str]) -> dict[str, Any]:
    """Return false beats and recovery of each fault."""
    row: dict[str, Any] = {}
    plain = detector(clean.x[:, 0].copy(), clean.fs, None)
    for number, name in enumerate(faults):
        fault = FAULTS[name]
        n, at = len(clean.x), int(AT_S * clean.fs)
        end = n if fault.seconds is None else at + int(fault.seconds * clean.fs)
        good = at if fault.seconds is None else end
        x = clean.x[:, 0].copy()
        fault.apply(x[at:end], clean.x[at:end, -1], clean.fs, np.random.default_rng(number))
        if fault.seconds is None and size(x[at:end], clean.beats - at, clean.fs) < SEEN_MV:
            continue
        found = detector(x, clean.fs, (at, end) if fault.cut else None)
        hidden = (at, end) if fault.hides else None
        more = _false(found, clean, at, hidden) - _false(plain, clean, at, None)
        row[f"false_{name}"] = max(0, more)
        row[f"recover_{name}_s"] = _recovery(found, clean, good)
    return row


def size(x: Floats, beats: Samples, fs: float) -> float:
    """Return the usual amplitude (mV p-p) of the complexes at `beats`, as far as they lie in `x`."""
    reach = int(0.05 * fs)
    inside = beats[(beats >= reach) & (beats < len(x) - reach)]
    return float(np.median([np.ptp(x[b - reach : b + reach]) for b in inside])) if len(inside) else 0.0


def _false(found: Samples, clean: Clean, at: int, hidden: tuple[int, int] | None) -> int:
    """Detections from sample `at` on that no beat accounts for."""
    window = int(ec57.WINDOW_S * clean.fs)
    beats = clean.beats
    if hidden is not None:  # a complex cut in two by the fault's edge is no error
        beats = beats[(beats < hidden[0] + window) | (beats > hidden[1] - window)]
    _, of_detection = ec57.match(beats, found, window)
    return int(((of_detection < 0) & (found >= at)).sum())


def _recovery(found: Samples, clean: Clean, good: int) -> float:
    """Seconds from the first beat after `good` to the first of `STEADY` found in a row."""
    window = int(ec57.WINDOW_S * clean.fs)
    of_beat, _ = ec57.match(clean.beats, found, window)
    after = np.flatnonzero(clean.beats > good + window)
    for i in after[: len(after) - STEADY]:
        if np.all(of_beat[i : i + STEADY] >= 0):
            return float(clean.beats[i] - clean.beats[after[0]]) / clean.fs
    return (len(clean.x) - good) / clean.fs


def _total(rows: list[dict[str, Any]]) -> dict[str, Any]:
    total: dict[str, Any] = {
        "false_beats": 0,
        "recover_max_s": 0.0,
        "recover_over_3s": 0,
        "records": len(rows),
    }
    for row in rows:
        for key, value in row.items():
            if key.startswith("false_"):
                total[key] = total.get(key, 0) + value
                total["false_beats"] += value if key != "false_motion" else 0
            else:
                total[key] = max(total.get(key, 0.0), value)
                total["recover_max_s"] = max(total["recover_max_s"], value)
                total["recover_over_3s"] += value > 3.0
    return total
