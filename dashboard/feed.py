"""The feed: one background thread that reads the bus and hands batches to the hub on its asyncio loop.

It belongs to no consumer group: every dashboard sees every partition. The network, streams, alerts and the
register are read from their beginning, chunks and events from `BACKFILL_S` ago. One batch is under way at a
time, so a busy loop slows the reading instead of filling the memory. While the bus is away the pages are
told (`Hub.feed_ok`).
"""

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from contextlib import ExitStack, suppress

import structlog

from dashboard.hub import Arrival, Hub
from leadwire import codec
from leadwire.bus import Bus, Consumer, Record, TopicPartition
from leadwire.clock import Clock
from leadwire.errors import RejectError, RetryError
from leadwire.topics import ALERTS, CHUNKS, EVENTS, NETWORK, REGISTER, STREAMS, Topic

log = structlog.get_logger(__name__)

BACKFILL_S = 10.0
_BACKFILL_RECORDS = 2000
"""At most so many messages a partition are looked at for the last `BACKFILL_S`."""

_KEPT = (NETWORK, STREAMS, ALERTS, REGISTER)
_POLL_S = 0.05
_TIDY_S = 10.0
_MAX_BACKOFF_S = 5.0


class Feed:
    """Reads the bus for a hub.

    Parameters
    ----------
    bus, hub, clock
        What to read, whom to tell, and the time.
    """

    def __init__(self, bus: Bus, hub: Hub, clock: Clock) -> None:
        self._bus = bus
        self._hub = hub
        self._clock = clock
        self._stop = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._next: dict[TopicPartition, int] = {}
        self.rejected = 0

    def start(self) -> None:
        """Begin; called on the hub's loop."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="dashboard-feed", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """End the thread and wait for it."""
        self._stop.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        backoff = 0.1
        try:
            while not self._stop.is_set():
                try:
                    self._session()
                except RetryError as why:
                    log.warning("retry", role="dashboard", why=str(why), wait_s=backoff)
                    backoff = 0.1 if self._hub.feed_ok else min(2 * backoff, _MAX_BACKOFF_S)
                    self._tell(False)
                    self._stop.wait(backoff)
        except BaseException:
            # A bug must be seen: the pages say that no data comes, /api/health answers 503.
            log.exception("the feed ended", role="dashboard")
            self._tell(False)
            raise

    def _session(self) -> None:
        with ExitStack() as closing:
            kept = self._consumer(_KEPT, closing)
            ends = self._ends(_KEPT)
            # The pages must know the streams before their samples come, and all alerts before "no alarms".
            while not self._stop.is_set() and not _reached(kept, ends):
                self._hand(kept.poll(_POLL_S), {})
            live = self._consumer((CHUNKS, EVENTS), closing)
            ends = self._ends((CHUNKS, EVENTS))
            self._call(self._hub.cases.is_loaded.set)
            self._tell(True)
            tidied = self._clock.monotonic()
            while not self._stop.is_set():
                self._hand(live.poll(_POLL_S), ends)
                self._hand(kept.poll(0.0), {})
                if self._clock.monotonic() - tidied > _TIDY_S:
                    tidied = self._clock.monotonic()
                    self._call(lambda: self._hub.tidy(self._clock.now()))

    def _ends(self, topics: Iterable[Topic]) -> dict[TopicPartition, int]:
        return {TopicPartition(t.name, p): n for t in topics for p, n in self._bus.end_offsets(t).items()}

    def _consumer(self, topics: tuple[Topic, ...], closing: ExitStack) -> Consumer:
        """A consumer that goes on where the feed was, or begins at the beginning or the last seconds."""
        made: list[Consumer] = []
        recent = {} if STREAMS in topics else self._ends(topics)

        def assigned(partitions: frozenset[TopicPartition]) -> None:
            for partition in partitions:
                if partition in self._next:
                    made[0].seek(partition, self._next[partition])
                elif partition in recent:
                    made[0].seek(partition, max(0, recent[partition] - _BACKFILL_RECORDS))

        made.append(self._bus.consumer(topics, start="earliest", on_assigned=assigned))
        closing.callback(made[0].close)
        return made[0]

    def _hand(self, records: list[Record], backlog: Mapping[TopicPartition, int]) -> None:
        """Decode and hand over; of what stands before `backlog`, only the last seconds."""
        if not records:
            return
        oldest = self._clock.now() - BACKFILL_S
        arrivals = []
        for record in records:
            partition = TopicPartition(record.topic, record.partition)
            self._next[partition] = record.offset + 1
            if record.time < oldest and record.offset < backlog.get(partition, 0):
                continue
            try:
                message = None if record.value is None else codec.decode(record.value)
            except RejectError as why:
                # Quarantine is the stages' duty: they read the same bytes.
                self.rejected += 1
                log.warning("rejected", role="dashboard", topic=record.topic, reason=str(why))
                if record.topic in (STREAMS.name, NETWORK.name):
                    continue
                message = None
            arrivals.append(Arrival(record.topic, record.key, record.offset, message))
        self._call(lambda: self._hub.apply(arrivals, self._clock.now()))

    def _tell(self, feed_ok: bool) -> None:
        def tell() -> None:
            self._hub.feed_ok = feed_ok

        self._call(tell)

    def _call(self, work: Callable[[], None]) -> None:
        """Run `work` on the hub's loop and wait for it."""
        done: Future[None] = Future()

        def run() -> None:
            try:
                work()
            except BaseException as why:
                done.set_exception(why)
            else:
                done.set_result(None)

        assert self._loop is not None
        self._loop.call_soon_threadsafe(run)
        while not self._stop.is_set():
            with suppress(TimeoutError):
                done.result(timeout=0.2)
                return


def _reached(consumer: Consumer, ends: Mapping[TopicPartition, int]) -> bool:
    owned = consumer.assignment()
    return all(p in owned and consumer.position(p) >= end for p, end in ends.items())
