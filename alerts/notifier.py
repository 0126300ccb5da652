"""The notifier on the bus: ecg.register in, messages to people out, receipts to ecg.commands. A shell.

Each message is handed over in a thread of its own, so that a slow gateway holds up nobody. What is due,
and what becomes of it, `paging.py` decides. Killed at any moment it does again what has no receipt yet: a
message may come twice, and is never missed.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, tzinfo
from queue import Empty, SimpleQueue

import msgspec
import structlog
from prometheus_client import Counter, Gauge, Histogram

from alerts.channels.port import Channel
from alerts.outbox import OutboxLimits
from alerts.paging import Job, Paging, Step
from leadwire import codec
from leadwire.bus import Bus, Record, TopicPartition
from leadwire.bus.compacted import read_all
from leadwire.bus.follow import Follower
from leadwire.case import RegisterEntry
from leadwire.clock import Clock, SteadyClock, SystemClock
from leadwire.errors import GatewayUnavailable, MessageRejected, RejectError
from leadwire.facts import network_fact
from leadwire.network import Network
from leadwire.runner import Outgoing
from leadwire.topics import COMMANDS, NETWORK, REGISTER, Topic

log = structlog.get_logger(__name__)

SENT = Counter("leadwire_messages_sent_total", "Messages that a gateway took", ["channel"])
TRIED_AGAIN = Counter("leadwire_messages_retried_total", "Attempts that a gateway did not take", ["channel"])
UNSENT = Counter("leadwire_messages_unsent_total", "Messages not sent (or only in a summary)", ["reason"])
WAITING = Gauge("leadwire_messages_waiting", "Messages still to be sent")
TOOK = Histogram(
    "leadwire_message_seconds",
    "From the attempt to the gateway's word",
    ["channel"],
    buckets=(0.1, 0.3, 1, 3, 10, 30, 100),
)

_Outcome = Callable[[Paging, float], Step]


class NotifierStage:
    """Hands messages to channels.

    Parameters
    ----------
    bus
        Where ecg.network and, on assignment, the whole register are read.
    channels
        By name.
    public_url
        For links; empty: none.
    clock, zone
        The time, and the zone of the times that people read.
    """

    name = "notifier"
    topics: tuple[Topic, ...] = (REGISTER,)
    commit_every_s = 1.0

    def __init__(
        self,
        bus: Bus,
        channels: Mapping[str, Channel],
        public_url: str = "",
        limits: OutboxLimits | None = None,
        clock: Clock | None = None,
        zone: tzinfo = UTC,
    ) -> None:
        self._bus = bus
        self._channels = channels
        self._url = public_url
        self._limits = limits
        self._clock = clock or SystemClock()
        self._zone = zone
        self._follower: Follower | None = None
        self._paging: Paging | None = None

    def assigned(self, partitions: frozenset[TopicPartition]) -> None:
        self._steady = SteadyClock(self._clock)
        self._network = Network()
        # Whoever was under way for an earlier owner reports to nobody: its message is sent again.
        self._outcomes: SimpleQueue[_Outcome] = SimpleQueue()
        self._follower = Follower(self._bus, (NETWORK,), self._learn)
        paging = Paging(self._channels, self._network, self._limits, self._url, self._zone)
        self._read_to = 0
        for record in read_all(self._bus, REGISTER):
            try:
                _follow(paging, _entry(record))
            except RejectError as why:  # it was quarantined when it came
                log.warning("passed over", offset=record.offset, why=str(why))
            self._read_to = record.offset + 1
        self._paging = paging

    def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        self._paging = None
        if self._follower is not None:
            self._follower.close()
            self._follower = None

    def process(self, record: Record, now: float) -> Iterable[Outgoing]:
        if self._paging is None or record.offset < self._read_to:
            return []
        entry = _entry(record)
        self._read_to = record.offset + 1
        _count(_follow(self._paging, entry))
        return []

    def idle(self, now: float) -> Iterable[Outgoing]:
        if self._paging is None or self._follower is None:
            return []
        self._follower.poll()
        now = self._steady.now()
        steps = [outcome(self._paging, now) for outcome in self._heard()]
        steps.append(self._paging.on_time(now))
        for step in steps:
            _count(step)
            for job in step.jobs:
                threading.Thread(
                    target=self._hand_over,
                    args=(job, self._outcomes),
                    name=f"send {job.channel}",
                    daemon=True,
                ).start()
        WAITING.set(self._paging.waiting)
        return [Outgoing(COMMANDS, r.alert, codec.encode(r)) for step in steps for r in step.receipts]

    def checkpoint(self) -> Iterable[Outgoing]:
        return []

    def _learn(self, record: Record) -> None:
        try:
            self._network.apply(network_fact(record))
        except (RejectError, ValueError) as why:
            log.warning("passed over", topic=NETWORK.name, offset=record.offset, why=str(why))

    def _heard(self) -> Iterable[_Outcome]:
        while True:
            try:
                yield self._outcomes.get_nowait()
            except Empty:
                return

    def _hand_over(self, job: Job, outcomes: "SimpleQueue[_Outcome]") -> None:
        """In a thread of its own: whatever happens in a channel, something is reported."""
        started = self._clock.monotonic()
        page = job.page
        try:
            sent = self._channels[job.channel].send(page, self._clock.now())
        except GatewayUnavailable as error:
            why, after_s = str(error), error.after_s
            TRIED_AGAIN.labels(job.channel).inc()
            log.warning("not taken", page=page.id, channel=job.channel, why=why, attempt=job.dispatch.attempt)
            outcomes.put(lambda paging, now: paging.on_failed(job, why, now, after_s))
        except RejectError as error:
            why = str(error)
            outcomes.put(lambda paging, now: paging.on_rejected(job, why, now))
        except Exception as error:
            # A library's message may quote the address, and an address may be a secret: its type must do.
            why = f"{type(error).__name__} in the channel"
            TRIED_AGAIN.labels(job.channel).inc()
            log.error("a channel failed", page=page.id, channel=job.channel, why=why)
            outcomes.put(lambda paging, now: paging.on_failed(job, why, now))
        else:
            TOOK.labels(job.channel).observe(self._clock.monotonic() - started)
            SENT.labels(job.channel).inc()
            log.info("sent", page=page.id, channel=job.channel, state=sent.state, pages=len(page.alerts))
            outcomes.put(lambda paging, now: paging.on_sent(job, sent, now))


def _entry(record: Record) -> RegisterEntry:
    return codec.decode_as(record.value or b"", RegisterEntry)


def _follow(paging: Paging, entry: RegisterEntry) -> Step:
    """Let `paging` take `entry`; what cannot be a page or a condition is refused as a message is."""
    try:
        return Step(unsent=paging.on_entry(entry))
    except (msgspec.ValidationError, TypeError, KeyError) as why:
        raise MessageRejected(f"an entry with a line of another shape came: {type(why).__name__}") from None


def _count(step: Step) -> None:
    for unsent in step.unsent:
        UNSENT.labels(unsent.reason).inc()
        told = {"page": unsent.delivery.page, "channel": unsent.delivery.channel, "detail": unsent.detail}
        log.warning("not sent", reason=unsent.reason, **told)
    for held in step.held:
        UNSENT.labels("storm_limited").inc()
        log.info("held back", page=held.page, channel=held.channel, reason="storm_limited")
