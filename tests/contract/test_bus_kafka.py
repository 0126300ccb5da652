"""What is particular to the bus on Kafka: how topics are set up, and brokers that are away for long."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from leadwire.bus import Position, Producer, kafka_link, open_bus
from leadwire.bus.kafka import KafkaBus
from leadwire.errors import BusUnavailable
from leadwire.topics import TOPICS, Topic
from tests.contract.buses import drain, new_topic, opened, until
from tests.services.kafka import Broker

pytestmark = pytest.mark.kafka


@pytest.fixture
def stopped(kafka_broker: Broker) -> Iterator[Broker]:
    """A broker that the test stops; it runs again afterwards."""
    yield kafka_broker
    kafka_broker.start()


def test_topics_are_set_up_as_the_table_says(kafka_address: str) -> None:
    with opened(f"kafka://{kafka_address}") as bus:
        bus.create_topics(TOPICS.values())
    admin = KafkaAdminClient(bootstrap_servers=kafka_address)
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in TOPICS]
    found = admin.describe_configs(asked, config_filter="all")
    admin.close()
    (by_name,) = found.values()
    for name, topic in TOPICS.items():
        settings = {key: str(row["value"]) for key, row in by_name[name].items()}
        assert settings["cleanup.policy"] == ("compact" if topic.compacted else "delete")
        assert int(settings["max.message.bytes"]) > topic.max_bytes
        if topic.retention_s is not None:
            assert float(settings["retention.ms"]) == topic.retention_s * 1000


def test_nobody_at_the_address_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(kafka_link.CONNECTION, "bootstrap_timeout_ms", 300)
    bus = open_bus("kafka://127.0.0.1:1")
    for ask in (bus.producer, lambda: bus.create_topics([new_topic()]), lambda: bus.end_offsets(new_topic())):
        with pytest.raises(BusUnavailable, match=r"Kafka at 127\.0\.0\.1:1"):
            ask()
    bus.close()


def test_messages_that_waited_too_long_fail_and_later_ones_arrive(stopped: Broker) -> None:
    topic = new_topic(1)
    bus = KafkaBus(stopped.address, delivery_s=1.5)
    bus.create_topics([topic])
    producer = bus.producer()
    _publish_until_taken(producer, topic, b"0")
    stopped.stop()
    futures = [producer.publish(topic, "k", b"lost") for _ in range(3)]
    for future in futures:
        with pytest.raises(BusUnavailable):
            future.result(60)
    with pytest.raises(BusUnavailable):
        producer.flush()
    stopped.start()
    late = _publish_until_taken(producer, topic, b"later")
    consumer = bus.consumer([topic])
    records = drain(consumer, late.offset + 1)
    assert (records[0].value, records[-1].value) == (b"0", b"later")
    consumer.close()
    producer.close()
    bus.close()


def _publish_until_taken(producer: Producer, topic: Topic, value: bytes) -> Position:
    """Publish; one that waited too long on a slow machine is published again."""
    deadline = time.monotonic() + 120
    while True:
        try:
            return producer.publish(topic, "k", value).result(60)
        except BusUnavailable:
            assert time.monotonic() < deadline


def test_closing_while_the_broker_is_away_ends_and_leaves_no_message_in_doubt(
    stopped: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leadwire.bus.kafka_producer.ANSWER_MS", 1000)
    topic = new_topic(1)
    bus = KafkaBus(stopped.address)
    bus.create_topics([topic])
    producer = bus.producer()
    consumer = bus.consumer([topic], "g")
    until(lambda: bool(consumer.assignment()), consumer)
    stopped.stop()
    future: Future[Position] = producer.publish(topic, "k", b"x")
    closing = threading.Thread(target=lambda: (consumer.close(), producer.close(), bus.close()))
    closing.start()
    closing.join(120)
    assert not closing.is_alive()
    with pytest.raises(BusUnavailable):
        future.result(60)
