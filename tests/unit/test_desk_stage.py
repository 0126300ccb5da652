"""The desk on a real local bus: what it reads on taking over, whose time it follows, what it writes where."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from alerts.desk_stage import DeskStage
from alerts.engine import KEEP_CLOSED_S
from leadwire import codec
from leadwire.bus import Record, TopicPartition
from leadwire.bus.compacted import read_compacted
from leadwire.bus.local import LocalBus
from leadwire.case import Command, RegisterEntry
from leadwire.clock import ManualClock
from leadwire.errors import BugError, MessageRejected
from leadwire.messages import Message
from leadwire.model import State, StreamInfo
from leadwire.network import Clinic, to_item
from leadwire.runner import Outgoing
from leadwire.topics import COMMANDS, DESK, NETWORK, REGISTER, TOPICS
from tests.timeline.world import T0, alert, people, shifts

OWNED = frozenset({TopicPartition(COMMANDS.name, 0)})


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[LocalBus]:
    bus = LocalBus(str(tmp_path / "bus"))
    bus.create_topics(TOPICS.values())
    producer = bus.producer()
    for item in [*people(), *shifts(weeks=1)]:
        fact = to_item(item, key="seed", at=T0)
        producer.publish(NETWORK, f"{fact.kind}/{fact.id}", codec.encode(fact))
    producer.flush()
    yield bus
    bus.close()


class Desk:
    """A `DeskStage` whose output is published as a runner would."""

    def __init__(self, bus: LocalBus, clock: ManualClock) -> None:
        self.bus, self.clock = bus, clock
        self.stage = DeskStage(bus, clock)
        self.stage.assigned(OWNED)

    def tell(self, message: Message) -> list[RegisterEntry]:
        record = Record(COMMANDS.name, 0, 0, "key", codec.encode(message), self.clock.now())
        return self.publish(self.stage.process(record, self.clock.now()))

    def idle(self) -> list[RegisterEntry]:
        return self.publish(self.stage.idle(self.clock.now()))

    def wait(self, seconds: float) -> list[RegisterEntry]:
        self.clock.advance(seconds)
        return self.idle()

    def publish(self, out: object) -> list[RegisterEntry]:
        assert isinstance(out, list)
        producer = self.bus.producer()
        for message in out:
            assert isinstance(message, Outgoing)
            producer.publish(message.topic, message.key, message.value)
        producer.close()
        return [codec.decode_as(m.value, RegisterEntry) for m in out if m.topic is REGISTER]


def paged(entries: list[RegisterEntry]) -> list[str]:
    return [
        line.data["user"]
        for entry in entries
        for line in entry.lines
        if (line.line, line.state) == ("page", "requested")
    ]


def command(action: str, by: str, id: str, **data: object) -> Command:
    return Command(id=id, alert=alert("asystole").id, action=action, by=by, at=T0, data=data)


def test_a_new_owner_goes_on_where_the_last_one_was(bus: LocalBus) -> None:
    clock = ManualClock(T0)
    first = Desk(bus, clock)
    assert paged(first.tell(alert("asystole"))) == ["tech", "tech2", "dr_wang", "nurse_li"]
    clock.advance(59)
    second = Desk(bus, clock)
    assert second.idle() == []
    assert paged(second.wait(1)) == ["card"]
    assert second.tell(alert("asystole")) == []


def test_setting_the_wall_clock_neither_fires_a_timer_nor_holds_one_back(bus: LocalBus) -> None:
    clock = ManualClock(T0)
    desk = Desk(bus, clock)
    desk.tell(alert("asystole"))
    clock.step(7200)
    assert desk.wait(59) == []
    clock.step(-20_000)
    assert paged(desk.wait(1)) == ["card"]


def test_after_a_restart_on_a_clock_set_back_no_entry_is_older_than_the_one_before(bus: LocalBus) -> None:
    clock = ManualClock(T0)
    desk = Desk(bus, clock)
    (raised,) = desk.tell(alert("asystole"))
    clock.step(-3600)
    later = Desk(bus, clock)
    assert later.stage.now() == raised.at
    (page,) = later.wait(60)
    assert page.at == raised.at + 60


def test_a_desk_that_was_away_for_long_takes_every_step_that_fell_due(bus: LocalBus) -> None:
    clock = ManualClock(T0)
    Desk(bus, clock).tell(alert("asystole"))
    clock.advance(3600)
    entries = Desk(bus, clock).idle()
    assert [user for user in paged(entries) if user != "dr_wang"] == ["card", "second", "chief", "chief"]
    assert "exhausted" in [line.state for entry in entries for line in entry.lines]


def test_a_fact_of_the_network_is_published_before_its_entry_and_a_refused_wish_is_none(
    bus: LocalBus,
) -> None:
    clock = ManualClock(T0)
    desk = Desk(bus, clock)
    clinic = Clinic(id="N", name="New", tier="village")
    wish = to_item(clinic, key="w1", at=T0, by="admin")
    record = Record(COMMANDS.name, 0, 0, "clinic/N", codec.encode(wish), T0)
    out = list(desk.stage.process(record, T0))
    assert [(m.topic, m.key) for m in out] == [(NETWORK, "clinic/N"), (REGISTER, "w1")]
    child = Clinic(id="M", name="M", tier="village", parent="nowhere")
    (refused,) = desk.tell(to_item(child, key="w2", at=T0, by="admin"))
    assert (refused.cause, refused.lines[0].line, refused.lines[0].state) == ("w2", "refused", "bad_data")


def test_a_thing_taken_out_of_the_network_is_deleted_from_its_topic(bus: LocalBus) -> None:
    desk = Desk(bus, ManualClock(T0))
    wish = to_item(shifts(weeks=1)[0], key="w1", at=T0, by="admin")
    gone = type(wish)(key="w2", kind=wish.kind, id=wish.id, body=None, by="admin", at=T0)
    record = Record(COMMANDS.name, 0, 0, "x", codec.encode(gone), T0)
    fact, entry = desk.stage.process(record, T0)
    assert (fact.topic, fact.key, fact.value) == (NETWORK, f"shift/{wish.id}", None)
    assert codec.decode_as(entry.value or b"", RegisterEntry).lines[0].data["removed"] is True


def test_a_command_given_twice_is_done_once_also_by_another_owner(bus: LocalBus) -> None:
    clock = ManualClock(T0)
    desk = Desk(bus, clock)
    desk.tell(alert("asystole"))
    (accepted,) = desk.tell(command("accept", "tech", "k1"))
    assert accepted.lines[0].state == "accepted"
    assert desk.tell(command("accept", "tech", "k1")) == []
    assert Desk(bus, clock).tell(command("accept", "tech", "k1")) == []


def test_what_was_closed_long_ago_is_not_read_again_and_what_is_open_is(
    bus: LocalBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alerts.desk_stage.MARK_EVERY", 2)
    clock = ManualClock(T0)
    desk = Desk(bus, clock)
    old, new = alert("tachycardia", "B"), alert("asystole", "A", 1.0)
    desk.tell(old)
    for action, data in (("triage", {"verdict": "artefact"}), ("close", {"reason": "seen"})):
        desk.tell(Command(id=action, alert=old.id, action=action, by="tech", at=T0, data=data))
    desk.wait(KEEP_CLOSED_S + 1)
    desk.tell(new)
    desk = Desk(bus, clock)
    assert desk.wait(7200)
    for message in list(desk.stage.checkpoint()):
        assert message.topic is DESK
        desk.publish([message])
    begins = codec.decode_as(read_compacted(bus, DESK)["desk"], State).next_sample
    assert begins == 2  # the place before the last entry of what is forgotten
    after = Desk(bus, clock)
    assert after.stage.engine.case(old.id) is None
    assert after.stage.engine.case(new.id) == desk.stage.engine.case(new.id)
    clock.advance(300)
    entries = after.idle()
    assert "exhausted" in [line.state for entry in entries for line in entry.lines]
    assert after.stage.now() == desk.stage.now()


def test_a_desk_that_runs_for_months_tells_its_successor_where_to_begin(bus: LocalBus) -> None:
    clock = ManualClock(T0)
    desk = Desk(bus, clock)
    old = alert("tachycardia", "B")
    desk.tell(old)
    for action, data in (("triage", {"verdict": "artefact"}), ("close", {"reason": "seen"})):
        desk.tell(Command(id=action, alert=old.id, action=action, by="tech", at=T0, data=data))
    desk.wait(7200)
    assert list(desk.stage.checkpoint()) == []  # may still be opened again
    desk.wait(KEEP_CLOSED_S)
    (message,) = desk.stage.checkpoint()
    assert codec.decode_as(message.value or b"", State).next_sample == 3
    desk.publish([message])
    assert list(Desk(bus, clock).stage.engine.cases()) == []


def test_what_is_neither_alert_command_nor_wish_is_rejected(bus: LocalBus) -> None:
    desk = Desk(bus, ManualClock(T0))
    info = StreamInfo(
        stream="a", device="d", clinic="V", bed="A", fs=250.0, sig_name=("II",), units=("mV",), started=T0
    )
    with pytest.raises(MessageRejected, match="StreamInfo came"):
        desk.tell(info)
    with pytest.raises(MessageRejected):
        desk.stage.process(Record(COMMANDS.name, 0, 0, "k", b"rubbish", T0), T0)


def test_a_desk_without_its_partition_says_nothing_and_refuses_to_be_asked(bus: LocalBus) -> None:
    stage = DeskStage(bus, ManualClock(T0))
    assert stage.idle(T0) == []
    assert stage.checkpoint() == []
    with pytest.raises(BugError):
        stage.process(Record(COMMANDS.name, 0, 0, "k", codec.encode(alert("asystole")), T0), T0)
