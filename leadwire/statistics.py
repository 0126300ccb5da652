"""Figures of alarms and call-backs, from the register: how many, how true, how fast, by whom.

A pure fold over `RegisterEntry`; whoever calls it brings the entries, the time of each onset and the
patient-days, if they are known. PPV is that of the labels people gave: true (actionable or not) out of true
and artefact; duplicates and what nobody labelled count apart. The median is the middle (mean of two), p90 the
smallest value that nine tenths do not exceed (nearest rank).
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

from leadwire.case import RegisterEntry
from leadwire.intervals import NAMES, TEST_KIND, CaseTimes, Sample, raised_sample
from leadwire.local_time import day_of
from leadwire.story import Case

By = Literal["clinic", "person", "month", "kind"]
BY: tuple[By, ...] = get_args(By)
TOTAL = "total"

_TRUE = ("true_actionable", "true_not_actionable")


@dataclass
class Group:
    """The figures of one clinic, person, month, kind, or of all.

    `cases`, `alerts`: what was raised; `labels`: cases by verdict, "" for none; `tests`: test alarms, which
    count nowhere else; `samples`: seconds and targets by name of interval.
    """

    name: str
    cases: int = 0
    alerts: int = 0
    priorities: dict[str, int] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    tests: int = 0
    patient_days: float | None = None
    samples: dict[str, list[Sample]] = field(default_factory=dict)

    def add_case(self, case: Case, alerts: int) -> None:
        self.cases += 1
        self.alerts += alerts
        self.priorities[case.priority] = self.priorities.get(case.priority, 0) + 1

    def add_label(self, verdict: str) -> None:
        self.labels[verdict] = self.labels.get(verdict, 0) + 1

    @property
    def ppv(self) -> float | None:
        """Share of true alarms among those labelled true or artefact; None: none was labelled."""
        true = sum(self.labels.get(verdict, 0) for verdict in _TRUE)
        judged = true + self.labels.get("artefact", 0)
        return true / judged if judged else None

    def as_dict(self) -> dict[str, Any]:
        """Names and numbers, None where there is nothing to tell."""
        row: dict[str, Any] = {
            "group": self.name,
            "cases": self.cases,
            "alerts": self.alerts,
            **{priority: self.priorities.get(priority, 0) for priority in ("high", "medium", "low")},
            "tests": self.tests,
            "patient_days": _rounded(self.patient_days, 6),
            "alerts_per_patient_day": _rounded(
                self.alerts / self.patient_days if self.patient_days else None
            ),
            "true_actionable": self.labels.get("true_actionable", 0),
            "true_not_actionable": self.labels.get("true_not_actionable", 0),
            "artefact": self.labels.get("artefact", 0),
            "duplicate": self.labels.get("duplicate", 0),
            "unlabelled": self.labels.get("", 0),
            "ppv": _rounded(self.ppv),
        }
        for name in NAMES:
            row |= {f"{name}_{key}": value for key, value in _summary(self.samples.get(name, ())).items()}
        return row


def statistics(
    entries: Iterable[RegisterEntry],
    by: By,
    zone: ZoneInfo,
    now: float,
    since: float = -math.inf,
    until: float = math.inf,
    onset_at: Callable[[Case], float | None] = lambda _: None,
    patient_days: Mapping[str, float] | None = None,
) -> list[Group]:
    """The figures of the cases opened at `since` <= t < `until`; the first group is the total.

    Parameters
    ----------
    entries
        In the order of the register; one that comes twice counts once.
    by
        How to group. By person, a case counts for whoever labelled it, an interval for whoever ended it.
    zone
        Of the months.
    now
        What was begun and has not ended by then may be past its target, s since 1970.
    onset_at
        When the first alert of a case began, s since 1970, None if it is not known.
    patient_days
        By clinic.
    """
    groups: dict[str, Group] = {}

    def group(name: str) -> Group:
        return groups.setdefault(name, Group(name))

    group(TOTAL)
    for times in _folded(entries).values():
        case = times.case
        if case is None or not since <= case.opened_at < until:
            continue
        month = f"{day_of(case.opened_at, zone):%Y-%m}"
        of_case = {"clinic": case.clinic, "month": month, "kind": case.kind, "person": case.triaged_by}[by]
        names = [TOTAL, of_case] if of_case else [TOTAL]
        if case.kind == TEST_KIND:
            for name in names:
                group(name).tests += 1
            continue
        for name in names:
            group(name).add_case(case, times.alerts)
            group(name).add_label(case.verdict)
        first = raised_sample(case, onset_at(case))
        for sample in (*times.finished(now), *([first] if first else [])):
            owner = sample.by if by == "person" else of_case
            for name in (TOTAL, owner) if owner else (TOTAL,):
                group(name).samples.setdefault(sample.name, []).append(sample)
    if patient_days is not None:
        groups[TOTAL].patient_days = sum(patient_days.values())
        if by == "clinic":
            for clinic, days in patient_days.items():
                group(clinic).patient_days = days
    total = groups.pop(TOTAL)
    return [total, *(groups[name] for name in sorted(groups))]


def _folded(entries: Iterable[RegisterEntry]) -> dict[str, CaseTimes]:
    found: dict[str, CaseTimes] = {}
    seen: set[str] = set()
    for entry in entries:
        if entry.alert and entry.id not in seen:
            seen.add(entry.id)
            found.setdefault(entry.alert, CaseTimes()).take(entry)
    return found


def _summary(samples: Sequence[Sample]) -> dict[str, Any]:
    """How many, how many without an end, median, p90, and the share within target."""
    seconds = sorted(s.seconds for s in samples if s.seconds is not None)
    judged = [s.in_target for s in samples if s.in_target is not None]
    return {
        "n": len(seconds),
        "missed": sum(s.seconds is None for s in samples),
        "median_s": _rounded(median(seconds) if seconds else None),
        "p90_s": _rounded(seconds[math.ceil(0.9 * len(seconds)) - 1] if seconds else None),
        "in_target": _rounded(sum(judged) / len(judged) if judged else None),
    }


def _rounded(value: float | None, digits: int = 3) -> float | None:
    return None if value is None else round(value, digits)
