"""The desk: everything that can happen to a case, in one total order. Pure: it is told the time.

In come the transitions of alerts, commands of people and channels, wishes for the network, and the time;
out come register entries. A case is what its entries add up to (`leadwire/story.py`), so the desk can be
rebuilt from the register at any moment and goes on as if nothing had happened:

- one input makes one entry, known again by its `cause`;
- what follows from the state of several cases (one hides another, a hand-over moves them) is no part of
  that entry: it is worked out anew from the state, in entries of its own, each of which can be lost and
  is then made again;
- timers are deadlines in the entries.

What may happen is written in the files beside: `episodes` (condition), `signal`, `escalation`
(responsibility), `clinical`, `callback`, `stemi`; `commands` is the table of who may do what.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush
from types import MappingProxyType
from typing import Any

from alerts import callback, clinical, commands, episodes, escalation, signal
from alerts.criteria import Packs
from alerts.draft import Draft, Refuse
from alerts.episodes import PatientKey
from leadwire.case import AlertId, Command, Line, NetworkItem, RegisterEntry, UserId
from leadwire.errors import BugError
from leadwire.model import Alert
from leadwire.network import Handover, Network
from leadwire.roster import Directory, check_take_over
from leadwire.story import Case, apply

KEEP_CLOSED_S = 30 * 86_400.0
"""Closed cases are remembered so long, for reopening; then the register alone has them, in s."""

KEPT_CAUSES = 100_000
"""Commands remembered, so that one given twice is done once."""

TIMERS: Mapping[str, Callable[[Draft], None]] = MappingProxyType(
    {
        "sound": signal.resume,
        "reminder": signal.remind,
        "escalate": escalation.on_escalate,
        "lease": escalation.on_lease,
        "task": escalation.on_task,
        "clinic": escalation.on_clinic,
        "clinic_step": escalation.on_clinic_step,
        "close": clinical.on_close,
        "test": commands.on_test,
        "attempt": callback.on_attempt,
        "call_back": callback.on_call_back,
    }
    | {what: partial(callback.on_due, what=what) for what in callback.DUE_S}
)
"""Name of a timer (in `Case.timers`) -> what happens when it is due."""


@dataclass(frozen=True)
class Refusal:
    """An input that made no entry, and why: ``known``: it made one before."""

    id: str
    reason: str


@dataclass(frozen=True)
class Decision:
    """What one input brought about: facts of the network first, then what stands in the register."""

    network: tuple[NetworkItem, ...] = ()
    entries: tuple[RegisterEntry, ...] = ()
    refusals: tuple[Refusal, ...] = ()


class DeskEngine:
    """All cases of the network.

    Parameters
    ----------
    network
        Clinics, people and rules as they are; the engine changes it by `on_network`.
    packs
        Says whether the rules that a clinic or somebody's criteria name can be followed.
    """

    def __init__(self, network: Network | None = None, packs: Packs | None = None) -> None:
        self.network = network or Network()
        self._packs = packs or Packs()
        self.directory = Directory(self.network)
        self._cases: dict[AlertId, Case] = {}
        self._alerts: dict[str, tuple[AlertId, int]] = {}  # alert -> its case, last version
        self._patients: dict[PatientKey, dict[AlertId, None]] = {}  # patient -> open cases
        self._causes: OrderedDict[str, None] = OrderedDict()
        self._heap: list[tuple[float, AlertId]] = []
        self._due: dict[AlertId, float] = {}  # what of each case stands in the heap
        self._dirty: dict[PatientKey, None] = {}  # patients of whom what hides what may have changed
        self._moves: dict[AlertId, tuple[UserId, UserId, str]] = {}  # case -> from, to, hand-over

    # ---------------------------------------------------------------- reading

    def case(self, alert: AlertId) -> Case | None:
        """The case that the alert `alert` belongs to."""
        found = self._alerts.get(alert)
        return self._cases.get(found[0]) if found else None

    def cases(self) -> Iterator[Case]:
        """All cases remembered, in the order of raising."""
        return iter(self._cases.values())

    def open_cases(self) -> Iterator[Case]:
        """All cases that are not closed."""
        return (self._cases[i] for ids in self._patients.values() for i in ids)

    def since(self, now: float) -> float:
        """The time from which on the register is needed to know what is remembered now."""
        return min((c.opened_at for c in self._cases.values()), default=now)

    def notify_at(self) -> float | None:
        """When `on_time` has something to do; None: never, by itself."""
        if self._dirty or self._moves:
            return 0.0
        return self._heap[0][0] if self._heap else None

    # ---------------------------------------------------------------- inputs

    def rebuild(self, entries: Iterable[RegisterEntry]) -> None:
        """Take in the register, in its order; an entry that stands there twice counts once."""
        seen: set[str] = set()
        for entry in entries:
            if entry.id not in seen:
                seen.add(entry.id)
                self._take(entry)
        self._dirty |= dict.fromkeys(self._patients)

    def on_event(self, alert: Alert, now: float) -> Decision:
        """A transition of an alert. `now` in s, epoch, never running back."""
        cause = f"{alert.id}#{alert.version}"
        case_id, version = self._alerts.get(alert.id, ("", 0))
        case = self._cases.get(case_id)
        if version >= alert.version:
            return Decision(refusals=(Refusal(cause, "known"),))
        if case is not None:
            draft = self._draft(case, case_id, cause, now)
            episodes.take(draft, alert)
            return self._decided(draft, now)
        key = episodes.patient_key(alert)
        near = [self._cases[i] for i in self._patients.get(key, ())]
        near = [c for c in near if episodes.joins(c, alert, now)]
        if near:
            draft = self._draft(near[-1], near[-1].id, cause, now)
            episodes.take(draft, alert)
        else:
            draft = self._draft(None, alert.id, cause, now)
            episodes.raise_case(draft, alert)
        return self._decided(draft, now)

    def on_command(self, command: Command, now: float) -> Decision:
        """Something that somebody wants done; a refusal is an entry too, with its reason."""
        if command.id in self._causes:
            return Decision(refusals=(Refusal(command.id, "known"),))
        if command.action == "test_alarm":
            return self._test_alarm(command, now)
        case = self.case(command.alert)
        if case is None:
            why = Refuse("unknown_alert", "the alert of a case that is remembered was expected")
            return self._refused(command.alert, command.id, command.action, why, now, command.by)
        draft = self._draft(case, case.id, command.id, now, command.by)
        try:
            commands.run(draft, command)
        except Refuse as why:
            return self._refused(case.id, command.id, command.action, why, now, command.by)
        return self._decided(draft, now)

    def on_network(self, item: NetworkItem, now: float) -> Decision:
        """A wish to change the network; what fits becomes a fact."""
        if item.key in self._causes:
            return Decision(refusals=(Refusal(item.key, "known"),))
        data: dict[str, object] = {"kind": item.kind, "id": item.id}
        try:
            wanted = self.network.check(item)
            if wanted is not None:
                self._packs.check(wanted)
            if isinstance(wanted, Handover):
                data |= self._take_over(wanted)
        except ValueError as why:
            return self._refused("", item.key, "network", Refuse("bad_data", str(why)), now, item.by)
        self.network.apply(item)
        removed: dict[str, object] = {"removed": True} if item.body is None else {"body": _told(item.body)}
        line = Line(line="network", state="changed", data=data | removed)
        entry = _entry("", item.key, now, item.by, line)
        self._take(entry)
        return Decision(network=(item,), entries=(entry, *self._follow(now)))

    def on_time(self, now: float) -> Decision:
        """What became due by `now`."""
        made = list(self._follow(now))
        while self._heap and self._heap[0][0] <= now:
            at, case_id = heappop(self._heap)
            if self._due.get(case_id) != at:
                continue
            del self._due[case_id]
            made.append(self._on_timer(self._cases[case_id], now))
            made.extend(self._follow(now))
        return Decision(entries=tuple(made))

    def forget(self, now: float) -> None:
        """Drop what was closed long ago."""
        old = [c.id for c in self._cases.values() if c.closed and now - c.changed_at > KEEP_CLOSED_S]
        for case_id in old:
            for member in self._cases.pop(case_id).members:
                self._alerts.pop(member, None)
        if old:
            self._alerts = {a: v for a, v in self._alerts.items() if v[0] in self._cases}

    # ---------------------------------------------------------------- inside

    def _draft(self, case: Case | None, alert: AlertId, cause: str, now: float, by: UserId = "") -> Draft:
        return Draft(
            case,
            alert=alert,
            cause=cause,
            at=now,
            by=by,
            directory=self.directory,
            is_case=self._cases.__contains__,
        )

    def _decided(self, draft: Draft, now: float) -> Decision:
        return Decision(entries=(self._taken(draft), *self._follow(now)))

    def _refused(
        self, alert: AlertId, cause: str, action: str, why: Refuse, now: float, by: UserId
    ) -> Decision:
        line = Line(line="refused", state=why.reason, data={"action": action, "detail": why.detail})
        entry = _entry(alert, cause, now, by, line)
        self._take(entry)
        return Decision(entries=(entry,))

    def _test_alarm(self, command: Command, now: float) -> Decision:
        case_id = f"test:{command.id}"
        try:
            wanted = commands.read(command, commands.TestAlarm)
            if not commands.TEST_ROLES & set(self.directory.roles(command.by)):
                roles = ", ".join(sorted(commands.TEST_ROLES))
                raise Refuse("not_allowed", f"{command.by} came; one of {roles} was expected")
            if not self.directory.may_see(command.by, wanted.clinic):
                raise Refuse("outside_clinics", f"{command.by} came; somebody of that clinic was expected")
        except Refuse as why:
            return self._refused("", command.id, command.action, why, now, command.by)
        draft = self._draft(None, case_id, command.id, now, command.by)
        alert = episodes.test_alert(case_id, wanted.clinic, now)
        episodes.raise_test(draft, alert, (command.by,))
        return self._decided(draft, now)

    def _take_over(self, wanted: Handover) -> dict[str, object]:
        """The part of a hand-over that the register keeps; ValueError if it may not be."""
        cases = [c for c in self.open_cases() if c.kind != episodes.TEST_KIND]
        check_take_over(self.directory, wanted, (c.id for c in cases))
        moved = [c.id for c in cases if c.owner == wanted.from_user]
        return {"from_user": wanted.from_user, "to_user": wanted.to_user, "cases": moved}

    def _on_timer(self, case: Case, now: float) -> RegisterEntry:
        name, at = min(case.timers.items(), key=lambda timer: (timer[1], timer[0]))
        draft = self._draft(case, case.id, _time_cause(case), now)
        if name in TIMERS:
            TIMERS[name](draft)
        else:
            draft.add("clinical", "note", text=f"timer {name} is not known", timers={name: None})
        if draft.case.timers.get(name) == at:
            raise BugError(f"timer {name} of a case was due and is still")
        return self._taken(draft)

    def _follow(self, now: float) -> Iterator[RegisterEntry]:
        """What follows from the state alone, and does not stand in the register yet."""
        while self._moves:
            case_id, (from_user, to_user, handover) = self._moves.popitem()
            case = self._cases.get(case_id)
            if case is not None and not case.closed and case.owner == from_user:
                draft = self._draft(case, case_id, _time_cause(case), now)
                escalation.own(draft, to_user, taken_from=from_user, handover=handover)
                draft.page((to_user,), "handed_over")
                yield self._taken(draft)
        while self._dirty:
            key, _ = self._dirty.popitem()
            yield from self._hide(key, now)

    def _hide(self, key: PatientKey, now: float) -> Iterator[RegisterEntry]:
        cases = [self._cases[i] for i in self._patients.get(key, ())]
        if len(cases) < 2 and not any(c.inhibited_by or c.hides for c in cases):
            return
        hidden = episodes.hidden_by(cases)
        for case in cases:
            if case.inhibited_by != (by := hidden.get(case.id, "")):
                draft = self._draft(case, case.id, _time_cause(case), now)
                episodes.inhibit(draft, by)
                yield self._taken(draft)
        for case_id in [c.id for c in cases]:
            case = self._cases[case_id]
            hides = [self._cases[i] for i, by in hidden.items() if by == case_id]
            if hides or case.hides:
                draft = self._draft(case, case_id, _time_cause(case), now)
                episodes.hide(draft, hides)
                if draft.lines:
                    yield self._taken(draft)
        self._dirty.pop(key, None)

    def _taken(self, draft: Draft) -> RegisterEntry:
        entry, case = draft.entry()
        self._take(entry, case)
        return entry

    def _take(self, entry: RegisterEntry, case: Case | None = None) -> None:
        """The one place where the state changes: `entry` stands in the register (`case`: as it is after)."""
        self._causes[entry.cause] = None
        if len(self._causes) > KEPT_CAUSES:
            self._causes.popitem(last=False)
        for line in entry.lines:
            if line.line == "network" and "cases" in line.data:
                move = (line.data["from_user"], line.data["to_user"], line.data["id"])
                self._moves |= dict.fromkeys(line.data["cases"], move)
        if case is None and entry.alert:
            case = apply(self._cases.get(entry.alert), entry)
        if case is None:
            return
        self._cases[case.id] = case
        for line in entry.lines:
            if line.line == "condition" and "alert" in line.data:
                alert = line.data["alert"]
                self._alerts[alert["id"]] = (case.id, alert["version"])
        if any(line.line in ("condition", "signal", "clinical") for line in entry.lines):
            self._index(case)
        if any(line.line == "responsibility" and line.state == "accepted" for line in entry.lines):
            self._moves.pop(case.id, None)
        self._arm(case)

    def _index(self, case: Case) -> None:
        key = episodes.patient_key(case)
        there = self._patients.setdefault(key, {})
        if case.closed:
            there.pop(case.id, None)
        else:
            there[case.id] = None
        if not there:
            del self._patients[key]
        self._dirty[key] = None

    def _arm(self, case: Case) -> None:
        at = min(case.timers.values(), default=None)
        if self._due.get(case.id) == at:
            return
        if at is None:
            del self._due[case.id]
        else:
            self._due[case.id] = at
            heappush(self._heap, (at, case.id))


def _told(body: dict[str, Any]) -> dict[str, Any]:
    """What the register keeps of an item: all but the hash of a password."""
    return {name: value for name, value in body.items() if name != "password"}


def _time_cause(case: Case) -> str:
    """The same state brings about the same: its cause is named by how many entries there were."""
    return f"time@{case.id}#{case.entries}"


def _entry(alert: AlertId, cause: str, now: float, by: UserId, line: Line) -> RegisterEntry:
    return RegisterEntry(id=f"{cause}@{alert}", alert=alert, cause=cause, at=now, by=by, lines=(line,))
