"""The bus on Apache Kafka, through kafka-python 3. Nothing else in the project imports that library.

Producers are idempotent with acks=all; consumers commit by hand and rebalance cooperatively, so a
member that comes or goes stops nobody else. `partition_of` chooses partitions here too.

kafka-python calls rebalance listeners in its own I/O thread, where nothing may block, and may go
on to the next round of a rebalance in the same `poll`. Ours only take notes (and pause what was
gained); `poll` lets the library do one round at a time and then tells the owner, in the owner's
thread, before the next.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any

import structlog
from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka import OffsetAndMetadata as KafkaOffset
from kafka import TopicPartition as KafkaPartition
from kafka import errors as kafka_errors
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.structs import MemberState
from kafka.util import Timer

from leadwire.bus.abstract import (
    MAX_KEY_BYTES,
    OnPartitions,
    Position,
    Record,
    Start,
    TopicPartition,
    check_size,
    partition_of,
)
from leadwire.errors import BugError, BusUnavailable, SettingError
from leadwire.topics import Topic

log = structlog.get_logger(__name__)

_ANSWER_MS = 10_000
"""How long one question to the broker may take, in ms."""
_DELIVERY_MS = 30_000
_BATCH_BYTES = 64 << 10
_OVERHEAD_BYTES = MAX_KEY_BYTES + 1024
"""What a batch of one message may add to its value."""
_TOMBSTONE_MS = 3_600_000

_CONNECTION: dict[str, Any] = {
    "request_timeout_ms": _ANSWER_MS,
    "bootstrap_timeout_ms": _ANSWER_MS,
    "reconnect_backoff_max_ms": 1000,
}
_FENCED = (
    kafka_errors.CommitFailedError,
    kafka_errors.IllegalGenerationError,
    kafka_errors.UnknownMemberIdError,
    kafka_errors.FencedInstanceIdError,
    kafka_errors.RebalanceInProgressError,
)


@contextmanager
def _unavailable(address: str) -> Iterator[None]:
    """Turn what the library says about the world into `BusUnavailable`; our misuse stays a bug."""
    try:
        yield
    except (kafka_errors.KafkaConfigurationError, kafka_errors.IllegalStateError):
        raise
    except kafka_errors.KafkaError as why:
        raise BusUnavailable(f"Kafka at {address}: {type(why).__name__}: {why}") from why


class KafkaBus:
    """A bus of the brokers at `address`.

    Parameters
    ----------
    address
        ``HOST:PORT[,HOST:PORT...]`` of some of the brokers. Nothing is asked of them yet.
    linger_s
        How long a batch of messages is left open for more, in s.
    session_s
        How long after its process died a consumer still owns its partitions, in s.
    """

    def __init__(self, address: str, *, linger_s: float = 0.003, session_s: float = 6.0) -> None:
        self._address = address
        self._servers = address.split(",")
        self._linger_ms = round(linger_s * 1000)
        self._session_s = session_s
        self._lock = threading.Lock()
        self._reader: Any = None
        self._made: dict[str, Topic] = {}

    def create_topics(self, topics: Iterable[Topic]) -> None:
        wanted = [topic for topic in topics if self._made.get(topic.name) != topic]
        if not wanted:
            return
        with _unavailable(self._address):
            admin = KafkaAdminClient(bootstrap_servers=self._servers, **_CONNECTION)
            try:
                found = {t["name"]: len(t["partitions"]) for t in admin.describe_topics()}
                for topic in wanted:
                    if topic.name not in found:
                        self._create(admin, topic)
                    elif found[topic.name] != topic.partitions:
                        raise SettingError(
                            f"{topic.name} has {found[topic.name]} partitions on the bus; "
                            f"{topic.partitions} were expected"
                        )
            finally:
                admin.close()
        self._made |= {topic.name: topic for topic in wanted}

    def _create(self, admin: Any, topic: Topic) -> None:
        row = {"num_partitions": topic.partitions, "replication_factor": -1, "configs": _configs(topic)}
        # Another process may be faster; and the topic must have leaders before it is used.
        with suppress(kafka_errors.TopicAlreadyExistsError):
            admin.create_topics({topic.name: row}, timeout_ms=_ANSWER_MS, wait_for_metadata=True)

    def producer(self) -> "KafkaBusProducer":
        return KafkaBusProducer(self._servers, self._address, self._linger_ms, self._made)

    def consumer(
        self,
        topics: Iterable[Topic],
        group: str | None = None,
        start: Start = "earliest",
        on_assigned: OnPartitions | None = None,
        on_revoked: OnPartitions | None = None,
        on_lost: OnPartitions | None = None,
    ) -> "KafkaBusConsumer":
        topics = tuple(topics)
        self.create_topics(topics)
        return KafkaBusConsumer(
            self._new_reader(group),
            self._address,
            topics,
            group is not None,
            start,
            (on_assigned or _ignore, on_revoked or _ignore, on_lost or _ignore),
        )

    def end_offsets(self, topic: Topic) -> dict[int, int]:
        partitions = [KafkaPartition(topic.name, number) for number in range(topic.partitions)]
        with _unavailable(self._address), self._lock:
            if self._reader is None:
                self._reader = self._new_reader(None)
            ends = self._reader.end_offsets(partitions, timeout_ms=_ANSWER_MS)
        return {tp.partition: end for tp, end in ends.items()}

    def close(self) -> None:
        with self._lock:
            if self._reader is not None:
                self._reader.close(autocommit=False, timeout_ms=1000)
                self._reader = None

    def _new_reader(self, group: str | None) -> Any:
        session_ms = round(self._session_s * 1000)
        with _unavailable(self._address):
            return KafkaConsumer(
                bootstrap_servers=self._servers,
                group_id=group,
                enable_auto_commit=False,
                auto_offset_reset="earliest",  # `start` is looked after by the consumer below
                partition_assignment_strategy=(CooperativeStickyAssignor,),
                session_timeout_ms=session_ms,
                heartbeat_interval_ms=min(1000, session_ms // 3),
                max_partition_fetch_bytes=2 << 20,
                allow_auto_create_topics=False,
                metrics_enabled=False,
                **_CONNECTION,
            )


def _configs(topic: Topic) -> dict[str, str]:
    """The broker's settings for `topic`."""
    configs = {
        # A batch of small messages may be larger than any one message may be.
        "max.message.bytes": str(max(topic.max_bytes, _BATCH_BYTES) + _OVERHEAD_BYTES),
        "cleanup.policy": "compact" if topic.compacted else "delete",
    }
    if topic.compacted:
        configs |= {
            "min.cleanable.dirty.ratio": "0.1",
            "segment.ms": "600000",
            "delete.retention.ms": str(_TOMBSTONE_MS),
        }
    else:
        retention_ms = -1 if topic.retention_s is None else round(topic.retention_s * 1000)
        configs["retention.ms"] = str(retention_ms)
    return configs


class _Delivery:
    """Carries one message's outcome from the library's future into ours."""

    __slots__ = ("future", "producer")

    def __init__(self, producer: "KafkaBusProducer") -> None:
        self.producer = producer
        self.future: Future[Position] = Future()
        self.future.set_running_or_notify_cancel()  # nobody can call it back

    def done(self, result: Any) -> None:
        self.future.set_result(Position(result.partition, result.offset))

    def failed(self, why: BaseException) -> None:
        error = BusUnavailable(f"Kafka at {self.producer.address}: {type(why).__name__}: {why}")
        self.producer.failure = self.producer.failure or error
        self.future.set_exception(error)


class KafkaBusProducer:
    """Wraps the library's producer, which batches in a thread of its own."""

    def __init__(self, servers: list[str], address: str, linger_ms: int, topics: Mapping[str, Topic]) -> None:
        self.address = address
        self.failure: BusUnavailable | None = None
        with _unavailable(address):
            self._kafka = KafkaProducer(
                bootstrap_servers=servers,
                acks="all",
                enable_idempotence=True,
                linger_ms=linger_ms,
                batch_size=_BATCH_BYTES,
                max_request_size=4 << 20,
                max_block_ms=5000,
                delivery_timeout_ms=_DELIVERY_MS,
                allow_auto_create_topics=False,
                metrics_enabled=False,
                **_CONNECTION,
            )
            for name in topics:
                self._kafka.partitions_for(name)  # so that `publish` need not wait to learn it

    def publish(self, topic: Topic, key: str, value: bytes | None) -> "Future[Position]":
        check_size(topic, key, value)
        delivery = _Delivery(self)
        number = partition_of(key, topic.partitions)
        try:
            sent = self._kafka.send(topic.name, value=value, key=key.encode(), partition=number)
        except kafka_errors.KafkaError as why:
            delivery.failed(why)
        else:
            sent.add_callback(delivery.done)
            sent.add_errback(delivery.failed)
        return delivery.future

    def flush(self, timeout_s: float = 30.0) -> None:
        with _unavailable(self.address):
            self._kafka.flush(timeout_s)
        failed, self.failure = self.failure, None
        if failed is not None:
            raise BusUnavailable(str(failed)) from failed

    def close(self) -> None:
        with suppress(kafka_errors.KafkaError):  # the futures tell
            self._kafka.flush(_ANSWER_MS / 1000)
        self._kafka.close(timeout=1)


class _Notes(ConsumerRebalanceListener):  # type: ignore[misc]
    """What happened to the assignment, in order; written in the library's thread."""

    def __init__(self, pause: Callable[..., None]) -> None:
        self.taken: list[tuple[str, frozenset[TopicPartition]]] = []
        self._pause = pause

    def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        self._pause(*assigned)
        self._note("assigned", assigned)

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        self._note("revoked", revoked)

    def on_partitions_lost(self, lost: Iterable[Any]) -> None:
        self._note("lost", lost)

    def _note(self, what: str, partitions: Iterable[Any]) -> None:
        if ours := frozenset(TopicPartition(tp.topic, tp.partition) for tp in partitions):
            self.taken.append((what, ours))


class KafkaBusConsumer:
    """Wraps the library's consumer."""

    def __init__(
        self,
        kafka: Any,
        address: str,
        topics: tuple[Topic, ...],
        grouped: bool,
        start: Start,
        tell: tuple[OnPartitions, OnPartitions, OnPartitions],
    ) -> None:
        self._kafka = kafka
        self._address = address
        self._grouped = grouped
        self._start = start
        self._on_assigned, self._on_revoked, self._on_lost = tell
        self._all = frozenset(TopicPartition(t.name, n) for t in topics for n in range(t.partitions))
        self._owned: frozenset[TopicPartition] = frozenset()
        self._polled: dict[TopicPartition, int] = {}
        self._closed = False
        self._notes = _Notes(kafka.pause)
        if grouped:
            kafka.subscribe([t.name for t in topics], listener=self._notes)

    def poll(self, timeout_s: float, max_records: int = 500) -> list[Record]:
        if self._closed:
            raise BugError("a closed consumer was polled")
        deadline = time.monotonic() + timeout_s
        if not self._grouped and not self._owned:
            partitions = [KafkaPartition(*tp) for tp in self._all]
            self._kafka.assign(partitions)
            self._notes.on_partitions_assigned(partitions)
            self._tell()
        while True:
            left_ms = max(0.0, deadline - time.monotonic()) * 1000
            with _unavailable(self._address):
                # One round, and no more than one, see above; `poll` would be many.
                batches = self._kafka._poll_once(Timer(left_ms), max_records)
            self._tell()
            if batches or left_ms <= 0:
                return self._records(batches)

    def commit(self, offsets: Mapping[TopicPartition, int] | None = None) -> None:
        self._check_group()
        offsets = self._polled if offsets is None else offsets
        ours = {KafkaPartition(*tp): KafkaOffset(n, "", -1) for tp, n in offsets.items() if tp in self._owned}
        if not ours:
            return
        if self._kafka.group_metadata().state != MemberState.STABLE:
            log.info("commit put off, the group is changing")
            return
        with _unavailable(self._address):
            try:
                self._kafka.commit(ours, timeout_ms=_ANSWER_MS)
            except _FENCED as why:
                log.info("commit passed over", why=type(why).__name__)

    def committed(self, partition: TopicPartition) -> int | None:
        self._check_group()
        with _unavailable(self._address):
            offset: int | None = self._kafka.committed(KafkaPartition(*partition), timeout_ms=_ANSWER_MS)
            return offset

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._check_owned(partition)
        self._kafka.seek(KafkaPartition(*partition), offset)
        self._polled.pop(partition, None)

    def position(self, partition: TopicPartition) -> int:
        self._check_owned(partition)
        with _unavailable(self._address):
            at: int | None = self._kafka.position(KafkaPartition(*partition), timeout_ms=_ANSWER_MS)
        if at is None:
            raise BusUnavailable(f"Kafka at {self._address} did not tell the position of {partition}")
        return at

    def assignment(self) -> frozenset[TopicPartition]:
        return self._owned

    def lag(self) -> int:
        ends = self._ends(self._owned)
        return sum(max(0, end - self.position(tp)) for tp, end in ends.items())

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            if self._owned:
                self._on_revoked(self._owned)
        finally:
            self._owned = frozenset()
            with suppress(kafka_errors.KafkaError):
                self._kafka.close(autocommit=False, timeout_ms=2000)

    def _tell(self) -> None:
        notes, self._notes.taken = self._notes.taken, []
        for what, partitions in notes:
            if what == "assigned":
                self._gain(partitions)
                continue
            partitions &= self._owned
            (self._on_revoked if what == "revoked" else self._on_lost)(partitions)
            self._owned -= partitions
            for tp in partitions:
                self._polled.pop(tp, None)

    def _gain(self, partitions: frozenset[TopicPartition]) -> None:
        self._owned |= partitions
        if self._start == "latest":
            fresh = [tp for tp in partitions if not self._grouped or self.committed(tp) is None]
            for tp, end in self._ends(fresh).items():
                self.seek(tp, end)
        self._on_assigned(partitions)
        self._kafka.resume(*(KafkaPartition(*tp) for tp in partitions))

    def _ends(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        asked = [KafkaPartition(*tp) for tp in partitions]
        if not asked:
            return {}
        with _unavailable(self._address):
            ends = self._kafka.end_offsets(asked, timeout_ms=_ANSWER_MS)
        return {TopicPartition(tp.topic, tp.partition): end for tp, end in ends.items()}

    def _records(self, batches: Mapping[Any, list[Any]]) -> list[Record]:
        records: list[Record] = []
        for (topic, number), batch in batches.items():
            records += [
                Record(topic, number, r.offset, _text(r.key), r.value, r.timestamp / 1000) for r in batch
            ]
            self._polled[TopicPartition(topic, number)] = batch[-1].offset + 1
        return records

    def _check_group(self) -> None:
        if not self._grouped:
            raise BugError("offsets were asked for without a group")

    def _check_owned(self, partition: TopicPartition) -> None:
        if partition not in self._owned:
            raise BugError(f"{partition} is not assigned")


def _text(key: bytes | None) -> str:
    """Our keys are UTF-8; another program's on the topic must not stop the partition."""
    return (key or b"").decode(errors="replace")


def _ignore(partitions: frozenset[TopicPartition]) -> None:
    pass
