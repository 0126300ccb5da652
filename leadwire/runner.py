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
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Protocol

import structlog
from prometheus_client import Counter, Gauge

from leadwire import codec
from leadwire.bus import Bus, Record, TopicPartition
from leadwire.bus.abstract import check_size
from leadwire.clock import Clock, SystemClock
from leadwire.errors import RejectError, RetryError
from leadwire.heartbeat import Progress
from leadwire.model import Quarantined
from leadwire.topics import QUARANTINE, Topic

log = structlog.get_logger(__name__)

MIN_BACKOFF_S = 0.1
MAX_BACKOFF_S = 10.0

PROCESSED = Counter("leadwire_stage_processed_total", "Messages processed", ["stage"])
QUARANTINED = Counter("leadwire_stage_quarantined_total", "Messages refused and quarantined", ["stage"])
RETRIES = Counter("leadwire_stage_retries_total", "Times a stage went back to its last commit", ["stage"])
LAG = Gauge("leadwire_stage_lag", "Messages that wait for a stage, at its last commit", ["stage"])


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
            The message is quarantined and nothing of it is published. State must be as before the call.
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
    progress
        Told how the work goes on, for the process's heartbeat.
    """

    def __init__(
        self,
        bus: Bus,
        stage: Stage,
        clock: Clock | None = None,
        poll_s: float = 0.2,
        progress: Progress | None = None,
    ) -> None:
        self._bus = bus
        self._stage = stage
        self._clock = clock or SystemClock()
        self._poll_s = poll_s
        self._progress = progress or Progress(self._clock)

    def run(self, stop: threading.Event) -> None:
        """Run until `stop` is set, then checkpoint, commit and leave the group.

        Raises
        ------
        Exception
            Whatever a stage raises that is neither `RejectError` (of a message) nor `RetryError`.
        """
        backoff = MIN_BACKOFF_S
        while not stop.is_set():
            session = _Session(self._bus, self._stage, self._clock, self._poll_s, self._progress)
            try:
                session.run(stop)
            except RetryError as why:
                # Work that reached a commit was not in vain: the trouble is a new one.
                if session.committed:
                    backoff = MIN_BACKOFF_S
                RETRIES.labels(self._stage.name).inc()
                log.warning("retry", stage=self._stage.name, why=str(why), wait_s=backoff)
                stop.wait(backoff)
                backoff = min(2 * backoff, MAX_BACKOFF_S)


class _Session:
    """From joining the group to leaving it, or to the first `RetryError`."""

    def __init__(self, bus: Bus, stage: Stage, clock: Clock, poll_s: float, progress: Progress) -> None:
        self._bus = bus
        self._stage = stage
        self._clock = clock
        self._poll_s = poll_s
        self._progress = progress
        self._oldest: float | None = None  # when the last message that was processed was published
        self._owned: frozenset[TopicPartition] = frozenset()
        # What was processed, not what was polled: a partition's position may be ahead of the work.
        self._done: dict[TopicPartition, int] = {}
        self._last: dict[TopicPartition, int] = {}  # what was committed last
        self._failed = False
        self.committed = False

    def run(self, stop: threading.Event) -> None:
        with ExitStack() as closing:
            self._producer = self._bus.producer()
            closing.callback(self._producer.close)
            closing.callback(self._forget)
            self._consumer = self._bus.consumer(
                self._stage.topics,
                self._stage.name,
                on_assigned=self._assigned,
                on_revoked=self._revoked,
                on_lost=self._lost,
            )
            closing.callback(self._leave)
            try:
                self._loop(stop)
                self._commit()
            except BaseException:
                self._failed = True
                raise

    def _loop(self, stop: threading.Event) -> None:
        last_commit = self._clock.monotonic()
        while not stop.is_set():
            for record in self._consumer.poll(self._poll_s):
                if stop.is_set():
                    return
                self._process(record)
            self._publish(self._stage.idle(self._clock.now()))
            self._progress.turned()
            if self._clock.monotonic() - last_commit >= self._stage.commit_every_s:
                self._commit()
                last_commit = self._clock.monotonic()
                with suppress(RetryError):
                    lag = self._consumer.lag()
                    LAG.labels(self._stage.name).set(lag)
                    self._progress.waiting(self._oldest if lag else None)

    def _process(self, record: Record) -> None:
        try:
            self._publish(self._stage.process(record, self._clock.now()))
        except RejectError as why:
            QUARANTINED.labels(self._stage.name).inc()
            self._publish([self._quarantine(record, str(why))])
        PROCESSED.labels(self._stage.name).inc()
        self._oldest = record.time
        self._done[TopicPartition(record.topic, record.partition)] = record.offset + 1

    def _publish(self, messages: Iterable[Outgoing]) -> None:
        # All of them first: a stage that refuses a message half-way must not have said half of it.
        made = list(messages)
        for m in made:
            check_size(m.topic, m.key, m.value)
        for m in made:
            self._producer.publish(m.topic, m.key, m.value)

    def _commit(self) -> None:
        # A snapshot must never be durable before the events of the samples that it contains.
        self._producer.flush()
        # An owner that hung may have been replaced without knowing. Committing once more what it has
        # committed already is refused then, before its snapshots could follow the new owner's.
        if not self._consumer.commit({tp: at for tp, at in self._last.items() if tp in self._owned}):
            return
        self._publish(self._stage.checkpoint())
        # Raises if anything published in this session failed, so that no offset is committed over it.
        self._producer.flush()
        self._last = dict(self._done)
        self._consumer.commit(self._last)
        self.committed = True

    def _assigned(self, partitions: frozenset[TopicPartition]) -> None:
        self._owned |= partitions
        self._stage.assigned(partitions)

    def _revoked(self, partitions: frozenset[TopicPartition]) -> None:
        if not self._failed:
            self._commit()
        self._lost(partitions)

    def _lost(self, partitions: frozenset[TopicPartition]) -> None:
        # Another owner is at work: publishing a snapshot now would overwrite its newer one.
        self._owned -= partitions
        for partition in partitions:
            self._done.pop(partition, None)
        self._stage.revoked(partitions)

    def _leave(self) -> None:
        try:
            self._consumer.close()
        except RetryError as why:
            # Nothing is lost: the lease runs out by itself, and what was not committed comes again.
            log.warning("left the group in disorder", stage=self._stage.name, why=str(why))

    def _forget(self) -> None:
        if self._owned:
            self._stage.revoked(self._owned)

    def _quarantine(self, record: Record, reason: str) -> Outgoing:
        source = f"{self._stage.name} {record.topic}/{record.partition}@{record.offset}"
        reason = reason[:1024]
        log.warning("quarantined", source=source, reason=reason)
        data = record.value or b""
        limit = QUARANTINE.max_bytes - 4096
        message = Quarantined(
            source=source,
            reason=reason,
            time=self._clock.now(),
            data=data[:limit],
            truncated=len(data) > limit,
        )
        return Outgoing(QUARANTINE, source, codec.encode(message))
