"""The only consume -> process -> publish -> commit loop; every role on the bus is a `Stage` in it.

The order is the safety: what a stage made is durable on the bus before the stage is told to flush,
and the stage has flushed before offsets are committed. A process killed anywhere comes back
to the last commit and does the same work again; derived ids make that harmless.

A `RejectError` from `process` quarantines the message and goes on. A `RetryError` puts the
stage back to its last commit and tries again, forever, ever slower up to `MAX_BACKOFF_S`.
Anything else is a bug and ends the role.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import structlog

from leadwire import codec
from leadwire.bus import Bus, Consumer, Record, TopicPartition
from leadwire.clock import Clock, SystemClock
from leadwire.errors import RejectError, RetryError
from leadwire.model import Quarantined
from leadwire.topics import QUARANTINE, Topic

log = structlog.get_logger(__name__)

MAX_BACKOFF_S = 10.0


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message a stage wants published."""

    topic: Topic
    key: str
    value: bytes | None


class Stage(Protocol):
    """One role's logic. It owns no thread, no clock and no socket to the bus.

    Attributes
    ----------
    name
        The consumer group's name, and the name in logs and metrics.
    topics
        What it reads.
    commit_every_s
        How often the runner calls `checkpoint` and commits.
    """

    name: str
    topics: tuple[Topic, ...]
    commit_every_s: float

    def assigned(self, partitions: frozenset[TopicPartition]) -> None:
        """Partitions came: load what belongs to them. All state of a partition is fresh."""
        ...

    def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        """Partitions went (or start again from the commit): forget what belongs to them."""
        ...

    def process(self, record: Record, now: float) -> Iterable[Outgoing]:
        """Work on one message. `now` in s, epoch.

        Raises
        ------
        RejectError
            The message is quarantined. State must be as before the call.
        RetryError
            Everything since the last commit is done again.
        """
        ...

    def idle(self, now: float) -> Iterable[Outgoing]:
        """Called after every poll, at least every `Runner.poll_s`: what time alone brings about."""
        ...

    def checkpoint(self) -> Iterable[Outgoing]:
        """Make everything processed so far durable (flush the sink, or return snapshots to publish)."""
        ...


class Runner:
    """Runs one `Stage` against one bus until told to stop.

    Parameters
    ----------
    bus, stage
        What to run, and on what. The runner makes its own consumer and producer.
    clock
        For `now` and the commit interval.
    poll_s
        Longest wait in one poll, hence the granularity of `Stage.idle`, in s.
    """

    def __init__(self, bus: Bus, stage: Stage, clock: Clock | None = None, poll_s: float = 0.2) -> None:
        self._bus = bus
        self._stage = stage
        self._clock = clock or SystemClock()
        self._poll_s = poll_s
        self.processed = 0
        self.quarantined = 0

    def run(self, stop: threading.Event) -> None:
        """Run until `stop` is set, then checkpoint, commit and leave the group."""
        backoff = 0.1
        while not stop.is_set():
            processed = self.processed
            try:
                self._session(stop)
            except RetryError as why:
                log.warning("retry", stage=self._stage.name, why=str(why), wait_s=backoff)
                stop.wait(backoff)
                # Progress made since the last failure means that the trouble is a new one.
                backoff = 0.1 if self.processed > processed else min(2 * backoff, MAX_BACKOFF_S)

    def _session(self, stop: threading.Event) -> None:
        producer = self._bus.producer()
        consumer: Consumer | None = None
        owned: frozenset[TopicPartition] = frozenset()

        def assigned(partitions: frozenset[TopicPartition]) -> None:
            nonlocal owned
            owned |= partitions
            self._stage.assigned(partitions)

        def revoked(partitions: frozenset[TopicPartition]) -> None:
            nonlocal owned
            if consumer is not None and not failed:
                commit()
            owned -= partitions
            for partition in partitions:
                done.pop(partition, None)
            self._stage.revoked(partitions)

        def publish(messages: Iterable[Outgoing]) -> None:
            for m in messages:
                producer.publish(m.topic, m.key, m.value)

        def commit() -> None:
            assert consumer is not None
            # A snapshot must never be durable before the events of the samples that it contains.
            producer.flush()
            publish(self._stage.checkpoint())
            producer.flush()
            # Only what was processed: a partition's position may be ahead of the work.
            consumer.commit(dict(done))

        failed = False
        done: dict[TopicPartition, int] = {}
        try:
            consumer = self._bus.consumer(
                self._stage.topics, self._stage.name, on_assigned=assigned, on_revoked=revoked
            )
            last_commit = self._clock.monotonic()
            while not stop.is_set():
                for record in consumer.poll(self._poll_s):
                    try:
                        publish(self._stage.process(record, self._clock.now()))
                    except RejectError as why:
                        self.quarantined += 1
                        publish([self._quarantine(record, str(why))])
                    self.processed += 1
                    done[TopicPartition(record.topic, record.partition)] = record.offset + 1
                publish(self._stage.idle(self._clock.now()))
                if self._clock.monotonic() - last_commit >= self._stage.commit_every_s:
                    commit()
                    last_commit = self._clock.monotonic()
            commit()
        except BaseException:
            failed = True
            raise
        finally:
            if consumer is not None:
                consumer.close()
            if owned:
                self._stage.revoked(owned)
            producer.close()

    def _quarantine(self, record: Record, reason: str) -> Outgoing:
        log.warning(
            "quarantined", stage=self._stage.name, topic=record.topic, offset=record.offset, reason=reason
        )
        data = record.value or b""
        limit = QUARANTINE.max_bytes - 4096
        message = Quarantined(
            source=f"{self._stage.name} {record.topic}/{record.partition}@{record.offset}",
            reason=reason,
            time=self._clock.now(),
            data=data[:limit],
            truncated=len(data) > limit,
        )
        return Outgoing(QUARANTINE, message.source, codec.encode(message))
