"""The bus adapters as the contract suite meets them, and small helpers that work on any."""

import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from leadwire.bus import Bus, Consumer, Record, TopicPartition, open_bus
from leadwire.topics import Topic

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120.0


@dataclass(frozen=True)
class Adapter:
    """One adapter: its address, how to take it away, and how to stop a process that uses it."""

    address: str
    away: Callable[[], AbstractContextManager[None]]
    freeze: Callable[["subprocess.Popen[str]"], None]


def local_adapter(folder: Path) -> Adapter:
    path = folder / "bus.sqlite"

    @contextmanager
    def away() -> Iterator[None]:
        """Another process holds the file."""
        with child("hold", str(path)) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            yield

    def freeze(process: "subprocess.Popen[str]") -> None:
        """SIGSTOP at a moment when it does not hold the file, which would stop everybody."""
        with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            process.send_signal(signal.SIGSTOP)
            db.execute("ROLLBACK")

    return Adapter(f"local:{path}", away, freeze)


def kafka_adapter(address: str, away: Callable[[], AbstractContextManager[None]]) -> Adapter:
    return Adapter(f"kafka://{address}", away, lambda process: process.send_signal(signal.SIGSTOP))


@contextmanager
def child(*args: str) -> Iterator["subprocess.Popen[str]"]:
    """A process that runs tests/contract/bus_child.py; killed at the end if it still lives."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.contract.bus_child", *args],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


@contextmanager
def opened(address: str) -> Iterator[Bus]:
    bus = open_bus(address)
    try:
        yield bus
    finally:
        bus.close()


def new_topic(partitions: int = 4, *, compacted: bool = False, max_bytes: int = 1 << 20) -> Topic:
    """A topic of a name that no other test has."""
    retention_s = None if compacted else 86_400.0
    return Topic(f"test.{uuid.uuid4().hex}", "key", partitions, retention_s, compacted, max_bytes)


def new_group() -> str:
    return f"group-{uuid.uuid4().hex}"


def publish(bus: Bus, topic: Topic, messages: Iterable[tuple[str, bytes | None]]) -> None:
    producer = bus.producer()
    for key, value in messages:
        producer.publish(topic, key, value)
    producer.flush()
    producer.close()


def drain(consumer: Consumer, count: int) -> list[Record]:
    """Poll until `count` messages are there, then once more: none may follow."""
    records: list[Record] = []
    deadline = time.monotonic() + PATIENCE_S
    while len(records) < count:
        assert time.monotonic() < deadline, f"{len(records)} of {count} messages came"
        records += consumer.poll(0.2)
    assert consumer.poll(0.05) == []
    assert len(records) == count
    return records


class Member:
    """A consumer in a group that notes what it owns and got, and commits before it gives up."""

    def __init__(
        self, bus: Bus, topic: Topic, group: str, name: str, owners: dict[TopicPartition, str]
    ) -> None:
        self.name = name
        self.owners = owners
        self.records: list[Record] = []
        self.consumer = bus.consumer([topic], group, on_assigned=self._gained, on_revoked=self._given_up)

    def poll(self, timeout_s: float, max_records: int = 500) -> list[Record]:
        self.records += self.consumer.poll(timeout_s, max_records)
        return []

    def owned(self) -> frozenset[TopicPartition]:
        return self.consumer.assignment()

    def _gained(self, partitions: frozenset[TopicPartition]) -> None:
        for tp in partitions:
            assert tp not in self.owners, f"{tp} has two owners"
            self.owners[tp] = self.name

    def _given_up(self, partitions: frozenset[TopicPartition]) -> None:
        self.consumer.commit()
        for tp in partitions:
            assert self.owners.pop(tp) == self.name


def until(condition: Callable[[], bool], *polled: "Consumer | Member") -> list[Record]:
    """Poll `polled` in turn until `condition` holds; return what came."""
    records: list[Record] = []
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        for consumer in polled:
            records += consumer.poll(0.05)
    return records
