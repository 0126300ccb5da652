"""A process's sign of life: what it says of its stages, its goodbye, and a bus that is away."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from leadwire import codec
from leadwire.bus.compacted import read_all, read_compacted
from leadwire.bus.local import LocalBus
from leadwire.case import Watcher, WatchReport
from leadwire.clock import ManualClock, SystemClock
from leadwire.errors import BusUnavailable
from leadwire.heartbeat import TURN_S, Heartbeat, Progress
from leadwire.runner import Runner
from leadwire.topics import TOPICS, WATCH

LI = Watcher(user="li", visible=True, audio="on")


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[LocalBus]:
    bus = LocalBus(str(tmp_path / "bus"))
    bus.create_topics(TOPICS.values())
    yield bus
    bus.close()


def said(bus: LocalBus) -> list[WatchReport | None]:
    return [None if r.value is None else codec.decode_as(r.value, WatchReport) for r in read_all(bus, WATCH)]


def test_a_stage_that_keeps_up_has_no_lag():
    clock = ManualClock()
    progress = Progress(clock)
    for _ in range(100):
        clock.advance(1.0)
        progress.turned()
        progress.waiting(None)
    assert progress.lag_s() == 0


def test_the_age_of_what_waits_is_the_lag():
    clock = ManualClock()
    progress = Progress(clock)
    progress.waiting(clock.now() - 20.5)
    assert progress.lag_s() == 20
    clock.advance(3)
    progress.turned()
    assert progress.lag_s() == 23
    progress.waiting(clock.now() + 5)
    assert progress.lag_s() == 0, "a clock that is behind is no lag"


def test_a_loop_that_hangs_is_a_lag_whatever_it_said_before():
    clock = ManualClock()
    progress = Progress(clock)
    clock.advance(TURN_S)
    assert progress.lag_s() == 0
    clock.advance(40)
    assert progress.lag_s() == 45
    clock.step(-3600)
    assert progress.lag_s() == 45, "the wall clock has no part in it"
    progress.turned()
    assert progress.lag_s() == 0


def test_a_report_has_roles_pages_and_the_lag_of_each_stage(bus):
    clock = ManualClock()
    heartbeat = Heartbeat(bus, ("dsp", "dashboard"), clock, "hub/1")
    heartbeat.watchers = lambda: [LI]
    heartbeat.progress("dsp").waiting(clock.now() - 7)
    assert heartbeat.progress("dsp") is heartbeat.progress("dsp")
    report = WatchReport(
        process="hub/1", at=clock.now(), roles=("dsp", "dashboard"), watchers=(LI,), lag={"dsp": 7}
    )
    assert heartbeat.report() == report


def test_pages_that_cannot_be_told_are_not_watched_and_the_report_goes_out(bus):
    heartbeat = Heartbeat(bus, ("dashboard",))

    def broken() -> list[Watcher]:
        raise OSError("gone")

    heartbeat.watchers = broken
    assert heartbeat.report().watchers == ()


def test_it_reports_again_and_again_and_says_goodbye_at_the_end(bus):
    heartbeat = Heartbeat(bus, ("dsp",), every_s=0.01)
    asked = threading.Semaphore(0)

    def watchers() -> list[Watcher]:
        asked.release()
        return [LI]

    heartbeat.watchers = watchers
    heartbeat.start()
    for _ in range(3):
        assert asked.acquire(timeout=60)
    # A report that is replaced while it is read may be missed; the next one is not.
    while not (kept := read_compacted(bus, WATCH)):
        assert asked.acquire(timeout=60)
    heartbeat.stop()
    assert codec.decode_as(kept[heartbeat.process], WatchReport).watchers == (LI,)
    assert said(bus)[-1] is None
    assert read_compacted(bus, WATCH) == {}


def test_two_processes_have_two_names(bus):
    assert Heartbeat(bus, ()).process == Heartbeat(bus, ()).process
    assert Heartbeat(bus, (), process="a").process == "a"


def test_while_the_bus_is_away_it_goes_on_trying(bus, monkeypatch):
    heartbeat = Heartbeat(bus, ("dsp",), every_s=0.01)
    tried = threading.Semaphore(0)
    real = bus.producer

    def away() -> None:
        tried.release()
        raise BusUnavailable("away")

    monkeypatch.setattr(bus, "producer", away)
    heartbeat.start()
    for _ in range(3):
        assert tried.acquire(timeout=60)
    assert said(bus) == []
    monkeypatch.setattr(bus, "producer", real)
    heartbeat.stop()
    assert said(bus)[-1] is None


def test_a_runner_tells_how_old_the_work_is_that_waits(bus):
    class Noted(Progress):
        def waiting(self, oldest: float | None) -> None:
            told.append(oldest)
            super().waiting(oldest)

    class Eats:
        name, topics, commit_every_s = "eats", (WATCH,), 0.0

        def __init__(self) -> None:
            self.eaten = 0

        def assigned(self, partitions):
            pass

        revoked = assigned

        def process(self, record, now):
            self.eaten += 1
            return ()

        def idle(self, now):
            if self.eaten == N and told and told[-1] is None:
                stop.set()
            return ()

        def checkpoint(self):
            return ()

    N = 1200  # more than one poll brings
    told: list[float | None] = []
    stop = threading.Event()
    producer = bus.producer()
    for n in range(N):
        producer.publish(WATCH, f"p{n}", b"x")
    producer.close()
    published = [r.time for r in read_all(bus, WATCH)]
    guard = threading.Timer(60, stop.set)
    guard.start()
    Runner(bus, Eats(), poll_s=0.02, progress=Noted(SystemClock())).run(stop)
    guard.cancel()
    behind = [t for t in told if t is not None]
    assert behind
    assert behind[0] in published[:-1]
    assert told[-1] is None
