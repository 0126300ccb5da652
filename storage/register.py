"""Writing the register: each entry once, chained, in the order of the bus; and the network's facts.

Whoever appends holds the one lock for it (PostgreSQL: an advisory lock until the transaction ends; SQLite:
its only writer), reads the head inside, and knows an entry that is there by its id: two archive processes
make one chain. Entries come again after a crash and are passed over.
"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import msgspec
import sqlalchemy as sa
import structlog

from leadwire.case import NetworkItem, RegisterEntry
from leadwire.errors import MessageRejected
from leadwire.story import Case, apply
from storage import tables
from storage.chain import GENESIS, Anchor, Link, canonical, link
from storage.database import Database

log = structlog.get_logger(__name__)

_LOCK = 0x1EAD_0002
_AT_ONCE = 500
_KEPT_CASES = 2000


class RegisterWriter:
    """Appends to the register of one archive."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self.forget()

    def forget(self) -> None:
        """Forget what is remembered of the tables."""
        self._cases: OrderedDict[str, Case | None] = OrderedDict()
        self._seq = 0  # of the last line that `_cases` know

    def append(self, connection: sa.Connection, entries: Iterable[RegisterEntry]) -> None:
        """Append those of `entries` (in order) that are not there yet, in the transaction of `connection`."""
        wanted: dict[str, RegisterEntry] = {}
        for entry in entries:
            wanted.setdefault(entry.id, entry)
        if not wanted:
            return
        self._db.lock(connection, _LOCK)
        for id in _known(connection, list(wanted)):
            del wanted[id]
        last = head(connection)
        if last.seq != self._seq:  # another process was here
            self.forget()
        seq, prev_hash = last.seq, last.hash
        links: list[Link] = []
        changed: dict[str, dict[str, Any]] = {}
        for entry in wanted.values():
            made = link(entry, seq + 1, prev_hash)
            seq, prev_hash = made.seq, made.hash
            links.append(made)
            if entry.alert and (case := self._case(connection, entry)) is not None:
                changed[entry.alert] = _case_row(case, made.seq)
        if links:
            connection.execute(sa.insert(tables.register), [_row(made) for made in links])
        self._db.upsert(connection, tables.cases, changed.values(), _CASE_UPDATE)
        self._seq = seq
        while len(self._cases) > _KEPT_CASES:  # not before: the tables did not have this batch
            self._cases.popitem(last=False)

    def _case(self, connection: sa.Connection, entry: RegisterEntry) -> Case | None:
        """The case after `entry`, which is not yet in the tables."""
        if entry.alert not in self._cases:
            self._cases[entry.alert] = folded(entries_of(connection, entry.alert))
        case = self._cases[entry.alert] = _after(self._cases[entry.alert], entry)
        self._cases.move_to_end(entry.alert)
        return case


def check_entry(entry: RegisterEntry) -> None:
    """Raise `MessageRejected` unless `entry` can be kept: JSON holds it, and a database its names."""
    canonical(entry)
    for name in (entry.id, entry.alert, entry.cause):
        if "\0" in name:
            raise MessageRejected("a register entry with NUL in a name came; none was expected")


def head(connection: sa.Connection) -> Anchor:
    """The last line; of an empty register line 0."""
    r = tables.register.c
    row = connection.execute(sa.select(r.seq, r.hash).order_by(r.seq.desc()).limit(1)).one_or_none()
    return Anchor(0, GENESIS) if row is None else Anchor(row.seq, row.hash)


def entries_of(connection: sa.Connection, alert: str) -> list[RegisterEntry]:
    """The entries of one case, in order."""
    r = tables.register.c
    found = connection.scalars(sa.select(r.data).where(r.alert == alert).order_by(r.seq))
    return [msgspec.json.decode(data, type=RegisterEntry) for data in found]


def folded(entries: Iterable[RegisterEntry]) -> Case | None:
    """What `entries` add up to."""
    case: Case | None = None
    for entry in entries:
        case = _after(case, entry)
    return case


def _after(case: Case | None, entry: RegisterEntry) -> Case | None:
    try:
        return apply(case, entry)
    except (LookupError, TypeError, ValueError) as why:
        # The register takes every entry: what cannot be understood today must not be lost.
        log.warning("an entry adds nothing to its case", id=entry.id, why=str(why))
        return case


def write_facts(
    database: Database, connection: sa.Connection, facts: dict[tuple[str, str], NetworkItem | None]
) -> None:
    """Put in, replace or (None) take out facts of the network."""
    n = tables.network.c
    for kind, id in (key for key, fact in facts.items() if fact is None or fact.body is None):
        connection.execute(sa.delete(tables.network).where(n.kind == kind, n.id == id))
    rows = [
        {"kind": f.kind, "id": f.id, "at": f.at, "by": f.by, "body": msgspec.json.encode(f.body).decode()}
        for f in facts.values()
        if f is not None and f.body is not None
    ]
    database.upsert(connection, tables.network, rows, ("at", "by", "body"))


def _known(connection: sa.Connection, ids: list[str]) -> Iterable[str]:
    r = tables.register.c
    for start in range(0, len(ids), _AT_ONCE):
        yield from connection.scalars(sa.select(r.id).where(r.id.in_(ids[start : start + _AT_ONCE]))).all()


def _row(made: Link) -> dict[str, Any]:
    return {column.name: getattr(made, column.name) for column in tables.register.columns}


_OF_CASE = (
    "id",
    "clinic",
    "stream",
    "kind",
    "priority",
    "condition",
    "responsibility",
    "clinical",
    "owner",
    "opened_at",
    "changed_at",
    "closed_at",
)
_CASE_UPDATE = (*_OF_CASE[1:], "seq")


def _case_row(case: Case, seq: int) -> dict[str, Any]:
    values = {name: getattr(case, name) for name in _OF_CASE}
    # PostgreSQL has no text with NUL.
    return {n: v.replace("\0", "\\0") if isinstance(v, str) else v for n, v in values.items()} | {"seq": seq}
