"""Consumer groups of the local bus: who is a member, and who owns which partition.

There is no leader. The tables say who lives (`members`, with leases that the writer thread
renews) and who owns what (`claims`); `assign` computes from them who should own what, the same in
every member. A member gives up what is no longer meant for it, after its owner was told, and
claims what is meant for it and free. So a partition changes hands without stopping the others,
and has one owner at any time.

Leases count in `time.monotonic`, which all processes of a machine share and no clock setting
moves; one from before a reboot lies too far ahead to be true.
"""

import json
import sqlite3
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from leadwire.bus.local_file import transaction


def assign(members: Mapping[str, frozenset[int]], owners: Mapping[int, str]) -> dict[int, str]:
    """Who should own each partition: everything once, evenly, moving as little as possible.

    Parameters
    ----------
    members
        The partitions (ids) that each member reads.
    owners
        Who owns what now; others than `members` do not count.

    Returns
    -------
    dict
        A member for each partition that any member reads.
    """
    target: dict[int, str] = {}
    load = dict.fromkeys(sorted(members), 0)
    free: list[int] = []
    for partition in sorted(frozenset[int]().union(*members.values())):
        owner = owners.get(partition)
        if owner in load and partition in members[owner]:
            target[partition] = owner
            load[owner] += 1
        else:
            free.append(partition)

    def least(partition: int) -> str:
        return min((m for m in load if partition in members[m]), key=lambda m: load[m])

    for partition in free:
        target[partition] = least(partition)
        load[target[partition]] += 1
    moved = True
    while moved:
        moved = False
        for partition in sorted(target):
            owner, other = target[partition], least(partition)
            if load[owner] - load[other] > 1:
                target[partition] = other
                load[owner] -= 1
                load[other] += 1
                moved = True
    return target


@dataclass(frozen=True, slots=True)
class Step:
    """What one look at the group brought: partitions (ids) gained, and to be given up."""

    gained: frozenset[int]
    unwanted: frozenset[int]
    evicted: bool


class Membership:
    """One consumer in a group. Every call runs in the consumer's thread, on its connection."""

    def __init__(self, name: str, topics: Iterable[str], lease_s: float) -> None:
        self.name = name
        self.member = ""
        self.owned: frozenset[int] = frozenset()
        self._topics = json.dumps(sorted(topics))
        self._lease_s = lease_s
        self._generation = -1
        self._next_look = 0.0

    def due(self, db: sqlite3.Connection) -> bool:
        """Whether `step` may have something to do: the group changed, or a lease ran out."""
        row = db.execute("SELECT generation FROM groups WHERE name = ?", (self.name,)).fetchone()
        if row is None or row[0] != self._generation:
            return True
        now = time.monotonic()
        if now < self._next_look:
            return False
        self._next_look = now + self._lease_s / 4
        return bool(self._dead(db, now))

    def step(self, db: sqlite3.Connection) -> Step:
        """Bury the dead, join if not a member, claim what is free and meant for this member."""
        now = time.monotonic()
        with transaction(db):
            dead = self._dead(db, now)
            for member in dead:
                self._remove(db, member)
            ids = {m for (m,) in db.execute("SELECT id FROM members WHERE name = ?", (self.name,))}
            evicted = bool(self.member) and self.member not in ids
            if self.member not in ids:
                # A new name: what the old one may still try to commit must not count.
                self.member = uuid.uuid4().hex
                self.owned = frozenset()
                db.execute(
                    "INSERT INTO members VALUES (?, ?, ?, ?, ?)",
                    (self.member, self.name, self._topics, now + self._lease_s, self._lease_s),
                )
            if dead or self.member not in ids:
                self._announce(db)
            owners = self._owners(db)
            target = assign(self._readers(db), owners)
            gained = frozenset(p for p, m in target.items() if m == self.member and p not in owners)
            db.executemany(
                "INSERT INTO claims VALUES (?, ?, ?)", [(self.name, p, self.member) for p in gained]
            )
            (self._generation,) = db.execute(
                "SELECT generation FROM groups WHERE name = ?", (self.name,)
            ).fetchone()
        unwanted = frozenset(p for p in self.owned if target[p] != self.member)
        self.owned |= gained
        return Step(gained, unwanted, evicted)

    def give_up(self, db: sqlite3.Connection, partitions: frozenset[int]) -> None:
        """Free `partitions` for others."""
        with transaction(db):
            db.executemany(
                "DELETE FROM claims WHERE name = ? AND partition = ? AND member = ?",
                [(self.name, p, self.member) for p in partitions],
            )
            self._announce(db)
        self.owned -= partitions

    def leave(self, db: sqlite3.Connection) -> None:
        """Be no member any more."""
        with transaction(db):
            self._remove(db, self.member)
            self._announce(db)
        self.owned = frozenset()

    def commit(self, db: sqlite3.Connection, offsets: Mapping[int, int]) -> int:
        """Note `offsets` of the partitions (ids) that this member owns at this moment; return how many."""
        with transaction(db):
            noted = db.executemany(
                "INSERT INTO offsets SELECT ?1, ?2, ?3 WHERE EXISTS"
                " (SELECT 1 FROM claims WHERE name = ?1 AND partition = ?2 AND member = ?4)"
                " ON CONFLICT DO UPDATE SET next = excluded.next",
                [(self.name, p, n, self.member) for p, n in offsets.items()],
            )
            return noted.rowcount

    def committed(self, db: sqlite3.Connection, partition: int) -> int | None:
        """The group's offset of `partition` (id)."""
        row = db.execute(
            "SELECT next FROM offsets WHERE name = ? AND partition = ?", (self.name, partition)
        ).fetchone()
        return None if row is None else int(row[0])

    def _dead(self, db: sqlite3.Connection, now: float) -> list[str]:
        rows = db.execute(
            "SELECT id FROM members WHERE name = ? AND (lease < ? OR lease > ? + lease_s + 1)",
            (self.name, now, now),
        )
        return [member for (member,) in rows]

    def _remove(self, db: sqlite3.Connection, member: str) -> None:
        db.execute("DELETE FROM members WHERE id = ?", (member,))
        db.execute("DELETE FROM claims WHERE name = ? AND member = ?", (self.name, member))

    def _announce(self, db: sqlite3.Connection) -> None:
        db.execute(
            "INSERT INTO groups VALUES (?, 1) ON CONFLICT DO UPDATE SET generation = generation + 1",
            (self.name,),
        )

    def _owners(self, db: sqlite3.Connection) -> dict[int, str]:
        return dict(db.execute("SELECT partition, member FROM claims WHERE name = ?", (self.name,)))

    def _readers(self, db: sqlite3.Connection) -> dict[str, frozenset[int]]:
        topics: dict[str, list[int]] = {}
        for partition, topic in db.execute("SELECT id, topic FROM partitions"):
            topics.setdefault(topic, []).append(partition)
        rows = db.execute("SELECT id, topics FROM members WHERE name = ?", (self.name,))
        return {
            member: frozenset(p for topic in json.loads(names) for p in topics.get(topic, ()))
            for member, names in rows
        }
