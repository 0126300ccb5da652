"""The bus port: what every stage may ask of a message bus, and nothing more.

Two adapters stand beside this file, `local.py` (SQLite) and `kafka.py`; `tests/contract/test_bus.py`
runs the same suite on both. The promises, in the suite's words:

- messages of one key keep their order; a key always goes to the same partition
  (`partition_of`: the same on every adapter, so a state written beside a chunk is found again);
- `publish` returns a future that is done once the message is durable; `flush` waits for all;
- delivery is at least once: what was polled and not committed comes again to the next owner;
- within a group each partition has one owner; without a group a consumer sees all partitions;
- a message over the topic's `max_bytes` raises `MessageTooLarge` and harms no other;
- while the broker is away, calls raise `BusUnavailable` or wait, and work again when it is back;
- a member that lost its partitions (it hung, its lease ran out) commits nothing over the new owner.
"""

import zlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from leadwire.errors import MessageTooLarge
from leadwire.topics import Topic

MAX_KEY_BYTES = 1024


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


def check_size(topic: Topic, key: str, value: bytes | None) -> None:
    """Raise `MessageTooLarge` unless `key` and `value` fit into `topic`."""
    if value is not None and len(value) > topic.max_bytes:
        raise MessageTooLarge(
            f"{len(value)} bytes came for {topic.name}; at most {topic.max_bytes} were expected"
        )
    if len(key) > MAX_KEY_BYTES // 4 and len(key.encode()) > MAX_KEY_BYTES:
        raise MessageTooLarge(f"a key of {len(key)} characters came; at most {MAX_KEY_BYTES} bytes expected")


OnPartitions = Callable[[frozenset[TopicPartition]], None]
Start = Literal["earliest", "latest"]


class Producer(Protocol):
    """Publishes; safe to use from several threads."""

    def publish(self, topic: Topic, key: str, value: bytes | None) -> "Future[Position]":
        """Queue one message and return at once with its future.

        The future ends with the message's `Position` once it is durable, or with `BusUnavailable`.
        Messages travel in batches; nothing needs to be called to set them off. After a failure
        later messages may still arrive: whoever needs the order publishes again from the failed one.

        Raises
        ------
        MessageTooLarge
            `value` is longer than `topic.max_bytes`; nothing was queued.
        """
        ...

    def flush(self, timeout_s: float = 30.0) -> None:
        """Return when everything published before is durable.

        Raises
        ------
        BusUnavailable
            It took longer than `timeout_s`, or a message published since the last `flush` failed.
        """
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

    def commit(self, offsets: Mapping[TopicPartition, int] | None = None) -> bool:
        """Make the group's next owner begin at `offsets` (the next to read); None: all polled so far.

        Partitions no longer owned, or just changing hands, are passed over; then it returns False.
        Without a group it is an error (`BugError`).
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
        """Messages on the owned partitions not yet polled (an upper bound on compacted topics)."""
        ...

    def close(self) -> None:
        """Call `on_revoked` with all owned partitions, then leave the group at once.

        Nothing is committed but by `on_revoked`.
        """
        ...


class Bus(Protocol):
    """A connection to one bus."""

    def create_topics(self, topics: Iterable[Topic]) -> None:
        """Make the topics that do not exist; leave the others alone.

        Publishing to a topic that was never made fails; `consumer` makes its own.

        Raises
        ------
        SettingError
            A topic exists with another number of partitions: keys would move.
        """
        ...

    def producer(self) -> Producer: ...

    def consumer(
        self,
        topics: Iterable[Topic],
        group: str | None = None,
        start: Start = "earliest",
        on_assigned: OnPartitions | None = None,
        on_revoked: OnPartitions | None = None,
        on_lost: OnPartitions | None = None,
    ) -> Consumer:
        """A consumer of `topics`.

        Parameters
        ----------
        group
            Members of one group share the partitions. None: this consumer alone reads all of them.
        start
            Where to begin on a partition without a committed offset.
        on_assigned, on_revoked
            Called inside `poll` (and `close`), in its thread, with the partitions gained or given
            up. After `on_assigned` returns, polling begins at the committed offset or where it
            `seek`ed. In `on_revoked` the partitions are still owned: a commit counts.
        on_lost
            Called inside `poll` with partitions that others may own by now: their state must be
            forgotten, and nothing be published or committed for them.
        """
        ...

    def end_offsets(self, topic: Topic) -> dict[int, int]:
        """Per partition the offset that the next message will get."""
        ...

    def close(self) -> None: ...
