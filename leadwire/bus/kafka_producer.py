"""Publishing to Kafka: kafka-python's idempotent producer behind our futures."""

from collections.abc import Iterable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from kafka import KafkaProducer
from kafka import errors as kafka_errors

from leadwire.bus.abstract import Position, check_size, partition_of
from leadwire.bus.kafka_link import ANSWER_MS, BATCH_BYTES, CONNECTION, unavailable
from leadwire.errors import BusUnavailable
from leadwire.topics import Topic

_DELIVERY_MS = 30_000


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

    def __init__(self, servers: list[str], address: str, linger_ms: int, topics: Iterable[str]) -> None:
        self.address = address
        self.failure: BusUnavailable | None = None
        with unavailable(address):
            self._kafka = KafkaProducer(
                bootstrap_servers=servers,
                acks="all",
                enable_idempotence=True,
                linger_ms=linger_ms,
                batch_size=BATCH_BYTES,
                max_request_size=4 << 20,
                max_block_ms=5000,
                delivery_timeout_ms=_DELIVERY_MS,
                allow_auto_create_topics=False,
                metrics_enabled=False,
                **CONNECTION,
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
        with unavailable(self.address):
            self._kafka.flush(timeout_s)
        failed, self.failure = self.failure, None
        if failed is not None:
            raise BusUnavailable(str(failed)) from failed

    def close(self) -> None:
        with suppress(kafka_errors.KafkaError):  # the futures tell
            self._kafka.flush(ANSWER_MS / 1000)
        self._kafka.close(timeout=1)
