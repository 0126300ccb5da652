"""Other processes on the bus, for test_bus.py: run as ``python -m tests.contract.bus_child WHAT ...``.

Each prints what it did, line by line; those that wait, wait for a line on standard input.
"""

import os
import sqlite3
import sys
import threading
from collections.abc import Iterable

import structlog

from leadwire.bus import Bus, Record, TopicPartition, open_bus
from leadwire.bus.kafka import KafkaBus
from leadwire.bus.local import LocalBus
from leadwire.errors import MessageRejected
from leadwire.runner import Outgoing, Runner
from leadwire.topics import Topic


def say(*words: object) -> None:
    print(*words, flush=True)


def short_lease(address: str) -> Bus:
    """The bus at `address`, opened so that the partitions of a dead consumer are free soon."""
    if address.startswith("local:"):
        return LocalBus(address.removeprefix("local:"), lease_s=1.5)
    # A broker that is not ours allows no less than 6 s unless it was told to.
    session_s = 6.0 if "LEADWIRE_TEST_KAFKA" in os.environ else 2.0
    return KafkaBus(address.removeprefix("kafka://"), session_s=session_s)


def topic_named(name: str, partitions: str) -> Topic:
    return Topic(name, "key", int(partitions), 86_400.0, False, 1 << 20)


def hold(path: str) -> None:
    """Hold the write lock of a local bus's file."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    say("held")
    sys.stdin.readline()
    db.execute("ROLLBACK")


def produce(address: str, name: str, partitions: str, prefix: str, count: str) -> None:
    """Publish `count` numbered messages under key `prefix`."""
    bus = open_bus(address)
    topic = topic_named(name, partitions)
    bus.create_topics([topic])
    producer = bus.producer()
    for n in range(int(count)):
        producer.publish(topic, prefix, f"{prefix}{n}".encode())
    producer.flush()
    say("published")
    bus.close()


def consume(address: str, name: str, partitions: str, group: str, commits: str) -> None:
    """Poll one message a time; commit after the first `commits` of them; say each value."""
    bus = short_lease(address)
    consumer = bus.consumer([topic_named(name, partitions)], group)
    seen = 0
    while True:
        for record in consumer.poll(1.0, max_records=1):
            seen += 1
            if seen <= int(commits):
                consumer.commit()
            say("committed" if seen <= int(commits) else "polled", (record.value or b"").decode())


def stall(address: str, name: str, partitions: str, group: str) -> None:
    """Own everything, poll once, wait for a line, then commit what was polled, and poll on."""
    bus = short_lease(address)
    consumer = bus.consumer(
        [topic_named(name, partitions)],
        group,
        on_revoked=lambda tps: say("revoked", len(tps)),
        on_lost=lambda tps: say("lost", len(tps)),
    )
    while not consumer.poll(0.1, max_records=1):
        pass
    say("polled", len(consumer.assignment()))
    sys.stdin.readline()
    consumer.commit()
    say("committed")
    while True:
        consumer.poll(0.1)


class Shout:
    """A stage: upper case from one topic to another; refuses "bad..."."""

    commit_every_s = 0.05

    def __init__(self, name: str, source: Topic, target: Topic) -> None:
        self.name = name
        self.topics = (source,)
        self._target = target

    def assigned(self, partitions: frozenset[TopicPartition]) -> None: ...

    def revoked(self, partitions: frozenset[TopicPartition]) -> None: ...

    def process(self, record: Record, now: float) -> Iterable[Outgoing]:
        value = record.value or b""
        if value.startswith(b"bad"):
            raise MessageRejected("a bad message came; a good one was expected")
        say("processed", value.decode())
        yield Outgoing(self._target, record.key, value.upper())

    def idle(self, now: float) -> Iterable[Outgoing]:
        return ()

    def checkpoint(self) -> Iterable[Outgoing]:
        return ()


def shout(address: str, source: str, target: str, partitions: str, group: str) -> None:
    """Run `Shout` until killed."""
    bus = short_lease(address)
    stage = Shout(group, topic_named(source, partitions), topic_named(target, partitions))
    bus.create_topics([*stage.topics, topic_named(target, partitions)])
    Runner(bus, stage).run(threading.Event())


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    {f.__name__: f for f in (hold, produce, consume, stall, shout)}[sys.argv[1]](*sys.argv[2:])
