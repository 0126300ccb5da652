"""The condition line on the bus: ecg.events in; alerts out, for all and, on ecg.commands, for the desk."""

from collections.abc import Iterable

import structlog
from prometheus_client import Counter

from alerts.conditions import ConditionEngine, Decision
from leadwire import codec
from leadwire.bus import Bus, Record, TopicPartition, partition_of
from leadwire.bus.compacted import read_all, read_compacted
from leadwire.clock import Clock, SystemClock
from leadwire.errors import MessageRejected
from leadwire.model import (
    Alert,
    Beat,
    DeviceStatus,
    HeartRate,
    LinkEvent,
    RhythmEpisode,
    SignalQuality,
    StreamInfo,
)
from leadwire.runner import Outgoing
from leadwire.topics import ALERTS, COMMANDS, EVENTS, STREAMS, Topic

log = structlog.get_logger(__name__)

TRANSITIONS = Counter("leadwire_alert_transitions_total", "Alert transitions", ["kind", "state"])
REFUSED = Counter("leadwire_alerts_refused_total", "Conditions not announced", ["reason"])


class ConditionStage:
    """One `ConditionEngine` per owned partition of ecg.events.

    An engine's memory is ecg.alerts itself: the owner of a partition reads the topic to its end,
    so it knows what was announced and announces nothing twice. Streams that were running when the
    last owner died are on ecg.streams: their silence counts from the moment of taking over.

    Parameters
    ----------
    bus
        Where ecg.alerts and ecg.streams are read on assignment.
    clock
        For the time of taking over.
    """

    name = "alerts"
    topics: tuple[Topic, ...] = (EVENTS,)
    commit_every_s = 1.0

    def __init__(self, bus: Bus, clock: Clock | None = None) -> None:
        self._bus = bus
        self._clock = clock or SystemClock()
        self._engines: dict[int, ConditionEngine] = {}

    def assigned(self, partitions: frozenset[TopicPartition]) -> None:
        numbers = {p.partition for p in partitions}
        self._engines |= {n: ConditionEngine() for n in numbers}
        for record in read_all(self._bus, ALERTS):
            if record.value is not None and (n := _partition(record.key)) in numbers:
                self._engines[n].rebuild([codec.decode_as(record.value, Alert)])
        now = self._clock.now()
        for stream, value in read_compacted(self._bus, STREAMS).items():
            if (n := _partition(stream)) in numbers and codec.decode_as(value, StreamInfo).ended is None:
                self._engines[n].expect(stream, now)

    def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        for partition in partitions:
            del self._engines[partition.partition]

    def process(self, record: Record, now: float) -> Iterable[Outgoing]:
        event = codec.decode(record.value or b"")
        if not isinstance(event, Beat | HeartRate | SignalQuality | RhythmEpisode | LinkEvent | DeviceStatus):
            raise MessageRejected(f"a {type(event).__name__} came; an event of a stream was expected")
        return _out(self._engines[record.partition].on_event(event, now))

    def idle(self, now: float) -> Iterable[Outgoing]:
        return [out for engine in self._engines.values() for out in _out(engine.on_time(now))]

    def checkpoint(self) -> Iterable[Outgoing]:
        for engine in self._engines.values():
            engine.forget(self._clock.now())
        return []


def _partition(stream: str) -> int:
    return partition_of(stream, EVENTS.partitions)


def _out(decision: Decision) -> list[Outgoing]:
    for refusal in decision.refusals:
        REFUSED.labels(refusal.reason).inc()
        log.info("not announced", id=refusal.id, reason=refusal.reason, detail=refusal.detail)
    for alert in decision.alerts:
        TRANSITIONS.labels(alert.kind, alert.state).inc()
        log.info("alert", id=alert.id, state=alert.state, priority=alert.priority)
    return [out for alert in decision.alerts for out in _published(alert)]


def _published(alert: Alert) -> tuple[Outgoing, Outgoing]:
    """For all on ecg.alerts; for the desk on ecg.commands, where it stands in one order with all commands."""
    value = codec.encode(alert)
    return Outgoing(ALERTS, alert.stream, value), Outgoing(COMMANDS, alert.id, value)
