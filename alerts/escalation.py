"""The responsibility line: who has the case, on both sides at once, and what happens while nobody has.

Hub: the chain (`leadwire/roster.py`: by priority and clinic) is frozen into the line that raises it, with
the people on duty at the time of each step by the roster as it then is. One accept ends all other pages
of the hub; seen ends nothing; a decline takes the next step at once; a step with nobody on duty is said
and passed over at once. After the last step the case is ``exhausted``, loudly, with the chief paged again
and again.

Clinic: told at the same moment (``clinic_told``), then seen, with the patient, or overdue.

An owner has a lease: each clinical step prolongs it; when it runs out, the case is raised anew.
"""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from alerts.chains import freeze, next_step, people
from alerts.draft import Draft, Refuse
from leadwire.case import Step, UserId
from leadwire.model import Priority
from leadwire.network import StepRule
from leadwire.story import CLINIC, HUB, Case

LEASE_S = 600.0
URGENT_LEASE_S = 60.0
"""An owner whose case got worse (or came again, high) has so long to do something, in s."""

TASK_S = 24 * 3600.0
"""A task waits so long before somebody is paged, and so long between two pages, in s."""

LAST_WAIT_S: Mapping[Priority, float] = MappingProxyType({"high": 120.0, "medium": 300.0, "low": 1800.0})
"""From the last step of a chain until it is exhausted, in s."""

REPEAT_S: Mapping[Priority, float] = MappingProxyType({"high": 300.0, "medium": 1800.0, "low": 86_400.0})
"""Between two pages of an exhausted chain, in s."""

CLINIC_OVERDUE_S: Mapping[Priority, float | None] = MappingProxyType(
    {"high": 120.0, "medium": 900.0, "low": None}
)
"""From telling the clinic until its silence is overdue, in s; None: never."""

FIELD_LEASE_S = 4 * 3600.0
"""Whoever takes a technical case that is not high may have to drive there, in s."""

ASKING = frozenset(
    {
        "alarm",
        "upgraded",
        "recurred",
        "lease_expired",
        "exhausted",
        "task",
        "test",
        "handed_over",
        "clinic_overdue",
    }
)
"""Pages that ask for an owner; the others are about a step of the call-back that is overdue."""

TEST_S = 600.0
"""A test alarm that nobody has accepted by then has failed, in s."""

_NO_TIMERS = dict.fromkeys(("escalate", "lease", "task", "clinic", "clinic_step"))


def begin(draft: Draft, kind: str = "alarm", *, chain: tuple[Step, ...] | None = None) -> None:
    """Raise the case, or raise it anew: a fresh chain from now on."""
    told = draft.case.clinic_side in ("seen", "with_patient") and kind not in ("alarm", "upgraded")
    draft.cancel_pages("raised_again", side=HUB, kinds=ASKING)
    if chain is None:
        chain = freeze(draft.case, draft.directory, draft.now)
    # What has no chain and has ended is on a list: somebody is asked for it the next day.
    task = not chain and (draft.case.task or draft.case.late or not draft.case.active)
    timers = _NO_TIMERS | {"task": draft.now + TASK_S if task else None}
    draft.add("responsibility", "raised", chain=msgspec.to_builtins(chain), timers=timers)
    first = next_step(draft.case, HUB, -1)
    if first is not None and first[1].after_s <= 0:
        _advance(draft, draft.now, kind)
    elif first is not None:
        draft.add(
            "responsibility",
            "waiting",
            timers={"escalate": draft.now + first[1].after_s},
        )
    if not told:
        _tell_clinic(draft, "alarm" if kind == "lease_expired" else kind)


def _advance(draft: Draft, since: float, kind: str = "alarm") -> None:
    """Take the next step of the hub's side, whose time was `since`; nobody there: the one after, at once."""
    for page in draft.case.open_pages(HUB):
        if page.state != "timed_out" and page.kind in ASKING:
            draft.add("page", "timed_out", page=page.id)
    while (found := next_step(draft.case, HUB, draft.case.step)) is not None:
        number, step = found
        users = tuple(u for u in step.users if u not in draft.case.declined)
        following = next_step(draft.case, HUB, number)
        wait_s = following[1].after_s - step.after_s if following else LAST_WAIT_S[draft.case.priority]
        draft.add(
            "responsibility",
            "escalated" if step.level else "told",
            step=number,
            level=step.level,
            duty=step.duty,
            users=users,
            nobody=None if users else True,
            timers={"escalate": since + wait_s},
        )
        if users:
            draft.page(users, kind, level=step.level, duty=step.duty)
            return
    _exhaust(draft)


def _exhaust(draft: Draft) -> None:
    """Nobody is left: say so, and page the chief (for a low one: the last of its chain) again and again."""
    case, directory = draft.case, draft.directory
    last = next((s for s in reversed(case.chain) if s.side == HUB), None)
    duty = last.duty if last is not None and case.priority == "low" else "chief"
    rule = StepRule(side="hub", duty=duty, after_s=0.0)
    users = people(case, directory, rule, draft.now)
    users = users or next((s.users for s in case.chain if s.duty == duty), ())
    # Who declines has heard it; the next time they are asked again.
    users = tuple(u for u in users if u != draft.by)
    draft.add(
        "responsibility",
        "exhausted",
        duty=duty,
        users=users,
        nobody=None if users else True,
        timers={"escalate": draft.now + REPEAT_S[case.priority], "lease": None},
    )
    draft.page(users, "exhausted", level=case.level, duty=duty)


def on_escalate(draft: Draft) -> None:
    """Nobody has accepted in time."""
    if next_step(draft.case, HUB, draft.case.step) is not None:
        _advance(draft, draft.case.timers["escalate"])
    else:
        _exhaust(draft)


def on_lease(draft: Draft) -> None:
    """The owner did nothing clinical in time."""
    draft.add("responsibility", "lease_expired", owner=draft.case.owner, timers={"lease": None})
    begin(draft, "lease_expired")


def on_task(draft: Draft) -> None:
    """A task has waited too long."""
    remind(draft, "task")
    draft.add("responsibility", "reminded", what="task", timers={"task": draft.now + TASK_S})


def remind(draft: Draft, kind: str) -> tuple[UserId, ...]:
    """Page whoever has the case, or else the technicians on duty."""
    owner = draft.case.owner
    users = (owner,) if owner else draft.directory.on_duty("technician", draft.now)
    draft.page(users, kind, duty="" if owner else "technician")
    return users


def call_owner(draft: Draft, kind: str) -> None:
    """A case that somebody has got worse, or came again: they must look now, or it is raised anew."""
    draft.page((draft.case.owner,), kind)
    until = min(draft.case.timers.get("lease", draft.now + LEASE_S), draft.now + URGENT_LEASE_S)
    draft.add("responsibility", "called", owner=draft.case.owner, timers={"lease": until})


# -------------------------------------------------------------------- commands


def accept(draft: Draft, user: UserId, take_over: bool = False) -> None:
    """`user` has the case now: every other page of the hub ends. For its owner: a prolonged lease."""
    owner = draft.case.owner
    if owner and owner != user and not take_over:
        raise Refuse("already_accepted", f"{owner} has it; take_over was expected")
    own(draft, user, taken_from=owner if owner != user else "")


def own(draft: Draft, user: UserId, *, taken_from: UserId = "", handover: str = "") -> None:
    """Write down that `user` has the case, and stop all channels of everybody else."""
    until = draft.now + lease_s(draft.case)
    draft.add(
        "responsibility",
        "accepted",
        owner=user,
        lease_until=until,
        taken_from=taken_from or None,
        handover=handover or None,
        timers={"escalate": None, "task": None, "lease": until},
    )
    draft.cancel_pages("accepted", side=HUB, kinds=ASKING)


def lease_s(case: Case) -> float:
    """How long an owner may go without a clinical step, in s."""
    if case.task or case.late:
        return TASK_S
    return FIELD_LEASE_S if case.category == "technical" and case.priority != "high" else LEASE_S


def decline(draft: Draft, user: UserId, reason: str) -> None:
    """`user` cannot take it: if it is their turn, the next step is taken at once."""
    case = draft.case
    paged = any(p.user == user for p in case.open_pages(HUB))
    if not paged and case.owner != user:
        raise Refuse("not_paged", f"{user} came; somebody who was paged, or has it, was expected")
    draft.add("responsibility", "declined", user=user, reason=reason)
    draft.cancel_pages("declined", side=HUB, user=user, kinds=ASKING)
    if case.owner == user:
        draft.add("responsibility", "lease_expired", owner=user, timers={"lease": None})
        begin(draft, "lease_expired")
    elif case.responsibility in ("raised", "escalated") and user in _turn(case):
        _advance(draft, draft.now)


def _turn(case: Case) -> tuple[UserId, ...]:
    """Whose turn it is."""
    return case.chain[case.step].users if case.step >= 0 else ()


def clinic_answers(draft: Draft, state: str) -> None:
    """The clinic has seen it, or is with the patient: its other pages end."""
    if draft.case.clinic_side == state or (state == "seen" and draft.case.clinic_side == "with_patient"):
        raise Refuse("known", f"{state} came; the clinic is {draft.case.clinic_side} already")
    line = "clinic_seen" if state == "seen" else state
    draft.add("responsibility", line, timers={"clinic": None, "clinic_step": None})
    draft.cancel_pages("seen", side=CLINIC)


def receipt(draft: Draft, page_id: str, state: str, channel: str, detail: str) -> None:
    """What a channel says of a page. One that failed for all of a step takes the next step at once."""
    page = draft.case.pages.get(page_id)
    if page is None:
        raise Refuse("unknown_page", f"page {page_id[:100]} came")
    if page.state == "cancelled":
        raise Refuse("page_over", f"{state} came for a page that was cancelled: {page.reason}")
    draft.add("page", state, page=page_id, channel=channel or None, detail=detail or None)
    if state != "failed" or page.state in ("delivered", "seen", "failed"):
        return
    case = draft.case
    left = [p for p in case.open_pages(page.side) if p.level == page.level and p.kind == page.kind]
    if left:
        return
    if page.side == CLINIC:
        if "clinic" in case.timers:
            on_clinic(draft)
    elif not case.owner and "escalate" in case.timers and page.level == case.level and case.step >= 0:
        on_escalate_now(draft)


def on_escalate_now(draft: Draft) -> None:
    """The next step before its time: nobody of this one can answer."""
    if next_step(draft.case, HUB, draft.case.step) is not None:
        _advance(draft, draft.now)
    elif draft.case.responsibility != "exhausted":
        _exhaust(draft)


def release(draft: Draft, reason: str) -> None:
    """It ended by itself and nobody need take it."""
    draft.add("responsibility", "released", reason=reason, timers=_NO_TIMERS)
    draft.cancel_pages(reason)


# -------------------------------------------------------------------- the clinic's side


def _tell_clinic(draft: Draft, kind: str) -> None:
    """Take the steps of the clinic's side that are due."""
    case = draft.case
    due = [
        (i, s)
        for i, s in enumerate(case.chain)
        if s.side == CLINIC and i > case.clinic_step and s.after_s <= draft.now - case.chain_at + 1e-6
    ]
    later = next_step(case, CLINIC, due[-1][0] if due else case.clinic_step)
    step_at = case.chain_at + later[1].after_s if later else None
    if not due:
        if step_at is not None:
            draft.add("responsibility", "clinic_waits", timers={"clinic_step": step_at})
        return
    draft.cancel_pages("raised_again", side=CLINIC)
    users = tuple(dict.fromkeys(u for _, s in due for u in s.users))
    overdue_s = CLINIC_OVERDUE_S[case.priority]
    overdue_at = draft.now + overdue_s if users and overdue_s is not None else None
    draft.add(
        "responsibility",
        "clinic_told",
        step=due[-1][0],
        users=users,
        nobody=None if users else True,
        timers={"clinic": overdue_at, "clinic_step": step_at},
    )
    draft.page(users, kind, side=CLINIC, duty=due[-1][1].duty)
    if not users and overdue_s is not None:
        draft.add("responsibility", "clinic_overdue", nobody=True)


def on_clinic_step(draft: Draft) -> None:
    """A later step of the clinic's side."""
    _tell_clinic(draft, "alarm")


def on_clinic(draft: Draft) -> None:
    """The clinic did not answer in time: whoever has the case at the hub must call."""
    draft.add("responsibility", "clinic_overdue", timers={"clinic": None})
    if draft.case.owner:
        draft.page((draft.case.owner,), "clinic_overdue")
