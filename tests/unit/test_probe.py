"""`leadwire watch`: what an outside probe is told, and its exit status."""

import time

import pytest

from leadwire import cli, codec
from leadwire.bus.local import LocalBus
from leadwire.case import WatchReport
from leadwire.probe import troubles
from leadwire.topics import TOPICS, WATCH

NOW = 1_760_000_000.0


def report(process: str = "p", age: float = 1.0, roles=("dsp",), **lag: int) -> WatchReport:
    return WatchReport(process=process, at=NOW - age, roles=roles, lag=lag)


def found(*reports: WatchReport, **more) -> list[str]:
    return troubles({r.process: r for r in reports}, NOW, **more)


def test_all_is_well_while_every_role_reports_and_nothing_waits():
    assert found(report(), report("q", roles=("ingest", "dsp"), dsp=3)) == []
    assert found(report(), needed=["dsp"]) == []


@pytest.mark.parametrize(
    ("reports", "more", "why"),
    [
        ([], {}, "no process reports"),
        ([report(age=31)], {}, "role dsp: nothing heard for 30 s"),
        ([report()], {"needed": ["alerts"]}, "role alerts"),
        ([report(dsp=16)], {}, "stage dsp: what waits is 16 s old"),
    ],
)
def test_what_is_wrong_is_named(reports, more, why):
    (line,) = found(*reports, **more)
    assert why in line


def test_a_process_that_died_is_no_trouble_while_another_does_its_work():
    assert found(report("old", age=9000, dsp=99), report("new")) == []


def test_the_command_prints_every_process_and_tells_by_its_status(tmp_path, capsys):
    path = str(tmp_path / "bus")
    bus = LocalBus(path)
    bus.create_topics(TOPICS.values())
    command = ["watch", "--bus", f"local:{path}"]
    assert cli.main(command) == 1
    producer = bus.producer()
    alive = WatchReport(process="hub/1", at=time.time(), roles=("dsp",), lag={"dsp": 0})
    producer.publish(WATCH, "hub/1", codec.encode(alive))
    producer.close()
    capsys.readouterr()
    assert cli.main([*command, "--silent", "3600"]) == 0
    assert "hub/1: heard" in capsys.readouterr().out
    assert cli.main([*command, "--silent", "3600", "--role", "ingest"]) == 1
    assert "role ingest" in capsys.readouterr().err
    bus.close()


def test_a_log_goes_on_after_the_stream_it_began_with_is_closed(capsys, monkeypatch):
    import io
    import sys

    import structlog

    first = io.StringIO()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", first)
        assert cli.main(["settings"]) == 0
        structlog.get_logger("x").warning("early")
    first.close()
    structlog.get_logger("x").warning("late")
    assert "late" in capsys.readouterr().err
