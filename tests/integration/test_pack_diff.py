"""`leadwire alerts diff` over a small archive: samples, detectors, both packs, and what is printed."""

import json
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

from leadwire import cli
from leadwire.model import DeviceStatus, StreamInfo
from storage import open_archive
from tests.dsp_signals import FS, LEADS, chunk, digital, ecg, regular

STARTED = 1_795_300_000.0  # 2026-11-21T22:26:40Z
SECONDS = 300


def beats() -> np.ndarray:
    """75/min; from 120 s 130/min; from 180 s 75/min with a pause of 3.2 s, and from 240 s nothing for 9 s."""
    times = [*regular(75, 120), *(120 + regular(130, 60)), *(180 + regular(75, 30)), *(212 + regular(75, 28))]
    return np.array([*times, *(249 + regular(75, 51))])


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('archive')}/a.sqlite"
    d = digital(ecg(beats(), SECONDS))
    written = open_archive(url)
    info = StreamInfo(
        stream="t",
        device="d1",
        clinic="c1",
        bed="3",
        patient="p1",
        fs=FS,
        sig_name=LEADS,
        units=("mV", "mV"),
        started=STARTED,
    )
    written.add(info)
    for first in range(0, len(d), 2500):
        at = STARTED + first / FS
        piece = chunk(d[first : first + 2500], first)
        written.add(structs.replace(piece, device_time=at, receive_time=at))
    written.add(DeviceStatus(stream="t", sample=round(100 * FS), time=STARTED + 100, battery=12.0))
    written.flush(STARTED + SECONDS)
    written.close()
    return url


def diff(archive: str, *words: str) -> int:
    return cli.main(
        ["alerts", "--archive", archive, "--time-zone", "UTC", "diff", *words, "--from", "2026-11-21T22:00"]
    )


def test_the_same_pack_twice_differs_in_nothing(archive: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert diff(archive, "monitor-adult", "monitor-adult", "--to", "2026-11-21T23:00", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["lost"] == found["gained"] == found["changed"] == []
    kinds = {row["kind"]: row["a"] for row in found["kinds"]}
    for kind in ("asystole", "tachycardia", "battery_low"):
        assert kinds[kind] == 1, kinds
    assert found["patient_days"] == pytest.approx(SECONDS / 86400)
    assert found["streams"] == 1


def test_alarms_lost_and_changed_are_told(
    archive: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "ours.toml"
    file.write_text(
        'name = "ours"\nversion = "2"\nissuer = "we"\ndate = 2026-01-01\nextends = "monitor-adult"\n'
        '[rules.tachycardia]\npriority = "medium"\nat_least = 135\nunit = "1/min"\n'
        '[rules.pause]\npriority = "high"\nat_least = 2.5\nunit = "s"\n',
        encoding="utf-8",
    )
    assert diff(archive, "monitor-adult", str(file), "--to", "2026-11-21T23:00", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["limits"]["pause_s"] == 2.5
    assert [alarm["kind"] for alarm in found["lost"]] == ["tachycardia"]
    assert {pair["b"]["priority"] for pair in found["changed"]} == {"high"}
    assert diff(archive, "monitor-adult", str(file), "--to", "2026-11-21T23:00") == 0
    printed = capsys.readouterr().out
    assert "A monitor-adult 1   B ours 2" in printed
    assert "- 2026-11-21T22:28:4" in printed


def test_only_the_time_and_the_patient_asked_for_are_looked_at(
    archive: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert diff(archive, "monitor-adult", "monitor-adult", "--to", "2026-11-21T22:28", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["patient_days"] == pytest.approx(80 / 86400)
    assert all(row["a"] == 0 for row in found["kinds"])
    rest = ("--to", "2026-11-21T23:00", "--patient", "somebody", "--json")
    assert diff(archive, "monitor-adult", "monitor-adult", *rest) == 0
    assert json.loads(capsys.readouterr().out)["streams"] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("monitor-adult", "nothing", "--to", "2026-11-21T23:00"), "rule pack 'nothing'"),
        (("monitor-adult", "monitor-adult", "--to", "soon"), "--to: 'soon' came"),
        (("monitor-adult", "monitor-adult", "--to", "2026-11-21T21:00"), "must be earlier"),
    ],
)
def test_what_was_wrongly_asked_is_said(
    archive: str, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert diff(archive, *words) == 2
    assert said in capsys.readouterr().err


def test_the_archive_may_be_named_at_the_end(archive: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "monitor-adult",
        "ambulatory",
        "--from",
        "2026-11-22",
        "--to",
        "2026-11-23",
        "--archive",
        archive,
    ]
    assert cli.main(["alerts", "diff", *words]) == 0
    assert "streams: 1," in capsys.readouterr().out


def test_packs_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["alerts", "packs", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["monitor-adult"]["needs"] == ""
    assert "limits.bradycardia" in rows["monitor-paediatric"]["needs"]
    assert cli.main(["alerts", "packs"]) == 0
    assert "critical-zhejiang" in capsys.readouterr().out
