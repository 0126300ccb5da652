"""The alerts role on a real local bus: what it reads on taking over, and what it says once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from alerts.condition_stage import ConditionStage
from leadwire import codec
from leadwire.bus import Record, TopicPartition, partition_of
from leadwire.bus.local import LocalBus
from leadwire.clock import ManualClock
from leadwire.errors import MessageRejected
from leadwire.messages import Message
from leadwire.model import Alert, Evidence, HeartRate, LinkEvent, RhythmEpisode, StreamInfo
from leadwire.runner import Outgoing
from leadwire.topics import ALERTS, COMMANDS, EVENTS, STREAMS, TOPICS

EVERYTHING = frozenset(TopicPartition(EVENTS.name, n) for n in range(EVENTS.partitions))


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[LocalBus]:
    bus = LocalBus(str(tmp_path / "bus"))
    bus.create_topics(TOPICS.values())
    yield bus
    bus.close()


def owner(bus: LocalBus, clock: ManualClock) -> ConditionStage:
    stage = ConditionStage(bus, clock)
    stage.assigned(EVERYTHING)
    return stage


def asystole(stream: str, end: int | None = None) -> RhythmEpisode:
    evidence = Evidence(rule="no_qrs", value=4.0, threshold=4.0, unit="s")
    return RhythmEpisode(stream=stream, kind="asystole", onset=500, detected=1500, end=end, evidence=evidence)


def tell(stage: ConditionStage, event: Message, stream: str, clock: ManualClock) -> list[Alert]:
    number = partition_of(stream, EVENTS.partitions)
    record = Record(EVENTS.name, number, 0, stream, codec.encode(event), clock.now())
    return said(stage.process(record, clock.now()))


def said(out: object) -> list[Alert]:
    assert isinstance(out, list)
    assert all(isinstance(o, Outgoing) for o in out)
    assert [(o.topic, o.value) for o in out[::2]] == [(ALERTS, o.value) for o in out[1::2]]
    assert [o.topic for o in out[1::2]] == [COMMANDS] * (len(out) // 2)
    return [codec.decode_as(o.value, Alert) for o in out[::2]]


def publish(bus: LocalBus, *alerts: Alert) -> None:
    producer = bus.producer()
    for alert in alerts:
        producer.publish(ALERTS, alert.stream, codec.encode(alert))
    producer.flush()


def info(stream: str, ended: float | None = None) -> StreamInfo:
    return StreamInfo(
        stream=stream,
        device="d",
        clinic="c",
        bed="1",
        fs=250.0,
        sig_name=("II",),
        units=("mV",),
        started=1.0,
        ended=ended,
    )


def test_a_new_owner_knows_what_was_announced_and_ends_it(bus: LocalBus) -> None:
    clock = ManualClock()
    raised = tell(owner(bus, clock), asystole("a.1"), "a.1", clock)
    publish(bus, *raised)
    after = owner(bus, clock)
    assert tell(after, asystole("a.1"), "a.1", clock) == []
    (ended,) = tell(after, asystole("a.1", end=3000), "a.1", clock)
    assert (ended.id, ended.version, ended.state) == (raised[0].id, 2, "ended")


def test_a_new_owner_watches_running_streams_that_never_speak_again_but_not_ended_ones(bus: LocalBus) -> None:
    clock = ManualClock()
    producer = bus.producer()
    for message in (info("gone.1"), info("over.1", ended=5.0)):
        producer.publish(STREAMS, message.stream, codec.encode(message))
    producer.flush()
    stage = owner(bus, clock)
    assert said(stage.idle(clock.now())) == []
    clock.advance(11)
    assert [(a.stream, a.kind) for a in said(stage.idle(clock.now()))] == [("gone.1", "no_data")]


def test_partitions_given_away_are_no_longer_watched(bus: LocalBus) -> None:
    clock = ManualClock()
    stage = owner(bus, clock)
    tell(stage, HeartRate(stream="a.1", sample=250, rate=70.0), "a.1", clock)
    stage.revoked(EVERYTHING)
    clock.advance(60)
    assert said(stage.idle(clock.now())) == []


def test_what_is_no_event_is_rejected(bus: LocalBus) -> None:
    clock = ManualClock()
    stage = owner(bus, clock)
    with pytest.raises(MessageRejected, match="StreamInfo came"):
        tell(stage, info("a.1"), "a.1", clock)
    with pytest.raises(MessageRejected):
        list(stage.process(Record(EVENTS.name, 0, 0, "a.1", b"rubbish", 0.0), 0.0))
    assert tell(stage, LinkEvent(stream="a.1", kind="connected", sample=0, time=1.0), "a.1", clock) == []
