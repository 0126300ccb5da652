"""The one thread of a local bus that writes: messages in groups, leases of members, retention.

It also watches for what other processes write, and wakes the consumers that wait.

A commit to disk costs a millisecond or more whatever is in it, so what is published while one
runs, and for a few milliseconds more, shares the next one.
"""

import sqlite3
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import structlog

from leadwire.bus.abstract import Position, partition_of
from leadwire.bus.local_file import connect, is_locked, partition_ids, transaction
from leadwire.clock import Clock
from leadwire.errors import BusUnavailable
from leadwire.topics import Topic

log = structlog.get_logger(__name__)

MAX_GROUP_BYTES = 8 << 20
TOMBSTONE_S = 3600.0
"""How long a deletion on a compacted topic is kept for readers to see, in s."""
MAX_SILENT_S = 300.0
"""A consumer that has not polled for so long is hung; its lease is no longer renewed. In s."""
LOOK_S = 0.015
"""How often the file is looked at for other processes' messages while there is a consumer, in s."""
SLOW_LOOK_S = 0.1
_BUSY_S = 0.5
_TIDY_ROWS = 500
_TIDY_BUDGET_S = 0.1


@dataclass(slots=True)
class Failures:
    """The first failure of one producer's messages since it last asked."""

    first: BusUnavailable | None = None


class Item(NamedTuple):
    """A message to write; without a topic, a mark that `flush` waits for."""

    topic: Topic | None
    key: str
    value: bytes | None
    time: float
    queued: float
    future: "Future[Position]"
    failures: Failures


@dataclass(slots=True)
class Lease:
    """A consumer's membership as the writer keeps it alive."""

    member: str
    lease_s: float
    polled: float


class Bell:
    """Wakes the consumers of one bus."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.rung = 0
        self.listeners = 0

    def listen(self, more: int) -> None:
        """Count a consumer that came (1) or went (-1)."""
        with self._changed:
            self.listeners += more

    def ring(self) -> None:
        with self._changed:
            self.rung += 1
            self._changed.notify_all()

    def wait(self, seen: int, timeout_s: float) -> None:
        """Return once it has rung more than `seen` times, or after `timeout_s`."""
        with self._changed:
            self._changed.wait_for(lambda: self.rung != seen, timeout_s)


@dataclass(slots=True)
class _Queue:
    """What waits for the writer. Everything here is guarded by `changed`."""

    changed: threading.Condition = field(default_factory=threading.Condition)
    items: list[Item] = field(default_factory=list)
    size: int = 0
    hurry: bool = False
    closed: bool = False


class Writer:
    """Owns the thread and its connection.

    Parameters
    ----------
    path, clock
        The bus file; the clock gives retention its `now`.
    linger_s
        How long a group is left open for more messages, in s.
    delivery_s
        How long a message may wait for a locked file before it fails, in s.
    tidy_s
        Seconds between two rounds of retention.
    lock
        Held around each write transaction, so that threads of this process queue up at once
        instead of in SQLite's sleeps.
    bell
        Rung after each group that was written, and when another connection changed the file.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        linger_s: float,
        delivery_s: float,
        tidy_s: float,
        lock: threading.Lock,
        bell: Bell,
    ) -> None:
        self._path = path
        self._clock = clock
        self._linger_s = linger_s
        self._delivery_s = delivery_s
        self._tidy_s = tidy_s
        self._lock = lock
        self._bell = bell
        self._queue = _Queue()
        self._leases: dict[str, Lease] = {}
        self._ids: dict[str, list[int]] = {}
        self._db = connect(path, _BUSY_S, "FULL")
        self._seen_change = -1
        self._next_renewal = 0.0
        self._next_tidy = time.monotonic() + tidy_s
        self._thread = threading.Thread(target=self._run, name="bus-writer", daemon=True)
        self._thread.start()

    def put(self, item: Item) -> None:
        """Queue `item`. After `close` its future fails at once."""
        queue = self._queue
        with queue.changed:
            if not queue.closed:
                queue.items.append(item)
                queue.size += len(item.value or b"")
                if item.topic is None:
                    queue.hurry = True
                if len(queue.items) == 1 or queue.hurry or queue.size > MAX_GROUP_BYTES:
                    queue.changed.notify()
                return
        _fail([item], BusUnavailable(f"bus file {self._path}: closed"))

    def renew(self, lease: Lease) -> None:
        """Keep `lease` alive from now on."""
        self._leases = {**self._leases, lease.member: lease}
        with self._queue.changed:
            self._next_renewal = 0.0
            self._queue.changed.notify()

    def forget(self, member: str) -> None:
        """Renew the lease of `member` no more."""
        self._leases = {m: lease for m, lease in self._leases.items() if m != member}

    def close(self) -> None:
        """Write what is queued, then stop."""
        with self._queue.changed:
            self._queue.closed = True
            self._queue.changed.notify()
        self._thread.join()
        self._db.close()

    def _run(self) -> None:
        while True:
            items, closed = self._take()
            if items:
                self._write(items)
            elif closed:
                return
            try:
                self._watch()
                self._chores()
            except sqlite3.Error as why:
                log.warning("bus chores put off", file=str(self._path), why=str(why))

    def _take(self) -> tuple[list[Item], bool]:
        queue = self._queue
        with queue.changed:
            if not queue.items and not queue.closed:
                idle_s = self._next_chore() - time.monotonic()
                queue.changed.wait(min(LOOK_S if self._bell.listeners else SLOW_LOOK_S, max(0.0, idle_s)))
            if queue.items and not queue.closed:
                queue.changed.wait_for(
                    lambda: queue.hurry or queue.closed or queue.size > MAX_GROUP_BYTES, self._linger_s
                )
            items, queue.items, queue.size, queue.hurry = queue.items, [], 0, False
            return items, queue.closed

    def _write(self, items: list[Item]) -> None:
        deadline = min(i.queued for i in items) + self._delivery_s
        while True:
            try:
                with self._lock, transaction(self._db):
                    done = self._insert(items)
                break
            except sqlite3.Error as why:
                if is_locked(why) and time.monotonic() < deadline and not self._queue.closed:
                    continue
                self._ids.clear()
                _fail(items, BusUnavailable(f"bus file {self._path}: {why}"))
                return
            except Exception as why:
                # Whatever it is, nobody may wait for ever on a future that nobody will end.
                log.exception("bus writer")
                _fail(items, BusUnavailable(f"bus file {self._path}: {why!r}"))
                return
        self._bell.ring()
        for item, position in done:
            if position is None:
                name = item.topic.name if item.topic else ""
                _fail([item], BusUnavailable(f"bus file {self._path}: there is no topic {name}"))
            else:
                item.future.set_result(position)

    def _insert(self, items: list[Item]) -> list[tuple[Item, Position | None]]:
        groups: dict[int, list[Item]] = {}
        done: list[tuple[Item, Position | None]] = []
        for item in items:
            if item.topic is None:
                continue
            ids = self._ids.get(item.topic.name) or partition_ids(self._db, item.topic.name)
            if not ids:
                done.append((item, None))
                continue
            self._ids[item.topic.name] = ids
            groups.setdefault(ids[partition_of(item.key, len(ids))], []).append(item)
        for pid, group in groups.items():
            number, first = self._db.execute(
                "SELECT number, next FROM partitions WHERE id = ?", (pid,)
            ).fetchone()
            rows = [(n, item.time, item.key, item.value) for n, item in enumerate(group, first)]
            self._db.executemany(f"INSERT INTO m{pid} VALUES (?, ?, ?, ?)", rows)
            self._db.execute("UPDATE partitions SET next = ? WHERE id = ?", (first + len(group), pid))
            topic = group[0].topic
            if topic is not None and topic.compacted:
                last = {key: n for n, _, key, _ in rows}
                self._db.executemany(f"DELETE FROM m{pid} WHERE key = ? AND n < ?", last.items())
            done += [(item, Position(number, n)) for n, item in enumerate(group, first)]
        done += [(item, Position(0, 0)) for item in items if item.topic is None]
        return done

    def _watch(self) -> None:
        (change,) = self._db.execute("PRAGMA data_version").fetchone()
        if change != self._seen_change:
            self._seen_change = change
            self._bell.ring()

    def _next_chore(self) -> float:
        return min(self._next_tidy, self._next_renewal) if self._leases else self._next_tidy

    def _chores(self) -> None:
        now = time.monotonic()
        if now < self._next_chore():
            return
        self._db.execute("PRAGMA synchronous=NORMAL")  # none of this need survive a power cut
        try:
            self._renew_and_tidy(now)
        finally:
            self._db.execute("PRAGMA synchronous=FULL")

    def _renew_and_tidy(self, now: float) -> None:
        leases = list(self._leases.values())
        if leases and now >= self._next_renewal:
            self._next_renewal = now + min(lease.lease_s for lease in leases) / 4
            alive = [lease for lease in leases if now - lease.polled < MAX_SILENT_S]
            with self._lock, transaction(self._db):
                self._db.executemany(
                    "UPDATE members SET lease = ? WHERE id = ?",
                    [(now + lease.lease_s, lease.member) for lease in alive],
                )
        if now >= self._next_tidy:
            self._next_tidy = now + self._tidy_s
            if self._tidy(now + _TIDY_BUDGET_S):
                self._next_tidy = now + min(1.0, self._tidy_s)

    def _tidy(self, deadline: float) -> bool:
        """Delete what is past its time; True if time ran out before all was done."""
        now = self._clock.now()
        rows = self._db.execute(
            "SELECT id, next, retention_s, compacted FROM partitions JOIN topics ON topic = name"
        ).fetchall()
        for pid, following, retention_s, compacted in rows:
            while compacted or retention_s is not None:
                if time.monotonic() > deadline:
                    return True
                cutoff = now - (TOMBSTONE_S if compacted else retention_s)
                only = "WHERE value IS NULL" if compacted else ""
                oldest = f"SELECT n, time FROM m{pid} {only} ORDER BY n LIMIT "
                if not any(t < cutoff for _, t in self._db.execute(oldest + "1")):
                    break
                # A prefix, so that a clock set back keeps messages longer instead of making holes.
                # The newest message stays: it shows a reader where the partition ends.
                old: list[int] = []
                for n, t in self._db.execute(oldest + str(_TIDY_ROWS)).fetchall():
                    if t >= cutoff or n == following - 1:
                        break
                    old.append(n)
                if not old:
                    break
                with self._lock, transaction(self._db):
                    self._db.executemany(f"DELETE FROM m{pid} WHERE n = ?", [(n,) for n in old])
        return False


def _fail(items: list[Item], why: BusUnavailable) -> None:
    for item in items:
        if item.topic is None:
            item.future.set_result(Position(0, 0))
        else:
            item.failures.first = item.failures.first or why
            item.future.set_exception(why)
