"""Alarms of the CinC 2015 challenge: true ones kept, false ones not raised, and the time to alarm.

Each record ends in an alarm of a bedside monitor at 5:00 that experts called true or false. The whole
analyzer, as in service, sees the samples before 5:00 as a live stream (all ECG leads and pulse
waveforms, 1-s chunks, nothing of the record after 5:00), and is asked whether it would have alarmed:
an episode of the alarm's kinds that was announced, not withheld, known before 5:00, and not over
`WINDOW_S` before 5:00. The monitors announce within 10 s of the event (ANSI/AAMI EC13), and the
event itself lasts up to 6 s (five beats below 50/min): hence 16 s.

The limits are those of the challenge (`LIMITS`): asystole 4 s without a QRS, extreme bradycardia below
40/min, extreme tachycardia above 140/min (all three are the defaults of "monitor-adult"), ventricular
tachycardia 5 beats at 100/min (the default is slower to alarm, as bedside monitors are). A worse
condition of the same family counts, because only the worst is announced (`KINDS`).

score = 100 (TP + TN) / (TP + TN + FP + 5 FN) (Clifford et al., CinC 2015). delay_s is from the onset
of the announced episode to the sample that it was known at, over the true alarms.

The truth is read from ALARMS.csv (record,alarm,true) and, for records that it has not, from the header's
comments ("Asystole", "True alarm"). `HELD_OUT` is every third record of each alarm and truth in the order of
names. Believe neither part too much: rules were written after errors of both (a pulse does not withhold a
rate that a clean regular ECG shows, five slow beats, one beat of a run of another class, the pulse that
fails with a tachycardia). Their constants were not fitted: with the four of tachycardia chosen on four
fifths of its 54 records, ten times over, the other fifths score what all do (91.4). The waveform model of
ventricular rhythms was trained on records of the other alarms with another split (`vf_reference.py`).
A record in neither list is "new". ``--perturb`` runs records that no rule was written for: the same ones,
later, with a lead less, noisier. What a rule owes to chance in one record it loses there.
"""

import argparse
import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import wfdb

from benchmarks.frame import Result, record_names, track
from benchmarks.perturb import PERTURBATIONS, perturbed
from benchmarks.streams import analyze
from leadwire.errors import SettingError
from leadwire.model import RhythmEpisode, StreamEvent
from leadwire.settings import Limits

ALARM_S = 300.0
WINDOW_S = 16.0
MISS_WEIGHS = 5

VF = ("ventricular_fibrillation",)
VT = ("ventricular_tachycardia", "sustained_ventricular_tachycardia")
LIMITS = {
    "asystole_s": 4.0,
    "extreme_bradycardia": 40.0,
    "extreme_tachycardia": 140.0,
    "vt_beats": 5,
    "vt_rate": 100.0,
}
KINDS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "asystole": ("asystole", ("asystole",)),
    "bradycardia": ("extreme_bradycardia", ("extreme_bradycardia", "ventricular_bradycardia", "asystole")),
    "tachycardia": ("extreme_tachycardia", ("extreme_tachycardia", *VT, *VF)),
    "ventricular_tachycardia": ("ventricular_tachycardia", (*VT, *VF)),
    "ventricular_flutter_fib": ("ventricular_fibrillation", VF),
}
"""The challenge's word -> our word, and the kinds of episodes that say it."""

_HELD_OUT = (
    "a123l a167l a226s a363l a582s a645l a802s b125l b340s b455l b706s b832s f190s f415l f500s f544s "
    "t156s t406s t409l t467l t509l t689l t739l t816s v127l v143l v169l v211l v280s v323l v367l v369l "
    "v423l v470s v482s v535l v568s v615l v646s v655l v729l v806s"
)
_TUNED = (
    "a134s a142s a145l a301l a311l a377l a385l a539l a603l a604s a608s a650s a694s b187l b269l b285l "
    "b286s b349l b587l b659l b820s b824s f304s f407l f450s f474s f493l f610s f697l t110s t116s t149l "
    "t195l t277l t412s t445l t506s t507l t546s t677l t700s t716s t777l t812s t817l v100s v111l v155l "
    "v160s v176s v177l v199l v245l v247l v295l v318s v322s v336s v360s v374s v381l v453l v466s v472s "
    "v479l v491l v518s v557l v566s v571l v590s v612s v623l v629l v641l v696s v714s v748s v772s v827l "
    "v837l"
)
HELD_OUT, TUNED = frozenset(_HELD_OUT.split()), frozenset(_TUNED.split())


@dataclass(frozen=True)
class Truth:
    """What the experts said: `alarm` is a key of `KINDS`."""

    alarm: str
    true: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument(
        "--perturb",
        default="",
        choices=("", *PERTURBATIONS, "all"),
        help="change the records first (see benchmarks/perturb.py); nstdb is looked for beside --data",
    )


def run(args: argparse.Namespace) -> Result:
    """Run the analyzer up to each record's alarm and judge what it said."""
    limits = msgspec.convert({n: v for n, v in LIMITS.items() if n in Limits.__struct_fields__}, Limits)
    folder = Path(args.data or ".")
    listed = truths(folder)
    rows: list[dict[str, Any]] = []
    wanted = getattr(args, "perturb", "")
    hows = PERTURBATIONS if wanted == "all" else (wanted,)
    for how, name in track([(how, name) for how in hows for name in record_names(args)], "alarms"):
        truth = listed.get(name) or from_header(folder / name)
        if truth is None:
            continue
        change = partial(perturbed, how=how, noises=folder.parent / "nstdb")
        events, fs, n = analyze(folder / name, limits, ALARM_S, change)
        said = announced(events, KINDS[truth.alarm][1], n - round(WINDOW_S * fs))
        withheld = sorted({e.withheld for e in _episodes(events, truth.alarm, n, fs) if e.withheld})
        rows.append(
            {
                "record": name,
                "part": part(name),
                "alarm": KINDS[truth.alarm][0],
                "true": truth.true,
                "said": said is not None,
                "outcome": ("T" if truth.true == (said is not None) else "F") + ("P" if said else "N"),
                "delay_s": (said.detected - said.onset) / fs if said else None,
                "withheld": ";".join(withheld) if said is None else "",
                **({"perturbed": how} if how else {}),
            }
        )
    if not rows:
        raise SettingError(
            f"--data {folder}: neither ALARMS.csv nor a header's comment says what the alarms were"
        )
    return Result(_total(rows), rows)


def part(name: str) -> str:
    """Return whether a record is "tuned", "held-out" or "new"."""
    return "held-out" if name in HELD_OUT else "tuned" if name in TUNED else "new"


def truths(folder: Path) -> dict[str, Truth]:
    """Return what ALARMS.csv says, by record; nothing if it is not there.

    Raises
    ------
    SettingError
        A line names no alarm of the challenge.
    """
    path = folder / "ALARMS.csv"
    if not path.exists():
        return {}
    found = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            alarm = row["alarm"].strip().lower().replace(" ", "_")
            if alarm not in KINDS:
                raise SettingError(f"{path}: {row['alarm']!r} came; one of {', '.join(KINDS)} was expected")
            found[row["record"].strip()] = Truth(alarm, row["true"].strip().lower() in ("1", "true"))
    return found


def from_header(path: Path) -> Truth | None:
    """Return what the comments of a header say ("Asystole", "True alarm"); None if nothing."""
    comments = [c.strip().lower() for c in wfdb.rdheader(str(path)).comments]
    alarms = [c.replace(" ", "_") for c in comments if c.replace(" ", "_") in KINDS]
    verdicts = [c.startswith("true") for c in comments if c in ("true alarm", "false alarm")]
    return Truth(alarms[0], verdicts[0]) if alarms and verdicts else None


def announced(events: Iterable[StreamEvent], kinds: tuple[str, ...], since: int) -> RhythmEpisode | None:
    """Return the first announced episode of `kinds` that was not over before sample `since`."""
    said = {
        (e.onset, e.kind): e
        for e in events
        if isinstance(e, RhythmEpisode) and e.kind in kinds and not e.withheld
    }
    return next((e for e in said.values() if e.end is None or e.end >= since), None)


def score(rows: Iterable[Mapping[str, Any]]) -> float | None:
    """Return the challenge's score in percent; None without rows."""
    count = dict.fromkeys(("TP", "TN", "FP", "FN"), 0)
    for row in rows:
        count[row["outcome"]] += 1
    right = count["TP"] + count["TN"]
    total = right + count["FP"] + MISS_WEIGHS * count["FN"]
    return 100 * right / total if total else None


def _episodes(events: Iterable[StreamEvent], alarm: str, n: int, fs: float) -> list[RhythmEpisode]:
    since = n - round(WINDOW_S * fs)
    return [
        e
        for e in events
        if isinstance(e, RhythmEpisode)
        and e.kind in KINDS[alarm][1]
        and (e.detected if e.end is None else e.end) >= since
    ]


def _total(rows: list[dict[str, Any]]) -> dict[str, Any]:
    total: dict[str, Any] = {"score": score(rows)}
    for wanted in ("tuned", "held-out", "new"):
        total[f"score_{wanted}"] = score(row for row in rows if row["part"] == wanted)
    hows = sorted({row["perturbed"] for row in rows if "perturbed" in row})
    if hows:
        total["perturbed"] = {how: score(row for row in rows if row["perturbed"] == how) for how in hows}
    total["alarms"] = {
        alarm: _of_alarm([row for row in rows if row["alarm"] == alarm]) for alarm, _ in KINDS.values()
    }
    return total


def _of_alarm(rows: list[dict[str, Any]]) -> dict[str, Any]:
    true = [row["said"] for row in rows if row["true"]]
    false = [not row["said"] for row in rows if not row["true"]]
    delays = [row["delay_s"] for row in rows if row["outcome"] == "TP"]
    return {
        "TPR": 100 * float(np.mean(true)) if true else None,
        "TNR": 100 * float(np.mean(false)) if false else None,
        "delay_p99_s": float(np.percentile(delays, 99)) if delays else None,
        "n_true": len(true),
        "n_false": len(false),
    }
