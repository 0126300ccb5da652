"""What is known of a case: the sum of its register entries.

`apply` is the only thing that changes a `Case`; the desk, the dashboard and the statistics all use it, so
what one of them shows is what the others decide by. Pure. Whose turn it is and what is allowed is decided
in `alerts/`, never here: this file takes what stands in the register as it comes.

Deadlines stand in the register too. A line's data may hold ``timers``: name -> epoch second (None: no more);
together they are `Case.timers`.
"""

from typing import Any

import msgspec
from msgspec import structs

from leadwire.case import Line, RegisterEntry, Step
from leadwire.model import Alert, Priority
from leadwire.story_case import Case
from leadwire.story_parts import (
    CLINIC,
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
    without_old_members,
    without_old_pages,
)

__all__ = [
    "CLINIC",
    "HUB",
    "OPEN_PAGES",
    "RISING",
    "Attempt",
    "CallBack",
    "Case",
    "Member",
    "Page",
    "PageState",
    "after",
    "apply",
    "apply_line",
]


def apply(case: Case | None, entry: RegisterEntry) -> Case | None:
    """The case after `entry`; None as long as nothing was raised.

    Entries must come in the order of the register, each once: whoever reads at-least-once passes over
    an `entry.id` seen before. `case` is left as it was.
    """
    for line in entry.lines:
        case = apply_line(case, line, entry)
    return after(case, entry) if case is not None else None


def after(case: Case, entry: RegisterEntry) -> Case:
    """The case to which all lines of `entry` were applied, as it is after it."""
    return structs.replace(case, entries=case.entries + 1, changed_at=entry.at)


def apply_line(case: Case | None, line: Line, entry: RegisterEntry) -> Case | None:
    """The case after one line of `entry` (of which only alert, time and person are read)."""
    if line.line == "condition" and line.state == "raised":
        return _noted(_raised(entry, line), line, entry)
    if case is None:
        return None
    changes = _AFTER[line.line](case, line, entry) if line.line in _AFTER else {}
    return _noted(structs.replace(case, **changes) if changes else case, line, entry)


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


_OF_A_CASE = (
    "clinic",
    "bed",
    "patient",
    "device",
    "family",
    "pack",
    "latching",
    "late",
    "task",
    "can_be_off",
)


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
        condition="active" if alert.state == "active" else "ended",
        ended_at=None if alert.state == "active" else entry.at,
        members={alert.id: member_after(None, alert, line, entry.at)},
        **{name: data[name] for name in _OF_A_CASE if name in data},
    )


def _condition(case: Case, line: Line, entry: RegisterEntry) -> dict[str, Any]:
    data, state = line.data, line.state
    changes: dict[str, Any] = {}
    if "alert" in data:
        alert = msgspec.convert(data["alert"], Alert)
        member = member_after(case.members.get(alert.id), alert, line, entry.at)
        members = changes["members"] = without_old_members(case.members | {alert.id: member})
        lasts = any(m.active for m in members.values())
        changes["condition"] = "active" if lasts else "ended"
        changes["ended_at"] = None if lasts else entry.at
    if state == "upgraded":
        alert = msgspec.convert(data["alert"], Alert)
        changes |= {"kind": alert.kind, "alert": alert, "priority": data.get("priority", case.priority)}
    if "now_kind" in data:
        changes |= {"now_kind": data["now_kind"], "now_priority": data["now_priority"]}
    for name in ("late", "task", "latching", "can_be_off"):
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
    if state == "raised":
        return {
            "responsibility": "raised",
            "owner": "",
            "round": case.round + 1,
            "chain": msgspec.convert(data.get("chain", ()), tuple[Step, ...]),
            "chain_at": entry.at,
            "step": data.get("step", -1),
            "level": 0,
            "step_at": entry.at,
            "declined": (),
            "clinic_step": -1,
        }
    if state in ("told", "escalated"):
        changes = {"step": data["step"], "level": data["level"], "step_at": entry.at}
        return changes | ({"responsibility": "escalated"} if data["level"] else {})
    if state == "accepted":
        return {"responsibility": "accepted", "owner": data["owner"]}
    if state == "declined":
        return {"declined": (*case.declined, data.get("user", entry.by))}
    if state == "lease_expired":
        return {"owner": ""}
    if state in ("exhausted", "released"):
        return {"responsibility": state, "owner": ""}
    if state in ("clinic_told", "clinic_overdue"):
        side = state.removeprefix("clinic_")
        return {"clinic_side": side, "clinic_at": entry.at, "clinic_step": data.get("step", case.clinic_step)}
    if state in ("clinic_seen", "with_patient"):
        return {
            "clinic_side": state.removeprefix("clinic_"),
            "clinic_at": entry.at,
            "clinic_by": entry.by,
        }
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
    if state == "untriaged":
        return {"clinical": state, "verdict": ""}
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
    if page is None:
        return {}
    changes: dict[str, Any] = {"pages": without_old_pages(case.pages | {page.id: page})}
    return changes | ({"paged": case.paged + 1} if line.state == "requested" else {})


_AFTER = {
    "condition": _condition,
    "signal": _signal,
    "responsibility": _responsibility,
    "clinical": _clinical,
    "callback": _call_back,
    "clock": _clock,
    "page": _page,
}
