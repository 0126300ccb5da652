"""Scoring of beat classes after ANSI/AAMI EC57, from the detector's own beats.

Classes: N = {N L R e j B n}, S = {A a J S}, V = {V E r}, F = {F}, Q = {/ f Q ?}. Every reference beat
is matched with at most one detection within 150 ms. The sums are those of EC57 (and of WFDB's `bxb`):

- VEB Se = Vv / all V, missed ones included; VEB +P = Vv / (Vv + Nv + Sv + Ov): a V called where the
  reference says F or Q is no error (capital: reference, small: ours, O: no beat there).
- SVEB Se = Ss / all S; SVEB +P = Ss / (Ss + Ns + Vs + Fs + Os): S where the reference says Q is none.

Segments of ventricular flutter or fibrillation are left out. Records with paced beats take no part in
totals (EC57 leaves them out).
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import wfdb
from numpy.typing import NDArray

from benchmarks import ec57
from dsp import beat_state as b
from dsp.beat_model import Model
from dsp.beats import BeatClassifier
from dsp.qrs import QrsDetector

NO_BEAT, LEFT_OUT = 6, 7
CODES = {
    **dict.fromkeys("NLRejBn", b.NORMAL),
    **dict.fromkeys("AaJS", b.SUPRAVENTRICULAR),
    **dict.fromkeys("VEr", b.VENTRICULAR),
    "F": b.FUSION,
    **dict.fromkeys("/fQ?", b.UNKNOWN),
}


@dataclass(frozen=True)
class Record:
    """A record as the classifier gets it: `x` (n_samples, n_sig) in mV; `symbols` of the reference beats."""

    name: str
    fs: float
    x: NDArray[np.float64]
    ref: ec57.Reference
    symbols: NDArray[np.int64]
    paced: bool


@dataclass
class Confusion:
    """Counts: rows are the reference's N S V F / Q and no beat, columns ours, and missed beats last."""

    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros((7, 7), np.int64))

    def __add__(self, other: "Confusion") -> "Confusion":
        return Confusion(self.counts + other.counts)

    def __str__(self) -> str:
        names = "NSVF/QO"
        rows = [
            f"{names[i]}:" + " ".join(f"{(names[:6].lower() + '-')[j]}{v}" for j, v in enumerate(row) if v)
            for i, row in enumerate(self.counts.tolist())
            if sum(row)
        ]
        return " | ".join(rows)

    def metrics(self) -> dict[str, dict[str, float | int | None]]:
        """Return VEB and SVEB with Se and +P in percent, None where undefined, and counts."""
        c = self.counts
        n, s, v, f, o = b.NORMAL, b.SUPRAVENTRICULAR, b.VENTRICULAR, b.FUSION, NO_BEAT
        return {
            "VEB": _rates(int(c[v, v]), int(c[v].sum()), int(c[n, v] + c[s, v] + c[o, v])),
            "SVEB": _rates(int(c[s, s]), int(c[s].sum()), int(c[n, s] + c[v, s] + c[f, s] + c[o, s])),
        }


def _rates(right: int, all_: int, false: int) -> dict[str, float | int | None]:
    return {
        "Se": 100 * right / all_ if all_ else None,
        "+P": 100 * right / (right + false) if right + false else None,
        "TP": right,
        "FP": false,
        "FN": all_ - right,
    }


def read(path: Path, annotator: str = "atr") -> Record | None:
    """Read a WFDB record's ECG leads and reference; None where it has no beat annotations."""
    if not path.with_suffix(f".{annotator}").exists():
        return None
    signals = wfdb.rdrecord(str(path))
    annotation = wfdb.rdann(str(path), annotator)
    x = np.asarray(signals.p_signal, np.float64)
    sample = np.asarray(annotation.sample, np.int64)
    ref = ec57.reference(sample, list(annotation.symbol), len(x))
    if not len(ref.beats):
        return None
    beats = [c for c in annotation.symbol if c in ec57.BEAT_SYMBOLS]
    ecg = [i for i, unit in enumerate(signals.units) if unit == "mV"]
    return Record(
        path.name,
        float(signals.fs),
        np.ascontiguousarray(x[:, ecg]),
        ref,
        np.array([CODES.get(c, b.UNKNOWN) for c in beats]),
        "/" in beats,
    )


def classify(record: Record, n_sig: int, model: Model | None = None) -> NDArray[np.int64]:
    """Return (n, 4): sample, sample at which it was known, class, template, of the first `n_sig` leads."""
    x = np.ascontiguousarray(record.x[:, :n_sig])
    detector = QrsDetector(record.fs, x.shape[1])
    classifier = BeatClassifier(record.fs, x.shape[1], model)
    told = classifier.process(x, detector.find(x))
    # What follows the record lets the last beats be told.
    after = np.full((round(record.fs), x.shape[1]), np.nan)
    told = np.concatenate([told, classifier.process(after, detector.find(after))])
    return told[told[:, 0] < len(x)]


def truth(record: Record, sample: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the reference's class of each detection; `NO_BEAT`, or `LEFT_OUT` in fibrillation."""
    _, of_detection = ec57.match(record.ref.beats, sample, int(ec57.WINDOW_S * record.fs))
    true = np.where(of_detection >= 0, record.symbols[of_detection], NO_BEAT)
    true[_excluded(record, sample)] = LEFT_OUT
    return np.asarray(true)


def confusion(record: Record, told: NDArray[np.int64], skip_s: float = 0.0) -> Confusion:
    """Count the classes told (from `classify`) against the reference, from `skip_s` s on."""
    out = Confusion()
    true = truth(record, told[:, 0])
    counted = (true != LEFT_OUT) & (told[:, 0] >= skip_s * record.fs)
    np.add.at(out.counts, (true[counted], told[counted, 2]), 1)
    of_beat, _ = ec57.match(record.ref.beats, told[:, 0], int(ec57.WINDOW_S * record.fs))
    beats = record.ref.beats
    missed = (of_beat < 0) & ~_excluded(record, beats) & (beats >= skip_s * record.fs)
    np.add.at(out.counts[:, 6], record.symbols[missed], 1)
    return out


def _excluded(record: Record, sample: NDArray[np.int64]) -> NDArray[np.bool_]:
    inside = np.zeros(len(sample), bool)
    for start, end in record.ref.excluded:
        inside |= (sample >= start) & (sample <= end)
    return inside


def summary(parts: list[tuple[Record, Confusion]]) -> dict[str, Any]:
    """Return EC57's gross figures of all records without pacing, and the number of those left out."""
    total = Confusion()
    for record, one in parts:
        if not record.paced:
            total = total + one
    return {**total.metrics(), "paced_records": sum(record.paced for record, _ in parts)}
