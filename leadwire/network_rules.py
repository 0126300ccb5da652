"""Whether one item of a network fits the others: names that exist, roles that match, times in order.

Every check raises ValueError with what came and what was expected; nothing here changes anything.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import singledispatch
from typing import Protocol

from leadwire.network_items import (
    CHANNEL_FORMS,
    CLINIC_ROLES,
    DUTY_ROLES,
    KINDS,
    MAX_SHIFT_S,
    ChainRule,
    Clinic,
    Criteria,
    Duty,
    Handover,
    Hub,
    Item,
    Shift,
    Substitution,
    User,
)


class There(Protocol):
    """What is there already: a `network.Network`."""

    def of(self, kind: str) -> Mapping[str, Item]: ...

    def __iter__(self) -> Iterator[tuple[str, Item]]: ...

    @property
    def hub(self) -> Hub | None: ...

    @property
    def shifts(self) -> Mapping[str, Shift]: ...

    @property
    def substitutions(self) -> Mapping[str, Substitution]: ...

    @property
    def chains(self) -> Mapping[str, ChainRule]: ...


CLINIC_DUTIES = ("clinic", "clinic_doctor", "clinic_nurse")
"""Whom a step on the clinic's side may name; `clinic` is everybody."""


@singledispatch
def _check(item: Item, network: There) -> None:
    raise NotImplementedError(type(item).__name__)


def check_fits(network: There, item: Item) -> None:
    """Raise ValueError unless `item` can stand in `network`."""
    _check(item, network)


@_check.register
def _hub(item: Hub, network: There) -> None:
    if network.hub is not None and network.hub.id != item.id:
        raise ValueError(f"a second hub came; {network.hub.id} is the hub, and there is one")


@_check.register
def _clinic(item: Clinic, network: There) -> None:
    above = item.parent
    for _ in range(len(KINDS)):
        if not above:
            break
        if above == item.id:
            raise ValueError(f"parent {item.parent} came, which is below it; a clinic above was expected")
        above = _known(network, "clinic", above).parent  # type: ignore[union-attr]
    else:
        raise ValueError(f"parent {item.parent} came, with too many above it; at most {len(KINDS)} expected")
    for contact in item.contacts:
        if contact.user:
            _known(network, "user", contact.user)
    _once("contact", (contact.phone for contact in item.contacts))


@_check.register
def _user(item: User, network: There) -> None:
    _once("role", item.roles)
    _once("clinic", item.clinics)
    for clinic in item.clinics:
        _known(network, "clinic", clinic)
    if CLINIC_ROLES & set(item.roles) and not item.clinics:
        raise ValueError(f"roles {', '.join(item.roles)} came without a clinic; at least one was expected")
    for address in item.addresses:
        pattern, form = CHANNEL_FORMS[address.channel]
        if not re.search(pattern, address.to):
            raise ValueError(f"{address.channel} address {address.to[:80]!r} came; {form} was expected")
    _once("address", ((address.channel, address.to) for address in item.addresses))
    for shift in network.shifts.values():
        if shift.user == item.id and DUTY_ROLES[shift.duty] not in item.roles:
            raise ValueError(
                f"roles {', '.join(item.roles)} came; {DUTY_ROLES[shift.duty]} was expected, for shift "
                f"{shift.id} is theirs"
            )


@_check.register
def _shift(item: Shift, network: There) -> None:
    _check_span(item.start, item.end)
    if item.end - item.start > MAX_SHIFT_S:
        raise ValueError(
            f"a shift of {(item.end - item.start) / 3600:g} h came; at most {MAX_SHIFT_S / 3600:g} h expected"
        )
    _check_may_do(network, item.user, item.duty)


@_check.register
def _substitution(item: Substitution, network: There) -> None:
    shift = _known(network, "shift", item.shift)
    assert isinstance(shift, Shift)
    _check_span(item.start, item.end)
    if item.start < shift.start or item.end > shift.end:
        raise ValueError(
            f"{item.start:.0f} to {item.end:.0f} s came; inside the shift's {shift.start:.0f} to "
            f"{shift.end:.0f} s was expected"
        )
    if item.user == shift.user:
        raise ValueError(f"user {item.user} came, whose shift it is; somebody else was expected")
    _check_may_do(network, item.user, shift.duty)
    for other in network.substitutions.values():
        if other.id != item.id and other.shift == item.shift and _overlap(item, other):
            raise ValueError(
                f"{item.start:.0f} to {item.end:.0f} s of shift {item.shift} came; substitution {other.id} "
                f"by {other.user} has a part of it already"
            )


@_check.register
def _handover(item: Handover, network: There) -> None:
    if item.from_user == item.to_user:
        raise ValueError(f"{item.from_user} came twice; a duty goes from one to another")
    _known(network, "user", item.from_user)
    _check_may_do(network, item.to_user, item.duty)


@_check.register
def _chain(item: ChainRule, network: There) -> None:
    if item.clinic != "*":
        _known(network, "clinic", item.clinic)
    for other in network.chains.values():
        if (other.priority, other.clinic) == (item.priority, item.clinic) and other.id != item.id:
            raise ValueError(
                f"priority {item.priority} in clinic {item.clinic} came; chain {other.id} says that already"
            )
    waits = [step.after_s for step in item.steps]
    if waits != sorted(waits):
        raise ValueError(f"steps after {waits} s came; in the order of their times was expected")
    for step in item.steps:
        allowed = tuple(DUTY_ROLES) if step.side == "hub" else CLINIC_DUTIES
        if step.duty not in allowed:
            raise ValueError(
                f"duty {step.duty} on side {step.side} came; one of {', '.join(allowed)} was expected"
            )
    _once("step", ((step.side, step.duty, step.after_s) for step in item.steps))


@_check.register
def _criteria(item: Criteria, network: There) -> None:
    author = _known(network, "user", item.author)
    assert isinstance(author, User)
    if not {"cardiologist", "administrator"} & set(author.roles):
        raise ValueError(f"author {item.author} came; a cardiologist or an administrator was expected")
    if item.scope == "clinic":
        _known(network, "clinic", item.target)


def check_not_named(network: There, kind: str, id: str) -> None:
    """Raise ValueError unless `kind` `id` exists and nothing else names it, so that it can go."""
    _known(network, kind, id)
    for other_kind, other in network:
        if (kind, id) in _names(other):
            raise ValueError(f"{kind} {id} came to be taken out; {other_kind} {other.id} still names it")


def _names(item: Item) -> set[tuple[str, str]]:
    """Kind and id of what `item` names and needs. The past stays: a hand-over needs nobody."""
    if isinstance(item, Clinic):
        return {("clinic", item.parent)} | {("user", contact.user) for contact in item.contacts}
    if isinstance(item, User):
        return {("clinic", clinic) for clinic in item.clinics}
    if isinstance(item, Shift):
        return {("user", item.user)}
    if isinstance(item, Substitution):
        return {("shift", item.shift), ("user", item.user)}
    if isinstance(item, ChainRule):
        return {("clinic", item.clinic)}
    if isinstance(item, Criteria):
        return {("user", item.author), (item.scope, item.target)}
    return set()


def _known(network: There, kind: str, id: str) -> Item:
    found = network.of(kind).get(id)
    if found is None:
        raise ValueError(f"{kind} {id[:80]!r} came; a {kind} of the network was expected")
    return found


def _once(what: str, values: Iterable[object]) -> None:
    seen: set[object] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{what} {value} came twice; once was expected")
        seen.add(value)


def _check_span(start: float, end: float) -> None:
    if not start < end:
        raise ValueError(f"end {end:.0f} s came, not after its start {start:.0f} s; a later one was expected")


def _overlap(a: Substitution, b: Substitution) -> bool:
    return a.start < b.end and b.start < a.end


def _check_may_do(network: There, user: str, duty: Duty) -> None:
    person = _known(network, "user", user)
    assert isinstance(person, User)
    if DUTY_ROLES[duty] not in person.roles:
        raise ValueError(
            f"user {user} ({', '.join(person.roles)}) came for duty {duty}; a {DUTY_ROLES[duty]} was expected"
        )
    if not person.active:
        raise ValueError(f"user {user} came, who is not active; an active one was expected")
