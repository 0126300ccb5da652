"""`leadwire audit`: faults are found and named, anybody can check a copy, figures come as asked for."""

import csv
import hashlib
import io
import json
import sqlite3

import pytest

from leadwire import cli, codec
from leadwire.bus import open_bus
from leadwire.bus.compacted import read_all
from leadwire.case import Line, RegisterEntry
from leadwire.topics import REGISTER
from storage import open_archive
from tests.contract.archives import FS, chunk, put, signal
from tests.timeline.language import play
from tests.timeline.world import T0

STORY = """
at 10 ventricular_fibrillation on A
at 25 tech: accept A
at 35 tech: confirm A
at 50 tech: attempt A contact=Wang result=answered
at 70 tech: read_back A words="start CPR" by=Wang
"""


@pytest.fixture
def archive(tmp_path, monkeypatch):
    # The log would keep this test's standard error, which is closed after it.
    monkeypatch.setattr(cli, "_log_to_stderr", lambda: None)
    monkeypatch.setenv("LEADWIRE_BUS", f"local:{tmp_path / 'bus.sqlite'}")
    monkeypatch.setenv("LEADWIRE_ARCHIVE", f"sqlite:///{tmp_path / 'archive.sqlite'}")
    archive = open_archive(f"sqlite:///{tmp_path / 'archive.sqlite'}")
    put(archive, *(entry(n) for n in range(1, 11)))
    yield archive
    archive.close()


def entry(number):
    line = Line(line="clinical", state="note", data={"text": f"第 {number}"})
    return RegisterEntry(id=f"c{number}@x", alert="x", cause=f"c{number}", at=T0 + number, lines=(line,))


def audit(*args):
    return cli.main(["audit", *map(str, args)])


def tampered(tmp_path, *statements):
    with sqlite3.connect(tmp_path / "archive.sqlite") as connection:
        for what in ("update", "delete"):
            connection.execute(f"DROP TRIGGER IF EXISTS register_no_{what}")
        for statement in statements:
            connection.execute(statement)
    connection.close()


@pytest.mark.usefixtures("archive")
def test_a_whole_register_is_said_to_be_whole_with_its_head(capsys):
    assert audit("head") == 0
    head = capsys.readouterr().out.strip()
    assert audit("verify", "--head", head) == 0
    assert capsys.readouterr().out == f"lines 1 to 10 are whole; the last is {head}\n"


@pytest.mark.usefixtures("archive")
def test_faults_are_printed_and_fail_the_command(tmp_path, capsys):
    tampered(
        tmp_path,
        "UPDATE register SET data = replace(data, '第 3', '第 9') WHERE seq = 3",
        "DELETE FROM register WHERE seq = 7",
    )
    assert audit("verify") == 1
    assert capsys.readouterr().err.splitlines() == [
        "changed: line 3 was changed: its text does not give its hash",
        "missing: line 7 is missing",
    ]


@pytest.mark.usefixtures("archive")
def test_a_cut_off_end_is_found_by_the_heads_kept_aside(archive, tmp_path, capsys):
    kept = tmp_path / "heads.txt"
    for number in (11, 12):
        put(archive, entry(number))
        assert audit("head", "--keep", kept) == 0
    put(archive, entry(13))
    assert audit("verify", "--anchors", kept) == 0
    tampered(tmp_path, "DELETE FROM register WHERE seq >= 12")
    capsys.readouterr()
    assert audit("verify") == 0
    assert audit("verify", "--anchors", kept) == 1
    assert "line 12, whose hash was kept aside, is missing: the last line is 11" in capsys.readouterr().err


@pytest.mark.usefixtures("archive")
def test_a_part_by_time_is_checked_alone(tmp_path, capsys):
    tampered(tmp_path, "UPDATE register SET data = replace(data, '第 3', '第 9') WHERE seq = 3")
    day = "2023-11-15 06:13"  # T0 is 06:13:20 in Shanghai
    assert audit("verify", "--from", f"{day}:24") == 0
    assert "lines 4 to 10 are whole" in capsys.readouterr().out
    assert audit("verify", "--from", f"{day}:22", "--to", f"{day}:25") == 1


@pytest.mark.usefixtures("archive")
def test_an_export_can_be_checked_without_us_and_is_itself_in_the_register(archive, tmp_path, capsys):
    file = tmp_path / "register.jsonl"
    assert audit("export", file) == 0
    previous = "0" * 64
    for number, text in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        said = json.loads(text)
        body = json.dumps(said["entry"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        previous = hashlib.sha256((previous + body).encode()).hexdigest()
        assert (said["seq"], said["hash"]) == (number, previous)
    assert audit("verify", file, "--head", f"10:{previous}") == 0
    bus = open_bus(f"local:{tmp_path / 'bus.sqlite'}")
    (record,) = read_all(bus, REGISTER)
    bus.close()
    noted = codec.decode_as(record.value, RegisterEntry)
    assert [(line.line, line.state) for line in noted.lines] == [("access", "export")]
    assert noted.lines[0].data["last"] == 10
    put(archive, noted)
    assert audit("verify") == 0
    assert "lines 1 to 11 are whole" in capsys.readouterr().out


@pytest.mark.usefixtures("archive")
def test_a_part_of_the_register_is_exported_and_checked(tmp_path, capsys):
    file = tmp_path / "part.jsonl"
    assert audit("export", file, "--from", "2023-11-15 06:13:24", "--to", "2023-11-15 06:13:28") == 0
    assert len(file.read_text(encoding="utf-8").splitlines()) == 4
    capsys.readouterr()
    assert audit("verify", file) == 0
    assert "lines 4 to 7 are whole" in capsys.readouterr().out


@pytest.mark.usefixtures("archive")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: [*lines[:4], lines[4].replace("第 5", "第 6"), *lines[5:]], "line 5 was changed"),
        (lambda lines: [*lines[:4], *lines[5:]], "line 5 is missing"),
        (lambda lines: [lines[1], lines[0], *lines[2:]], "missing"),
        (lambda lines: lines[1:], "ok"),
        (lambda lines: [*lines, lines[-1]], "missing"),
        (lambda lines: [*lines, "{}"], "line 11 of the file is no line of a register"),
        (lambda lines: [*lines, "[" * 100_000], "line 11 of the file is no line of a register"),
        (lambda lines: [lines[0].replace('"prev_hash":"0', '"prev_hash":"1')], "line 1"),
    ],
)
def test_a_changed_copy_is_found(tmp_path, capsys, change, words):
    file = tmp_path / "register.jsonl"
    audit("export", file)
    lines = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join(change(lines)) + "\n", encoding="utf-8")
    capsys.readouterr()
    assert audit("verify", file) == (0 if words == "ok" else 1)
    if words != "ok":
        assert words in capsys.readouterr().err


@pytest.mark.usefixtures("archive")
@pytest.mark.parametrize(
    "args",
    [
        ("verify", "--head", "ten"),
        ("verify", "--head", "10:xyz"),
        ("verify", "--from", "yesterday"),
        ("verify", "nothing.jsonl"),
        ("verify", "nothing.jsonl", "--from", "2023-11-15"),
    ],
)
def test_what_cannot_be_done_is_said(args, capsys):
    assert audit(*args) == 1
    assert capsys.readouterr().err.startswith("leadwire: ")


def test_without_the_bus_nothing_is_exported(tmp_path, archive, monkeypatch, capsys):
    (tmp_path / "folder").mkdir()
    monkeypatch.setenv("LEADWIRE_BUS", f"local:{tmp_path / 'folder'}")
    assert audit("export", tmp_path / "register.jsonl") != 0
    assert not (tmp_path / "register.jsonl").exists()


# ------------------------------------------------------------------ statistics


@pytest.fixture
def told(archive, tmp_path):
    """A story in the archive, with the samples in which it happened."""
    file = tmp_path / "story.timeline"
    file.write_text(STORY, encoding="utf-8")
    put(archive, *play(file).register)
    return archive


@pytest.mark.usefixtures("told")
def test_figures_come_as_json_csv_and_text(capsys):
    assert audit("statistics", "--by", "person", "--json") == 0
    rows = {row["group"]: row for row in json.loads(capsys.readouterr().out)["groups"]}
    assert rows["tech"]["accepted_median_s"] == 15.0
    assert rows["total"]["cases"] == 1
    assert audit("statistics", "--by", "person", "--csv") == 0
    read = {row["group"]: row for row in csv.DictReader(io.StringIO(capsys.readouterr().out))}
    assert read["tech"]["accepted_median_s"] == "15.0"
    assert read["total"]["raised_n"] == "0"
    assert audit("statistics", "--from", "2023-11-15", "--to", "2023-11-16") == 0
    out = capsys.readouterr().out
    assert "by clinic, 2023-11-15 00:00 to 2023-11-16 00:00" in out
    assert "accepted                 1, median 15 s, p90 15 s, 100% in target" in out
    assert audit("statistics", "--to", "2023-11-15") == 0
    assert "total: 0 cases" in capsys.readouterr().out


def test_onset_and_patient_days_come_from_the_archived_samples(archive, tmp_path, capsys):
    from leadwire.model import StreamInfo
    from tests.timeline.world import alert

    file = tmp_path / "story.timeline"
    file.write_text(STORY, encoding="utf-8")
    register = play(file).register
    opened = next(e for e in register if e.lines[0].state == "raised").lines[0].data["alert"]
    assert opened["stream"] == alert("ventricular_fibrillation", "A", 10).stream
    # Its onset arrives 6 s before the alarm.
    start = opened["raised_at"] - 6.0 - opened["onset"] / FS
    samples = signal(opened["onset"] + 500)
    first = max(0, opened["onset"] - 100)
    rows = samples[first:]
    put(
        archive,
        StreamInfo(
            stream=opened["stream"], device="d", clinic="V", bed="1", fs=FS, sig_name=("I", "II"),
            units=("mV", "mV"), started=start,
        ),
        chunk(opened["stream"], first, rows, receive_time=start + first / FS, device_time=0.0),
        *register,
    )  # fmt: skip
    assert audit("statistics", "--json") == 0
    total = json.loads(capsys.readouterr().out)["groups"][0]
    assert total["raised_median_s"] == pytest.approx(6.0, abs=0.01)
    assert total["raised_in_target"] == 1.0
    assert total["patient_days"] > 0
