"""The bus port: what every stage may ask of a message bus, and nothing more.

Two adapters stand beside this file, `local.py` (SQLite) and `kafka.py`; `tests/contract/test_bus.py`
runs the same suite on both. The promises, in the suite's words:

- messages of one key keep their order; a key always goes to the same partition
  (`partition_of`: the same on every adapter, so a state written beside a chunk is found again);
- `publish` returns a future that is done once the message is durable; `flush` waits for all;
- delivery is at least once: what was polled and not committed comes again to the next owner;
- within a group each partition has one owner; without a group a consumer sees all partitions;
- a message over the topic's `max_bytes` raises `MessageTooLarge` and harms no other;
- while the broker is away, calls raise `BusUnavailable` or wait, and work again when it is back.
"""

import zlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from leadwire.topics import Topic


class TopicPartition(NamedTuple):
    """A partition of a topic, by name and number."""

    topic: str
    partition: int


class Position(NamedTuple):
    """Where a published message stands."""

    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Record:
    """One message as polled. `value` None is a deletion on a compacted topic. `time` in s, epoch."""

    topic: str
    partition: int
    offset: int
    key: str
    value: bytes | None
    time: float


def partition_of(key: str, partitions: int) -> int:
    """The partition of `key` among `partitions`: CRC-32 of its UTF-8 bytes, modulo."""
    return zlib.crc32(key.encode()) % partitions


OnPartitions = Callable[[frozenset[TopicPartition]], None]
Start = Literal["earliest", "latest"]


class Producer(Protocol):
    """Publishes; safe to use from several threads."""

    def publish(self, topic: Topic, key: str, value: bytes | None) -> "Future[Position]":
        """Queue one message and return at once with its future.

        The future ends with the message's `Position` once it is durable, or with `BusUnavailable`.
        Messages travel in batches; nothing needs to be called to set them off.

        Raises
        ------
        MessageTooLarge
            `value` is longer than `topic.max_bytes`; nothing was queued.
        """
        ...

    def flush(self, timeout_s: float = 30.0) -> None:
        """Return when everything published before is durable; raise `BusUnavailable` otherwise."""
        ...

    def close(self) -> None:
        """Flush as far as possible and let go of everything."""
        ...


class Consumer(Protocol):
    """Polls and commits; belongs to one thread."""

    def poll(self, timeout_s: float, max_records: int = 500) -> list[Record]:
        """Return up to `max_records` messages, waiting at most `timeout_s` for the first.

        Assignments change only inside this call (and `close`). May raise `BusUnavailable`.
        """
        ...

    def commit(self, offsets: Mapping[TopicPartition, int] | None = None) -> None:
        """Make the group's next owner begin at `offsets` (the next to read); None: all polled so far.

        Partitions no longer assigned are passed over. Without a group it is an error (`BugError`).
        """
        ...

    def committed(self, partition: TopicPartition) -> int | None:
        """The group's committed offset of `partition`, None if there is none."""
        ...

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Poll `partition` (assigned) from `offset` next; before the oldest kept: from the oldest."""
        ...

    def position(self, partition: TopicPartition) -> int:
        """The offset that the next poll of `partition` (assigned) begins at."""
        ...

    def assignment(self) -> frozenset[TopicPartition]:
        """The partitions owned now."""
        ...

    def lag(self) -> int:
        """Messages on the owned partitions not yet polled."""
        ...

    def close(self) -> None:
        """Leave the group at once, without committing."""
        ...


class Bus(Protocol):
    """A connection to one bus."""

    def create_topics(self, topics: Iterable[Topic]) -> None:
        """Make the topics that do not exist; leave the others alone."""
        ...

    def producer(self) -> Producer: ...

    def consumer(
        self,
        topics: Iterable[Topic],
        group: str | None = None,
        start: Start = "earliest",
        on_assigned: OnPartitions | None = None,
        on_revoked: OnPartitions | None = None,
    ) -> Consumer:
        """A consumer of `topics`.

        Parameters
        ----------
        group
            Members of one group share the partitions. None: this consumer alone reads all of them.
        start
            Where to begin on a partition without a committed offset.
        on_assigned, on_revoked
            Called inside `poll` (and `close`) with the partitions gained or lost; after
            `on_assigned` returns, polling begins at the committed offset or where it `seek`ed.
        """
        ...

    def end_offsets(self, topic: Topic) -> dict[int, int]:
        """Per partition the offset that the next message will get."""
        ...

    def close(self) -> None: ...
