"""How long things took in one case, each against its target: from the lines of the register alone.

An interval begins with one line and ends with another. What was begun, not ended, and is past its target
counts as missed: an alarm that nobody ever accepted must not make the figures better by being left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from leadwire.case import Line, RegisterEntry, UserId
from leadwire.model import Priority
from leadwire.story import RISING, Case, apply_line

LETHAL = frozenset({"asystole", "ventricular_fibrillation"})
TEST_KIND = "test_alarm"

Targets = Mapping[Priority, float]


def _all(seconds: float) -> Targets:
    return MappingProxyType({"high": seconds, "medium": seconds, "low": seconds})


@dataclass(frozen=True)
class Interval:
    """One row of the table of intervals.

    Attributes
    ----------
    starts, ends
        "line/state" words; any of `starts` begins it, the first of `ends` after that ends it. It may
        begin again after it ended. Begun again before, the wait goes on, unless the case is worse now.
    targets
        Seconds by priority; a priority without one has no target.
    side
        Of a page: only those to this side count.
    """

    name: str
    starts: tuple[str, ...]
    ends: tuple[str, ...]
    targets: Targets
    side: str = ""


INTERVALS: tuple[Interval, ...] = (
    Interval("notified", ("page/requested",), ("page/sent", "page/delivered", "page/seen"), _all(5.0), "hub"),
    Interval(
        "accepted",
        ("responsibility/raised",),
        ("responsibility/accepted",),
        MappingProxyType({"high": 60.0, "medium": 300.0}),
    ),
    Interval(
        "clinic_answered",
        ("responsibility/clinic_told",),
        ("responsibility/clinic_seen", "responsibility/with_patient", "callback/reached"),
        MappingProxyType({"high": 120.0, "medium": 900.0}),
    ),
    Interval("first_attempt", ("clinical/confirmed",), ("callback/attempt",), _all(60.0)),
    Interval("reached", ("clinical/confirmed",), ("callback/reached",), _all(300.0)),
    Interval("read_back", ("callback/reached",), ("callback/read_back",), _all(180.0)),
    Interval("action", ("callback/clinic_acknowledged",), ("callback/action_stated",), _all(300.0)),
)
"""Targets of the specification; `clinic_answered` and `read_back` ("in the same call") are our numbers."""

CLOCK_INTERVALS: tuple[tuple[str, str, str, float], ...] = (
    ("contact_to_ecg", "first_medical_contact", "ecg", 600.0),
    ("ecg_to_diagnosis", "ecg", "diagnosis", 600.0),
    ("diagnosis_to_activation", "diagnosis", "activation", 1800.0),
    ("arrival_to_wire", "arrival", "wire", 5400.0),
    ("contact_to_wire", "first_medical_contact", "wire", 7200.0),
)
"""Name, from mark, to mark, target in s: the chest-pain centre's times of the STEMI clock."""

RAISED, RAISED_TARGET_S = "raised", 10.0
"""From the onset to the alarm; the target is for lethal rhythms."""

NAMES: tuple[str, ...] = (RAISED, *(i.name for i in INTERVALS), *(c[0] for c in CLOCK_INTERVALS))


@dataclass(frozen=True)
class Sample:
    """One interval that ended, or (`seconds` None) is past its target without an end. `by` ended it."""

    name: str
    seconds: float | None
    target: float | None
    by: UserId = ""

    @property
    def in_target(self) -> bool | None:
        """None: there is no target."""
        if self.target is None:
            return None
        return self.seconds is not None and self.seconds <= self.target


@dataclass
class _Running:
    since: float
    priority: Priority


class CaseTimes:
    """Folds the entries of one case.

    Attributes
    ----------
    case
        As it stands; None before it was raised.
    alerts
        How many alerts it has had.
    samples
        Intervals that ended.
    """

    def __init__(self) -> None:
        self.case: Case | None = None
        self.alerts = 0
        self.samples: list[Sample] = []
        self._running: dict[str, _Running] = {}
        self._seen: set[str] = set()

    def take(self, entry: RegisterEntry) -> None:
        """One entry, in the register's order, each once."""
        for line in entry.lines:
            before = self.case
            self.case = apply_line(before, line, entry)
            if self.case is None:
                continue
            if line.line == "condition" and "alert" in line.data:
                self._count(line.data["alert"]["id"])
            self._time(self.case, line, entry)

    def finished(self, now: float) -> list[Sample]:
        """All samples as of `now`: those that ended, what was missed, and the marks of a STEMI clock."""
        if self.case is None:
            return []
        missed = [
            Sample(interval.name, None, interval.targets.get(running.priority))
            for interval in INTERVALS
            if (running := self._running.get(interval.name)) is not None
            and self._is_missed(interval, running, self.case.closed_at or now)
        ]
        return [*self.samples, *missed, *self._clock(self.case.clock)]

    def _count(self, alert: str) -> None:
        if alert not in self._seen:
            self._seen.add(alert)
            self.alerts += 1

    def _time(self, case: Case, line: Line, entry: RegisterEntry) -> None:
        if case.late or case.task or case.kind == TEST_KIND:
            return  # nobody is to hurry
        word = f"{line.line}/{line.state}"
        for interval in INTERVALS:
            if word in interval.starts and _concerns(interval, case, line):
                self._begin(interval, case, entry.at)
            elif word in interval.ends and _concerns(interval, case, line):
                self._end(interval, entry)
        if word in ("responsibility/released", "clinical/closed"):
            for interval in INTERVALS:
                running = self._running.get(interval.name)
                if running is not None and not self._is_missed(interval, running, entry.at):
                    del self._running[interval.name]  # it need not end any more

    def _begin(self, interval: Interval, case: Case, at: float) -> None:
        running = self._running.get(interval.name)
        if running is not None:
            if RISING[case.priority] <= RISING[running.priority]:
                return  # raised again: the wait goes on
            if self._is_missed(interval, running, at):
                self.samples.append(Sample(interval.name, None, interval.targets.get(running.priority)))
        self._running[interval.name] = _Running(at, case.priority)

    def _end(self, interval: Interval, entry: RegisterEntry) -> None:
        running = self._running.pop(interval.name, None)
        if running is not None:
            seconds = max(0.0, entry.at - running.since)
            target = interval.targets.get(running.priority)
            self.samples.append(Sample(interval.name, seconds, target, entry.by))

    @staticmethod
    def _is_missed(interval: Interval, running: _Running, now: float) -> bool:
        target = interval.targets.get(running.priority)
        return target is not None and now - running.since > target

    @staticmethod
    def _clock(clock: Mapping[str, float]) -> list[Sample]:
        return [
            Sample(name, clock[end] - clock[start], target)
            for name, start, end, target in CLOCK_INTERVALS
            if start in clock and end in clock and clock[end] >= clock[start]
        ]


def raised_sample(case: Case, onset_at: float | None) -> Sample | None:
    """From the onset (s since 1970, None: not known) to the alarm; none for what came late or is a test."""
    if onset_at is None or case.late or case.kind == TEST_KIND or case.alert.raised_at < onset_at:
        return None
    target = RAISED_TARGET_S if case.kind in LETHAL else None
    return Sample(RAISED, case.opened_at - onset_at, target)


def _concerns(interval: Interval, case: Case, line: Line) -> bool:
    if not interval.side:
        return True
    if line.state == "requested":
        return line.data.get("side") == interval.side
    page = case.pages.get(line.data.get("page", ""))
    return page is not None and page.side == interval.side
