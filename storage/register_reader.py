"""Reading the register: a case from its lines, cases by time, place and state, the register page by page."""

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

import msgspec
import sqlalchemy as sa

from leadwire.case import NetworkItem, RegisterEntry
from leadwire.story import Case
from storage import tables
from storage.chain import GENESIS, Anchor, Fault, Link, faults
from storage.register import entries_of, folded, head

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class CaseRow:
    """A case as the archive finds it. Times in s since 1970; `closed_at` None: open."""

    id: str
    clinic: str
    stream: str
    kind: str
    priority: str
    condition: str
    responsibility: str
    clinical: str
    owner: str
    opened_at: float
    changed_at: float
    closed_at: float | None
    seq: int


class RegisterReader:
    """Reads the register; got from `Reader.register`. Errors are those of `Reader`."""

    def __init__(self, reading: Callable[[], AbstractContextManager[sa.Connection]]) -> None:
        self._reading = reading

    def entries(self, alert: str) -> list[RegisterEntry]:
        """Everything that became of one case, in order."""
        with self._reading() as connection:
            return entries_of(connection, alert)

    def case(self, alert: str) -> Case | None:
        """What that adds up to; None for an unknown case."""
        return folded(self.entries(alert))

    def cases(
        self,
        since: float | None = None,
        until: float | None = None,
        clinics: Collection[str] | None = None,
        state: Literal["open", "closed"] | None = None,
        limit: int = 500,
    ) -> list[CaseRow]:
        """Cases opened at `since` <= t < `until` (s since 1970), the last opened first.

        Parameters
        ----------
        clinics
            Only of these; None: of all.
        limit
            At most so many.
        """
        c = tables.cases.c
        query = sa.select(tables.cases)
        if since is not None:
            query = query.where(c.opened_at >= since)
        if until is not None:
            query = query.where(c.opened_at < until)
        if clinics is not None:
            query = query.where(c.clinic.in_(list(clinics)))
        if state is not None:
            query = query.where(c.closed_at.is_(None) if state == "open" else c.closed_at.is_not(None))
        with self._reading() as connection:
            rows = connection.execute(query.order_by(c.opened_at.desc(), c.id).limit(limit))
            return [CaseRow(**row._mapping) for row in rows]

    def page(
        self,
        after: int = 0,
        limit: int = 500,
        since: float | None = None,
        until: float | None = None,
        alert: str | None = None,
        by: str | None = None,
    ) -> list[Link]:
        """The lines after number `after`, at most `limit`, of this time, case and user."""
        r = tables.register.c
        query = sa.select(tables.register).where(r.seq > after)
        if since is not None:
            query = query.where(r.at >= since)
        if until is not None:
            query = query.where(r.at < until)
        if alert is not None:
            query = query.where(r.alert == alert)
        if by is not None:
            query = query.where(r.by == by)
        with self._reading() as connection:
            rows = connection.execute(query.order_by(r.seq).limit(limit))
            return [Link(**row._mapping) for row in rows]

    def links(self, after: int = 0, last: int | None = None) -> Iterator[Link]:
        """All lines after number `after` (up to `last`), read a page at a time."""
        while page := self.page(after, _PAGE):
            for line in page:
                if last is not None and line.seq > last:
                    return
                yield line
            after = page[-1].seq

    def head(self) -> Anchor:
        """The last line; of an empty register line 0."""
        with self._reading() as connection:
            return head(connection)

    def span(self, since: float | None, until: float | None) -> tuple[int, int]:
        """Numbers of the first and the last line with `since` <= at < `until`; (1, 0): none.

        Clocks of several processes write the register, so lines of other times may lie between.
        """
        r = tables.register.c
        query = sa.select(sa.func.min(r.seq), sa.func.max(r.seq))
        if since is not None:
            query = query.where(r.at >= since)
        if until is not None:
            query = query.where(r.at < until)
        with self._reading() as connection:
            first, last = connection.execute(query).one()
        return (1, 0) if first is None else (int(first), int(last))

    def faults(
        self, first: int = 1, last: int | None = None, anchors: Collection[Anchor] = ()
    ) -> Iterator[Fault]:
        """What is wrong with the lines `first` to `last` (None: to the end), see `chain.faults`."""
        before = Anchor(first - 1, GENESIS)
        if first > 1:
            previous = self.page(first - 2, 1)
            if previous and previous[0].seq == first - 1:
                before = Anchor(first - 1, previous[0].hash)
        kept = [anchor for anchor in anchors if last is None or anchor.seq <= last]
        yield from faults(self.links(first - 1, last), before, self._find, kept)

    def facts(self) -> list[NetworkItem]:
        """The network as it is."""
        with self._reading() as connection:
            rows = connection.execute(sa.select(tables.network)).all()
        return [
            NetworkItem(
                key=f"archive:{row.kind}",
                kind=row.kind,
                id=row.id,
                body=msgspec.json.decode(row.body),
                by=row.by,
                at=row.at,
            )
            for row in rows
        ]

    def _find(self, hash: str) -> int | None:
        r = tables.register.c
        with self._reading() as connection:
            return connection.scalar(sa.select(r.seq).where(r.hash == hash).limit(1))
