"""What follows from the facts of a network: who is on duty, who is told, who may see and do what.

`Directory` answers from a `Network` as it is at the moment of asking. Pure: it is told the time.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from leadwire.case import AlertId, UserId
from leadwire.model import Priority
from leadwire.network import (
    CLINIC_ROLES,
    DUTY_ROLES,
    HUB_ROLES,
    Contact,
    Duty,
    Handover,
    Network,
    Role,
    Shift,
    StepRule,
    User,
)
from leadwire.network_items import MAX_SHIFT_S

DEFAULT_CHAINS: Mapping[Priority, tuple[StepRule, ...]] = MappingProxyType(
    {
        "high": (
            StepRule(side="hub", duty="technician", after_s=0),
            StepRule(side="clinic", duty="clinic", after_s=0),
            StepRule(side="hub", duty="cardiologist", after_s=60),
            StepRule(side="hub", duty="second", after_s=180),
            StepRule(side="hub", duty="chief", after_s=300),
        ),
        "medium": (
            StepRule(side="hub", duty="technician", after_s=0),
            StepRule(side="clinic", duty="clinic", after_s=0),
            StepRule(side="hub", duty="cardiologist", after_s=300),
            StepRule(side="hub", duty="chief", after_s=900),
        ),
        "low": (
            StepRule(side="clinic", duty="clinic", after_s=0),
            StepRule(side="hub", duty="technician", after_s=60),
            StepRule(side="hub", duty="installer", after_s=1800),
        ),
    }
)
"""Where a network gives no rule. High: an owner within 60 s, else the cardiologist, 120 s later the second,
120 s later the chief; the clinic is told at the same moment as the hub. Medium: an owner within 5 min.
Low: the clinic first, a page to the hub after 60 s, the installer after 30 min."""

TAKE_OVER_GRACE_S = 3600.0
"""So long after the end of a shift its person may still hand the duty over."""


@dataclass(frozen=True, slots=True)
class Stint:
    """A stretch of a shift with the person who really has it; `start` <= t < `end`, s since 1970."""

    duty: Duty
    user: UserId
    start: float
    end: float
    shift: str


class Directory:
    """Answers questions about `network`.

    Parameters
    ----------
    network
        Read anew whenever it has changed.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self._version = -1
        self._stints: dict[Duty, list[Stint]] = {}
        self._starts: dict[Duty, list[float]] = {}
        self._users: dict[str, tuple[UserId, ...]] = {}

    def on_duty(self, duty: Duty, at: float) -> tuple[UserId, ...]:
        """Who is on `duty` at `at` (s since 1970): active users with its role, who began first first."""
        found = dict.fromkeys(stint.user for stint in self._around(duty, at) if stint.end > at)
        return tuple(user for user in found if self._may_do(user, duty))

    def is_on_duty(self, user: UserId, at: float) -> bool:
        """Whether `user` is on any duty at `at`."""
        return any(user in self.on_duty(duty, at) for duty in DUTY_ROLES)

    def duties(self, user: UserId, at: float) -> tuple[Duty, ...]:
        """The duties that `user` is on at `at`."""
        return tuple(duty for duty in DUTY_ROLES if user in self.on_duty(duty, at))

    def stints(self, duty: Duty, start: float, end: float) -> list[Stint]:
        """Who has `duty` when, between `start` and `end`, with substitutions and hand-overs, by start."""
        self._refresh()
        return [stint for stint in self._stints.get(duty, []) if stint.start < end and stint.end > start]

    def uncovered(self, duty: Duty, start: float, end: float) -> list[tuple[float, float]]:
        """The stretches between `start` and `end` in which nobody is on `duty`."""
        gaps, covered = [], start
        for stint in self.stints(duty, start, end):
            if not self._may_do(stint.user, duty):
                continue
            if stint.start > covered:
                gaps.append((covered, stint.start))
            covered = max(covered, stint.end)
        return [*gaps, (covered, end)] if covered < end else gaps

    def contacts(self, clinic: str) -> tuple[Contact, ...]:
        """Whom to call in `clinic`, in order; its own phone where it names nobody."""
        found = self.network.clinics.get(clinic)
        if found is None:
            return ()
        if not found.contacts and found.phone:
            return (Contact(name=found.name, phone=found.phone),)
        return found.contacts

    def clinic_users(self, clinic: str, role: Role | None = None) -> tuple[UserId, ...]:
        """The active people of `clinic` (all, or those with `role`), in the order of its contacts."""
        self._refresh()
        users = self.network.users
        return tuple(u for u in self._users.get(clinic, ()) if role is None or role in users[u].roles)

    def step_users(self, step: StepRule, clinic: str, at: float) -> tuple[UserId, ...]:
        """Whom `step` means for an alert of `clinic` at `at`; empty: nobody is on duty."""
        if step.side == "clinic":
            for role in CLINIC_ROLES:
                if step.duty == role:
                    return self.clinic_users(clinic, role)
            return self.clinic_users(clinic)
        for duty in DUTY_ROLES:
            if step.duty == duty:
                return self.on_duty(duty, at)
        return ()

    def chain(self, priority: Priority, clinic: str) -> tuple[StepRule, ...]:
        """The escalation for an alert of `priority` in `clinic`: its own, the one for all, or the default."""
        rules = {(rule.clinic, rule.priority): rule.steps for rule in self.network.chains.values()}
        for whose in (clinic, "*"):
            if (whose, priority) in rules:
                return rules[whose, priority]
        return DEFAULT_CHAINS[priority]

    def roles(self, user: UserId) -> tuple[Role, ...]:
        """The roles of `user`; none for one who is unknown or not active."""
        found = self.network.users.get(user)
        return found.roles if found is not None and found.active else ()

    def may_see(self, user: UserId, clinic: str) -> bool:
        """Whether the patients of `clinic` are the business of `user`."""
        found = self.network.users.get(user)
        if found is None or not found.active:
            return False
        return sees_all(found) or clinic in found.clinics

    # ---------------------------------------------------------------- inside

    def _may_do(self, user: UserId, duty: Duty) -> bool:
        return DUTY_ROLES[duty] in self.roles(user)

    def _around(self, duty: Duty, at: float) -> list[Stint]:
        """The stints of `duty` that began at or before `at` and can still last."""
        self._refresh()
        starts = self._starts.get(duty, [])
        first, last = (bisect_right(starts, t) for t in _reach(at))
        return self._stints.get(duty, [])[first:last]

    def _refresh(self) -> None:
        if self._version == self.network.version:
            return
        self._version = self.network.version
        found: dict[Duty, list[Stint]] = defaultdict(list)
        for stint in stints_of(self.network):
            found[stint.duty].append(stint)
        for stints in found.values():
            stints.sort(key=lambda s: (s.start, s.end, s.shift, s.user))
        self._stints = dict(found)
        self._starts = {duty: [s.start for s in stints] for duty, stints in found.items()}
        self._users = _people(self.network)


def sees_all(user: User) -> bool:
    """Whether `user` sees the patients of every clinic: somebody of the hub without clinics named."""
    return not user.clinics and bool(HUB_ROLES & set(user.roles))


def stints_of(network: Network) -> list[Stint]:
    """All shifts of `network` cut by their substitutions and by hand-overs.

    A duty handed over before its shift ends is the other's for the rest of that shift.
    """
    cuts: dict[str, list[tuple[float, float, UserId]]] = defaultdict(list)
    for sub in sorted(network.substitutions.values(), key=lambda s: (s.start, s.id)):
        cuts[sub.shift].append((sub.start, sub.end, sub.user))
    found = {}
    for shift in network.shifts.values():
        pieces = [_stint(shift)]
        for start, end, user in cuts.get(shift.id, ()):
            pieces = [part for piece in pieces for part in _cut(piece, start, end, user)]
        found[shift.id] = pieces
    by_duty: dict[Duty, list[Shift]] = defaultdict(list)
    for shift in sorted(network.shifts.values(), key=lambda s: s.start):
        by_duty[shift.duty].append(shift)
    for handover in sorted(network.handovers.values(), key=lambda h: (h.at, h.id)):
        shifts = by_duty[handover.duty]
        first, last = (bisect_right(shifts, at, key=lambda s: s.start) for at in _reach(handover.at))
        for shift in shifts[first:last]:
            found[shift.id] = [part for piece in found[shift.id] for part in _handed_over(piece, handover)]
    return [stint for pieces in found.values() for stint in pieces]


def check_take_over(directory: Directory, handover: Handover, open_cases: Iterable[AlertId]) -> None:
    """Raise ValueError unless this duty can change hands so.

    Parameters
    ----------
    open_cases
        The ids of all cases that are open now: each must have been read.
    """
    unread = sorted(set(open_cases) - set(handover.read))
    if unread:
        shown = ", ".join(unread[:3]) + (", ..." if len(unread) > 3 else "")
        raise ValueError(f"{len(unread)} open cases came unread ({shown}); all read was expected")
    stints = directory.stints(handover.duty, handover.at - TAKE_OVER_GRACE_S, handover.at + 1e-3)
    if handover.from_user not in {stint.user for stint in stints}:
        raise ValueError(
            f"{handover.from_user} came, who has no duty {handover.duty} to hand over; one who has it, or "
            f"had it at most {TAKE_OVER_GRACE_S / 60:g} min ago, was expected"
        )


def _reach(at: float) -> tuple[float, float]:
    """What lasts at `at` began after the first of these and not after the second."""
    return at - MAX_SHIFT_S - 1.0, at


def _stint(shift: Shift) -> Stint:
    return Stint(shift.duty, shift.user, shift.start, shift.end, shift.id)


def _cut(piece: Stint, start: float, end: float, user: UserId) -> list[Stint]:
    """`piece` with what lies between `start` and `end` given to `user`."""
    a, b = max(piece.start, start), min(piece.end, end)
    if a >= b:
        return [piece]
    parts = [replace(piece, end=a), replace(piece, start=a, end=b, user=user), replace(piece, start=b)]
    return [part for part in parts if part.start < part.end]


def _handed_over(piece: Stint, handover: Handover) -> list[Stint]:
    if piece.user != handover.from_user or not piece.start <= handover.at < piece.end:
        return [piece]
    return _cut(piece, handover.at, piece.end, handover.to_user)


def _people(network: Network) -> dict[str, tuple[UserId, ...]]:
    """Per clinic its active people: first the contacts in their order, then the others by id."""
    found: dict[str, list[UserId]] = defaultdict(list)
    for user in sorted(network.users.values(), key=lambda u: u.id):
        if user.active and CLINIC_ROLES & set(user.roles):
            for clinic in user.clinics:
                found[clinic].append(user.id)
    people = {}
    for clinic, users in found.items():
        contacts = network.clinics[clinic].contacts if clinic in network.clinics else ()
        place = {contact.user: n for n, contact in enumerate(contacts)}
        people[clinic] = tuple(sorted(users, key=lambda u: (place.get(u, len(place)), u)))
    return people
