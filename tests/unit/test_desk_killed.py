"""The desk in its runner on a real bus, killed after each message it publishes: the register is the same."""

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from alerts.desk_stage import DeskStage
from leadwire import codec
from leadwire.bus import Record
from leadwire.bus.compacted import read_all
from leadwire.bus.local import LocalBus
from leadwire.case import Command, RegisterEntry
from leadwire.clock import ManualClock
from leadwire.messages import Message
from leadwire.network import Clinic, Handover, to_item
from leadwire.runner import Outgoing, Runner
from leadwire.topics import COMMANDS, NETWORK, REGISTER, TOPICS, Topic
from tests.timeline.world import T0, alert, people, shifts


class Killed(BaseException):
    """As if the process had died here."""


class Dying:
    """A bus whose producer dies right after its message number `after`; all else is the bus's own."""

    def __init__(self, bus: LocalBus, after: int | None) -> None:
        self._bus = bus
        self._left = after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    def producer(self) -> Any:
        real, outer = self._bus.producer(), self

        class Producer:
            def publish(self, topic: Topic, key: str, value: bytes | None) -> Any:
                future = real.publish(topic, key, value)
                if outer._left is not None:
                    outer._left -= 1
                    if outer._left == 0:
                        real.flush()
                        raise Killed
                return future

            def __getattr__(self, name: str) -> Any:
                return getattr(real, name)

        return Producer()


class Until(DeskStage):
    """A desk that stops its runner after the last input."""

    def __init__(self, bus: Any, inputs: int, stop: threading.Event) -> None:
        super().__init__(bus, ManualClock(T0))
        self._last, self._stop = inputs - 1, stop
        self._at_end = False

    def process(self, record: Record, now: float) -> Iterable[Outgoing]:
        self._at_end = record.offset == self._last
        return super().process(record, now)

    def idle(self, now: float) -> Iterable[Outgoing]:
        if self._at_end:
            self._stop.set()
        return super().idle(now)


def story() -> list[Message]:
    """A whole case, a hidden one, a refusal, a change of the network and a hand-over, as they come in."""
    case = alert("ventricular_tachycardia")
    steps: list[tuple[str, str, dict[str, Any]]] = [
        ("accept", "tech", {}),
        ("seen", "dr_wang", {}),
        ("close", "tech", {"reason": "too early"}),
        ("confirm", "tech", {"grade": "emergency"}),
        ("attempt", "tech", {"contact": "Wang", "result": "answered"}),
        ("read_back", "tech", {"words": "VT", "by": "Wang"}),
        ("clinic_acknowledge", "dr_wang", {}),
        ("state_action", "dr_wang", {"text": "shock"}),
    ]
    commands = [
        Command(id=f"c{n}", alert=case.id, action=action, by=by, at=T0, data=data)
        for n, (action, by, data) in enumerate(steps)
    ]
    hidden = [alert("no_data", onset=9), alert("no_data", onset=9, version=2, ended=True)]
    takes = Handover(
        id="h", duty="technician", from_user="tech", to_user="tech2", at=T0, read=(case.id, hidden[0].id)
    )
    changes = [
        to_item(Clinic(id="N", name="New", tier="village"), key="n1", at=T0, by="admin"),
        to_item(takes, key="n2", at=T0, by="tech2"),
    ]
    end = [
        Command(id=f"e{n}", alert=case.id, action=action, by="tech2", at=T0, data=data)
        for n, (action, data) in enumerate((("outcome", {"text": "well"}), ("close", {"reason": "done"})))
    ]
    return [case, *commands[:4], *hidden, *commands[4:], *changes, *end]


def desk_run(folder: Path, kill_after: int | None) -> tuple[list[bytes], list[str]]:
    """The register, and the keys published on ecg.network, of a desk killed once, or never."""
    bus = LocalBus(str(folder / "bus"))
    bus.create_topics(TOPICS.values())
    producer = bus.producer()
    for item in [*people(), *shifts(weeks=1)]:
        fact = to_item(item, key="seed", at=T0)
        producer.publish(NETWORK, f"{fact.kind}/{fact.id}", codec.encode(fact))
    inputs = story()
    for message in inputs:
        producer.publish(COMMANDS, "key", codec.encode(message))
    producer.flush()
    before = bus.end_offsets(NETWORK)[0]
    for after in (kill_after, None):
        stop = threading.Event()
        dying: Any = Dying(bus, after)
        try:
            Runner(dying, Until(dying, len(inputs), stop), ManualClock(T0), poll_s=0.01).run(stop)
        except Killed:
            continue
        break
    register = [r.value or b"" for r in read_all(bus, REGISTER)]
    facts = list(dict.fromkeys(r.key for r in read_all(bus, NETWORK, start={0: before})))
    bus.close()
    return register, facts


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[bytes], list[str]]:
    return desk_run(tmp_path_factory.mktemp("alone"), None)


def test_the_story_is_whole(alone: tuple[list[bytes], list[str]]) -> None:
    register, facts = alone
    entries = [codec.decode_as(data, RegisterEntry) for data in register]
    lines = [f"{line.line}/{line.state}" for entry in entries for line in entry.lines]
    assert len(entries) == len(story()) + 5  # hidden, hiding, no longer, hiding none, handed over
    assert "refused/not_triaged" in lines
    assert lines[-1] == "clinical/closed"
    assert facts == ["clinic/N", "handover/h"]


@pytest.mark.parametrize("number", range(1, 23))
def test_killed_after_any_message_it_goes_on_as_if_nothing_had_happened(
    alone: tuple[list[bytes], list[str]], tmp_path: Path, number: int
) -> None:
    assert desk_run(tmp_path, number) == alone
