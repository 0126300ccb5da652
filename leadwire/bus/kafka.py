"""The bus on Apache Kafka, through kafka-python 3; nothing but ``kafka*.py`` here imports that library.

Producers are idempotent with acks=all; consumers commit by hand and rebalance cooperatively, so a
member that comes or goes stops nobody else. `partition_of` chooses partitions here too.
"""

import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer
from kafka import TopicPartition as KafkaPartition
from kafka import errors as kafka_errors
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor

from leadwire.bus.abstract import MAX_KEY_BYTES, OnPartitions, Start, TopicPartition
from leadwire.bus.kafka_consumer import KafkaBusConsumer
from leadwire.bus.kafka_link import ANSWER_MS, BATCH_BYTES, CONNECTION, unavailable
from leadwire.bus.kafka_producer import KafkaBusProducer
from leadwire.errors import SettingError
from leadwire.topics import Topic

_OVERHEAD_BYTES = MAX_KEY_BYTES + 1024
"""What a batch of one message may add to its value."""
_TOMBSTONE_MS = 3_600_000


class KafkaBus:
    """A bus of the brokers at `address`.

    Parameters
    ----------
    address
        ``HOST:PORT[,HOST:PORT...]`` of some of the brokers. Nothing is asked of them yet.
    linger_s
        How long a batch of messages is left open for more, in s.
    delivery_s
        How long a message may wait while the brokers are away, in s.
    session_s
        How long after its process died a consumer still owns its partitions, in s.
    """

    def __init__(
        self, address: str, *, linger_s: float = 0.005, delivery_s: float = 30.0, session_s: float = 6.0
    ) -> None:
        self._address = address
        self._servers = address.split(",")
        self._linger_s = linger_s
        self._delivery_s = delivery_s
        self._session_s = session_s
        self._lock = threading.Lock()
        self._reader: Any = None
        self._made: dict[str, Topic] = {}

    def create_topics(self, topics: Iterable[Topic]) -> None:
        wanted = [topic for topic in topics if self._made.get(topic.name) != topic]
        if not wanted:
            return
        with unavailable(self._address):
            admin = KafkaAdminClient(bootstrap_servers=self._servers, **CONNECTION)
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
            admin.create_topics({topic.name: row}, timeout_ms=ANSWER_MS, wait_for_metadata=True)

    def producer(self) -> "KafkaBusProducer":
        return KafkaBusProducer(self._servers, self._address, self._linger_s, self._delivery_s, self._made)

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
        with unavailable(self._address), self._lock:
            if self._reader is None:
                self._reader = self._new_reader(None)
            ends = self._reader.end_offsets(partitions, timeout_ms=ANSWER_MS)
        return {tp.partition: end for tp, end in ends.items()}

    def close(self) -> None:
        with self._lock:
            if self._reader is not None:
                self._reader.close(autocommit=False, timeout_ms=1000)
                self._reader = None

    def _new_reader(self, group: str | None) -> Any:
        session_ms = round(self._session_s * 1000)
        with unavailable(self._address):
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
                **CONNECTION,
            )


def _configs(topic: Topic) -> dict[str, str]:
    """The broker's settings for `topic`."""
    configs = {
        # A batch of small messages may be larger than any one message may be.
        "max.message.bytes": str(max(topic.max_bytes, BATCH_BYTES) + _OVERHEAD_BYTES),
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


def _ignore(partitions: frozenset[TopicPartition]) -> None:
    pass
