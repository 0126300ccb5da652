"""The condition line on the bus: ecg.events in; alerts out, for all and, on ecg.commands, for the desk."""

from collections.abc import Iterable

import structlog
from prometheus_client import Counter

from alerts.conditions import ConditionEngine, Decision
from alerts.criteria import Packs
from leadwire import codec
from leadwire.bus import Bus, Record, TopicPartition, partition_of
from leadwire.bus.compacted import read_all, read_compacted
from leadwire.bus.follow import Follower
from leadwire.clock import Clock, SystemClock
from leadwire.errors import MessageRejected
from leadwire.facts import network_fact
from leadwire.model import (
    Alert,
    Beat,
    DeviceStatus,
    HeartRate,
    LinkEvent,
    RhythmEpisode,
    SignalQuality,
    State,
    StreamInfo,
)
from leadwire.runner import Outgoing
from leadwire.topics import ALERTS, COMMANDS, CONDITIONS, EVENTS, NETWORK, STREAMS, Topic

log = structlog.get_logger(__name__)

TRANSITIONS = Counter("leadwire_alert_transitions_total", "Alert transitions", ["kind", "state"])
REFUSED = Counter("leadwire_alerts_refused_total", "Conditions not announced", ["reason"])


class ConditionStage:
    """One `ConditionEngine` per owned partition of ecg.events.

    An engine's memory is ecg.alerts itself: the owner of a partition reads the topic to its end, so it
    knows what was announced and announces nothing twice. What it holds back (delays, ends not announced
    yet) stands on ecg.conditions, in the partition of the same number, never newer than what it
    published of alerts. Streams that were running when the last owner died are on ecg.streams: their
    silence counts from the moment of taking over. ecg.streams and ecg.network are followed.

    Parameters
    ----------
    bus
        Where all these are read.
    clock
        For the time of taking over.
    packs
        Which rules hold for a stream; it learns the network from here.
    """

    name = "conditions"
    topics: tuple[Topic, ...] = (EVENTS,)
    commit_every_s = 1.0

    def __init__(self, bus: Bus, clock: Clock | None = None, packs: Packs | None = None) -> None:
        self._bus = bus
        self._clock = clock or SystemClock()
        self._packs = packs or Packs()
        self._engines: dict[int, ConditionEngine] = {}
        self._streams: dict[str, StreamInfo] = {}
        self._follower: Follower | None = None

    def assigned(self, partitions: frozenset[TopicPartition]) -> None:
        numbers = {p.partition for p in partitions}
        if self._follower is None:
            self._packs.anew()
            self._follower = Follower(self._bus, (STREAMS, NETWORK), self._learn)
        self._engines |= {n: ConditionEngine(self._packs.of) for n in numbers}
        for record in read_all(self._bus, ALERTS):
            if record.value is not None and (n := _partition(record.key)) in numbers:
                self._engines[n].rebuild([codec.decode_as(record.value, Alert)])
        for stream, value in read_compacted(self._bus, CONDITIONS, numbers).items():
            self._restore(stream, value)
        now = self._clock.now()
        for stream, info in self._streams.items():
            if (n := _partition(stream)) in numbers:
                self._engines[n].on_stream(info)
                if info.ended is None:
                    self._engines[n].expect(stream, now)

    def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        for partition in partitions:
            del self._engines[partition.partition]
        if not self._engines and self._follower is not None:
            self._follower.close()
            self._follower = None

    def process(self, record: Record, now: float) -> Iterable[Outgoing]:
        event = codec.decode(record.value or b"")
        if not isinstance(event, Beat | HeartRate | SignalQuality | RhythmEpisode | LinkEvent | DeviceStatus):
            raise MessageRejected(f"a {type(event).__name__} came; an event of a stream was expected")
        engine = self._engines[record.partition]
        if self._follower is not None and not engine.knows(event.stream):
            self._follower.poll()  # it was published before its first event, on another topic
        return _out(engine.on_event(event, now))

    def idle(self, now: float) -> Iterable[Outgoing]:
        if self._follower is not None:
            self._follower.poll()
        return [out for engine in self._engines.values() for out in _out(engine.on_time(now))]

    def checkpoint(self) -> Iterable[Outgoing]:
        for engine in self._engines.values():
            engine.forget(self._clock.now())
            for stream, sample, snapshot in engine.changed():
                value = None
                if snapshot is not None:
                    state = State(stream=stream, stage=self.name, next_sample=sample, snapshot=snapshot)
                    value = codec.encode(state)
                yield Outgoing(CONDITIONS, stream, value)

    def _restore(self, stream: str, value: bytes) -> None:
        try:
            state = codec.decode_as(value, State)
            self._engines[_partition(stream)].restore(stream, state.snapshot)
        except MessageRejected as why:  # what was announced is known all the same
            log.warning("what was held back is lost", stream=stream, why=str(why))

    def _learn(self, record: Record) -> None:
        try:
            if record.topic == NETWORK.name:
                self._packs.learn(network_fact(record))
            elif record.value is not None:
                info = codec.decode_as(record.value, StreamInfo)
                self._streams[info.stream] = info
                engine = self._engines.get(_partition(info.stream))
                if engine is not None:
                    engine.on_stream(info)
            else:
                self._streams.pop(record.key, None)
        except (MessageRejected, ValueError) as why:
            log.warning("passed over", topic=record.topic, offset=record.offset, why=str(why))


def _partition(stream: str) -> int:
    return partition_of(stream, EVENTS.partitions)


def _out(decision: Decision) -> list[Outgoing]:
    for refusal in decision.refusals:
        REFUSED.labels(refusal.reason).inc()
        log.info("not announced", id=refusal.id, reason=refusal.reason, detail=refusal.detail)
    for alert in decision.alerts:
        TRANSITIONS.labels(alert.kind, alert.state).inc()
        log.info("alert", id=alert.id, state=alert.state, priority=alert.priority, late=alert.late)
    return [out for alert in decision.alerts for out in _published(alert)]


def _published(alert: Alert) -> tuple[Outgoing, Outgoing]:
    """For all on ecg.alerts; for the desk on ecg.commands, where it stands in one order with all commands."""
    value = codec.encode(alert)
    return Outgoing(ALERTS, alert.stream, value), Outgoing(COMMANDS, alert.id, value)
