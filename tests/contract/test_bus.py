"""What every bus adapter keeps, on each of them: SQLite's file, and a real Apache Kafka."""

import importlib
import pkgutil
import time

import pytest

import leadwire.bus
from leadwire.bus import Bus, TopicPartition, open_bus, partition_of
from leadwire.bus.compacted import read_all, read_compacted
from leadwire.errors import BugError, BusUnavailable, MessageTooLarge, SettingError
from leadwire.topics import Topic
from tests.contract.buses import (
    Adapter,
    drain,
    new_group,
    new_topic,
    opened,
    publish,
    until,
)

ADAPTERS = {"leadwire.bus.local": "local", "leadwire.bus.kafka": "kafka"}


def test_every_adapter_is_in_this_suite() -> None:
    port = ("create_topics", "producer", "consumer", "end_offsets", "close")
    found = set()
    for module in pkgutil.iter_modules(leadwire.bus.__path__, "leadwire.bus."):
        for thing in vars(importlib.import_module(module.name)).values():
            if isinstance(thing, type) and thing.__module__ == module.name != "leadwire.bus.abstract":
                found |= {module.name} if all(hasattr(thing, name) for name in port) else set()
    assert found == set(ADAPTERS)


def test_a_key_keeps_its_order_and_its_partition(bus: Bus) -> None:
    topic = new_topic()
    bus.create_topics([topic])
    producer = bus.producer()
    sent = [(f"key{n % 7}", f"{n}".encode()) for n in range(500)]
    futures = [producer.publish(topic, key, value) for key, value in sent]
    producer.flush()

    consumer = bus.consumer([topic])
    records = drain(consumer, len(sent))

    where = {(r.partition, r.offset): r for r in records}
    for (key, value), future in zip(sent, futures, strict=True):
        position = future.result(0)
        assert position.partition == partition_of(key, topic.partitions)
        record = where[position]
        assert (record.key, record.value, record.topic) == (key, value, topic.name)
        assert abs(record.time - time.time()) < 600
    for key in {key for key, _ in sent}:
        assert [r.value for r in records if r.key == key] == [v for k, v in sent if k == key]
    consumer.close()
    producer.close()


def test_a_message_whose_future_is_done_is_there_for_everybody(bus: Bus, adapter: Adapter) -> None:
    topic = new_topic(1)
    bus.create_topics([topic])
    producer = bus.producer()
    assert bus.end_offsets(topic) == {0: 0}
    assert producer.publish(topic, "k", b"1").result(60) == (0, 0)
    with opened(adapter.address) as other:
        assert other.end_offsets(topic) == {0: 1}
    producer.close()


def test_without_a_group_all_partitions_are_read_and_nothing_is_committed(bus: Bus) -> None:
    topic = new_topic(3)
    bus.create_topics([topic])
    first, second = bus.consumer([topic]), bus.consumer([topic])
    publish(bus, topic, [(f"key{n}", b"x") for n in range(20)])
    for consumer in (first, second):
        assert len(drain(consumer, 20)) == 20
        assert consumer.assignment() == {TopicPartition(topic.name, n) for n in range(3)}
        with pytest.raises(BugError):
            consumer.commit()
        with pytest.raises(BugError):
            consumer.committed(TopicPartition(topic.name, 0))
        consumer.close()


def test_poll_returns_empty_after_its_timeout_and_at_most_max_records(bus: Bus) -> None:
    topic = new_topic(2)
    consumer = bus.consumer([topic])
    began = time.monotonic()
    assert consumer.poll(0.3) == []
    assert time.monotonic() - began > 0.25
    publish(bus, topic, [(f"key{n}", b"x") for n in range(50)])
    seen = 0
    while seen < 50:
        records = consumer.poll(30, max_records=7)
        assert 0 < len(records) <= 7
        seen += len(records)
    consumer.close()


def test_the_next_owner_begins_at_the_commit(bus: Bus) -> None:
    topic, group = new_topic(1), new_group()
    tp = TopicPartition(topic.name, 0)
    consumer = bus.consumer([topic], group)
    publish(bus, topic, [("k", f"{n}".encode()) for n in range(10)])
    drain(consumer, 10)
    assert consumer.committed(tp) is None
    consumer.commit({tp: 4})
    assert consumer.committed(tp) == 4
    consumer.close()

    consumer = bus.consumer([topic], group)
    assert [r.offset for r in drain(consumer, 6)] == [4, 5, 6, 7, 8, 9]
    consumer.commit()
    consumer.close()

    consumer = bus.consumer([topic], group)
    assert drain(consumer, 0) == []
    until(lambda: bool(consumer.assignment()), consumer)
    assert consumer.committed(tp) == 10
    consumer.commit({tp: 7, TopicPartition("another", 0): 3})
    assert consumer.committed(tp) == 7
    consumer.close()


def test_seek_goes_back_forward_and_before_the_oldest(bus: Bus) -> None:
    topic = new_topic(1)
    tp = TopicPartition(topic.name, 0)
    consumer = bus.consumer([topic])
    publish(bus, topic, [("k", f"{n}".encode()) for n in range(10)])
    drain(consumer, 10)
    assert consumer.position(tp) == 10
    consumer.seek(tp, 3)
    assert consumer.position(tp) == 3
    assert [r.offset for r in drain(consumer, 7)] == list(range(3, 10))
    consumer.seek(tp, 9)
    assert [r.offset for r in drain(consumer, 1)] == [9]
    consumer.seek(tp, 0)
    assert len(drain(consumer, 10)) == 10
    with pytest.raises(BugError):
        consumer.seek(TopicPartition(topic.name, 5), 0)
    consumer.close()


def test_a_seek_in_on_assigned_is_where_polling_begins(bus: Bus) -> None:
    topic, group = new_topic(2), new_group()
    publish_after = bus.consumer([topic])  # makes the topic
    publish_after.close()
    keys = {partition_of(k, 2): k for k in "abcdef"}
    publish(bus, topic, [(keys[n % 2], f"{n // 2}".encode()) for n in range(20)])
    consumer = bus.consumer(
        [topic], group, on_assigned=lambda tps: [consumer.seek(tp, 7) for tp in tps] and None
    )
    assert {r.offset for r in drain(consumer, 6)} == {7, 8, 9}
    consumer.close()


def test_start_latest_sees_only_what_comes_after(bus: Bus) -> None:
    topic = new_topic(2)
    bus.create_topics([topic])
    publish(bus, topic, [(f"key{n}", b"old") for n in range(10)])
    for group in (None, new_group()):
        consumer = bus.consumer([topic], group, start="latest")
        until(lambda c=consumer: len(c.assignment()) == 2, consumer)  # type: ignore[misc]
        publish(bus, topic, [("k", b"new")])
        assert [r.value for r in drain(consumer, 1)] == [b"new"]
        consumer.close()


def test_lag_counts_what_was_not_polled(bus: Bus) -> None:
    topic = new_topic(3)
    consumer = bus.consumer([topic], new_group())
    until(lambda: len(consumer.assignment()) == 3, consumer)
    assert consumer.lag() == 0
    publish(bus, topic, [(f"key{n}", b"x") for n in range(12)])
    assert consumer.lag() == 12
    drain(consumer, 12)
    assert consumer.lag() == 0
    consumer.close()


def test_a_message_too_large_is_refused_and_harms_no_other(bus: Bus) -> None:
    topic = new_topic(1, max_bytes=1 << 16)
    bus.create_topics([topic])
    producer = bus.producer()
    producer.publish(topic, "k", b"before")
    with pytest.raises(MessageTooLarge, match=r"65537 bytes came .* at most 65536"):
        producer.publish(topic, "k", bytes((1 << 16) + 1))
    with pytest.raises(MessageTooLarge, match="key"):
        producer.publish(topic, "k" * 1025, b"")
    producer.publish(topic, "k" * 1024, bytes(1 << 16))
    # Small ones that together are larger than the limit travel in one batch.
    for _ in range(30):
        producer.publish(topic, "k", bytes(8000))
    producer.flush()
    consumer = bus.consumer([topic])
    assert [len(r.value or b"") for r in drain(consumer, 32)] == [6, 1 << 16, *[8000] * 30]
    consumer.close()
    producer.close()


def test_a_compacted_topic_keeps_the_last_value_of_each_key(bus: Bus) -> None:
    topic = new_topic(4, compacted=True)
    bus.create_topics([topic])
    assert read_compacted(bus, topic) == {}
    publish(bus, topic, [(f"key{n % 10}", f"{n}".encode()) for n in range(200)])
    publish(bus, topic, [("key3", None), ("never", None), ("key4", None), ("key4", b"again")])
    expected = {f"key{n}": f"{190 + n}".encode() for n in range(10) if n not in (3, 4)} | {"key4": b"again"}
    assert read_compacted(bus, topic) == expected
    for number in range(4):
        assert read_compacted(bus, topic, [number]) == {
            k: v for k, v in expected.items() if partition_of(k, 4) == number
        }


def test_a_topic_can_be_read_from_where_one_wants_to_begin(bus: Bus) -> None:
    topic = new_topic(2)
    bus.create_topics([topic])
    publish(bus, topic, [(f"key{n % 10}", f"{n}".encode()) for n in range(100)])
    everything = [(r.partition, r.offset, r.value) for r in read_all(bus, topic)]
    ends = bus.end_offsets(topic)
    for start in ({0: 7}, {0: 3, 1: 5}, {0: 0, 1: ends[1]}, ends):
        wanted = {(p, o, v) for p, o, v in everything if o >= start.get(p, 0)}
        read = [(r.partition, r.offset, r.value) for r in read_all(bus, topic, start=start)]
        assert len(read) == len(set(read))
        assert set(read) == wanted


def test_topics_are_made_once_and_never_with_other_partitions(bus: Bus, adapter: Adapter) -> None:
    topic = new_topic(2)
    bus.create_topics([topic])
    bus.create_topics([topic])
    publish(bus, topic, [("k", b"kept")])
    with opened(adapter.address) as other:
        other.create_topics([topic])
        with pytest.raises(SettingError, match="has 2 partitions on the bus; 3 were expected"):
            other.create_topics([Topic(topic.name, "key", 3, None, False, 1000)])
    assert sum(bus.end_offsets(topic).values()) == 1


def test_a_topic_that_was_never_made_fails_the_future_and_the_flush(bus: Bus) -> None:
    producer = bus.producer()
    future = producer.publish(new_topic(), "k", b"x")
    with pytest.raises(BusUnavailable):
        future.result(60)
    with pytest.raises(BusUnavailable):
        producer.flush()
    producer.flush()  # said once
    producer.close()


@pytest.mark.parametrize("address", ["kafka:localhost", "sqlite:x", "", "bus.sqlite"])
def test_an_address_of_no_adapter_is_a_setting_error(address: str) -> None:
    with pytest.raises(SettingError, match=r"local:PATH or kafka://HOST:PORT"):
        open_bus(address)
