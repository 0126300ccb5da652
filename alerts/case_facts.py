"""Where and what each case is, from the condition lines of the register: as much as a message needs."""

from collections import OrderedDict
from dataclasses import dataclass

import msgspec

from leadwire.case import AlertId, Line, RegisterEntry
from leadwire.model import Alert

MAX_FACTS = 50_000
"""Cases of which the place is remembered; those that moved last."""

PHONE_KINDS = frozenset({"unwatched", "role_silent", "queue_lag"})
"""Conditions that say that no page of Leadwire is being looked at, or can be: a page on it is no message."""


@dataclass(frozen=True, slots=True)
class Facts:
    """`kind` is the worst that the case has been; `since` when it was raised, s since 1970."""

    kind: str
    clinic: str
    bed: str
    patient: str
    since: float


class CaseFacts:
    """Facts by case."""

    def __init__(self) -> None:
        self._facts: OrderedDict[AlertId, Facts] = OrderedDict()

    def take(self, entry: RegisterEntry, line: Line) -> None:
        """Take in a condition line."""
        known = self._facts.get(entry.alert)
        if known is None and line.state != "raised":
            return
        data = line.data
        kind = known.kind if known else ""
        if line.state in ("raised", "upgraded") and "alert" in data:
            kind = msgspec.convert(data["alert"], Alert).kind
        clinic = data.get("clinic", known.clinic if known else "")
        if not clinic and kind in PHONE_KINDS:
            clinic = data.get("device", "")  # the role, or the queue
        self._facts[entry.alert] = Facts(
            kind=kind,
            clinic=clinic,
            bed=data.get("bed", known.bed if known else ""),
            patient=data.get("patient", known.patient if known else ""),
            since=known.since if known else entry.at,
        )
        self._facts.move_to_end(entry.alert)
        while len(self._facts) > MAX_FACTS:
            self._facts.popitem(last=False)

    def of(self, alert: AlertId, at: float) -> Facts:
        """The facts of a case; of one that was forgotten, what its id tells, since `at`."""
        return self._facts.get(alert) or Facts(alert.rpartition(":")[2], "", "", "", at)
