"""The parts of a `story.Case`: its alerts, its pages, its call-back, and how an entry changes each.

Not here: the case as a whole (`story.py`).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from msgspec import Struct, structs

from leadwire.case import AlertId, Line, RegisterEntry, UserId
from leadwire.model import Alert, Priority

RISING: Mapping[str, int] = MappingProxyType({"low": 0, "medium": 1, "high": 2})
"""Priorities in order."""

HUB, CLINIC = "hub", "clinic"

PageState = Literal["requested", "sent", "delivered", "seen", "failed", "cancelled", "timed_out"]

OPEN_PAGES = frozenset({"requested", "sent", "delivered", "seen", "timed_out"})
"""States in which the person may still answer. `timed_out`: the next step was taken meanwhile."""

_PROGRESS = {"requested": 0, "sent": 1, "delivered": 2, "seen": 3}


CALL_BACK_STATES = (
    "none",
    "open",
    "reached",
    "read_back",
    "clinic_acknowledged",
    "action_stated",
    "outcome",
)
"""In order; a call-back never goes back."""

KEPT = 64
"""Alerts and pages of one case that are remembered although they are over; the register has them all."""


class Member(Struct, frozen=True, kw_only=True):
    """One alert of a case. `rank` orders the kinds of its family; `chained`: a worse one covered it."""

    id: AlertId
    kind: str
    priority: Priority
    rank: int = 0
    version: int = 1
    active: bool = True
    late: bool = False
    chained: bool = False
    since: float
    ended_at: float | None = None


class Page(Struct, frozen=True, kw_only=True):
    """One person asked to look, on all of their channels.

    `kind` says why: alarm, upgraded, recurred, exhausted, task, test, clinic_overdue, handed_over, call_back
    (the clinic is about to be called), county_120, unreached, or what is overdue: attempt, read_back ...
    """

    id: str
    user: UserId
    side: Literal["hub", "clinic"]
    level: int = 0
    duty: str = ""
    priority: Priority = "low"
    kind: str = "alarm"
    state: PageState = "requested"
    channel: str = ""
    reason: str = ""
    requested_at: float
    changed_at: float


class Attempt(Struct, frozen=True, kw_only=True):
    """One try to reach the clinic. `contact` is the contact's name, `who` the person who answered."""

    contact: str
    number: str = ""
    who: str = ""
    result: str
    seconds: float | None = None
    at: float
    by: UserId = ""


class CallBack(Struct, frozen=True, kw_only=True):
    """The call to the referring clinic, to its end.

    Attributes
    ----------
    state
        One of `CALL_BACK_STATES`.
    contacts
        As frozen when it was opened: name, phone, user of each, in the order to call them.
    contact, failures
        Index of the contact whose turn it is, and how often that one was not reached.
    overdue
        What was late, and how often: attempt, read_back, clinic_acknowledge, action, outcome.
    """

    state: str = "none"
    opened_at: float | None = None
    contacts: tuple[dict[str, Any], ...] = ()
    contact: int = 0
    failures: int = 0
    attempts: tuple[Attempt, ...] = ()
    reached: str = ""
    words: str = ""
    read_back_by: str = ""
    acknowledged_by: UserId = ""
    action: str = ""
    outcome: str = ""
    county_120_at: float | None = None
    chief_at: float | None = None
    overdue: dict[str, int] = {}

    @property
    def read_back_done(self) -> bool:
        return bool(self.words)


def without_old_members(members: dict[AlertId, Member]) -> dict[AlertId, Member]:
    """`members` with only the last `KEPT` of those that ended: an episode may last for months."""
    return _trimmed(members, [m.id for m in members.values() if not m.active])


def without_old_pages(pages: dict[str, Page]) -> dict[str, Page]:
    """`pages` with only the last `KEPT` of those that are over."""
    return _trimmed(pages, [p.id for p in pages.values() if p.state not in OPEN_PAGES])


P = TypeVar("P")


def _trimmed(parts: dict[str, P], over: list[str]) -> dict[str, P]:
    old = set(over[:-KEPT]) if len(over) > KEPT else ()
    return {name: part for name, part in parts.items() if name not in old} if old else parts


def member_after(known: Member | None, alert: Alert, line: Line, at: float) -> Member:
    """The member that `alert` is, after a condition line that shows it."""
    active = alert.state == "active"
    again = known is None or (active and not known.active)
    return Member(
        id=alert.id,
        kind=alert.kind,
        priority=alert.priority,
        rank=line.data.get("rank", known.rank if known else 0),
        version=alert.version,
        active=active,
        late=alert.late,
        chained=line.state == "chained" or (known is not None and known.chained and not again),
        since=at if known is None or again else known.since,
        ended_at=None if active else at,
    )


def page_after(page: Page | None, line: Line, entry: RegisterEntry) -> Page | None:
    """The page after a page line; None for a line about a page that was never requested."""
    data, state = line.data, line.state
    if state == "requested":
        return Page(
            id=data["page"],
            user=data["user"],
            side=data["side"],
            level=data["level"],
            duty=data.get("duty", ""),
            priority=data["priority"],
            kind=data["kind"],
            requested_at=entry.at,
            changed_at=entry.at,
        )
    if page is None or state == "not_sent":  # one of its channels, that is all
        return page
    # Receipts overtake each other: what is known to be seen is not taken back by a late "sent".
    # A channel that failed takes nothing back either.
    known = _PROGRESS.get(page.state, -1)
    arrived = known >= _PROGRESS["delivered"]
    if page.state == "cancelled" or (state == "failed" and arrived):
        return page
    if _PROGRESS.get(state, known) < known or (state in ("sent", "requested") and page.state == "timed_out"):
        return page
    return structs.replace(
        page,
        state=state,
        channel=data.get("channel", page.channel),
        reason=data.get("reason", data.get("detail", page.reason)),
        changed_at=entry.at,
    )


def call_back_after(known: CallBack, line: Line, entry: RegisterEntry) -> CallBack:
    """The call-back after a callback line."""
    data, state = line.data, line.state
    if state == "open":
        return CallBack(state="open", opened_at=entry.at, contacts=tuple(data.get("contacts", ())))
    changes: dict[str, Any] = {}
    if state == "attempt":
        attempt = Attempt(
            contact=data.get("contact", ""),
            number=data.get("number", ""),
            who=data.get("who", ""),
            result=data["result"],
            seconds=data.get("seconds"),
            at=entry.at,
            by=entry.by,
        )
        failed = attempt.result != "answered"
        changes = {
            "attempts": (*known.attempts, attempt),
            "failures": known.failures + 1 if failed else known.failures,
        }
    elif state == "next_contact":
        changes = {"contact": data["contact"], "failures": 0}
    elif state == "reached":
        changes = {"state": state, "reached": data.get("who", "")}
    elif state == "read_back":
        changes = {"state": state, "words": data["words"], "read_back_by": data.get("by", "")}
    elif state == "clinic_acknowledged":
        changes = {"state": state, "acknowledged_by": entry.by}
    elif state == "action_stated":
        changes = {"state": state, "action": data["text"]}
    elif state == "outcome":
        changes = {"state": state, "outcome": data["text"]}
    elif state == "county_120":
        changes = {"county_120_at": entry.at}
    elif state == "chief":
        changes = {"chief_at": entry.at}
    elif state == "overdue":
        changes = {"overdue": known.overdue | {data["what"]: known.overdue.get(data["what"], 0) + 1}}
    if state in CALL_BACK_STATES and CALL_BACK_STATES.index(state) < CALL_BACK_STATES.index(known.state):
        del changes["state"]  # a read-back after the clinic acknowledged on its screen
    return structs.replace(known, **changes)
