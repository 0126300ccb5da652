"""`leadwire admin` on a local bus with the real desk."""

import json
import threading
from pathlib import Path

import pytest

from alerts.desk_stage import DeskStage
from leadwire import cli
from leadwire.bus import open_bus
from leadwire.bus.compacted import read_all
from leadwire.passwords import check_password
from leadwire.runner import Runner
from leadwire.topics import COMMANDS, NETWORK, REGISTER, TOPICS
from leadwire.wishing import network_of, read_facts
from storage import open_archive, open_reader
from storage.service import ArchiveStage

EXAMPLE = Path(__file__).parents[2] / "deploy" / "network.example.yml"


@pytest.fixture
def address(tmp_path, monkeypatch):
    # The log would keep this test's standard error, which is closed after it.
    monkeypatch.setattr(cli, "_log_to_stderr", lambda: None)
    monkeypatch.setenv("LEADWIRE_BUS", f"local:{tmp_path / 'bus.sqlite'}")
    monkeypatch.setattr("leadwire.admin.hash_password", _cheap)
    monkeypatch.setattr("leadwire.network_wishes.hash_password", _cheap)
    return f"local:{tmp_path / 'bus.sqlite'}"


def _cheap(password, cost=16):
    from leadwire.passwords import hash_password

    return hash_password(password, 16)


@pytest.fixture
def bus(address):
    bus = open_bus(address)
    bus.create_topics(TOPICS.values())
    yield bus
    bus.close()


@pytest.fixture
def desk(bus):
    """The real desk, until the test is over."""
    stop = threading.Event()
    thread = threading.Thread(target=Runner(bus, DeskStage(bus), poll_s=0.02).run, args=(stop,))
    thread.start()
    yield
    stop.set()
    thread.join()


@pytest.fixture
def archived(bus, tmp_path, monkeypatch):
    """Everything on the bus so far, in an archive."""
    address = f"sqlite:///{tmp_path / 'archive.sqlite'}"
    monkeypatch.setenv("LEADWIRE_ARCHIVE", address)

    def archive():
        archive = open_archive(address)
        stage = ArchiveStage(archive)
        for topic in (REGISTER, NETWORK):
            for record in read_all(bus, topic):
                stage.process(record, 0.0)
        stage.checkpoint()
        archive.close()
        return open_reader(address)

    return archive


def leadwire(*args):
    return cli.main(["admin", *map(str, args)])


def users(bus):
    return network_of(read_facts(bus)).users


@pytest.mark.usefixtures("desk")
def test_a_file_is_loaded_once_and_shown_without_its_passwords(bus, capsys):
    assert leadwire("load", EXAMPLE) == 0
    assert "accepted, 0 refused" in capsys.readouterr().out
    assert leadwire("load", EXAMPLE) == 0
    assert capsys.readouterr().out == "nothing to change\n"
    assert leadwire("show") == 0
    out = capsys.readouterr().out
    assert "石桥村卫生室" in out
    assert "wang: 王技师 / Wang (technician)" in out
    assert leadwire("show", "--json") == 0
    out = capsys.readouterr().out
    assert {json.loads(line)["kind"] for line in out.splitlines()} >= {"hub", "clinic", "user", "shift"}
    assert "scrypt" not in out
    assert leadwire("coverage") == 0
    assert "technician     covered" in capsys.readouterr().out


@pytest.mark.usefixtures("desk")
def test_every_change_of_the_network_stands_in_the_register_and_in_the_archive(bus, archived, capsys):
    leadwire("load", EXAMPLE)
    reader = archived()
    facts = {(fact.kind, fact.id): fact.body for fact in reader.register.facts()}
    assert facts == {key: fact.body for key, fact in read_facts(bus).items()}
    changed = [line for entry in reader.register.links() for line in json.loads(entry.data)["lines"]]
    assert {line["state"] for line in changed} == {"changed"}
    assert len(changed) >= len(facts)
    reader.close()
    capsys.readouterr()
    assert cli.main(["audit", "verify"]) == 0
    assert f"lines 1 to {len(changed)} are whole" in capsys.readouterr().out


@pytest.mark.usefixtures("desk")
def test_a_password_is_set_and_a_thing_is_taken_out(bus, capsys, monkeypatch):
    leadwire("load", EXAMPLE)
    monkeypatch.setattr(
        "sys.stdin", type("Pipe", (), {"isatty": lambda _: False, "readline": lambda _: "new secret\n"})()
    )
    assert leadwire("password", "wang") == 0
    assert check_password("new secret", users(bus)["wang"].password)
    assert leadwire("password", "nobody") == 1
    assert "user nobody came" in capsys.readouterr().err
    assert leadwire("remove", "user", "wang") == 1
    assert "still names it" in capsys.readouterr().err
    assert leadwire("remove", "chain", "none") == 1
    (chain,) = network_of(read_facts(bus)).chains
    assert leadwire("remove", "chain", chain) == 0
    assert not network_of(read_facts(bus)).chains


@pytest.mark.usefixtures("desk")
def test_a_roster_goes_out_and_comes_back_unchanged(bus, tmp_path, capsys):
    leadwire("load", EXAMPLE)
    file = tmp_path / "roster.ics"
    assert leadwire("roster", "export", file, "--duty", "technician") == 0
    capsys.readouterr()
    assert leadwire("roster", "import", file) == 0
    assert capsys.readouterr().out == "nothing to change\n"
    file.write_bytes(file.read_bytes().replace(b"X-LEADWIRE-USER:wang", b"X-LEADWIRE-USER:zhao"))
    assert leadwire("roster", "import", file) == 0
    assert "shift" in capsys.readouterr().out
    file.write_bytes(file.read_bytes().replace(b"X-LEADWIRE-USER:zhao", b"X-LEADWIRE-USER:chen"))
    assert leadwire("roster", "import", file) == 1
    assert "event 'technician-" in capsys.readouterr().err


def test_a_wrong_file_publishes_nothing_and_names_the_line(bus, tmp_path, capsys):
    file = tmp_path / "network.yml"
    file.write_text("hub: {id: hub, name: Hub}\nclinics: [{id: a, name: A, tier: moon}]\n", encoding="utf-8")
    assert leadwire("load", file) == 1
    assert "network.yml: line 2: clinic: 'moon' came" in capsys.readouterr().err
    assert leadwire("load", tmp_path / "absent.yml") == 1
    assert leadwire("load", EXAMPLE, "--check") == 0
    assert not any(bus.end_offsets(COMMANDS).values())


def test_without_a_desk_the_wishes_stay_on_the_bus(bus, capsys):
    assert leadwire("load", EXAMPLE, "--no-wait") == 0
    published = sum(bus.end_offsets(COMMANDS).values())
    assert published > 50
    assert leadwire("load", EXAMPLE, "--wait", "0.01") == 1
    assert "they wait on the bus until `leadwire alerts` runs" in capsys.readouterr().err


def test_coverage_tells_the_hours_without_anybody(bus, capsys):
    assert leadwire("coverage", "--from", "2026-11-23", "--to", "2026-11-24") == 1
    out = capsys.readouterr().out
    assert "technician     nobody from 2026-11-23 00:00 to 2026-11-24 00:00" in out
    assert leadwire("coverage", "--from", "soon") == 1
    assert "2026-11-23 or 2026-11-23 08:00 was expected" in capsys.readouterr().err
