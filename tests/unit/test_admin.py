"""`leadwire admin` on a local bus, with a desk that accepts what fits."""

import json
import threading
from pathlib import Path

import pytest

from leadwire import cli, codec
from leadwire.bus import open_bus
from leadwire.case import Line, NetworkItem, RegisterEntry
from leadwire.network import Network
from leadwire.passwords import check_password
from leadwire.topics import COMMANDS, NETWORK, REGISTER, TOPICS
from leadwire.wishing import network_of, read_facts

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
    """Takes wishes as they come, until the test is over."""
    stop = threading.Event()
    thread = threading.Thread(target=_desk, args=(bus, stop))
    thread.start()
    yield
    stop.set()
    thread.join()


def _desk(bus, stop):
    there = Network()
    consumer, producer = bus.consumer([COMMANDS]), bus.producer()
    while not stop.is_set():
        for record in consumer.poll(0.02):
            wish = codec.decode_as(record.value, NetworkItem)
            try:
                there.check(wish)
            except ValueError as why:
                line = Line(line="refused", state="bad_data", data={"detail": str(why)})
            else:
                there.apply(wish)
                line = Line(line="network", state="changed", data={"kind": wish.kind, "id": wish.id})
                value = None if wish.body is None else codec.encode(wish)
                producer.publish(NETWORK, f"{wish.kind}/{wish.id}", value)
                producer.flush()
            entry = RegisterEntry(id=f"{wish.key}@", alert="", cause=wish.key, at=wish.at, lines=(line,))
            producer.publish(REGISTER, wish.key, codec.encode(entry))
    consumer.close()
    producer.close()


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
