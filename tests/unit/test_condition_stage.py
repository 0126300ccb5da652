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
from leadwire.model import (
    Alert,
    DeviceStatus,
    Evidence,
    HeartRate,
    LinkEvent,
    RhythmEpisode,
    State,
    StreamInfo,
)
from leadwire.network import Clinic, Criteria, Item, to_item
from leadwire.runner import Outgoing
from leadwire.topics import ALERTS, COMMANDS, CONDITIONS, EVENTS, NETWORK, STREAMS, TOPICS

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


def second(stream: str, at: int, rate: float = 75.0) -> HeartRate:
    return HeartRate(stream=stream, sample=250 * at, rate=rate)


def low_battery(stream: str, at: int) -> DeviceStatus:
    return DeviceStatus(stream=stream, sample=250 * at, time=1.0, battery=5.0)


def keep(bus: LocalBus, stage: ConditionStage) -> None:
    """What the runner does at a commit."""
    producer = bus.producer()
    for out in stage.checkpoint():
        producer.publish(out.topic, out.key, out.value)
    producer.flush()


def introduce(bus: LocalBus, message: StreamInfo) -> None:
    producer = bus.producer()
    producer.publish(STREAMS, message.stream, codec.encode(message))
    producer.flush()


def rule_for(bus: LocalBus, key: str, item: Item | None) -> None:
    value = None if item is None else codec.encode(to_item(item, key="k", at=1.0))
    producer = bus.producer()
    producer.publish(NETWORK, key, value)
    producer.flush()


def test_an_alert_names_the_bed_of_a_stream_that_began_a_moment_ago(bus: LocalBus) -> None:
    clock = ManualClock()
    stage = owner(bus, clock)
    introduce(bus, info("a.1"))
    tell(stage, second("a.1", 1), "a.1", clock)
    (alert,) = tell(stage, asystole("a.1"), "a.1", clock)
    assert (alert.clinic, alert.bed, alert.device) == ("c", "1", "d")


def test_what_is_held_back_is_known_to_the_next_owner(bus: LocalBus) -> None:
    clock = ManualClock()
    introduce(bus, info("a.1"))
    slow = Clinic(id="c", name="c", tier="village", pack="ambulatory")
    rule_for(bus, "clinic/c", slow)
    stage = owner(bus, clock)
    tell(stage, second("a.1", 10), "a.1", clock)
    evidence = Evidence(rule="lead_off", value=1.0, threshold=1.0, unit="s")
    off = RhythmEpisode(stream="a.1", kind="lead_off", onset=2500, detected=2749, evidence=evidence)
    assert tell(stage, off, "a.1", clock) == []  # announced after 30 s
    keep(bus, stage)
    after = owner(bus, clock)
    assert tell(after, second("a.1", 39), "a.1", clock) == []
    (alert,) = tell(after, second("a.1", 40), "a.1", clock)
    assert (alert.kind, alert.onset, alert.rule.pack) == ("lead_off", 2500, "ambulatory 1")


def test_criteria_hold_as_soon_as_they_are_facts_and_no_longer_when_they_are_taken_back(
    bus: LocalBus,
) -> None:
    clock = ManualClock()
    introduce(bus, info("a.1"))
    stage = owner(bus, clock)
    off = Criteria(
        id="x", scope="clinic", target="c", rules={"battery_low": {"off": True}}, author="l", at=1.0
    )
    rule_for(bus, "criteria/x", off)
    said(stage.idle(clock.now()))
    assert tell(stage, low_battery("a.1", 1), "a.1", clock) == []
    rule_for(bus, "criteria/x", None)
    said(stage.idle(clock.now()))
    (alert,) = tell(stage, second("a.1", 2), "a.1", clock)
    assert alert.kind == "battery_low"


def test_a_damaged_snapshot_costs_only_what_was_held_back(bus: LocalBus) -> None:
    clock = ManualClock()
    raised = tell(owner(bus, clock), asystole("a.1"), "a.1", clock)
    publish(bus, *raised)
    state = State(stream="a.1", stage="conditions", next_sample=1, snapshot=b"rubbish")
    producer = bus.producer()
    producer.publish(CONDITIONS, "a.1", codec.encode(state))
    producer.publish(CONDITIONS, "b.1", b"rubbish")
    producer.flush()
    (ended,) = tell(owner(bus, clock), asystole("a.1", end=3000), "a.1", clock)
    assert (ended.id, ended.state) == (raised[0].id, "ended")
