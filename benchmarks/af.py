"""Atrial fibrillation: recordings of one lead (cinc2017), or episodes in long records with rhythm notes.

What the folder holds decides. With a ``REFERENCE.csv`` of N, A, O and ~ each recording is classified by
`dsp.single_lead`: `F1` is A against the rest, `F1_N`, `F1_O` and their mean with it (`F1_macro`, the score of
CinC 2017) beside it. Otherwise the whole analyzer runs over each record with rhythm notes and its
``atrial_fibrillation`` episodes are held against those of the reference:

- `Se`, `+P`, `F1` count seconds, by the onset and end that the episodes say; seconds that the reference
  calls flutter count neither way;
- `onset_p90_s` is from a reference episode's onset to the announcement, over the episodes of at least
  `LEAST_S` (one that was missed counts as late as it is long); `missed` says how many;
- `false_per_24h`: announced episodes that touch no reference fibrillation or flutter.

Reference episodes less than `BRIDGE_S` apart, a ventricular run inside fibrillation, are one. Records that
fitted the model are "tuned", `HELD_OUT` never did; `F1_cv` of recordings is cross-validated by the training.
"""

import argparse
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import wfdb
from numpy.typing import NDArray

from benchmarks.frame import Result, record_names, track
from dsp import single_lead
from dsp.pipeline import StreamAnalyzer
from leadwire.model import RhythmEpisode, SampleChunk
from leadwire.settings import Limits

HELD_OUT = frozenset({"101", "104", "108", "116", "122", "201", "202", "208", "220"})
"""MIT-BIH records of persons that fitted nothing; those of `qrs`."""
HELD_OUT_PERSONS = frozenset({"8", "21", "92"})
"""Of cpsc2021, where the record's name is data_PERSON_NUMBER."""
_TUNED = (
    "102 106 107 109 112 114 115 118 119 124 203 205 207 209 215 217 223 230 16265 16272 16273 16420 16483"
)
TUNED = frozenset(_TUNED.split())
TUNED_PERSONS = frozenset({"35", "84", "101"})

LEAST_S = 20.0
BRIDGE_S = 10.0
CHUNK_S = 10.0
GAIN = 1000.0
LABELS = ("N", "A", "O", "~")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark: none."""


def run(args: argparse.Namespace) -> Result:
    """Classify the recordings, or find the episodes, whichever the folder is made for."""
    names = record_names(args)
    folder = Path(args.data)
    reference = recording_labels(folder)
    return recordings(folder, names, reference) if reference else episodes(folder, names)


def recording_labels(folder: Path) -> dict[str, str]:
    """Return the label of each recording; empty if the folder is not of that kind."""
    path = folder / "REFERENCE.csv"
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file) if len(row) >= 2]
    return {row[0]: row[1] for row in rows if row[1] in LABELS}


def recordings(folder: Path, names: list[str], reference: dict[str, str]) -> Result:
    """Score `single_lead.classify` on the recordings that have a label."""
    fitted = single_lead.fitted_on()
    rows: list[dict[str, Any]] = []
    for name in track([n for n in names if n in reference], "AF"):
        x, fs = read_lead(folder / name)
        label, scores = single_lead.classify(x, fs)
        part = "tuned" if name in fitted else "new"
        row = {"record": name, "part": part, "reference": reference[name], "label": label}
        rows.append(row | {f"p_{key}": round(value, 3) for key, value in scores.items()})
    total: dict[str, Any] = {"n": len(rows), **label_scores(rows)}
    for part in ("tuned", "new"):
        some = [row for row in rows if row["part"] == part]
        if some:
            total |= {
                f"F1_{part}": label_scores(some)["F1"],
                f"F1_macro_{part}": label_scores(some)["F1_macro"],
            }
    about = single_lead.about()
    total |= {"F1_cv": about["F1_cv"], "F1_macro_cv": about["F1_macro_cv"]}
    return Result(total, rows)


def label_scores(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return the F1 of each label and the challenge's score, in percent."""
    out = {}
    for label in LABELS:
        hits = sum(row["reference"] == label == row["label"] for row in rows)
        said = sum(row["label"] == label for row in rows)
        true = sum(row["reference"] == label for row in rows)
        out[label] = 200.0 * hits / (said + true) if said + true else 0.0
    return {
        "F1": out["A"],
        "F1_N": out["N"],
        "F1_O": out["O"],
        "F1_macro": (out["N"] + out["A"] + out["O"]) / 3,
    }


@dataclass(frozen=True)
class Reference:
    """What holds per sample: 1 fibrillation, 2 flutter, 0 neither; and the episodes of fibrillation."""

    state: NDArray[np.int8]
    episodes: list[tuple[int, int]]


def episodes(folder: Path, names: list[str]) -> Result:
    """Run the analyzer over the records that have rhythm notes and score its episodes."""
    rows: list[dict[str, Any]] = []
    for name in track(names, "AF"):
        header = wfdb.rdheader(str(folder / name))
        fs = float(header.fs)
        ref = rhythm_reference(folder / name, int(header.sig_len), fs)
        if ref is None:
            continue
        rows.append({"record": name, "part": part(name), **score(ref, announced(folder / name), fs)})
    total = summed(rows)
    for wanted in ("tuned", "held-out", "new"):
        some = [row for row in rows if row["part"] == wanted]
        if some:
            total |= {f"{k}_{wanted}": v for k, v in summed(some).items() if k in ("F1", "onset_p90_s")}
    return Result(total, [{k: v for k, v in row.items() if k != "delays"} for row in rows])


def part(name: str) -> str:
    """Return whether a long record is "tuned", "held-out" or "new"."""
    person = name.split("_")[1] if name.startswith("data_") and name.count("_") == 2 else ""
    if name in HELD_OUT or person in HELD_OUT_PERSONS:
        return "held-out"
    return "tuned" if name in TUNED or person in TUNED_PERSONS else "new"


def rhythm_reference(path: Path, n: int, fs: float) -> Reference | None:
    """Read the rhythm notes of a record; None where it has no annotations."""
    if not path.with_suffix(".atr").exists():
        return None
    notes = wfdb.rdann(str(path), "atr")
    pairs = zip(notes.sample.tolist(), notes.aux_note, strict=True)
    changes = [(int(at), text.strip("\x00 ")) for at, text in pairs if text and text.startswith("(")]
    state = np.zeros(n, np.int8)
    found: list[tuple[int, int]] = []
    stops = [at for at, _ in changes[1:]] + [n]
    for (at, text), stop in zip(changes, stops, strict=False):
        if text in ("(AFIB", "(AFL"):
            state[at:stop] = 1 if text == "(AFIB" else 2
        if text == "(AFIB":
            if found and at - found[-1][1] < BRIDGE_S * fs:
                found[-1] = found[-1][0], stop
            else:
                found.append((at, stop))
    for at, stop in found:
        state[at:stop][state[at:stop] == 0] = 1
    return Reference(state, found)


def announced(path: Path) -> list[RhythmEpisode]:
    """Return the episodes of fibrillation that the analyzer tells, each as last known."""
    analyzer = StreamAnalyzer(Limits())
    found: dict[int, RhythmEpisode] = {}
    for chunk in chunks(path):
        for event in analyzer.process(chunk):
            if (
                isinstance(event, RhythmEpisode)
                and event.kind == "atrial_fibrillation"
                and not event.withheld
            ):
                found[event.onset] = event
    return list(found.values())


def chunks(path: Path) -> Iterator[SampleChunk]:
    """Yield the ECG leads of a record in pieces of `CHUNK_S`."""
    record = wfdb.rdrecord(str(path))
    ecg = [i for i, unit in enumerate(record.units) if unit == "mV"]
    x = np.asarray(record.p_signal, np.float64)[:, ecg]
    yield from as_chunks(x, float(record.fs), tuple(f"{i}" for i in range(len(ecg))))


def as_chunks(x: NDArray[np.float64], fs: float, names: tuple[str, ...]) -> Iterator[SampleChunk]:
    """Yield `x` (n_samples, n_sig) in mV, NaN for missing, in pieces of `CHUNK_S`."""
    d = np.clip(np.round(np.nan_to_num(x) * GAIN), -32767, 32767)
    d[np.isnan(x)] = -32768
    step = round(CHUNK_S * fs)
    for at in range(0, len(d), step):
        yield SampleChunk(
            stream="af",
            first_sample=at,
            fs=fs,
            sig_name=names,
            units=("mV",) * len(names),
            adc_gain=(GAIN,) * len(names),
            baseline=(0,) * len(names),
            samples=np.ascontiguousarray(d[at : at + step], dtype="<i2").tobytes(),
            device_time=0.0,
            receive_time=0.0,
        )


def read_lead(path: Path) -> tuple[NDArray[np.float64], float]:
    """Return the first lead of a record in mV, and its rate."""
    record = wfdb.rdrecord(str(path))
    return np.asarray(record.p_signal, np.float64)[:, 0], float(record.fs)


def score(ref: Reference, told: list[RhythmEpisode], fs: float) -> dict[str, Any]:
    """Return seconds TP, FP, FN of a record, the delays of its announcements, and false episodes."""
    n = len(ref.state)
    said = np.zeros(n, np.bool_)
    for e in told:
        said[e.onset : n if e.end is None else e.end] = True
    true, neither = ref.state == 1, ref.state == 0
    lasting = [(at, stop) for at, stop in ref.episodes if stop - at >= LEAST_S * fs]
    found = [_delay(at, stop, told) for at, stop in lasting]
    delays = [(b - a if d is None else d) / fs for (a, b), d in zip(lasting, found, strict=True)]
    false = sum(not ref.state[e.onset : n if e.end is None else max(e.end, e.onset + 1)].any() for e in told)
    seconds = {"TP": said & true, "FP": said & neither, "FN": true & ~said}
    row: dict[str, Any] = {"hours": n / fs / 3600, **{k: float(v.sum() / fs) for k, v in seconds.items()}}
    return {
        **row,
        **_rates(row),
        "episodes": len(delays),
        "missed": found.count(None),
        "onset_max_s": max(delays, default=None),
        "false": false,
        "delays": delays,
    }


def _delay(at: int, stop: int, told: list[RhythmEpisode]) -> int | None:
    """Samples from `at` until an episode over some of at..stop is announced; 0 if one is open already."""
    for e in told:
        if (e.end is None or e.end > at) and e.detected < stop:
            return max(0, e.detected - at)
    return None


def _rates(row: dict[str, Any]) -> dict[str, float | None]:
    tp, fp, fn = row["TP"], row["FP"], row["FN"]
    return {
        "Se": 100 * tp / (tp + fn) if tp + fn else None,
        "+P": 100 * tp / (tp + fp) if tp + fp else None,
        "F1": 200 * tp / (2 * tp + fp + fn) if tp + fp + fn else None,
    }


def summed(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the total of the records' scores."""
    total: dict[str, Any] = {k: sum(row[k] for row in rows) for k in ("hours", "TP", "FP", "FN")}
    delays = [d for row in rows for d in row["delays"]]
    false = sum(row["false"] for row in rows)
    return {
        **total,
        **_rates(total),
        "episodes": len(delays),
        "missed": sum(row["missed"] for row in rows),
        "onset_p50_s": _late(delays, 50),
        "onset_p90_s": _late(delays, 90),
        "false": false,
        "false_per_24h": 24 * false / total["hours"] if total["hours"] else None,
    }


def _late(delays: list[float], percent: float) -> float | None:
    return float(np.percentile(delays, percent, method="higher")) if delays else None
