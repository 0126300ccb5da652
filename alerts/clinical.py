"""The clinical line: what it was, whether it was confirmed, and how it ended.

``untriaged -> artefact | duplicate | true_not_actionable | true_actionable -> confirmed -> (call-back) ->
closed``; reopening appends, nothing is edited. Which step is allowed from where stands in one table; what
is not is refused by name.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from alerts import callback, escalation, signal
from alerts.draft import Draft, Refuse
from leadwire.story import Case

VERDICTS = ("artefact", "duplicate", "true_not_actionable", "true_actionable")

ALLOWED_FROM: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "triage": frozenset({"untriaged", *VERDICTS}),
        "confirm": frozenset({"untriaged", "true_actionable"}),
        "close": frozenset({*VERDICTS, "confirmed"}),
        "reopen": frozenset({"closed"}),
    }
)
"""Action -> the clinical states it is allowed in."""

_REFUSED: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("triage", "confirmed"): "known",
        ("confirm", "confirmed"): "known",
        ("close", "untriaged"): "not_triaged",
        ("reopen", "untriaged"): "not_closed",
    }
)

CLOSE_S = 60.0
"""What closes by itself waits at least so long after its end, in s."""


def check(case: Case, action: str) -> None:
    """Raise `Refuse` unless `action` is allowed in the clinical state of `case`."""
    allowed = ALLOWED_FROM[action]
    if case.clinical in allowed:
        return
    reason = _REFUSED.get((action, case.clinical), "not_closed" if action == "reopen" else "wrong_state")
    raise Refuse(reason, f"{action} came while {case.clinical}; {', '.join(sorted(allowed))} was expected")


def lease(draft: Draft) -> dict[str, float]:
    """The timers of a clinical step: it prolongs the owner's lease, until the call-back's own clocks run."""
    case = draft.case
    waits = case.call_back.read_back_done or case.clinical == "closed"
    return {} if waits or not case.owner else {"lease": draft.now + escalation.lease_s(case)}


def triage(draft: Draft, verdict: str, grade: str = "", of: str = "", note: str = "") -> None:
    """Decide what it was; may be decided anew until it is confirmed."""
    check(draft.case, "triage")
    if grade and verdict != "true_actionable":
        raise Refuse("bad_data", f"a grade came for {verdict}; one for true_actionable was expected")
    if verdict == "duplicate" and (of == draft.case.id or not draft.is_case(of)):
        raise Refuse(
            "unknown_alert", "of came, which is no other case; the case that it repeats was expected"
        )
    data: dict[str, Any] = {"grade": grade or None, "of": of or None, "note": note or None}
    draft.add("clinical", verdict, **data, timers=lease(draft))


def confirm(draft: Draft, grade: str = "") -> None:
    """It is real and the clinic must act: the call-back opens at once (one tap: "confirm and call")."""
    check(draft.case, "confirm")
    if draft.case.clinical == "untriaged":
        triage(draft, "true_actionable", grade)
    draft.add("clinical", "confirmed", timers=lease(draft))
    callback.open_call(draft)


def close(draft: Draft, reason: str) -> None:
    """Close by hand: triaged, and read back if the clinic had to act."""
    case = draft.case
    check(case, "close")
    if case.actionable and not case.call_back.read_back_done:
        raise Refuse("read_back_missing", "the clinic must act: words that were read back were expected")
    end(draft, reason)


def end(draft: Draft, reason: str) -> None:
    """Close it: nothing sounds, nobody is paged, no timer runs."""
    signal.end(draft)
    draft.cancel_pages("closed")
    draft.add("clinical", "closed", reason=reason)


def reopen(draft: Draft, reason: str) -> None:
    """Open a closed case again; whoever does has it. What was written stays."""
    check(draft.case, "reopen")
    draft.add("clinical", "reopened", reason=reason)
    escalation.own(draft, draft.by)


def note(draft: Draft, text: str) -> None:
    """Something to be remembered; prolongs the lease if its owner wrote it."""
    draft.add("clinical", "note", text=text, timers=lease(draft) if draft.by == draft.case.owner else {})


def closes_itself(case: Case) -> bool:
    """Whether it may close when its condition has ended, without anybody: what is technical or low, and
    neither a task nor found to be real."""
    return (
        (case.category == "technical" or case.priority == "low")
        and not case.task
        and not case.actionable
        and case.kind != "test_alarm"
    )


def condition_ended(draft: Draft) -> None:
    """Nothing lasts any more: what closes by itself lets go of everybody and closes a while later."""
    case = draft.case
    if not closes_itself(case) or case.closed:
        return
    if not case.owner and case.responsibility != "released":
        escalation.release(draft, "ended")
    wait_s = max(CLOSE_S, case.alert.rule.group_s)
    draft.add("clinical", "will_close", timers={"close": draft.now + wait_s})


def on_close(draft: Draft) -> None:
    """The wait after the end is over."""
    case = draft.case
    paused = case.signal in ("alarm_paused", "alarm_off") and case.signal_until is not None
    if case.condition != "ended" or not closes_itself(case):
        draft.add("clinical", "stays_open", timers={"close": None})
    elif paused and case.signal_until is not None and case.signal_until > draft.now:
        # A closed case forgets that the alarm is off; the next one would sound.
        draft.add("clinical", "will_close", timers={"close": case.signal_until + CLOSE_S})
    else:
        end(draft, "ended")
