"""The loop that every role runs in: nothing is committed that is not done, nothing done is lost."""

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

import leadwire.runner
from leadwire import codec
from leadwire.bus import Bus, Record, TopicPartition
from leadwire.bus.local import LocalBus
from leadwire.errors import ArchiveUnavailable, BusUnavailable, MessageRejected
from leadwire.model import Quarantined
from leadwire.runner import Outgoing, Runner
from leadwire.topics import QUARANTINE, Topic
from tests.unit.bus_trouble import LossyBus, evict_everybody

SOURCE = Topic("source", "key", 2, None, False, 1 << 20)
TARGET = Topic("target", "key", 2, None, False, 1000)
STATES = Topic("states", "key", 2, None, True, 1000)
PATIENCE_S = 20.0


class Echo:
    """Publishes what it gets; notes everything that is asked of it. `hook` may raise or add."""

    commit_every_s = 0.02

    def __init__(self, hook: Callable[[Record], Iterable[Outgoing]] = lambda record: ()) -> None:
        self.name = "echo"
        self.topics = (SOURCE,)
        self.hook = hook
        self.said: list[str] = []
        self.idle_hook: Callable[[], None] = lambda: None
        self.checkpoint_hook: Callable[[], Iterable[Outgoing]] = lambda: ()

    def assigned(self, partitions: frozenset[TopicPartition]) -> None:
        self.said.append(f"assigned {len(partitions)}")

    def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        self.said.append(f"revoked {len(partitions)}")

    def process(self, record: Record, now: float) -> Iterable[Outgoing]:
        self.said.append((record.value or b"").decode())
        yield Outgoing(TARGET, record.key, record.value)
        yield from self.hook(record)

    def idle(self, now: float) -> Iterable[Outgoing]:
        self.idle_hook()
        return ()

    def checkpoint(self) -> Iterable[Outgoing]:
        self.said.append("checkpoint")
        return self.checkpoint_hook()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leadwire.runner, "MIN_BACKOFF_S", 0.01)
    monkeypatch.setattr(leadwire.runner, "MAX_BACKOFF_S", 0.02)


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[LocalBus]:
    bus = LocalBus(tmp_path / "bus", linger_s=0)
    bus.create_topics([SOURCE, TARGET, STATES, QUARANTINE])
    yield bus
    bus.close()


def feed(bus: Bus, *values: str, key: str = "k") -> None:
    producer = bus.producer()
    for value in values:
        producer.publish(SOURCE, key, value.encode())
    producer.flush()


def run_until(bus: Bus, stage: Echo, done: Callable[[], bool]) -> None:
    """Run the stage until `done`, asked when it is idle."""
    stop = threading.Event()

    def look() -> None:
        if done():
            stop.set()

    stage.idle_hook = look
    guard = threading.Timer(PATIENCE_S, stop.set)
    guard.start()
    try:
        Runner(bus, stage, poll_s=0.02).run(stop)
    finally:
        in_time = guard.is_alive()
        guard.cancel()
    assert in_time, "waited in vain"


def everything(bus: Bus, topic: Topic) -> list[str]:
    consumer = bus.consumer([topic])
    values = []
    while records := consumer.poll(0.02):
        values += [(r.value or b"").decode(errors="replace") for r in records]
    consumer.close()
    return values


def committed(bus: Bus) -> int:
    """How many messages of SOURCE the group has behind it."""
    consumer = bus.consumer([SOURCE], "echo")
    at = [consumer.committed(TopicPartition("source", n)) or 0 for n in range(2)]
    consumer.close()
    return sum(at)


def metric(name: str) -> float:
    return REGISTRY.get_sample_value(f"leadwire_stage_{name}", {"stage": "echo"}) or 0.0


def test_what_is_processed_is_published_and_committed(bus: LocalBus) -> None:
    stage = Echo()
    before = metric("processed_total")
    feed(bus, *map(str, range(50)))
    run_until(bus, stage, lambda: "49" in stage.said)
    assert everything(bus, TARGET) == [str(n) for n in range(50)]
    assert committed(bus) == 50
    assert stage.said[0] == "assigned 2"
    assert stage.said[-1] == "revoked 2"
    assert metric("processed_total") - before == 50


def test_stopping_checkpoints_and_commits_what_was_done_and_no_more(bus: LocalBus) -> None:
    stop = threading.Event()
    stage = Echo(lambda record: stop.set() or () if record.value == b"5" else ())
    stage.commit_every_s = 1000
    feed(bus, *map(str, range(10)))
    Runner(bus, stage, poll_s=0.02).run(stop)
    assert "checkpoint" in stage.said
    assert "6" not in stage.said
    assert committed(bus) == 6
    stage = Echo()
    run_until(bus, stage, lambda: "9" in stage.said)
    assert everything(bus, TARGET) == [str(n) for n in range(10)]


def test_a_refused_message_is_quarantined_with_its_reason_and_nothing_of_it_is_published(
    bus: LocalBus,
) -> None:
    def refuse(record: Record) -> Iterable[Outgoing]:
        if record.value == b"1":
            raise MessageRejected("1 came; another number was expected")
        if record.value == b"2":
            return [Outgoing(TARGET, "k", bytes(1001))]
        return ()

    stage = Echo(refuse)
    before = metric("quarantined_total")
    feed(bus, "0", "1", "2", "3")
    run_until(bus, stage, lambda: "3" in stage.said)
    assert everything(bus, TARGET) == ["0", "3"]
    assert committed(bus) == 4
    assert metric("quarantined_total") - before == 2
    consumer = bus.consumer([QUARANTINE])
    refused = [codec.decode_as(r.value or b"", Quarantined) for r in consumer.poll(1)]
    consumer.close()
    assert [(q.data, q.truncated) for q in refused] == [(b"1", False), (b"2", False)]
    assert refused[0].reason == "1 came; another number was expected"
    assert refused[0].source.startswith("echo source/")
    assert "1001 bytes came for target" in refused[1].reason


def test_a_refused_message_of_any_size_fits_into_quarantine(bus: LocalBus) -> None:
    def refuse(record: Record) -> Iterable[Outgoing]:
        raise MessageRejected("x" * 5000)

    stage = Echo(refuse)
    feed(bus, "9" * (1 << 20))
    run_until(bus, stage, lambda: bool(everything(bus, QUARANTINE)))
    consumer = bus.consumer([QUARANTINE])
    (refused,) = (codec.decode_as(r.value or b"", Quarantined) for r in consumer.poll(1))
    consumer.close()
    assert refused.truncated
    assert len(refused.data) > 1_000_000
    assert len(refused.reason) == 1024


def test_trouble_takes_the_stage_back_to_its_last_commit(bus: LocalBus) -> None:
    troubles = 3
    before = metric("retries_total")

    def trouble(record: Record) -> Iterable[Outgoing]:
        nonlocal troubles
        if record.value == b"7" and troubles:
            troubles -= 1
            raise ArchiveUnavailable("the archive is away")
        return ()

    stage = Echo(trouble)
    stage.commit_every_s = 1000
    feed(bus, *map(str, range(10)))
    run_until(bus, stage, lambda: "9" in stage.said)
    once = [str(n) for n in range(8)]
    assert [s for s in stage.said if s.isdigit()] == once * 3 + [str(n) for n in range(10)]
    # State was dropped and loaded anew each time.
    assert [s for s in stage.said if not s.isdigit()] == [
        *["assigned 2", "revoked 2"] * 3,
        "assigned 2",
        "checkpoint",
        "checkpoint",
        "revoked 2",
    ]
    assert metric("retries_total") - before == 3


def test_trouble_waits_longer_each_time_until_a_commit(
    bus: LocalBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leadwire.runner, "MIN_BACKOFF_S", 1.0)
    monkeypatch.setattr(leadwire.runner, "MAX_BACKOFF_S", 5.0)
    waits: list[float] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0.0)
            return False

    stop = Stop()
    troubles = 0

    def trouble(record: Record) -> Iterable[Outgoing]:
        nonlocal troubles
        troubles += 1
        if record.value == b"first" and troubles <= 5:
            raise BusUnavailable("away")
        if record.value == b"second":
            stop.set() if troubles > 8 else None
            raise BusUnavailable("away again")
        return ()

    stage = Echo(trouble)
    stage.commit_every_s = 0
    feed(bus, "first")
    feeder = threading.Event()

    def then() -> None:
        if committed_once() and not feeder.is_set():
            feeder.set()
            feed(bus, "second")

    def committed_once() -> bool:
        return "checkpoint" in stage.said

    stage.idle_hook = then
    Runner(bus, stage, poll_s=0.01).run(stop)
    assert waits[:6] == [1.0, 2.0, 4.0, 5.0, 5.0, 1.0]


def test_a_message_that_could_not_be_published_is_never_committed_over(bus: LocalBus) -> None:
    lost = 2

    def fails(value: bytes | None) -> bool:
        nonlocal lost
        if value == b"4" and lost:
            lost -= 1
            return True
        return False

    stage = Echo()
    feed(bus, *map(str, range(10)))
    run_until(LossyBus(bus, fails), stage, lambda: lost == 0 and stage.said.count("9") >= 3)
    assert set(everything(bus, TARGET)) == {str(n) for n in range(10)}
    assert committed(bus) == 10


def test_a_snapshot_is_published_only_after_what_it_contains_is_durable(bus: LocalBus) -> None:
    stage = Echo()

    def snapshot() -> Iterable[Outgoing]:
        assert len(everything(bus, TARGET)) >= len([s for s in stage.said if s.isdigit()])
        yield Outgoing(STATES, "k", stage.said[-2].encode())

    stage.checkpoint_hook = snapshot
    feed(bus, *map(str, range(30)))
    run_until(bus, stage, lambda: "29" in stage.said)
    assert everything(bus, STATES)


def test_a_snapshot_that_could_not_be_published_is_never_committed_over(bus: LocalBus) -> None:
    stage = Echo()
    stage.checkpoint_hook = lambda: [Outgoing(STATES, "k", b"snapshot")]
    failures = 2
    behind: list[int] = []

    def fails(value: bytes | None) -> bool:
        nonlocal failures
        if value == b"snapshot" and failures:
            failures -= 1
            behind.append(committed_aside())
            return True
        return False

    def committed_aside() -> int:
        with sqlite3.connect(bus._path) as db:
            return sum(n for (n,) in db.execute("SELECT next FROM offsets"))

    feed(bus, "0", "1")
    run_until(LossyBus(bus, fails), stage, lambda: stage.said.count("1") >= 3 and failures == 0)
    assert behind == [0, 0]
    assert committed(bus) == 2


def test_partitions_lost_to_another_owner_are_forgotten_without_a_snapshot(tmp_path: Path) -> None:
    bus = LocalBus(tmp_path / "bus", lease_s=1.0)
    bus.create_topics([SOURCE, TARGET, STATES])
    stage = Echo()
    stage.commit_every_s = 1000
    evicted = threading.Event()

    def evict() -> None:
        if "0" in stage.said and not evicted.is_set():
            evicted.set()
            evict_everybody(tmp_path / "bus")

    feed(bus, "0")
    stop = threading.Event()
    stage.idle_hook = lambda: stop.set() if stage.said.count("0") == 2 else evict()
    Runner(bus, stage, poll_s=0.02).run(stop)
    assert stage.said[:5] == ["assigned 2", "0", "revoked 2", "assigned 2", "0"]
    bus.close()


def test_an_owner_replaced_while_it_hung_publishes_no_snapshot_over_the_new_owners(tmp_path: Path) -> None:
    bus = LocalBus(tmp_path / "bus")
    bus.create_topics([SOURCE, TARGET, STATES])
    stage = Echo()
    stage.commit_every_s = 0.0
    snapshots_at_eviction = 0

    def evict() -> None:  # asked right before the next checkpoint
        nonlocal snapshots_at_eviction
        if stage.said.count("checkpoint") == 2 and not snapshots_at_eviction:
            snapshots_at_eviction = len(everything(bus, STATES))
            evict_everybody(tmp_path / "bus")

    seen: list[int] = []

    def again(partitions: frozenset[TopicPartition]) -> None:
        if snapshots_at_eviction and not seen:
            seen.append(len(everything(bus, STATES)))
        Echo.assigned(stage, partitions)

    stage.assigned = again  # type: ignore[method-assign]
    stage.checkpoint_hook = lambda: [Outgoing(STATES, str(len(stage.said)), b"snapshot")]
    feed(bus, "0")
    stop = threading.Event()
    stage.idle_hook = lambda: stop.set() if seen else evict()
    Runner(bus, stage, poll_s=0.02).run(stop)
    assert seen == [snapshots_at_eviction]
    bus.close()


def test_a_bug_ends_the_role_loudly_and_its_message_comes_again(bus: LocalBus) -> None:
    def bug(record: Record) -> Iterable[Outgoing]:
        raise ZeroDivisionError("a bug")

    stage = Echo(bug)
    feed(bus, "0")
    with pytest.raises(ZeroDivisionError, match="a bug"):
        Runner(bus, stage, poll_s=0.02).run(threading.Event())
    assert stage.said == ["assigned 2", "0", "revoked 2"]
    assert committed(bus) == 0
    stage = Echo()
    run_until(bus, stage, lambda: "0" in stage.said)
    assert committed(bus) == 1


def test_partitions_given_up_are_committed_first(bus: LocalBus) -> None:
    first, second = Echo(), Echo()
    for stage in (first, second):
        stage.commit_every_s = 1000
    for key in ("a", "b", "c", "d"):
        feed(bus, f"{key}1", key=key)
    stop = threading.Event()
    thread = threading.Thread(target=Runner(bus, first, poll_s=0.02).run, args=(stop,))
    started = threading.Event()
    first.idle_hook = lambda: (
        started.set() if len([s for s in first.said if s[0] in "abcd" and s[1] == "1"]) == 4 else None
    )
    thread.start()
    assert started.wait(PATIENCE_S)
    run_until(bus, second, lambda: "assigned 1" in second.said)
    stop.set()
    thread.join()
    assert not [s for s in second.said if s.endswith("1") and s[0] in "abcd" and s != "assigned 1"]
    assert "revoked 1" in first.said
    assert sorted(everything(bus, TARGET)) == ["a1", "b1", "c1", "d1"]
