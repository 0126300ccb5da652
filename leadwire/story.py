"""What is known of a case: the sum of its register entries.

`apply` is the only thing that changes a `Case`; the desk, the dashboard and the statistics all use it, so
what one of them shows is what the others decide by. Pure. Whose turn it is and what is allowed is decided
in `alerts/`, never here: this file takes what stands in the register as it comes.

Deadlines stand in the register too. A line's data may hold ``timers``: name -> epoch second (None: no more);
together they are `Case.timers`.
"""

from typing import Any, Literal

import msgspec
from msgspec import Struct, structs

from leadwire.case import AlertId, Line, RegisterEntry, Step, UserId
from leadwire.model import Alert, Priority
from leadwire.story_parts import (
    HUB,
    OPEN_PAGES,
    RISING,
    Attempt,
    CallBack,
    Member,
    Page,
    PageState,
    call_back_after,
    member_after,
    page_after,
)

__all__ = [
    "HUB",
    "OPEN_PAGES",
    "RISING",
    "Attempt",
    "CallBack",
    "Case",
    "Member",
    "Page",
    "PageState",
    "apply",
]

Condition = Literal["active", "latched", "ended"]
Signal = Literal["sounding", "audio_paused", "acknowledged", "reminder", "alarm_paused", "alarm_off", "quiet"]
Responsibility = Literal["raised", "escalated", "accepted", "exhausted", "released"]
Verdict = Literal["", "artefact", "duplicate", "true_not_actionable", "true_actionable"]


class Case(Struct, frozen=True, kw_only=True):
    """One episode of one patient, from the first alert to the outcome. All times in s, epoch.

    Attributes
    ----------
    id, opened_at, changed_at, entries
        Id of the first alert; when it was raised and last changed; how many entries it has.
    kind, priority
        The worst so far. `now_kind`, `now_priority`: the worst of what is active (or was last).
    members
        Alert id -> `Member`: all alerts of the episode, in the order they came.
    task, late
        To be dealt with, not sounded (AF found on a patch; what ended before its data came).
    condition, inhibited_by, hides, hidden_priority
        The condition line; the case that hides this one; the cases that this one hides, and the
        highest priority among them, which it takes over.
    signal, signal_until, signal_reason, signal_by
        The signal line.
    responsibility, owner, lease_until, round, chain, step, level, declined, chain_at, step_at
        The hub's side. `chain` as frozen at the last raising (`round` counts them); `step` is the index of
        the step reached, -1 before the first; `level` its level. `chain_at`: time of that raising.
    clinic_side, clinic_by, clinic_at
        The referring clinic's side: "", told, seen, with_patient, overdue.
    clinical, verdict, grade, of
        The clinical line ("untriaged", a verdict, "confirmed", "closed"), and what was decided.
    call_back, clock
        The call-back as a whole; STEMI marks -> time.
    pages
        Page id -> `Page`.
    timers
        What becomes due when.
    first, last
        "line/state" -> when it happened first, last: what the statistics are made of.
    """

    id: AlertId
    opened_at: float
    changed_at: float
    entries: int = 0

    kind: str
    priority: Priority
    now_kind: str
    now_priority: Priority
    category: str
    stream: str
    onset: int
    clinic: str = ""
    bed: str = ""
    patient: str = ""
    device: str = ""
    family: str = ""
    pack: str = ""
    latching: bool = False
    late: bool = False
    task: bool = False
    alert: Alert
    members: dict[str, Member] = {}

    condition: Condition = "active"
    ended_at: float | None = None
    inhibited_by: str = ""
    hides: tuple[AlertId, ...] = ()
    hidden_priority: Priority | None = None

    signal: Signal = "quiet"
    signal_until: float | None = None
    signal_reason: str = ""
    signal_by: UserId = ""

    responsibility: Responsibility = "raised"
    owner: UserId = ""
    lease_until: float | None = None
    round: int = 0
    chain: tuple[Step, ...] = ()
    chain_at: float = 0.0
    step: int = -1
    level: int = 0
    step_at: float = 0.0
    declined: tuple[UserId, ...] = ()
    clinic_side: Literal["", "told", "seen", "with_patient", "overdue"] = ""
    clinic_by: UserId = ""
    clinic_at: float | None = None

    clinical: str = "untriaged"
    verdict: Verdict = ""
    grade: str = ""
    of: str = ""
    triaged_by: UserId = ""
    confirmed_by: UserId = ""
    closed_by: UserId = ""
    closed_at: float | None = None
    close_reason: str = ""
    reopened: int = 0

    call_back: CallBack = CallBack()
    clock: dict[str, float] = {}
    pages: dict[str, Page] = {}
    timers: dict[str, float] = {}
    first: dict[str, float] = {}
    last: dict[str, float] = {}

    @property
    def closed(self) -> bool:
        return self.clinical == "closed"

    @property
    def active(self) -> bool:
        """Whether the condition lasts."""
        return self.condition == "active"

    @property
    def actionable(self) -> bool:
        """Whether somebody decided that the clinic must act: then it cannot be closed without read-back."""
        return self.verdict == "true_actionable"

    @property
    def audible(self) -> bool:
        """Whether a page that shows this case should sound for it."""
        return self.signal in ("sounding", "reminder") and not self.inhibited_by

    @property
    def shown_priority(self) -> Priority:
        """Priority to show it with: the highest of its own and of what it hides."""
        hidden = self.hidden_priority
        return hidden if hidden is not None and RISING[hidden] > RISING[self.priority] else self.priority

    @property
    def next_escalation(self) -> float | None:
        """When the next step is taken unless somebody accepts."""
        return self.timers.get("escalate")

    def open_pages(self, side: str | None = None) -> tuple[Page, ...]:
        """Pages that may still be on their way or wait for an answer."""
        return tuple(p for p in self.pages.values() if p.state in OPEN_PAGES and side in (None, p.side))


def apply(case: Case | None, entry: RegisterEntry) -> Case | None:
    """The case after `entry`; None as long as nothing was raised.

    Entries must come in the order of the register, each once: whoever reads at-least-once passes over
    an `entry.id` seen before. `case` is left as it was.
    """
    for line in entry.lines:
        if line.line == "condition" and line.state == "raised":
            case = _raised(entry, line)
        elif case is not None:
            changes = _AFTER[line.line](case, line, entry) if line.line in _AFTER else {}
            if changes:
                case = structs.replace(case, **changes)
        if case is not None:
            case = _noted(case, line, entry)
    if case is not None:
        case = structs.replace(case, entries=case.entries + 1, changed_at=entry.at)
    return case


def _noted(case: Case, line: Line, entry: RegisterEntry) -> Case:
    """Timers, and when this happened first and last."""
    changes: dict[str, Any] = {}
    if timers := line.data.get("timers"):
        changes["timers"] = {k: v for k, v in (case.timers | timers).items() if v is not None}
    if line.line not in ("access", "refused", "page"):
        name = f"{line.line}/{line.state}"
        changes["last"] = case.last | {name: entry.at}
        if name not in case.first:
            changes["first"] = case.first | {name: entry.at}
    return structs.replace(case, **changes) if changes else case


def _raised(entry: RegisterEntry, line: Line) -> Case:
    data = line.data
    alert = msgspec.convert(data["alert"], Alert)
    priority: Priority = data.get("priority", alert.priority)
    return Case(
        id=entry.alert,
        opened_at=entry.at,
        changed_at=entry.at,
        kind=alert.kind,
        priority=priority,
        now_kind=alert.kind,
        now_priority=priority,
        category=alert.category,
        stream=alert.stream,
        onset=alert.onset,
        alert=alert,
        members={alert.id: member_after(None, alert, line, entry.at)},
        **{
            name: data[name]
            for name in ("clinic", "bed", "patient", "device", "family", "pack", "latching", "late", "task")
            if name in data
        },
    )


def _condition(case: Case, line: Line, entry: RegisterEntry) -> dict[str, Any]:
    data, state = line.data, line.state
    changes: dict[str, Any] = {}
    if "alert" in data:
        alert = msgspec.convert(data["alert"], Alert)
        member = member_after(case.members.get(alert.id), alert, line, entry.at)
        members = changes["members"] = case.members | {alert.id: member}
        lasts = any(m.active for m in members.values())
        changes["condition"] = "active" if lasts else "ended"
        changes["ended_at"] = None if lasts else entry.at
    if state == "upgraded":
        alert = msgspec.convert(data["alert"], Alert)
        changes |= {"kind": alert.kind, "alert": alert, "priority": data.get("priority", case.priority)}
    if state in ("upgraded", "downgraded", "recurred"):
        changes["now_kind"] = data.get("now_kind", changes.get("kind", case.now_kind))
        changes["now_priority"] = data.get("now_priority", changes.get("priority", case.now_priority))
    for name in ("late", "task", "latching"):
        if name in data:
            changes[name] = data[name]
    if state == "latched":
        changes["condition"] = "latched"
    elif state == "unlatched":
        changes["condition"] = "ended"
    elif state == "inhibited":
        changes["inhibited_by"] = data["by"]
    elif state == "uninhibited":
        changes["inhibited_by"] = ""
    elif state == "hiding":
        changes |= {"hides": tuple(data["cases"]), "hidden_priority": data.get("priority")}
    return changes


def _signal(case: Case, line: Line, entry: RegisterEntry) -> dict[str, Any]:
    return {
        "signal": line.state,
        "signal_until": line.data.get("until", line.data.get("remind_at")),
        "signal_reason": line.data.get("reason", ""),
        "signal_by": entry.by,
    }


def _responsibility(case: Case, line: Line, entry: RegisterEntry) -> dict[str, Any]:
    data, state = line.data, line.state
    if state.startswith("clinic_") or state == "with_patient":
        side = state.removeprefix("clinic_")
        by = entry.by if side in ("seen", "with_patient") else case.clinic_by
        return {"clinic_side": side, "clinic_by": by, "clinic_at": entry.at}
    if state == "raised":
        return {
            "responsibility": "raised",
            "owner": "",
            "lease_until": None,
            "round": case.round + 1,
            "chain": msgspec.convert(data.get("chain", ()), tuple[Step, ...]),
            "chain_at": entry.at,
            "step": -1,
            "level": 0,
            "step_at": entry.at,
            "declined": (),
        }
    if state == "escalated":
        changes = {"step": data["step"], "level": data["level"], "step_at": entry.at}
        # The first step is the raising itself.
        return changes | ({"responsibility": "escalated"} if data["level"] else {})
    if state == "accepted":
        return {
            "responsibility": "accepted",
            "owner": data["owner"],
            "lease_until": data.get("lease_until"),
        }
    if state == "lease":
        return {"lease_until": data.get("lease_until")}
    if state == "declined":
        return {"declined": (*case.declined, data.get("user", entry.by))}
    if state == "lease_expired":
        return {"owner": "", "lease_until": None}
    if state in ("exhausted", "released"):
        return {"responsibility": state, "owner": "", "lease_until": None}
    return {}


_VERDICTS = ("artefact", "duplicate", "true_not_actionable", "true_actionable")


def _clinical(case: Case, line: Line, entry: RegisterEntry) -> dict[str, Any]:
    data, state = line.data, line.state
    if state in _VERDICTS:
        return {
            "clinical": state,
            "verdict": state,
            "grade": data.get("grade", ""),
            "of": data.get("of", ""),
            "triaged_by": entry.by,
        }
    if state == "confirmed":
        return {"clinical": state, "confirmed_by": entry.by}
    if state == "closed":
        return {
            "clinical": state,
            "closed_by": entry.by,
            "closed_at": entry.at,
            "close_reason": data.get("reason", ""),
            "timers": {},
        }
    if state == "reopened":
        return {
            "clinical": "untriaged",
            "verdict": "",
            "grade": "",
            "of": "",
            "closed_by": "",
            "closed_at": None,
            "close_reason": "",
            "reopened": case.reopened + 1,
            "call_back": CallBack(),
        }
    return {}


def _call_back(case: Case, line: Line, entry: RegisterEntry) -> dict[str, Any]:
    return {"call_back": call_back_after(case.call_back, line, entry)}


def _clock(case: Case, line: Line, entry: RegisterEntry) -> dict[str, Any]:
    return {"clock": case.clock | {line.state: line.data["at"]}}


def _page(case: Case, line: Line, entry: RegisterEntry) -> dict[str, Any]:
    page = page_after(case.pages.get(line.data["page"]), line, entry)
    return {"pages": case.pages | {page.id: page}} if page is not None else {}


_AFTER = {
    "condition": _condition,
    "signal": _signal,
    "responsibility": _responsibility,
    "clinical": _clinical,
    "callback": _call_back,
    "clock": _clock,
    "page": _page,
}
