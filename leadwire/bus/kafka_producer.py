"""Publishing to Kafka: kafka-python's idempotent producer behind our futures."""

from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any

from kafka import KafkaProducer
from kafka import errors as kafka_errors

from leadwire.bus.abstract import Position, check_size, partition_of
from leadwire.bus.kafka_link import ANSWER_MS, BATCH_BYTES, CONNECTION, unavailable
from leadwire.errors import BusUnavailable
from leadwire.topics import Topic


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

    def __init__(
        self, servers: list[str], address: str, linger_s: float, delivery_s: float, topics: Iterable[str]
    ) -> None:
        self.address = address
        self.failure: BusUnavailable | None = None
        # The library wants a message to outlive one request, so that there can be another.
        answer_ms = min(ANSWER_MS, round(delivery_s * 500))
        with unavailable(address):
            self._kafka = KafkaProducer(
                bootstrap_servers=servers,
                acks="all",
                enable_idempotence=True,
                linger_ms=round(linger_s * 1000),
                batch_size=BATCH_BYTES,
                max_request_size=4 << 20,
                max_block_ms=5000,
                delivery_timeout_ms=round(delivery_s * 1000),
                allow_auto_create_topics=False,
                metrics_enabled=False,
                **{**CONNECTION, "request_timeout_ms": answer_ms},
            )
            try:
                for name in topics:
                    self._kafka.partitions_for(name)  # so that `publish` need not wait to learn it
            except BaseException:
                self._kafka.close(timeout=1)
                raise

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
        try:
            self._kafka.close(timeout=ANSWER_MS / 1000)
        except kafka_errors.KafkaError:
            # The library's own close stops short before messages that cannot be delivered, and would
            # leave its thread behind. This fails their futures.
            self._kafka._sender.force_close()
