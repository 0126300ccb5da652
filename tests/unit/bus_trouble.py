"""Trouble with the bus, for the runner's tests: messages that are lost, members that are evicted."""

import sqlite3
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from leadwire.bus import Position, Producer
from leadwire.bus.local import LocalBus
from leadwire.errors import BusUnavailable
from leadwire.topics import Topic


class LossyBus:
    """A bus whose producers fail the messages that `fails` names."""

    def __init__(self, bus: LocalBus, fails: Callable[[bytes | None], bool]) -> None:
        self._bus = bus
        self._fails = fails
        self.consumer = bus.consumer
        self.create_topics = bus.create_topics
        self.end_offsets = bus.end_offsets
        self.close = bus.close

    def producer(self) -> Producer:
        return LossyProducer(self._bus.producer(), self._fails)


class LossyProducer:
    def __init__(self, producer: Producer, fails: Callable[[bytes | None], bool]) -> None:
        self._producer = producer
        self._fails = fails
        self._failed = False
        self.close = producer.close

    def publish(self, topic: Topic, key: str, value: bytes | None) -> "Future[Position]":
        if self._fails(value):
            self._failed = True
            future: Future[Position] = Future()
            future.set_exception(BusUnavailable("lost"))
            return future
        return self._producer.publish(topic, key, value)

    def flush(self, timeout_s: float = 30.0) -> None:
        self._producer.flush(timeout_s)
        if self._failed:
            self._failed = False
            raise BusUnavailable("a message was lost")


def evict_everybody(path: Path) -> None:
    """Take all members out of all groups, as if their leases had run out."""
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM members")
        db.execute("DELETE FROM claims")
        db.execute("UPDATE groups SET generation = generation + 1")
