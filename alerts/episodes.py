"""The condition line of a case: alerts of one patient and family that belong together, and what hides what.

An alert opens a case, or joins one of the same patient and family that lasts, is latched, or ended less
than `AlertRule.group_s` ago. Within a family the higher rank stands for the others: a lower one beside it
is ``chained`` (listed, not sounded), a higher one ``upgraded`` (sounds, and gets the chain of its
priority), the same again ``recurred``.

A case may hide others of the same patient (`AlertRule.inhibits`: a device that is offline hides what it
can no longer see). They are not sounded, their escalation goes on, and the one that hides them shows how
many they are and takes over their highest priority.
"""

from collections.abc import Iterable

import msgspec

from alerts import clinical, escalation, signal
from alerts.draft import Draft
from leadwire.case import Step
from leadwire.model import Alert, Evidence, Priority
from leadwire.story import HUB, RISING, Case, Member

TEST_KIND = "test_alarm"


PatientKey = tuple[str, str, str]


def patient_key(of: Alert | Case) -> PatientKey:
    """What groups the alerts of a patient: the clinic's label for them, or their bed, or only the stream."""
    if of.clinic and of.patient:
        return (of.clinic, "patient", of.patient)
    return (of.clinic, "bed", of.bed) if of.clinic and of.bed else ("", "stream", of.stream)


def joins(case: Case, alert: Alert, now: float) -> bool:
    """Whether `alert` belongs to `case` (of the same patient)."""
    if case.closed or case.family != alert.rule.family or case.kind == TEST_KIND:
        return False
    if alert.rule.family == "other" and case.kind != alert.kind:
        return False
    if case.late and not _comes_late(alert):
        return False  # what lasts now is no line on a list
    if case.condition != "ended":
        return True
    return case.ended_at is not None and now - case.ended_at < alert.rule.group_s


def _comes_late(alert: Alert) -> bool:
    """Whether it was over before its data came."""
    return alert.late and alert.state == "ended"


# -------------------------------------------------------------------- alerts


def raise_case(draft: Draft, alert: Alert) -> None:
    """The first alert of a case."""
    rule = alert.rule
    draft.add(
        "condition",
        "raised",
        alert=msgspec.to_builtins(alert),
        clinic=alert.clinic,
        bed=alert.bed,
        patient=alert.patient,
        device=alert.device,
        priority=alert.priority,
        family=rule.family,
        rank=rule.rank,
        pack=rule.pack,
        latching=rule.latching,
        late=_comes_late(alert),
        task=rule.notify == "task",
        can_be_off=rule.can_be_off,
    )
    signal.begin(draft)
    escalation.begin(draft)
    if alert.state == "ended":
        _ended(draft)


def raise_test(draft: Draft, alert: Alert, people: tuple[str, ...]) -> None:
    """A test alarm: to `people` and to the clinic, the whole way, but no further up."""
    draft.add(
        "condition",
        "raised",
        alert=msgspec.to_builtins(alert),
        clinic=alert.clinic,
        priority=alert.priority,
        family="test",
    )
    signal.begin(draft)
    steps = [Step(level=0, side="hub", duty="caller", after_s=0.0, users=people)]
    clinic_users = draft.directory.clinic_users(alert.clinic)
    if clinic_users:
        steps.append(Step(level=0, side="clinic", duty="clinic", after_s=0.0, users=clinic_users))
    escalation.begin(draft, "test", chain=tuple(steps))
    until = draft.now + escalation.TEST_S
    draft.add("responsibility", "tested", timers={"escalate": None, "clinic": None, "test": until})


def take(draft: Draft, alert: Alert) -> None:
    """A transition of an alert that belongs to the case."""
    known = draft.case.members.get(alert.id)
    if alert.state == "ended":
        if known is None:
            _begun(draft, alert)
        _end_member(draft, alert)
    elif known is not None and known.active and RISING[alert.priority] <= RISING[known.priority]:
        _join(draft, "changed", alert)
    elif draft.case.closed:
        # The same alert again (silence at the same sample), or worse: its case is open again.
        draft.add(
            "clinical", "reopened", reason="recurred" if known is None or not known.active else "upgraded"
        )
        _join_worse(draft, alert)
        signal.break_through(draft, worse=True)
        escalation.begin(draft)
    elif known is None or not known.active:
        _begun(draft, alert)
    else:
        _upgrade(draft, alert)


def _begun(draft: Draft, alert: Alert) -> None:
    """A new alert joins."""
    case, rule = draft.case, alert.rule
    if _comes_late(alert):
        _join_late(draft, alert)
        return
    # What only came late was never sounded: the same, when it lasts, is new.
    heard = [m for m in case.members.values() if not (m.late and m.chained)]
    top = max((m.rank for m in heard if m.active), default=-1)
    kinds = {m.kind for m in heard}
    highest_rank = max((m.rank for m in heard), default=-1)
    siren = case.late or (case.task and rule.notify != "task")
    if RISING[alert.priority] > RISING[case.priority] or rule.rank > highest_rank or siren:
        _upgrade(draft, alert)
    elif rule.rank < top:
        _join(draft, "chained", alert)
    else:
        _join(draft, "recurred", alert)
        signal.break_through(draft, worse=alert.kind not in kinds)
        _again(draft, alert, "recurred")


def _join_late(draft: Draft, alert: Alert) -> None:
    """Listed, never sounded; a case of late data alone is called by the worst there was."""
    case = draft.case
    if case.late and alert.rule.rank > max(m.rank for m in case.members.values()):
        priority: Priority = max(alert.priority, case.priority, key=RISING.__getitem__)
        _join(draft, "upgraded", alert, priority=priority, was=case.kind)
    else:
        _join(draft, "chained", alert)


def _upgrade(draft: Draft, alert: Alert) -> None:
    """Something worse: it sounds whatever was paused, and the chain is that of its priority."""
    case = draft.case
    was_listed = case.late or (case.task and alert.rule.notify != "task")
    _join_worse(draft, alert)
    signal.break_through(draft, worse=True)
    _again(draft, alert, "upgraded", anew=was_listed or RISING[draft.case.priority] > RISING[case.priority])


def _join_worse(draft: Draft, alert: Alert) -> None:
    case = draft.case
    priority: Priority = max(alert.priority, case.priority, key=RISING.__getitem__)
    _join(
        draft,
        "upgraded",
        alert,
        priority=priority,
        latching=case.latching or alert.rule.latching,
        can_be_off=case.can_be_off and alert.rule.can_be_off,
        task=False if case.task and alert.rule.notify != "task" else None,
        late=False if case.late else None,
        was=case.kind,
    )


def _again(draft: Draft, alert: Alert, kind: str, *, anew: bool = False) -> None:
    """Who must look because of a new alert in a case that is known already; `anew`: by a new chain."""
    case = draft.case
    if "close" in case.timers:
        draft.add("clinical", "stays_open", timers={"close": None})
    serious = alert.priority == "high" or kind == "upgraded"
    if serious and case.verdict and not case.actionable:
        # What was decided was about something less, or earlier.
        draft.add("clinical", "untriaged", reason=kind)
    if case.owner:
        if serious:
            escalation.call_owner(draft, kind)
    elif anew or case.responsibility == "released":
        escalation.begin(draft, kind)
    elif kind == "upgraded":
        # The chain goes on: beginning it anew would make the next step later.
        users = dict.fromkeys(p.user for p in case.open_pages(HUB))
        draft.page(users, kind, level=case.level)


def _join(draft: Draft, state: str, alert: Alert, **more: object) -> None:
    now_worst = _worst(draft.case.members.values(), alert)
    draft.add(
        "condition",
        state,
        alert=msgspec.to_builtins(alert),
        rank=alert.rule.rank,
        now_kind=now_worst[0],
        now_priority=now_worst[1],
        **more,
    )


def _worst(members: Iterable[Member], alert: Alert) -> tuple[str, Priority]:
    """Kind and priority of the worst that lasts, `alert` included as it now is."""
    lasting = [
        (RISING[m.priority], m.rank, m.kind, m.priority) for m in members if m.active and m.id != alert.id
    ]
    if alert.state == "active" or not lasting:
        lasting.append((RISING[alert.priority], alert.rule.rank, alert.kind, alert.priority))
    *_, kind, priority = max(lasting)
    return kind, priority


def _end_member(draft: Draft, alert: Alert) -> None:
    if (member := draft.case.members.get(alert.id)) is not None and not member.active:
        return
    before = draft.case.now_kind
    _join(draft, "ended", alert)
    if draft.case.active:
        kind, priority = _worst(draft.case.members.values(), alert)
        if kind != before:
            draft.add("condition", "downgraded", now_kind=kind, now_priority=priority)
    else:
        _ended(draft)


def _ended(draft: Draft) -> None:
    if draft.case.closed:
        return
    signal.condition_ended(draft)
    clinical.condition_ended(draft)


# -------------------------------------------------------------------- what hides what


def hidden_by(cases: Iterable[Case]) -> dict[str, str]:
    """For the open cases of one patient: which is hidden by which. What is hidden hides nothing."""
    lasting = sorted(
        (c for c in cases if not c.closed), key=lambda c: (c.category != "technical", c.opened_at, c.id)
    )
    found: dict[str, str] = {}
    for case in lasting:
        inhibits = case.alert.rule.inhibits
        if not inhibits or not case.active or case.id in found:
            continue
        for other in lasting:
            if other is not case and other.id not in found and other.now_kind in inhibits:
                if other.condition == "ended" and other.signal == "quiet":
                    continue
                # Two that name each other: the one that came first stays.
                if other.id not in found.values():
                    found[other.id] = case.id
    return found


def inhibit(draft: Draft, by: str) -> None:
    """Hidden by case `by` from now on; empty: no longer."""
    if by:
        draft.add("condition", "inhibited", by=by)
    else:
        draft.add("condition", "uninhibited")


def highest(cases: Iterable[Case]) -> Priority | None:
    """The highest priority among `cases`."""
    return max((c.priority for c in cases), key=RISING.__getitem__, default=None)


def hide(draft: Draft, hidden: Iterable[Case]) -> None:
    """Show how many it hides, take over the highest priority among them, and sound for them."""
    cases = list(hidden)
    ids = [c.id for c in cases]
    if (set(ids), highest(cases)) != (set(draft.case.hides), draft.case.hidden_priority):
        draft.add("condition", "hiding", cases=ids, count=len(ids), priority=highest(cases))
    # What would have sounded since somebody made this one quiet sounds here.
    began = max((c.last.get(f"signal/{s}", 0.0) for c in cases for s in signal.AUDIBLE), default=0.0)
    changed = max(at for name, at in draft.case.last.items() if name.startswith("signal/"))
    if began > changed:
        signal.break_through(draft, worse=True)


def test_alert(id: str, clinic: str, now: float) -> Alert:
    """The alert of a test alarm."""
    return Alert(
        id=id,
        version=1,
        stream="test",
        kind=TEST_KIND,
        priority="medium",
        category="technical",
        state="active",
        onset=0,
        raised_at=now,
        changed_at=now,
        evidence=Evidence(rule=TEST_KIND, value=0.0, threshold=0.0, unit=""),
        clinic=clinic,
    )
