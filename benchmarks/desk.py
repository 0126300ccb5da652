"""The desk over a simulated year: processor time, and whether anything was forgotten.

A network of clinics with a roster; alerts come as they come, and people answer pages sooner, later or
never: they accept, decline, triage, call, read back, close, or go to sleep over it. The clock is only a
number. At the end every case must be closed or loudly open: sounding, escalated again and again, or
waiting for a clock that pages somebody.
"""

import argparse
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any

from alerts.engine import Decision, DeskEngine
from alerts.kinds import KINDS
from alerts.pack_files import shipped_pack
from benchmarks.frame import Result
from leadwire.case import Command, Line, RegisterEntry
from leadwire.model import Alert, Evidence, event_id
from leadwire.network import Clinic, Contact, Item, Network, Shift, User, to_item
from leadwire.story import Case

START = 1_700_000_000.0
DAY_S = 86_400.0
BEDS = 4

PER_BED_DAY = {
    "asystole": 0.01,
    "ventricular_fibrillation": 0.004,
    "ventricular_tachycardia": 0.02,
    "extreme_tachycardia": 0.03,
    "pause": 0.05,
    "tachycardia": 0.15,
    "bradycardia": 0.15,
    "atrial_fibrillation": 0.02,
    "pvc_couplet": 0.2,
    "lead_off": 0.3,
    "no_data": 0.05,
}
"""How often each kind begins, a bed and day."""

LASTS_S = {
    "atrial_fibrillation": 7200.0,
    "lead_off": 900.0,
    "no_data": 600.0,
    "pause": 3.0,
    "pvc_couplet": 2.0,
}
"""Mean length, in s; a minute for the others."""

ANSWERS = {"hub": 0.75, "clinic": 0.8}
"""The share of pages that is answered at all."""

VERDICTS = ("artefact", "true_not_actionable", "true_actionable")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be chosen."""
    parser.add_argument("--days", type=int, default=365, metavar="N", help="how many days (default 365)")
    parser.add_argument("--clinics", type=int, default=30, metavar="N", help="how many clinics (default 30)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of chance (default 1)")


def run(args: argparse.Namespace) -> Result:
    """Let the days pass and count."""
    year = Year(args.clinics, args.days, args.seed)
    began = time.process_time()
    year.play()
    spent = time.process_time() - began
    return Result(
        total={
            "days": args.days,
            "clinics": args.clinics,
            "alerts": year.alerts,
            "cases": year.raised,
            "closed": year.closed,
            "open": len(list(year.desk.open_cases())),
            "forgotten": len(year.forgotten()),
            "entries": year.entries,
            "lines": sum(year.lines.values()),
            "cpu_s": spent,
            "us_per_entry": 1e6 * spent / max(1, year.entries),
            "most_in_memory": year.most,
        }
    )


@dataclass
class Year:
    """The simulated time.

    Attributes
    ----------
    most
        The most cases it held in memory at once.
    """

    clinics: int
    days: int
    seed: int
    alerts: int = 0
    raised: int = 0
    closed: int = 0
    entries: int = 0
    commands: int = 0
    most: int = 0
    lines: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.desk = DeskEngine(_network(self.clinics, self.days))
        self.now = START
        self._todo: list[tuple[float, int, Callable[[], Decision | None]]] = []
        self._number = 0
        rules = shipped_pack("monitor-adult").rules
        self._rules = {kind: rules[kind][0] for kind in PER_BED_DAY}

    def play(self) -> None:
        """From the first day to the last, and a week more in which nothing new happens."""
        for clinic in range(self.clinics):
            for bed in range(BEDS):
                for kind in PER_BED_DAY:
                    self._next_alert(clinic, bed, kind)
        end = START + self.days * DAY_S
        forget = START
        while self._todo or self.desk.notify_at() is not None:
            due = self.desk.notify_at()
            at = self._todo[0][0] if self._todo else end + 8 * DAY_S
            if due is not None and due <= at:
                if max(due, self.now) > end + 7 * DAY_S:
                    break
                self.now = max(due, self.now)
                self._ask(lambda: self.desk.on_time(self.now))
            elif not self._todo:
                break
            else:
                at, _, act = heappop(self._todo)
                self.now = max(at, self.now)
                self._ask(act)
            if self.now - forget > DAY_S:
                forget = self.now
                self.desk.forget(self.now)
                self.most = max(self.most, sum(1 for _ in self.desk.cases()))

    def forgotten(self) -> list[Case]:
        """Open cases of which nobody will hear again."""
        return [c for c in self.desk.open_cases() if not (c.timers or c.active or c.audible)]

    # ---------------------------------------------------------------- inside

    def _later(self, wait_s: float, act: Callable[[], Decision | None]) -> None:
        self._number += 1
        heappush(self._todo, (self.now + wait_s, self._number, act))

    def _ask(self, act: Callable[[], Decision | None]) -> None:
        decision = act()
        for entry in decision.entries if decision is not None else ():
            self.entries += 1
            for line in entry.lines:
                self.lines[f"{line.line}/{line.state}"] += 1
                self._react(entry, line)

    def _next_alert(self, clinic: int, bed: int, kind: str) -> None:
        wait_s = self.chance.expovariate(PER_BED_DAY[kind] / DAY_S)
        if self.now + wait_s < START + self.days * DAY_S:
            self._later(wait_s, lambda: self._begin(clinic, bed, kind))

    def _begin(self, clinic: int, bed: int, kind: str) -> Decision:
        self.alerts += 1
        self._next_alert(clinic, bed, kind)
        alert = self._alert(clinic, bed, kind, round((self.now - START) * 250), 1)
        lasts_s = self.chance.expovariate(1 / LASTS_S.get(kind, 60.0))
        ended = self._alert(clinic, bed, kind, alert.onset, 2)
        self._later(lasts_s, lambda: self.desk.on_event(ended, self.now))
        return self.desk.on_event(alert, self.now)

    def _alert(self, clinic: int, bed: int, kind: str, onset: int, version: int) -> Alert:
        stream = f"c{clinic}.b{bed}"
        rule = self._rules[kind]
        return Alert(
            id=event_id(stream, onset, kind),
            version=version,
            stream=stream,
            kind=kind,
            priority=rule.priority,
            category=KINDS[kind].category,
            state="active" if version == 1 else "ended",
            onset=onset,
            raised_at=self.now,
            changed_at=self.now,
            evidence=Evidence(rule=kind, value=10.0, threshold=10.0, unit="s"),
            clinic=f"clinic {clinic}",
            bed=str(bed),
            rule=rule.frozen("monitor-adult 1"),
        )

    def _react(self, entry: RegisterEntry, line: Line) -> None:
        """What people do when they hear of a line."""
        what = f"{line.line}/{line.state}"
        if what == "condition/raised":
            self.raised += 1
        elif what == "clinical/closed":
            self.closed += 1
        elif what == "page/requested" and self.chance.random() < ANSWERS[line.data["side"]]:
            wait_s = self.chance.lognormvariate(3.2, 0.9)
            user, case = line.data["user"], entry.alert
            if line.data["side"] == "clinic":
                self._command(wait_s, case, user, "seen")
                if line.data["kind"] == "call_back":
                    self._command(wait_s + 60, case, user, "clinic_acknowledge")
                    self._command(wait_s + 240, case, user, "state_action", text="as told")
            elif self.chance.random() < 0.05:
                self._command(wait_s, case, user, "decline", reason="elsewhere")
            else:
                self._command(wait_s, case, user, "accept")
        elif what == "responsibility/accepted" and self.chance.random() < 0.95:
            self._work(entry.alert, line.data["owner"])

    def _work(self, case: str, user: str) -> None:
        """What an owner does with a case: one in twenty goes to sleep over it."""
        verdict = self.chance.choices(VERDICTS, (4, 3, 2))[0]
        self._command(20, case, user, "acknowledge")
        self._command(60, case, user, "triage", verdict=verdict)
        if verdict == "true_actionable":
            self._command(70, case, user, "confirm")
            at = 100.0
            while (result := self.chance.choice(("answered", "answered", "busy", "no_answer"))) != "answered":
                self._command(at, case, user, "attempt", contact="Wang", result=result)
                at += 110
            self._command(at, case, user, "attempt", contact="Wang", result="answered")
            self._command(at + 60, case, user, "read_back", words="as told", by="Wang")
            self._command(at + 3600, case, user, "outcome", text="transferred")
            self._command(at + 3700, case, user, "close", reason="done")
        else:
            self._command(120, case, user, "close", reason="seen")

    def _command(self, wait_s: float, case: str, user: str, action: str, **data: Any) -> None:
        self.commands += 1
        number = self.commands

        def give() -> Decision:
            command = Command(id=f"c{number}", alert=case, action=action, by=user, at=self.now, data=data)
            return self.desk.on_command(command, self.now)

        self._later(wait_s, give)


def _network(clinics: int, days: int) -> Network:
    found = Network()
    for item in _items(clinics, days):
        found.apply(to_item(item, key="seed", at=START))
    return found


def _items(clinics: int, days: int) -> Iterator[Item]:
    duties = {
        "technician": ("tech1", "tech2"),
        "cardiologist": ("card1", "card2"),
        "second": ("second",),
        "chief": ("chief",),
        "installer": ("inst",),
    }
    for clinic in range(clinics):
        name = f"clinic {clinic}"
        yield Clinic(id=name, name=name, tier="village", contacts=(Contact(name="Wang", phone="139"),))
        yield User(id=f"doctor{clinic}", name="Wang", roles=("clinic_doctor",), clinics=(name,))
    for duty, users in duties.items():
        role: Any = (
            "technician" if duty == "technician" else "installer" if duty == "installer" else "cardiologist"
        )
        for user in users:
            yield User(id=user, name=user, roles=(role,))
        # The first of two by day, the second by night, a day each; the others all week.
        length = DAY_S / len(users)
        for number in range(int((days + 10) * DAY_S / length)):
            yield Shift(
                id=f"{duty}.{number}",
                duty=duty,  # type: ignore[arg-type]
                user=users[number % len(users)],
                start=START + number * length,
                end=START + (number + 1) * length,
            )
