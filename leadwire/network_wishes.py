"""What to wish for so that a network becomes what a file says: nothing that is so already.

Each wish is checked against what is there and the wishes before it, so that a file is refused as a whole
before the first of it is published.
"""

import hashlib
from collections.abc import Iterable, Mapping

import msgspec
from msgspec import structs

from leadwire.case import NetworkItem
from leadwire.network import KIND_OF, Clinic, Hub, Item, Network, User, to_item
from leadwire.network_file import Entry
from leadwire.network_items import to_body
from leadwire.passwords import COST, check_password, hash_password
from leadwire.yaml_nodes import FileProblem


def wishes(
    entries: Iterable[Entry],
    facts: Mapping[tuple[str, str], NetworkItem],
    now: float,
    cost: int = COST,
) -> list[NetworkItem]:
    """What must be wished for so that the network is as `entries` say; nothing that is so already.

    A clinic whose contacts have no account yet comes twice: without these, and again after the users.

    Parameters
    ----------
    facts
        What is on `ecg.network`, by kind and id.
    cost
        See `passwords.hash_password`.

    Raises
    ------
    FileProblem
        An item that does not fit.
    """
    there = Network()
    for fact in facts.values():
        there.apply(fact)
    found: list[NetworkItem] = []

    def wish(entry: Entry) -> None:
        item = entry.item
        kind = KIND_OF[type(item)]
        before = there.of(kind).get(item.id)
        if isinstance(item, User):
            item = _with_password(item, entry, before if isinstance(before, User) else None, cost)
        if item == before:
            return
        made = to_item(item, key=wish_key(item, facts.get((kind, item.id))), at=now)
        try:
            there.check(made)
        except ValueError as why:
            raise FileProblem(entry.line, str(why)) from None
        there.apply(made)
        found.append(made)

    placed: dict[type, list[Entry]] = {}
    for entry in entries:
        placed.setdefault(type(entry.item), []).append(entry)
    later: list[Entry] = []
    for entry in (*placed.pop(Hub, []), *_parents_first(placed.pop(Clinic, []))):
        clinic = entry.item
        if isinstance(clinic, Clinic) and any(c.user and c.user not in there.users for c in clinic.contacts):
            later.append(entry)
            if clinic.id in there.clinics:
                continue
            plain = tuple(structs.replace(c, user="") for c in clinic.contacts)
            entry = Entry(structs.replace(clinic, contacts=plain), entry.line)
        wish(entry)
    for entry in (*placed.pop(User, []), *later):
        wish(entry)
    for kept in placed.values():
        for entry in kept:
            wish(entry)
    return found


def _parents_first(clinics: list[Entry]) -> list[Entry]:
    parents = {e.item.id: e.item.parent for e in clinics if isinstance(e.item, Clinic)}

    def depth(id: str) -> int:
        steps = 0
        while id in parents and steps <= len(parents):
            id, steps = parents[id], steps + 1
        return steps

    return sorted(clinics, key=lambda e: depth(e.item.id))


def _with_password(user: User, entry: Entry, before: User | None, cost: int) -> User:
    """`user` with the hash of the file's password, or the hash there is if that fits, or if none is given."""
    kept = before.password if before is not None else ""
    if entry.password is None:
        return structs.replace(user, password=kept)
    if kept and check_password(entry.password, kept):
        return structs.replace(user, password=kept)
    try:
        return structs.replace(user, password=hash_password(entry.password, cost))
    except ValueError as why:
        raise FileProblem(entry.line, f"user {user.id}: {why}") from None


def wish_key(item: Item, fact: NetworkItem | None) -> str:
    """The key of the wish that `item` follows `fact`: the same wish has the same, the next time another."""
    said = msgspec.json.encode([KIND_OF[type(item)], to_body(item), fact and [fact.key, fact.at]])
    return f"network:{hashlib.sha256(said).hexdigest()[:40]}"
