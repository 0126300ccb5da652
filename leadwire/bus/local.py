"""The bus on one machine: an SQLite file in WAL mode that any number of processes may share.

Published messages are on disk (``synchronous=FULL``) before their future is done. Committed
offsets and leases ride along unsynchronised: after a power cut the last of them may be missing,
which only means that some work is done again.

A waiting `poll` is woken at once by a message published on the same `LocalBus`. Those of other
processes are noticed by the writer thread, which looks at SQLite's change counter every few
milliseconds while there is a consumer.
"""

import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

from leadwire.bus.abstract import (
    OnPartitions,
    Position,
    Record,
    Start,
    TopicPartition,
    check_size,
)
from leadwire.bus.local_file import connect, create_topics, partition_ids, unavailable
from leadwire.bus.local_groups import Membership
from leadwire.bus.local_writer import Bell, Failures, Item, Lease, Writer
from leadwire.clock import Clock, SystemClock
from leadwire.errors import BugError, BusUnavailable
from leadwire.topics import Topic

_BUSY_S = 5.0
_LOOK_S = 0.25
_MAX_POLL_BYTES = 16 << 20


class LocalBus:
    """A bus in the file `path`, made with its folder if it is not there.

    Parameters
    ----------
    path
        The file; SQLite keeps two more beside it.
    clock
        Gives messages their time, and retention its now.
    linger_s
        How long a group of messages is left open for more before it goes to disk, in s.
    delivery_s
        How long a message may wait while another process holds the file, in s.
    lease_s
        How long after its process died a consumer still owns its partitions, in s.
    tidy_s
        Seconds between two rounds of retention.

    Raises
    ------
    SettingError
        `path` is something else than a bus.
    BusUnavailable
        It cannot be opened now.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        clock: Clock | None = None,
        linger_s: float = 0.003,
        delivery_s: float = 30.0,
        lease_s: float = 6.0,
        tidy_s: float = 30.0,
    ) -> None:
        self._path = Path(path).absolute()
        self._clock = clock or SystemClock()
        self._lease_s = lease_s
        self._lock = threading.Lock()
        self._bell = Bell()
        self._db = connect(self._path, _BUSY_S, "FULL")
        self._writer = Writer(self._path, self._clock, linger_s, delivery_s, tidy_s, self._lock, self._bell)

    def create_topics(self, topics: Iterable[Topic]) -> None:
        with unavailable(self._path), self._lock:
            create_topics(self._db, topics)

    def producer(self) -> "LocalProducer":
        return LocalProducer(self._writer, self._clock)

    def consumer(
        self,
        topics: Iterable[Topic],
        group: str | None = None,
        start: Start = "earliest",
        on_assigned: OnPartitions | None = None,
        on_revoked: OnPartitions | None = None,
        on_lost: OnPartitions | None = None,
    ) -> "LocalConsumer":
        topics = tuple(topics)
        self.create_topics(topics)
        return LocalConsumer(
            self._path,
            tuple(t.name for t in topics),
            None if group is None else Membership(group, (t.name for t in topics), self._lease_s),
            start,
            (on_assigned or _ignore, on_revoked or _ignore, on_lost or _ignore),
            (self._lock, self._bell, self._writer, self._lease_s),
        )

    def end_offsets(self, topic: Topic) -> dict[int, int]:
        with unavailable(self._path), self._lock:
            rows = self._db.execute("SELECT number, next FROM partitions WHERE topic = ?", (topic.name,))
            return dict(rows.fetchall())

    def close(self) -> None:
        """Write what was published, then let go of the file. Close consumers before."""
        self._writer.close()
        self._db.close()


class LocalProducer:
    """Hands messages to the bus's writer thread."""

    def __init__(self, writer: Writer, clock: Clock) -> None:
        self._writer = writer
        self._clock = clock
        self._failures = Failures()

    def publish(self, topic: Topic, key: str, value: bytes | None) -> "Future[Position]":
        check_size(topic, key, value)
        return self._put(topic, key, value)

    def flush(self, timeout_s: float = 30.0) -> None:
        try:
            self._put(None, "", None).result(timeout_s)
        except TimeoutError:
            raise BusUnavailable(f"messages were not on disk after {timeout_s:g} s") from None
        failed, self._failures.first = self._failures.first, None
        if failed is not None:
            raise BusUnavailable(str(failed)) from failed

    def close(self) -> None:
        with suppress(BusUnavailable):  # their futures tell
            self.flush()

    def _put(self, topic: Topic | None, key: str, value: bytes | None) -> "Future[Position]":
        future: Future[Position] = Future()
        future.set_running_or_notify_cancel()  # nobody can call it back
        self._writer.put(Item(topic, key, value, self._clock.now(), time.monotonic(), future, self._failures))
        return future


class LocalConsumer:
    """Reads partitions' tables on a connection of its own."""

    def __init__(
        self,
        path: Path,
        topics: tuple[str, ...],
        membership: Membership | None,
        start: Start,
        tell: tuple[OnPartitions, OnPartitions, OnPartitions],
        shared: tuple[threading.Lock, Bell, Writer, float],
    ) -> None:
        self._path = path
        self._membership = membership
        self._start = start
        self._on_assigned, self._on_revoked, self._on_lost = tell
        self._lock, self._bell, self._writer, self._lease_s = shared
        self._db = connect(path, _BUSY_S, "NORMAL")
        self._ids = {
            TopicPartition(topic, number): pid
            for topic in topics
            for number, pid in enumerate(partition_ids(self._db, topic))
        }
        self._names = {pid: tp for tp, pid in self._ids.items()}
        self._next: dict[TopicPartition, int] = {}
        self._ends: dict[TopicPartition, int] = {}
        self._seen_change = -1
        self._lease: Lease | None = None
        self._news: list[tuple[str, frozenset[TopicPartition]]] = []
        self._closed = False
        self._bell.listen(1)

    def poll(self, timeout_s: float, max_records: int = 500) -> list[Record]:
        if self._closed:
            raise BugError("a closed consumer was polled")
        now = time.monotonic()
        deadline = now + timeout_s
        if self._lease is not None:
            self._lease.polled = now
        while True:
            rung = self._bell.rung
            self._look()
            with unavailable(self._path):
                records = self._fetch(max_records)
            left = deadline - time.monotonic()
            if records or left <= 0:
                return records
            self._bell.wait(rung, min(left, _LOOK_S))  # the writer may be stuck

    def commit(self, offsets: Mapping[TopicPartition, int] | None = None) -> bool:
        member = self._member()
        offsets = self._next if offsets is None else offsets
        ours = {self._ids[tp]: n for tp, n in offsets.items() if tp in self._next}
        if ours:
            with unavailable(self._path), self._lock:
                return member.commit(self._db, ours) == len(offsets)
        return not offsets

    def committed(self, partition: TopicPartition) -> int | None:
        with unavailable(self._path):
            return self._member().committed(self._db, self._ids[partition])

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._owned(partition)
        self._next[partition] = offset

    def position(self, partition: TopicPartition) -> int:
        return self._owned(partition)

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset(self._next)

    def lag(self) -> int:
        with unavailable(self._path):
            self._read_ends()
        return sum(max(0, self._ends[tp] - n) for tp, n in self._next.items())

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._bell.listen(-1)
        try:
            if self._next:
                self._on_revoked(self.assignment())
        finally:
            self._next.clear()
            if self._lease is not None:
                self._writer.forget(self._lease.member)
            try:
                if self._membership is not None and self._lease is not None:
                    with unavailable(self._path), self._lock:
                        self._membership.leave(self._db)
            finally:
                self._db.close()

    def _member(self) -> Membership:
        if self._membership is None:
            raise BugError("offsets were asked for without a group")
        return self._membership

    def _owned(self, partition: TopicPartition) -> int:
        if partition not in self._next:
            raise BugError(f"{partition} is not assigned")
        return self._next[partition]

    def _look(self) -> None:
        """Notice what others did: members that came or went, messages that were published."""
        with unavailable(self._path):
            (change,) = self._db.execute("PRAGMA data_version").fetchone()
            changed = change != self._seen_change
            due = self._membership is not None and self._membership.due(self._db)
        if self._membership is None:
            if not self._next and self._ids and not self._news:
                self._news.append(("gained", frozenset(self._ids)))
        elif due:
            self._rebalance(self._membership)
        self._tell()
        if changed or due:
            with unavailable(self._path):
                self._read_ends()
            self._seen_change = change

    def _rebalance(self, membership: Membership) -> None:
        with unavailable(self._path), self._lock:
            step = membership.step(self._db)
        if self._lease is None or self._lease.member != membership.member:
            if self._lease is not None:
                self._writer.forget(self._lease.member)
            self._lease = Lease(membership.member, self._lease_s, time.monotonic())
            self._writer.renew(self._lease)
        if step.evicted:
            self._news = [("lost", self.assignment())]
        for what, pids in (("unwanted", step.unwanted), ("gained", step.gained)):
            if pids:
                self._news.append((what, frozenset(self._names[pid] for pid in pids)))

    def _tell(self) -> None:
        """Tell the owner what came and went. What it raised at is told again in the next `poll`."""
        while self._news:
            what, partitions = self._news[0]
            if what == "gained":
                self._gain(partitions)
            else:
                if ours := partitions & self._next.keys():
                    (self._on_lost if what == "lost" else self._on_revoked)(ours)
                for tp in ours:
                    del self._next[tp]
                if what == "unwanted" and self._membership is not None:
                    with unavailable(self._path), self._lock:
                        self._membership.give_up(self._db, frozenset(self._ids[tp] for tp in partitions))
            del self._news[0]

    def _gain(self, partitions: frozenset[TopicPartition]) -> None:
        with unavailable(self._path):
            self._read_ends()
            for tp in partitions:
                at = None
                if self._membership is not None:
                    at = self._membership.committed(self._db, self._ids[tp])
                if at is None:
                    at = 0 if self._start == "earliest" else self._ends[tp]
                self._next[tp] = at
        self._on_assigned(partitions)

    def _read_ends(self) -> None:
        rows = self._db.execute("SELECT id, next FROM partitions").fetchall()
        self._ends = {self._names[pid]: end for pid, end in rows if pid in self._names}

    def _fetch(self, max_records: int) -> list[Record]:
        records: list[Record] = []
        size = 0
        following: dict[TopicPartition, int] = {}
        for tp, first in self._next.items():
            end = self._ends.get(tp, 0)
            if first >= end:
                continue
            if len(records) >= max_records or size > _MAX_POLL_BYTES:
                break
            topic, number = tp
            rows = self._db.execute(
                f"SELECT n, time, key, value FROM m{self._ids[tp]} WHERE n >= ? ORDER BY n LIMIT ?",
                (first, max_records - len(records)),
            )
            for n, at, key, value in rows:
                records.append(Record(topic, number, n, key, value, at))
                size += len(value or b"")
                following[tp] = n + 1
                if len(records) >= max_records or size > _MAX_POLL_BYTES:
                    rows.close()
                    break
            else:
                following[tp] = max(end, following.get(tp, 0))
        # All or nothing: a read that failed half-way moved no position. What was read goes to the
        # end of the row, so that no partition starves the others.
        for tp, n in following.items():
            del self._next[tp]
            self._next[tp] = n
        return records


def _ignore(partitions: frozenset[TopicPartition]) -> None:
    pass
