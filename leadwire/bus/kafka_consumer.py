"""Reading from Kafka: kafka-python's consumer, tamed.

The library calls rebalance listeners in its own I/O thread, where nothing may block, and may go
on to the next round of a rebalance in the same `poll`. Ours only take notes (and pause what was
gained); `poll` lets the library do one round at a time and then tells the owner, in the owner's
thread, before the next. So a commit in `on_revoked` comes before anybody else owns the partition.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

import structlog
from kafka import ConsumerRebalanceListener
from kafka import OffsetAndMetadata as KafkaOffset
from kafka import TopicPartition as KafkaPartition
from kafka import errors as kafka_errors
from kafka.future import Future
from kafka.structs import MemberState
from kafka.util import Timer

from leadwire.bus.abstract import OnPartitions, Record, Start, TopicPartition
from leadwire.bus.kafka_link import ANSWER_MS, unavailable
from leadwire.errors import BugError, BusUnavailable
from leadwire.topics import Topic

log = structlog.get_logger(__name__)

_FENCED = (
    kafka_errors.CommitFailedError,
    kafka_errors.IllegalGenerationError,
    kafka_errors.UnknownMemberIdError,
    kafka_errors.FencedInstanceIdError,
    kafka_errors.RebalanceInProgressError,
)


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
        self._held: Mapping[Any, list[Any]] = {}
        self._closed = False
        self._notes = _Notes(kafka.pause)
        if grouped:
            _keep_finished_joins(kafka._coordinator)
            kafka.subscribe([t.name for t in topics], listener=self._notes)
            self._learn([t.name for t in topics])

    def poll(self, timeout_s: float, max_records: int = 500) -> list[Record]:
        if self._closed:
            raise BugError("a closed consumer was polled")
        deadline = time.monotonic() + timeout_s
        if not self._grouped and not self._owned:
            partitions = [KafkaPartition(*tp) for tp in self._all]
            self._kafka.assign(partitions)
            self._notes.on_partitions_assigned(partitions)
        while True:
            # What could not be told, or not be returned, in the last call comes first.
            self._tell()
            left_ms = max(0.0, deadline - time.monotonic()) * 1000
            if not self._held:
                with unavailable(self._address):
                    # One round, and no more than one, see above; `poll` would be many.
                    self._held = self._kafka._poll_once(Timer(left_ms), max_records)
                self._tell()
            records, self._held = self._records(self._held), {}
            if records or left_ms <= 0:
                return records

    def commit(self, offsets: Mapping[TopicPartition, int] | None = None) -> bool:
        self._check_group()
        offsets = self._polled if offsets is None else offsets
        ours = {KafkaPartition(*tp): KafkaOffset(n, "", -1) for tp, n in offsets.items() if tp in self._owned}
        if not ours:
            return not offsets
        if self._kafka.group_metadata().state != MemberState.STABLE:
            log.info("commit put off, the group is changing")
            return False
        with unavailable(self._address):
            try:
                self._kafka.commit(ours, timeout_ms=ANSWER_MS)
            except _FENCED as why:
                log.info("commit passed over", why=type(why).__name__)
                return False
        return len(ours) == len(offsets)

    def committed(self, partition: TopicPartition) -> int | None:
        self._check_group()
        with unavailable(self._address):
            offset: int | None = self._kafka.committed(KafkaPartition(*partition), timeout_ms=ANSWER_MS)
            return offset

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._check_owned(partition)
        self._kafka.seek(KafkaPartition(*partition), offset)
        self._polled.pop(partition, None)

    def position(self, partition: TopicPartition) -> int:
        self._check_owned(partition)
        with unavailable(self._address):
            at: int | None = self._kafka.position(KafkaPartition(*partition), timeout_ms=ANSWER_MS)
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

    def _learn(self, topics: list[str]) -> None:
        """Wait until the library knows the topics' partitions.

        Its first question for them is forgotten if another was under way (`ClusterMetadata.set_topics`,
        3.0.12), and a member that then leads the group leaves everybody without partitions.
        """
        cluster = self._kafka._cluster
        deadline = time.monotonic() + ANSWER_MS / 1000
        while not all(cluster.partitions_for_topic(topic) for topic in topics):
            if time.monotonic() > deadline:
                raise BusUnavailable(f"Kafka at {self._address} did not tell the partitions of {topics}")
            cluster.request_update()
            time.sleep(0.02)

    def _tell(self) -> None:
        notes = self._notes.taken
        while notes:
            what, partitions = notes[0]
            if what == "assigned":
                self._gain(partitions)
            else:
                if ours := partitions & self._owned:
                    (self._on_revoked if what == "revoked" else self._on_lost)(ours)
                self._owned -= ours
                for tp in ours:
                    self._polled.pop(tp, None)
            del notes[0]  # only now: whatever was raised, it is told again in the next `poll`

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
        with unavailable(self._address):
            ends = self._kafka.end_offsets(asked, timeout_ms=ANSWER_MS)
        return {TopicPartition(tp.topic, tp.partition): end for tp, end in ends.items()}

    def _records(self, batches: Mapping[Any, list[Any]]) -> list[Record]:
        records: list[Record] = []
        for (topic, number), batch in batches.items():
            if (topic, number) not in self._owned:
                continue
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


def _keep_finished_joins(coordinator: Any) -> None:
    """Let the library take up the answer to a join that came between two polls.

    3.0.12 drops it (`join_group_async`) and joins anew, which makes all other members join anew; on
    a busy machine that need not end. A future that is not yet done, but will be in a moment and with
    the same answer, it waits for as it should. This runs in the library's thread, as the answer does.
    """
    join_group = coordinator.join_group_async

    async def join_group_async(timeout_ms: float | None = None) -> Any:
        answered = coordinator._join_task
        if answered is not None and answered.is_done:
            coordinator._join_task = Future()
            coordinator._manager.call_soon(answered.chain, coordinator._join_task)
        return await join_group(timeout_ms=timeout_ms)

    coordinator.join_group_async = join_group_async


def _text(key: bytes | None) -> str:
    """Our keys are UTF-8; another program's on the topic must not stop the partition."""
    return (key or b"").decode(errors="replace")
