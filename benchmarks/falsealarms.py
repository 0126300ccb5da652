"""False alarms: how many a day and patient where nothing was wrong, by class.

The whole analyzer, with its default limits, sees each record as a live stream, all leads, 1-s chunks.
Counted are the announced episodes (not the withheld ones, which have a column of their own) that begin in
normal time: all of a record without rhythm annotations (nsrdb), else the stretches annotated "(N" (mitdb),
less `MARGIN_S` at their ends, because an alarm may come late.

Healthy people run and sleep, and normal rhythm has pauses and premature beats. An alarm is `confirmed`, and
not counted, where the reference says the same: for rates the rate of the reference beats over the same 8 s,
within `TOLERANCE` of the limit; for silence an R-R interval as long; for a missed beat an interval of nearly
twice the median near by (a blocked P wave: the detector missed nothing); for ventricular beats as many
(`VENTRICULAR`) near by. Everything else counts; technical alarms are classes like others, summed up apart.

per_patient_day[class] = 24 h * alarms / normal time. Records that tuned anything are marked as in `qrs.py`.
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import wfdb
from numpy.typing import NDArray

from benchmarks import ec57
from benchmarks.frame import Result, record_names, track
from benchmarks.streams import analyze
from dsp.heart_rate import WINDOW_S
from dsp.rhythm.ectopy import MISSED_LOW
from leadwire.errors import SettingError
from leadwire.model import RhythmEpisode
from leadwire.settings import Limits

NORMAL = "(N"
MARGIN_S = 10.0
TOLERANCE = 0.03
TECHNICAL = frozenset({"lead_off", "flat", "saturated", "noisy", "missing"})
RATES = {"tachycardia": 1, "extreme_tachycardia": 1, "bradycardia": -1, "extreme_bradycardia": -1}
SILENCES = frozenset({"pause", "asystole"})
VENTRICULAR = {
    "pvc_couplet": 2,
    "pvc_run": 3,
    "bigeminy": 3,
    "trigeminy": 3,
    "multiform_pvc": 2,
    "r_on_t": 1,
    "frequent_pvc": 5,
    "ventricular_rhythm": 3,
    "ventricular_bradycardia": 3,
    "ventricular_tachycardia": 3,
}
MISSED = frozenset({"missed_beat"})
NEAR_S = 8.0
HELD_OUT = frozenset({"16420", "16483", "101", "104", "108", "116", "122", "201", "208", "220"})
_TUNED = "102 106 107 109 112 114 115 118 119 124 203 205 207 209 215 217 223 230 16265 16272 16273"
TUNED = frozenset(_TUNED.split())

Spans = list[tuple[int, int]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--annotator", default="atr", help="extension of the reference (default atr)")


def run(args: argparse.Namespace) -> Result:
    """Run the analyzer over the records and count what it announced in normal time."""
    limits = Limits()
    rows: list[dict[str, Any]] = []
    counts: list[Counter[str]] = []
    for name in track(record_names(args), "false alarms"):
        path = Path(args.data) / name
        events, fs, n = analyze(path, limits)
        beats, ventricular, spans = reference(path, args.annotator, fs, n)
        normal_s = sum(b - a for a, b in spans) / fs
        if normal_s == 0:
            continue
        said: dict[tuple[int, str], RhythmEpisode] = {}
        for e in events:
            if isinstance(e, RhythmEpisode) and any(a <= e.onset < b for a, b in spans):
                said.setdefault((e.onset, e.kind), e)
        false = [
            e for e in said.values() if not e.withheld and not confirmed(e, beats, ventricular, fs, limits)
        ]
        count = Counter(e.kind for e in false)
        rows.append(
            {
                "record": name,
                "part": part(name),
                "normal_h": normal_s / 3600,
                "rhythm": sum(count[k] for k in count if k not in TECHNICAL),
                "technical": sum(count[k] for k in count if k in TECHNICAL),
                "withheld": sum(bool(e.withheld) for e in said.values()),
                "which": " ".join(f"{k}@{e.onset / fs:.0f}s" for (_, k), e in said.items() if e in false),
            }
        )
        counts.append(count)
    if not rows:
        raise SettingError(f"--data {args.data}: no record has normal time")
    return Result(_total(rows, counts), sorted(rows, key=lambda row: -row["rhythm"] / row["normal_h"]))


def part(name: str) -> str:
    """Return whether a record is "tuned", "held-out" or "new"."""
    return "held-out" if name in HELD_OUT else "tuned" if name in TUNED else "new"


def reference(
    path: Path, annotator: str, fs: float, n: int
) -> tuple[NDArray[np.int64] | None, NDArray[np.int64], Spans]:
    """Return a record's reference beats (None: it has no reference), which of them are ventricular, and its
    stretches of normal rhythm.
    """
    if not path.with_suffix(f".{annotator}").exists():
        return None, np.empty(0, np.int64), [(0, n)]
    annotation = wfdb.rdann(str(path), annotator)
    samples = np.asarray(annotation.sample, np.int64)
    beats = ec57.reference(samples, list(annotation.symbol), n).beats
    notes = [note.rstrip("\x00").strip() for note in annotation.aux_note]
    changes = [(int(s), note) for s, note in zip(samples, notes, strict=True) if note.startswith("(")]
    ventricular = np.array([x in "VEF!" for x in annotation.symbol], dtype=bool)
    return beats, samples[ventricular], normal(changes, fs, n)


def normal(changes: Sequence[tuple[int, str]], fs: float, n: int) -> Spans:
    """Return the stretches (first, end) of normal rhythm, less their margins, from rhythm changes."""
    if not changes:
        return [(0, n)]
    margin = round(MARGIN_S * fs)
    ends = [at for at, _ in changes[1:]] + [n]
    spans = []
    for k, ((at, note), end) in enumerate(zip(changes, ends, strict=True)):
        first = 0 if k == 0 else at + margin
        last = n if k == len(changes) - 1 else end - margin
        if note == NORMAL and last > first:
            spans.append((first, last))
    return spans


def confirmed(
    episode: RhythmEpisode,
    beats: NDArray[np.int64] | None,
    ventricular: NDArray[np.int64],
    fs: float,
    limits: Limits,
) -> bool:
    """Whether the reference says the same as an episode of rate, of silence or of ventricular beats."""
    if episode.kind in VENTRICULAR:
        since = min(episode.onset, episode.detected - NEAR_S * fs)
        near = (ventricular >= since) & (ventricular <= episode.detected)
        return int(near.sum()) >= VENTRICULAR[episode.kind]
    if beats is None or episode.kind not in (*RATES, *SILENCES, *MISSED):
        return False
    if episode.kind in MISSED:
        rr = np.diff(beats[(beats >= episode.onset - NEAR_S * fs) & (beats <= episode.onset + NEAR_S * fs)])
        return bool(len(rr) and rr.max() >= MISSED_LOW * (1 - TOLERANCE) * np.median(rr))
    if episode.kind in SILENCES:
        longest = episode.evidence.threshold * (1 - TOLERANCE)
        around = beats[(beats >= episode.onset - 2 * fs) & (beats <= episode.detected + 30 * fs)]
        return bool((np.diff(around) / fs >= longest).any())
    sign = RATES[episode.kind]
    limit = getattr(limits, episode.kind) * (1 - sign * TOLERANCE)
    for at in range(episode.onset, episode.detected + 1, max(1, round(fs / 4))):
        inside = beats[(beats > at - WINDOW_S * fs) & (beats <= at)]
        if len(inside) >= 3:
            rate = 60 * fs * (len(inside) - 1) / (inside[-1] - inside[0])
            if sign * (rate - limit) > 0:
                return True
    return False


def _total(rows: list[dict[str, Any]], counts: list[Counter[str]]) -> dict[str, Any]:
    total: dict[str, Any] = {"normal_h": sum(row["normal_h"] for row in rows)}
    for column in ("rhythm", "technical"):
        total[f"{column}_per_day"] = _per_day(rows, column)
    for wanted in ("tuned", "held-out", "new"):
        total[f"rhythm_per_day_{wanted}"] = _per_day([r for r in rows if r["part"] == wanted], "rhythm")
    every: Counter[str] = sum(counts, Counter())
    total["per_patient_day"] = {k: every[k] * 24 / total["normal_h"] for k in sorted(every)}
    return total


def _per_day(rows: list[dict[str, Any]], column: str) -> float | None:
    hours = sum(row["normal_h"] for row in rows)
    return 24 * sum(row[column] for row in rows) / hours if hours else None
