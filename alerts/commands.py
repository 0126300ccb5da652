"""The table of commands: what each needs, who may give it, and what it does.

A command that cannot be carried out raises `Refuse` with the name of the reason; the desk writes that
down. Who may: ``hub``: a technician or cardiologist on duty (for technical cases also an installer on
duty); ``clinic``: a doctor or nurse of the case's clinic; ``both``; ``any``: whoever may see the case;
``channel``: Leadwire itself (and the page's own user).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from alerts import callback, clinical, episodes, escalation, signal, stemi
from alerts.draft import Draft, Refuse
from leadwire.case import AlertId, Command
from leadwire.network import CLINIC_ROLES, DUTY_ROLES
from leadwire.ranges import Kind, Label, Time
from leadwire.roster import Directory
from leadwire.story import CLINIC, HUB, Case

Text = Annotated[str, Meta(min_length=1, max_length=2000)]
Reason = Annotated[str, Meta(min_length=1, max_length=500)]
Who = Literal["hub", "clinic", "both", "any", "channel"]


class _Data(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a command carries besides its action."""


class Nothing(_Data, frozen=True, kw_only=True):
    pass


class Receipt(_Data, frozen=True, kw_only=True):
    page: Annotated[str, Meta(max_length=256)]
    state: Literal["sent", "delivered", "seen", "failed", "not_sent"]
    """`not_sent`: one of the channels did not get it through, others did or may still."""
    channel: Label = ""
    detail: Annotated[str, Meta(max_length=500)] = ""


class Accept(_Data, frozen=True, kw_only=True):
    take_over: bool = False


class Why(_Data, frozen=True, kw_only=True):
    reason: Reason


class PauseAudio(_Data, frozen=True, kw_only=True):
    seconds: Annotated[float, Meta(gt=0, le=signal.MAX_AUDIO_PAUSE_S)] = signal.MAX_AUDIO_PAUSE_S


class PauseAlarm(_Data, frozen=True, kw_only=True):
    seconds: Annotated[float, Meta(gt=0, le=signal.MAX_ALARM_PAUSE_S)]
    reason: Reason


class AlarmOff(_Data, frozen=True, kw_only=True):
    seconds: Annotated[float, Meta(gt=0, le=signal.MAX_ALARM_OFF_S)]
    reason: Reason


class Triage(_Data, frozen=True, kw_only=True):
    verdict: Literal["artefact", "duplicate", "true_not_actionable", "true_actionable"]
    grade: Label = ""
    of: AlertId = ""
    note: Annotated[str, Meta(max_length=2000)] = ""


class Confirm(_Data, frozen=True, kw_only=True):
    grade: Label = ""


class Attempt(_Data, frozen=True, kw_only=True):
    contact: Label
    number: Annotated[str, Meta(max_length=40)] = ""
    result: Literal["answered", "busy", "no_answer", "wrong_number"]
    who: Label = ""
    seconds: Annotated[float, Meta(ge=0, le=86_400)] | None = None


class ReadBack(_Data, frozen=True, kw_only=True):
    words: Text
    by: Annotated[str, Meta(min_length=1, max_length=128)]


class Said(_Data, frozen=True, kw_only=True):
    text: Text


class Mark(_Data, frozen=True, kw_only=True):
    mark: Kind
    at: Time


@dataclass(frozen=True)
class Action:
    """One row of the table.

    Attributes
    ----------
    shape
        What its data must be.
    who
        Who may give it.
    run
        What it does.
    owning
        It needs the owner: somebody of the hub who gives it for a case without one takes the case by it.
    closed
        It may be given for a closed case.
    """

    shape: type[_Data]
    who: Who
    run: Callable[[Draft, Any], None]
    owning: bool = False
    closed: bool = False


def _seen(draft: Draft, data: Nothing) -> None:
    """Seen, and nothing more: it ends no page of the hub and stops no clock of it."""
    pages = [p for p in draft.case.open_pages() if p.user == draft.by and p.state != "seen"]
    of_clinic = _is_of_clinic(draft.directory, draft.by)
    if not pages and not of_clinic:
        raise Refuse("not_paged", f"{draft.by} came; somebody with a page not yet seen was expected")
    for page in pages:
        draft.add("page", "seen", page=page.id)
    if of_clinic:
        escalation.clinic_answers(draft, "seen")
        _test_done(draft)


def _accept(draft: Draft, data: Accept) -> None:
    escalation.accept(draft, draft.by, data.take_over)
    _test_done(draft)


def _test_done(draft: Draft) -> None:
    """A test alarm has passed once whoever ordered it has accepted, and the clinic's people have seen."""
    case = draft.case
    clinic_waits = case.clinic_side in ("told", "overdue")
    if case.kind == episodes.TEST_KIND and case.owner and not clinic_waits and not case.closed:
        clinical.end(draft, "test_passed")


def on_test(draft: Draft) -> None:
    """A test alarm was not answered in time."""
    clinical.end(draft, "test_failed_hub" if not draft.case.owner else "test_failed_clinic")


def _decline(draft: Draft, data: Why) -> None:
    escalation.decline(draft, draft.by, data.reason)


def _clock(draft: Draft, data: Mark) -> None:
    if data.mark not in stemi.MARKS:
        raise Refuse("bad_data", f"mark {data.mark} came; one of {', '.join(stemi.MARKS)} was expected")
    stemi.mark(draft, data.mark, data.at)


ACTIONS: Mapping[str, Action] = MappingProxyType(
    {
        "receipt": Action(
            Receipt,
            "channel",
            lambda draft, d: escalation.receipt(draft, d.page, d.state, d.channel, d.detail),
            closed=True,
        ),
        "seen": Action(Nothing, "any", _seen),
        "accept": Action(Accept, "hub", _accept),
        "decline": Action(Why, "any", _decline),
        "acknowledge": Action(Nothing, "hub", lambda draft, d: signal.acknowledge(draft)),
        "pause_audio": Action(PauseAudio, "hub", lambda draft, d: signal.pause_audio(draft, d.seconds)),
        "pause_alarm": Action(
            PauseAlarm, "hub", lambda draft, d: signal.pause_alarm(draft, d.seconds, d.reason)
        ),
        "alarm_off": Action(AlarmOff, "hub", lambda draft, d: signal.alarm_off(draft, d.seconds, d.reason)),
        "resume": Action(Nothing, "hub", lambda draft, d: signal.resume(draft)),
        "triage": Action(
            Triage,
            "hub",
            lambda draft, d: clinical.triage(draft, d.verdict, d.grade, d.of, d.note),
            owning=True,
        ),
        "confirm": Action(Confirm, "hub", lambda draft, d: clinical.confirm(draft, d.grade), owning=True),
        "attempt": Action(
            Attempt,
            "hub",
            lambda draft, d: callback.attempt(draft, d.contact, d.number, d.result, d.who, d.seconds),
            owning=True,
        ),
        "read_back": Action(
            ReadBack, "hub", lambda draft, d: callback.read_back(draft, d.words, d.by), owning=True
        ),
        "clinic_acknowledge": Action(
            Nothing, "both", lambda draft, d: callback.clinic_acknowledge(draft), owning=True
        ),
        "with_patient": Action(
            Nothing, "both", lambda draft, d: escalation.clinic_answers(draft, "with_patient"), owning=True
        ),
        "state_action": Action(
            Said, "both", lambda draft, d: callback.state_action(draft, d.text), owning=True
        ),
        "outcome": Action(Said, "both", lambda draft, d: callback.outcome(draft, d.text), owning=True),
        "clock": Action(Mark, "any", _clock),
        "close": Action(Why, "hub", lambda draft, d: clinical.close(draft, d.reason), owning=True),
        "reopen": Action(Why, "hub", lambda draft, d: clinical.reopen(draft, d.reason), closed=True),
        "note": Action(Said, "any", lambda draft, d: clinical.note(draft, d.text), closed=True),
    }
)

TEST_ROLES = frozenset({"technician", "cardiologist", "installer", "administrator"})


class TestAlarm(_Data, frozen=True, kw_only=True):
    clinic: Annotated[str, Meta(min_length=1, max_length=128)]


def run(draft: Draft, command: Command) -> None:
    """Carry `command` out on the draft's case.

    Raises
    ------
    Refuse
        It is unknown, malformed, not this user's to give, or not possible now.
    """
    action = ACTIONS.get(command.action)
    if action is None:
        raise Refuse("unknown_action", f"{command.action} came; one of {', '.join(ACTIONS)} was expected")
    data = read(command, action.shape)
    of_hub = _check_who(draft, action)
    if draft.case.closed and not action.closed:
        raise Refuse("closed", "the case is closed; an open one was expected (reopen opens it)")
    if action.owning and of_hub and draft.case.owner != draft.by:
        if draft.case.owner:
            raise Refuse("not_owner", f"{draft.case.owner} has the case; its owner was expected")
        escalation.own(draft, draft.by)
    action.run(draft, data)


def read(command: Command, shape: type[Any]) -> Any:
    """The data of `command` as `shape`; `Refuse` if it is none."""
    try:
        return msgspec.convert(command.data, shape)
    except msgspec.ValidationError as why:
        raise Refuse("bad_data", f"{command.action}: {why}") from None


def _check_who(draft: Draft, action: Action) -> bool:
    """Refuse whoever may not; True: they act for the hub."""
    case, user, directory = draft.case, draft.by, draft.directory
    if action.who == "channel":
        return False
    roles = directory.roles(user)
    if not roles:
        raise Refuse("unknown_user", "an active user was expected")
    if not directory.may_see(user, case.clinic):
        raise Refuse(
            "outside_clinics", f"{user} came; somebody of clinic {case.clinic} or of the hub expected"
        )
    if action.who == "any":
        return False
    of_clinic = _is_of_clinic(directory, user)
    if of_clinic and action.who in ("clinic", "both"):
        return False
    if action.who != "clinic" and _acts_for_hub(draft, case):
        return True
    raise Refuse("not_on_duty", f"{user} came; one on duty, by the roster, was expected")


def _is_of_clinic(directory: Directory, user: str) -> bool:
    return bool(CLINIC_ROLES & set(directory.roles(user)))


def _acts_for_hub(draft: Draft, case: Case) -> bool:
    directory, user = draft.directory, draft.by
    roles = directory.roles(user)
    duties = {
        d for d, role in DUTY_ROLES.items() if role in roles and user in directory.on_duty(d, draft.now)
    }
    if case.kind == episodes.TEST_KIND and any(p.user == user for p in case.pages.values() if p.side == HUB):
        return True
    return bool(duties if case.category == "technical" else duties - {"installer"})


__all__ = ["ACTIONS", "CLINIC", "TEST_ROLES", "Action", "TestAlarm", "on_test", "read", "run"]
