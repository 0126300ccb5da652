"""Ventricular fibrillation and flutter: episodes found, false alarms per 24 h, seconds to the alarm.

The stream analyzer hears each record in chunks of 1 s; its `ventricular_fibrillation` episodes that are not
withheld are the alarms, active from `detected` to `end`.

The rules
---------
An annotated episode of VF or VFL counts if it lasts `EPISODE_S` or longer (a shorter flutter is over before
anybody could act; it is neither missed nor false). It is found if an alarm is active within it, or begins
within `ONSET_S` of its onset. `onset_s` is the time from its onset to the alarm, 0 if one is active already.

An alarm is false if no annotated VF or VFL (of any length) lies within `NEAR_S` of it. Two kinds of alarm
are counted apart and not as false: one that overlaps annotated ventricular tachycardia (`in_vt`: at the rates
that imitate fibrillation it is shocked like it, and annotators draw the line between fast VT and
flutter differently; none of that time counts as non-VF either; where nothing is annotated but beats, a run of
them at 180 a minute is taken for it, see `vf_reference.py`), and one within noise that borders on VF or
VT, where nobody can say what the heart does (`in_noise`). All other noise counts as non-VF. `+P` is
alarms that found an episode over those and the false ones.

"tuned" records trained the model, so their figures flatter; "held-out" and "new" ones did not.
"""

import argparse
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import wfdb

from benchmarks.frame import Result, record_names, track
from benchmarks.vf_reference import FAST, VF, VT, Segment, part, segments, unclear
from dsp.pipeline import StreamAnalyzer
from leadwire.model import INVALID_SAMPLE, RhythmEpisode, SampleChunk
from leadwire.settings import Limits

EPISODE_S = 5.0
ONSET_S = 10.0
NEAR_S = 10.0
KIND = "ventricular_fibrillation"


@dataclass(frozen=True)
class Counts:
    """What one record adds to the total; `delays` in s of the episodes found."""

    episodes: int = 0
    found: int = 0
    true: int = 0
    false: int = 0
    in_vt: int = 0
    in_noise: int = 0
    hours_non_vf: float = 0.0
    delays: tuple[float, ...] = ()

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--annotator", default="atr", help="extension of the reference (default atr)")


def run(args: argparse.Namespace) -> Result:
    """Hear the records and score the alarms."""
    rows: list[dict[str, Any]] = []
    totals: dict[str, Counts] = {}
    for name in track(record_names(args), "VF"):
        path = Path(args.data) / name
        record = wfdb.rdrecord(str(path), physical=False)
        seconds = record.sig_len / float(record.fs)
        parts = segments(path, seconds, float(record.fs), args.annotator, fast=True)
        counts = score(parts, alarms(record))
        which = part(path.resolve().parent.name, name)
        for key in ("all", which):
            totals[key] = totals.get(key, Counts()) + counts
        rows.append({"record": name, "part": which, **metrics(counts)})
    total = metrics(totals.get("all", Counts()))
    for which in ("tuned", "held-out", "new"):
        some = metrics(totals.get(which, Counts()))
        total |= {f"{key}_{which}": some[key] for key in ("Se", "false_per_24h", "onset_p99_s")}
    return Result(total, rows)


def alarms(record: wfdb.Record) -> list[tuple[float, float]]:
    """(from, to) in s of each alarm on a record read with ``physical=False``."""
    fs = float(record.fs)
    d = np.asarray(record.d_signal)
    d = np.where((d < INVALID_SAMPLE) | (d > 32767), INVALID_SAMPLE, d).astype("<i2")
    analyzer = StreamAnalyzer(Limits(), only=("fibrillation",))
    begun: dict[tuple[int, str], float] = {}
    found: list[tuple[float, float]] = []
    for k in range(int(len(d) / fs) + 1):
        a, b = round(k * fs), min(round((k + 1) * fs), len(d))
        chunk = SampleChunk(
            stream="record",
            first_sample=a,
            fs=fs,
            sig_name=tuple(f"{i} {n}" for i, n in enumerate(record.sig_name)),
            units=tuple("mV" if u.lower() == "mv" else u for u in record.units),
            adc_gain=tuple(record.adc_gain),
            baseline=tuple(record.baseline),
            samples=d[a:b].tobytes(),
            device_time=0.0,
            receive_time=0.0,
        )
        for event in analyzer.process(chunk):
            if isinstance(event, RhythmEpisode) and event.kind == KIND and not event.withheld:
                if event.end is None:
                    begun[event.onset, event.kind] = event.detected / fs
                else:
                    found.append((begun.pop((event.onset, event.kind)), event.end / fs))
    return sorted(found + [(t, len(d) / fs) for t in begun.values()])


def score(parts: list[Segment], heard: list[tuple[float, float]]) -> Counts:
    """Compare alarms (from, to) with the annotated segments, both in s."""
    vf = [(a, b) for a, b, word in parts if word == VF]
    vt = [(a, b) for a, b, word in parts if word in (VT, FAST)]
    hidden = unclear(parts)
    delays, episodes = [], 0
    for a, b in vf:
        if b - a < EPISODE_S:
            continue
        episodes += 1
        times = [max(start - a, 0.0) for start, end in heard if start <= max(b, a + ONSET_S) and end >= a]
        if times:
            delays.append(min(times))
    true = in_vt = in_noise = false = 0
    for start, end in heard:
        if any(start < b + NEAR_S and end > a - NEAR_S for a, b in vf):
            true += 1
        elif any(start < b + NEAR_S and end > a for a, b in vt):
            in_vt += 1
        elif any(start < b and end > a for a, b in hidden):
            in_noise += 1
        else:
            false += 1
    other = sum(b - a for a, b, word in parts if word not in (VF, VT, FAST)) - sum(b - a for a, b in hidden)
    return Counts(
        episodes=episodes,
        found=len(delays),
        true=true,
        false=false,
        in_vt=in_vt,
        in_noise=in_noise,
        hours_non_vf=other / 3600,
        delays=tuple(delays),
    )


def metrics(c: Counts) -> dict[str, Any]:
    """Metric names to values; None where undefined."""
    return {
        "Se": 100 * c.found / c.episodes if c.episodes else None,
        "+P": 100 * c.true / (c.true + c.false) if c.true + c.false else None,
        "false_per_24h": 24 * c.false / c.hours_non_vf if c.hours_non_vf else None,
        "onset_p99_s": float(np.percentile(c.delays, 99)) if c.delays else None,
        "onset_p50_s": float(np.percentile(c.delays, 50)) if c.delays else None,
        "n_episodes": c.episodes,
        "found": c.found,
        "true": c.true,
        "false": c.false,
        "in_vt": c.in_vt,
        "in_noise": c.in_noise,
        "hours_non_vf": c.hours_non_vf,
    }
