"""What every bus adapter keeps of groups and of owners that die, hang or lose the bus."""

import signal
import threading
import time

import pytest

from leadwire import codec
from leadwire.bus import Bus, Record, TopicPartition, partition_of
from leadwire.errors import BusUnavailable
from leadwire.model import Quarantined
from leadwire.runner import Runner
from leadwire.topics import QUARANTINE
from tests.contract.bus_child import Shout, short_lease
from tests.contract.buses import (
    Adapter,
    Member,
    child,
    drain,
    new_group,
    new_topic,
    opened,
    publish,
    until,
)


def test_two_members_share_the_partitions_and_hand_over_what_was_committed(bus: Bus) -> None:
    topic, group = new_topic(4), new_group()
    owners: dict[TopicPartition, str] = {}
    first = Member(bus, topic, group, "first", owners)
    publish(bus, topic, [(f"key{n}", b"1") for n in range(40)])
    until(lambda: len(first.records) == 40, first)

    second = Member(bus, topic, group, "second", owners)
    until(lambda: len(first.owned()) == len(second.owned()) == 2 and len(owners) == 4, first, second)
    assert second.records == [], "handed over without the commit"

    publish(bus, topic, [(f"key{n}", b"2") for n in range(40)])
    until(lambda: len(first.records) + len(second.records) == 80, first, second)
    assert {r.key for r in first.records[40:] + second.records} == {f"key{n}" for n in range(40)}
    for member, records in ((first, first.records[40:]), (second, second.records)):
        assert {TopicPartition(r.topic, r.partition) for r in records} == member.owned()

    first.consumer.close()
    until(lambda: len(second.owned()) == 4, second)
    assert len(second.records) + 40 <= 80, "what the leaver had committed came again"
    second.consumer.close()
    assert owners == {}


def test_an_owner_that_could_not_be_told_is_told_again_and_misses_nothing(bus: Bus) -> None:
    topic, group = new_topic(2), new_group()
    bus.create_topics([topic])
    publish(bus, topic, [(f"key{n}", b"x") for n in range(20)])
    told: list[str] = []
    trouble = {"assigned", "revoked"}

    def tell(what: str) -> None:
        told.append(what)
        if what in trouble:
            trouble.remove(what)
            raise BusUnavailable("the state cannot be read now")

    def poll(timeout_s: float) -> list[Record]:
        try:
            return first.poll(timeout_s)
        except BusUnavailable:
            return []

    first = bus.consumer(
        [topic], group, on_assigned=lambda tps: tell("assigned"), on_revoked=lambda tps: tell("revoked")
    )
    records: list[Record] = []
    until(lambda: bool(records.extend(poll(0.1))) or len(records) == 20)
    assert told == ["assigned", "assigned"]
    second = bus.consumer([topic], group)
    until(lambda: bool(poll(0.1)) or len(second.assignment()) == 1, second)
    assert told == ["assigned", "assigned", "revoked", "revoked"]
    assert len(first.assignment()) == 1
    for consumer in (first, second):
        consumer.close()


def test_what_a_killed_consumer_had_not_committed_comes_again(adapter: Adapter) -> None:
    topic, group = new_topic(1), new_group()
    with opened(adapter.address) as bus:
        bus.create_topics([topic])
        publish(bus, topic, [("k", f"{n}".encode()) for n in range(20)])
        with child("consume", adapter.address, topic.name, "1", group, "5") as process:
            assert process.stdout is not None
            said = [process.stdout.readline() for _ in range(9)]
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert said == [f"committed {n}\n" for n in range(5)] + [f"polled {n}\n" for n in range(5, 9)]
        consumer = bus.consumer([topic], group)
        values = [int(r.value or b"") for r in drain(consumer, 15)]
        assert values == list(range(5, 20))
        consumer.close()


def test_a_member_that_hung_cannot_commit_over_the_new_owner(adapter: Adapter) -> None:
    topic, group = new_topic(2), new_group()
    keys = {partition_of(k, 2): k for k in "abcdef"}
    bus = short_lease(adapter.address)
    bus.create_topics([topic])
    publish(bus, topic, [(keys[n % 2], b"x") for n in range(20)])
    with child("stall", adapter.address, topic.name, "2", group) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "polled 2\n"
        adapter.freeze(process)
        consumer = bus.consumer([topic], group)
        records = until(lambda: len(consumer.assignment()) == 2, consumer)
        records += drain(consumer, 20 - len(records))
        consumer.commit()
        process.stdin.write("commit\n")
        process.stdin.flush()
        process.send_signal(signal.SIGCONT)
        assert process.stdout.readline() == "committed\n"  # or so it thinks
        for number in range(2):
            assert consumer.committed(TopicPartition(topic.name, number)) == 10
        heard: list[str] = []
        listener = threading.Thread(target=lambda: heard.append(process.stdout.readline()))  # type: ignore[union-attr]
        listener.start()
        until(lambda: not listener.is_alive(), consumer)
        assert heard == ["lost 2\n"]
        consumer.close()
    bus.close()


def test_two_processes_share_one_bus(adapter: Adapter, bus: Bus) -> None:
    topic = new_topic(3)
    consumer = bus.consumer([topic])
    assert consumer.poll(0) == []
    with (
        child("produce", adapter.address, topic.name, "3", "left", "300") as left,
        child("produce", adapter.address, topic.name, "3", "right", "300") as right,
    ):
        records = drain(consumer, 600)
        for process in (left, right):
            assert process.stdout is not None
            assert process.stdout.readline() == "published\n"
    for key in ("left", "right"):
        assert [r.value for r in records if r.key == key] == [f"{key}{n}".encode() for n in range(300)]
    offsets = [(r.partition, r.offset) for r in records]
    assert len(set(offsets)) == 600
    consumer.close()


def test_the_bus_may_be_away_for_a_while(frail: Adapter) -> None:
    topic, group = new_topic(1), new_group()
    with opened(frail.address) as bus:
        consumer = bus.consumer([topic], group)
        producer = bus.producer()
        producer.publish(topic, "k", b"before").result(60)
        assert [r.value for r in drain(consumer, 1)] == [b"before"]
        with frail.away():
            waiting = producer.publish(topic, "k", b"meanwhile")
            with pytest.raises(BusUnavailable):
                producer.flush(0.5)
            assert not waiting.done()
            assert consumer.poll(0.2) == []
        assert waiting.result(120).offset == 1
        producer.publish(topic, "k", b"after")
        producer.flush()
        assert [r.value for r in drain(consumer, 2)] == [b"meanwhile", b"after"]
        consumer.commit()
        assert consumer.committed(TopicPartition(topic.name, 0)) == 3
        consumer.close()
        producer.close()


def test_a_runner_killed_midway_loses_nothing_and_quarantines_what_it_refuses(
    adapter: Adapter, bus: Bus
) -> None:
    source, target, group = new_topic(2), new_topic(2), new_group()
    bus.create_topics([source, target, QUARANTINE])
    sent = [(f"key{n % 5}", b"bad" if n == 37 else f"value{n}".encode()) for n in range(400)]
    publish(bus, source, sent)
    for _ in range(2):
        with child("shout", adapter.address, source.name, target.name, "2", group) as process:
            assert process.stdout is not None
            said = [process.stdout.readline() for _ in range(60)]
            assert sum(line.startswith("processed") for line in said) >= 59
            process.send_signal(signal.SIGKILL)
    stop = threading.Event()
    runner = threading.Thread(target=Runner(bus, Shout(group, source, target)).run, args=(stop,))
    runner.start()
    consumer = bus.consumer([target])
    expected = {(k, v.upper()) for k, v in sent if v != b"bad"}
    got: list[Record] = []
    deadline = time.monotonic() + 120
    while {(r.key, r.value) for r in got} != expected:
        assert time.monotonic() < deadline, f"{len(got)} messages came, {len(expected)} kinds were expected"
        got += consumer.poll(0.2)
    stop.set()
    runner.join()
    # Doubles are whole stretches done again: per key, the first of each come in order.
    for key in {r.key for r in got}:
        firsts = list(dict.fromkeys(r.value for r in got if r.key == key))
        assert firsts == [v.upper() for k, v in sent if k == key and v != b"bad"]
    refused = bus.consumer([QUARANTINE])
    reasons: list[Quarantined] = []

    def ours() -> bool:
        found = [codec.decode_as(r.value or b"", Quarantined) for r in refused.poll(0.1)]
        reasons.extend(q for q in found if group in q.source)
        return bool(reasons)

    until(ours)
    assert {(q.data, q.reason) for q in reasons} == {(b"bad", "a bad message came; a good one was expected")}
    committer = bus.consumer([source], group)
    assert drain(committer, 0) == [], "all of it is committed"
    for reader in (consumer, refused, committer):
        reader.close()
