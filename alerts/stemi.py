"""The STEMI clock: when each step from the first medical contact to the wire happened, against its target.

Targets of the chest-pain centres: first contact to ECG 10 min, ECG to diagnosis 10 min, diagnosis to
activation of the catheter laboratory 30 min, first contact to departure (door in, door out) 30 min,
arrival to wire 90 min, first contact to wire 120 min.
"""

from alerts.draft import Draft, Refuse

MARKS = ("first_medical_contact", "ecg", "diagnosis", "activation", "departure", "arrival", "wire")

TARGETS_S: dict[tuple[str, str], float] = {
    ("first_medical_contact", "ecg"): 600.0,
    ("ecg", "diagnosis"): 600.0,
    ("diagnosis", "activation"): 1800.0,
    ("first_medical_contact", "departure"): 1800.0,
    ("arrival", "wire"): 5400.0,
    ("first_medical_contact", "wire"): 7200.0,
}
"""(from, to) -> at most so many s."""

FUTURE_S = 60.0
"""Clocks of two people differ by so much, in s."""

PAST_S = 7 * 86_400.0


def elapsed(clock: dict[str, float]) -> dict[tuple[str, str], float]:
    """Each stretch of `TARGETS_S` whose two marks are known, in s."""
    return {(a, b): clock[b] - clock[a] for a, b in TARGETS_S if a in clock and b in clock}


def mark(draft: Draft, name: str, at: float) -> None:
    """Write down that `name` of `MARKS` was at `at`; a later word on the same mark counts."""
    if not draft.now - PAST_S <= at <= draft.now + FUTURE_S:
        raise Refuse("bad_data", f"at {at:.0f} s came; a time of the last week was expected")
    number = MARKS.index(name)
    for other, when in draft.case.clock.items():
        before = MARKS.index(other) < number
        if other != name and (when > at if before else when < at):
            side = "after" if before else "before"
            raise Refuse(
                "bad_data", f"{name} at {at:.0f} s came; {side} {other} at {when:.0f} s was expected"
            )
    clock = draft.case.clock | {name: at}
    took = {a: at - clock[a] for a, b in TARGETS_S if b == name and a in clock}
    overdue = [a for a, seconds in took.items() if seconds > TARGETS_S[a, name]]
    draft.add("clock", name, at=at, took=took or None, overdue=overdue or None)
