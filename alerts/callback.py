"""The call-back: the confirmed finding told to the referring clinic, and tracked to its outcome.

``open -> attempts -> reached -> read_back -> clinic_acknowledged -> action_stated -> outcome``. The words
read back, and by whom, are what allows the case to be closed. Every wait has a clock, and what is overdue
goes to a person: first to the one who has the case (or to the clinic), then to the chief.

Targets: first attempt within 1 min of confirming, again every 2 min, the next contact after two failures
(at once after a wrong number), the county's 120 and the chief after 5 min; read-back in the same call;
the action within 5 min of the clinic's acknowledgement. What is low or a task (AF found on a patch) is no
critical value: all of it goes sixty times slower, and never to the 120.
"""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from alerts import escalation
from alerts.draft import Draft, Refuse
from leadwire.story import CLINIC, HUB, Case
from leadwire.story_parts import CALL_BACK_STATES

FIRST_ATTEMPT_S = 60.0
RETRY_S = 120.0
TRIES = 2
OVERALL_S = 300.0
READ_BACK_S = 180.0
ACKNOWLEDGE_S = 300.0
ACTION_S = 300.0
OUTCOME_S = 24 * 3600.0
CHIEF_AGAIN_S = 300.0
SLOW_AGAIN_S = 1800.0
ROUTINE = 60.0
"""A finding that is no critical value has so many times as long for everything."""

DUE_S: Mapping[str, float] = MappingProxyType(
    {
        "read_back": READ_BACK_S,
        "clinic_acknowledge": ACKNOWLEDGE_S,
        "action": ACTION_S,
        "outcome": OUTCOME_S,
    }
)
"""What is waited for -> so long after the step before it, in s; the same again until the chief is told."""

TIMERS = ("attempt", "call_back", *DUE_S)


def is_routine(case: Case) -> bool:
    """Whether the finding is no critical value."""
    return case.priority == "low" or case.task


def _in(draft: Draft, seconds: float) -> float:
    """The time `seconds` from now, or later if it is routine. What waits a day waits a day anyway."""
    slow = is_routine(draft.case) and seconds < OUTCOME_S
    return draft.now + seconds * (ROUTINE if slow else 1.0)


def _reached_at_least(draft: Draft, state: str, reason: str) -> None:
    now = draft.case.call_back.state
    if CALL_BACK_STATES.index(now) < CALL_BACK_STATES.index(state):
        raise Refuse(
            "no_call_back" if now == "none" else reason, f"call-back {now} came; {state} was expected"
        )


def open_call(draft: Draft) -> None:
    """Begin: contacts frozen, clocks started, the clinic's screens told that the call is coming."""
    case, directory = draft.case, draft.directory
    contacts = msgspec.to_builtins(directory.contacts(case.clinic))
    draft.add(
        "callback",
        "open",
        contacts=contacts,
        nobody=None if contacts else True,
        timers=dict.fromkeys(TIMERS)
        | {"attempt": _in(draft, FIRST_ATTEMPT_S), "call_back": _in(draft, OVERALL_S)},
    )
    draft.cancel_pages("call_back", side=CLINIC)
    draft.page(directory.clinic_users(case.clinic), "call_back", side=CLINIC, duty="clinic")
    if not contacts:
        _county(draft)


def attempt(
    draft: Draft, contact: str, number: str, result: str, who: str = "", seconds: float | None = None
) -> None:
    """A call was tried: answered, busy, no_answer, wrong_number."""
    _reached_at_least(draft, "open", "no_call_back")
    call = draft.case.call_back
    answered, waiting = result == "answered", call.state == "open"
    retry = None if answered or not waiting else _in(draft, RETRY_S)
    timers: dict[str, float | None] = {} if not waiting else {"attempt": retry}
    if draft.case.owner and not call.read_back_done:
        timers["lease"] = draft.now + escalation.lease_s(draft.case)
    draft.add(
        "callback",
        "attempt",
        contact=contact,
        number=number,
        who=who or None,
        result=result,
        seconds=seconds,
        timers=timers,
    )
    if answered and waiting:
        reached(draft, who or contact)
    elif waiting and (result == "wrong_number" or draft.case.call_back.failures >= TRIES):
        _next_contact(draft)


def reached(draft: Draft, who: str) -> None:
    """Somebody of the clinic is there."""
    timers = {"attempt": None, "call_back": None, "read_back": _in(draft, READ_BACK_S)}
    draft.add("callback", "reached", who=who, timers=timers)
    draft.cancel_pages("reached", side=HUB, kinds=("attempt", "unreached", "county_120"))


def _next_contact(draft: Draft) -> None:
    """The turn of the next contact, from the first again after the last; then it is also the county's."""
    call = draft.case.call_back
    number = call.contact + 1
    if number >= len(call.contacts):
        number = 0
        if call.chief_at is None:
            _county(draft)
    contact = call.contacts[number] if call.contacts else {}
    draft.add(
        "callback",
        "next_contact",
        contact=number,
        name=contact.get("name"),
        number=contact.get("phone"),
        timers={"attempt": _in(draft, FIRST_ATTEMPT_S)},
    )


def read_back(draft: Draft, words: str, by: str) -> None:
    """What they said back, word for word."""
    _reached_at_least(draft, "reached", "not_reached")
    waits = CALL_BACK_STATES.index(draft.case.call_back.state) < CALL_BACK_STATES.index("clinic_acknowledged")
    timers: dict[str, float | None] = {"read_back": None, "lease": None}
    if waits:
        timers["clinic_acknowledge"] = _in(draft, ACKNOWLEDGE_S)
    draft.add("callback", "read_back", words=words, by=by, timers=timers)
    draft.cancel_pages("read_back", kinds=("read_back",))


def clinic_acknowledge(draft: Draft) -> None:
    """The clinic says it has taken it; on its own screen it has thereby been reached."""
    _reached_at_least(draft, "open", "no_call_back")
    state = draft.case.call_back.state
    if CALL_BACK_STATES.index(state) >= CALL_BACK_STATES.index("clinic_acknowledged"):
        raise Refuse("known", f"call-back {state} came; one not yet acknowledged was expected")
    if state == "open":
        reached(draft, draft.by)
    timers = {"clinic_acknowledge": None, "action": _in(draft, ACTION_S)}
    draft.add("callback", "clinic_acknowledged", timers=timers)
    draft.cancel_pages("acknowledged", side=CLINIC)
    draft.cancel_pages("acknowledged", kinds=("clinic_acknowledge",))


def state_action(draft: Draft, text: str) -> None:
    """What the clinic does."""
    _reached_at_least(draft, "reached", "not_reached")
    timers = {"clinic_acknowledge": None, "action": None, "outcome": _in(draft, OUTCOME_S)}
    draft.add("callback", "action_stated", text=text, timers=timers)
    draft.cancel_pages("action_stated", kinds=("clinic_acknowledge", "action"))


def outcome(draft: Draft, text: str) -> None:
    """What became of the patient. What is left is to close the case: that has a clock too."""
    _reached_at_least(draft, "reached", "not_reached")
    timers = {"clinic_acknowledge": None, "action": None, "outcome": _in(draft, OUTCOME_S)}
    draft.add("callback", "outcome", text=text, timers=timers)
    draft.cancel_pages("outcome", kinds=("clinic_acknowledge", "action", "outcome"))


# -------------------------------------------------------------------- what time brings


def on_attempt(draft: Draft) -> None:
    """No attempt was made in time."""
    users = escalation.remind(draft, "attempt")
    told = draft.case.call_back.chief_at is not None
    timers = {"attempt": _in(draft, CHIEF_AGAIN_S if told else RETRY_S)}
    draft.add("callback", "overdue", what="attempt", users=users, timers=timers)


def on_call_back(draft: Draft) -> None:
    """Nobody was reached within `OVERALL_S`: the county's 120, and the chief, again and again."""
    if draft.case.call_back.chief_at is None:
        _county(draft)
    else:
        _chief(draft, "call_back", CHIEF_AGAIN_S)


def _county(draft: Draft) -> None:
    if not is_routine(draft.case):
        hub = draft.directory.network.hub
        users = escalation.remind(draft, "county_120")
        draft.add("callback", "county_120", number=hub.county_120 if hub else "120", users=users)
    _chief(draft, "call_back", CHIEF_AGAIN_S)


def _chief(draft: Draft, what: str, again_s: float) -> None:
    users = draft.directory.on_duty("chief", draft.now)
    draft.add(
        "callback",
        "chief",
        what=what,
        users=users,
        nobody=None if users else True,
        timers={what: _in(draft, again_s)},
    )
    # For the clinic a page "call_back" says that it will be called; the chief hears that it was not reached.
    draft.page(users, "unreached" if what == "call_back" else what, duty="chief")


def on_due(draft: Draft, what: str) -> None:
    """`what` of `DUE_S` did not come in time: a reminder, and from the second time on also the chief."""
    users = escalation.remind(draft, what)
    draft.add("callback", "overdue", what=what, users=users, timers={what: _in(draft, DUE_S[what])})
    if what in ("clinic_acknowledge", "action"):
        people = draft.directory.clinic_users(draft.case.clinic)
        draft.page(people, what, side=CLINIC, duty="clinic")
    if draft.case.call_back.overdue[what] > 1 and what != "outcome":
        _chief(draft, what, SLOW_AGAIN_S)
