"""The signal line: what sounds. Independent of who has the case, and of what it turns out to be.

``sounding -> audio_paused (at most 120 s) -> acknowledged -> reminder (while it lasts) -> sounding``;
``alarm_paused`` and ``alarm_off`` need a reason and end by themselves. Whatever is new or worse breaks
through. What kills within minutes cannot be switched off (`kinds.PROTECTED`, `AlertRule.can_be_off`).
"""

from alerts.draft import Draft, Refuse
from alerts.kinds import PROTECTED
from leadwire.story import Case

MAX_AUDIO_PAUSE_S = 120.0
MAX_ALARM_PAUSE_S = 3600.0
MAX_ALARM_OFF_S = 12 * 3600.0
MIN_REMINDER_S, MAX_REMINDER_S, REMINDER_S = 120.0, 180.0, 150.0
"""After acknowledging, s: a rule's `reminder_s` within these; a high alarm without one takes the last."""

AUDIBLE = ("sounding", "reminder")
TIMERS = ("sound", "reminder")
NO_TIMERS = dict.fromkeys(TIMERS)


def begin(draft: Draft) -> None:
    """The signal of a case just raised."""
    silent = draft.case.task or draft.case.late
    draft.add("signal", "quiet" if silent else "sounding", reason="task" if silent else None)


def break_through(draft: Draft, *, worse: bool) -> None:
    """Something new (or `worse`) came in this case."""
    case = draft.case
    if case.task or case.late or case.signal == "sounding":
        return
    if case.signal in ("alarm_paused", "alarm_off") and not worse:
        return
    draft.add("signal", "sounding", timers=NO_TIMERS)


def condition_ended(draft: Draft) -> None:
    """Nothing of the case lasts any more: latch, or be quiet."""
    case = draft.case
    if case.latching and case.signal in ("sounding", "audio_paused", "reminder"):
        draft.add("condition", "latched")
    elif case.signal not in ("quiet", "alarm_paused", "alarm_off"):
        draft.add("signal", "quiet", timers=NO_TIMERS)


def acknowledge(draft: Draft) -> None:
    """Somebody has seen it: quiet, but for a reminder while it lasts. Ends a latched condition."""
    case = draft.case
    if case.signal not in ("sounding", "audio_paused", "reminder"):
        raise Refuse("nothing_sounds", f"signal {case.signal} came; something that sounds was expected")
    if not case.active:
        draft.add("condition", "unlatched")
        draft.add("signal", "quiet", timers=NO_TIMERS)
        return
    wait_s = _reminder_s(case)
    remind_at = draft.now + wait_s if wait_s else None
    draft.add("signal", "acknowledged", remind_at=remind_at, timers={"sound": None, "reminder": remind_at})


def _reminder_s(case: Case) -> float:
    wait_s = case.alert.rule.reminder_s or (REMINDER_S if case.priority == "high" else 0.0)
    return min(max(wait_s, MIN_REMINDER_S), MAX_REMINDER_S) if wait_s else 0.0


def remind(draft: Draft) -> None:
    """Acknowledged a while ago: if it still lasts, it sounds again."""
    if draft.case.active:
        draft.add("signal", "reminder", timers=NO_TIMERS)
    else:
        draft.add("signal", "quiet", timers=NO_TIMERS)


def pause_audio(draft: Draft, seconds: float) -> None:
    """No tone for `seconds`; everything else goes on."""
    if draft.case.signal not in ("sounding", "reminder", "audio_paused"):
        raise Refuse("nothing_sounds", f"signal {draft.case.signal} came; something that sounds was expected")
    until = draft.now + seconds
    draft.add("signal", "audio_paused", until=until, timers={"sound": until, "reminder": None})


def pause_alarm(draft: Draft, seconds: float, reason: str) -> None:
    """The same condition is not announced for `seconds`; what is worse is."""
    if not _can_be_off(draft.case) and seconds > MAX_AUDIO_PAUSE_S:
        raise Refuse(
            "cannot_be_off",
            f"{draft.case.kind} came for {seconds:g} s; at most {MAX_AUDIO_PAUSE_S:g} s was expected",
        )
    _inactivate(draft, "alarm_paused", seconds, reason)


def alarm_off(draft: Draft, seconds: float, reason: str) -> None:
    """As `pause_alarm`, for longer; never for what kills within minutes."""
    if not _can_be_off(draft.case):
        raise Refuse("cannot_be_off", f"{draft.case.kind} came; a condition that may be off was expected")
    _inactivate(draft, "alarm_off", seconds, reason)


def _can_be_off(case: Case) -> bool:
    return case.can_be_off and not any(m.kind in PROTECTED for m in case.members.values())


def _inactivate(draft: Draft, state: str, seconds: float, reason: str) -> None:
    if draft.case.task or draft.case.late:
        raise Refuse("nothing_sounds", "a task came; something that may sound was expected")
    until = draft.now + seconds
    draft.add("signal", state, until=until, reason=reason, timers={"sound": until, "reminder": None})


def resume(draft: Draft) -> None:
    """The end of a pause, by its time or by hand."""
    case = draft.case
    if case.signal not in ("audio_paused", "alarm_paused", "alarm_off"):
        raise Refuse("nothing_paused", f"signal {case.signal} came; a pause was expected")
    lasts = case.condition != "ended" and not (case.task or case.late)
    draft.add("signal", "sounding" if lasts else "quiet", timers=NO_TIMERS)


def end(draft: Draft) -> None:
    """The case is closed."""
    if draft.case.signal != "quiet":
        draft.add("signal", "quiet", timers=NO_TIMERS)
