"""Who and where: the hub, its clinics, their people, who is on duty when, and the rules given for them.

`Network` is all of it at one moment. What is wished (`NetworkItem` on `ecg.commands`) must fit what is
there (`Network.check`); what is a fact (on `ecg.network`) is taken as it comes (`Network.apply`), in any
order, for a compacted topic tells a clinic's users before the clinic.

The shapes stand in `network_items.py`; what follows from them (who is on duty, who may see what) in
`roster.py`.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TypeVar

from leadwire.case import NetworkItem
from leadwire.network_items import (
    CHANNEL_FORMS,
    CLINIC_ROLES,
    DUTY_ROLES,
    HUB_ROLES,
    KIND_OF,
    KINDS,
    Address,
    ChainRule,
    ChannelName,
    Clinic,
    Contact,
    Criteria,
    Duty,
    Handover,
    Hub,
    Item,
    Language,
    Role,
    Shift,
    StepRule,
    Substitution,
    Tier,
    User,
    from_body,
    shape_of,
    to_body,
)
from leadwire.network_rules import check_fits, check_not_named

__all__ = [
    "CHANNEL_FORMS",
    "CLINIC_ROLES",
    "DUTY_ROLES",
    "HUB_ROLES",
    "KINDS",
    "KIND_OF",
    "MAX_ITEMS",
    "Address",
    "ChainRule",
    "ChannelName",
    "Clinic",
    "Contact",
    "Criteria",
    "Duty",
    "Handover",
    "Hub",
    "Item",
    "Language",
    "Network",
    "Role",
    "Shift",
    "StepRule",
    "Substitution",
    "Tier",
    "User",
    "from_item",
    "to_item",
]

MAX_ITEMS = 20_000
"""Most items of one kind."""

T = TypeVar("T", bound=Item)


class Network:
    """Everything of the network at one moment; empty at first.

    Changing it leaves alone what was handed out before: a mapping of its users stays as it was.
    `version` counts the changes.
    """

    def __init__(self) -> None:
        self._items: dict[str, dict[str, Item]] = {kind: {} for kind in KINDS}
        self.version = 0

    def apply(self, item: NetworkItem) -> "Network":
        """Take a fact: put `item` in, replace it, or (body None) take it out. Returns itself.

        Raises
        ------
        ValueError
            An unknown kind, or not its shape; nothing has changed.
        """
        shape_of(item.kind)
        found = from_item(item) if item.body is not None else None
        there = dict(self._items[item.kind])
        there.pop(item.id, None)
        if found is not None:
            there[item.id] = found
        self._items[item.kind] = there
        self.version += 1
        return self

    def check(self, item: NetworkItem) -> Item | None:
        """What `item`, a wish, would put in; None: it takes something out.

        Raises
        ------
        ValueError
            An unknown kind, a wrong shape, or something that does not fit what is there: what came
            and what was expected.
        """
        shape_of(item.kind)
        if item.body is None:
            check_not_named(self, item.kind, item.id)
            return None
        found = from_item(item)
        there = self._items[item.kind]
        if len(there) >= MAX_ITEMS and item.id not in there:
            raise ValueError(f"one more {item.kind} came; at most {MAX_ITEMS} were expected")
        try:
            check_fits(self, found)
        except ValueError as why:
            raise ValueError(f"{item.kind} {item.id}: {why}") from None
        return found

    def copy(self) -> "Network":
        """Another one with the same items."""
        other = Network()
        other._items = dict(self._items)
        return other

    def of(self, kind: str) -> Mapping[str, Item]:
        """The items of `kind`, by id."""
        shape_of(kind)
        return MappingProxyType(self._items[kind])

    def __iter__(self) -> Iterator[tuple[str, Item]]:
        """Kind and item of all, whatever is named before what names it."""
        for kind in KINDS:
            for item in self._items[kind].values():
                yield kind, item

    @property
    def hub(self) -> Hub | None:
        return next(iter(self._typed(Hub).values()), None)

    @property
    def clinics(self) -> Mapping[str, Clinic]:
        return self._typed(Clinic)

    @property
    def users(self) -> Mapping[str, User]:
        return self._typed(User)

    @property
    def shifts(self) -> Mapping[str, Shift]:
        return self._typed(Shift)

    @property
    def substitutions(self) -> Mapping[str, Substitution]:
        return self._typed(Substitution)

    @property
    def handovers(self) -> Mapping[str, Handover]:
        return self._typed(Handover)

    @property
    def chains(self) -> Mapping[str, ChainRule]:
        return self._typed(ChainRule)

    @property
    def criteria(self) -> Mapping[str, Criteria]:
        return self._typed(Criteria)

    def _typed(self, shape: type[T]) -> Mapping[str, T]:
        return MappingProxyType(self._items[KIND_OF[shape]])  # type: ignore[index, arg-type]


def from_item(item: NetworkItem) -> Item:
    """What `item` (with a body) holds.

    Raises
    ------
    ValueError
        An unknown kind, not its shape, or an id that is not the one of its body.
    """
    try:
        found = from_body(item.kind, item.body or {})
    except ValueError as why:
        raise ValueError(f"{item.kind} {item.id}: {why}") from None
    if found.id != item.id:
        raise ValueError(f"{item.kind} {item.id}: id {found.id} came in its body; the same was expected")
    return found


def to_item(item: Item, *, key: str, at: float, by: str = "") -> NetworkItem:
    """`item` as it travels. `key`: doing it twice with one key does it once; `at` s since 1970."""
    return NetworkItem(key=key, kind=KIND_OF[type(item)], id=item.id, body=to_body(item), by=by, at=at)
