"""Escalation chains: who is told when about a case, frozen with the people on duty at each step.

The steps of each priority and clinic are the network's (`leadwire/roster.py`). Not here: taking them
(`escalation.py`).
"""

from leadwire.case import Step, UserId
from leadwire.network import StepRule
from leadwire.roster import Directory
from leadwire.story import CLINIC, HUB, Case


def chain_rules(case: Case, directory: Directory) -> tuple[StepRule, ...]:
    """The steps for `case`: none for what is only listed (low physiological alarms, tasks, late data).

    Technical alarms go to the clinic first, then to the hub, and after half an hour to the installer (the
    chain for low), unless they are high: nobody watching, nothing running. Whatever a person found to need
    action is at least medium.
    """
    if case.actionable:
        return directory.chain("high" if case.priority == "high" else "medium", case.clinic)
    if case.task or case.late:
        return ()
    if case.category == "technical":
        return directory.chain("high" if case.priority == "high" else "low", case.clinic)
    return () if case.priority == "low" else directory.chain(case.priority, case.clinic)


def freeze(case: Case, directory: Directory, now: float) -> tuple[Step, ...]:
    """The chain of `case` with the people who will be on duty at each of its steps."""
    # The alarm for silence comes after some silence: its targets count from the silence's beginning.
    passed = case.alert.evidence.value if case.kind == "no_data" else 0.0
    steps: list[Step] = []
    level = 0
    for rule in chain_rules(case, directory):
        if rule.side == CLINIC and not case.clinic:
            continue
        after_s = max(0.0, rule.after_s - passed)
        users = people(case, directory, rule, now + after_s)
        steps.append(
            Step(
                level=level if rule.side == HUB else 0,
                side=rule.side,
                duty=rule.duty,
                after_s=after_s,
                users=users,
            )
        )
        level += rule.side == HUB
    return tuple(steps)


def people(case: Case, directory: Directory, rule: StepRule, at: float) -> tuple[UserId, ...]:
    """Whom `rule` means at `at`: only people who may see the clinic's patients can answer."""
    users = directory.step_users(rule, case.clinic, at)
    return tuple(u for u in users if not case.clinic or directory.may_see(u, case.clinic))


def next_step(case: Case, side: str, after: int) -> tuple[int, Step] | None:
    return next(((i, s) for i, s in enumerate(case.chain) if s.side == side and i > after), None)
