"""The register on every database: each entry once, one chain, and no change that is not found."""

import hashlib
import json
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leadwire.bus import Record
from leadwire.case import Line, RegisterEntry
from leadwire.codec import decode, encode
from leadwire.errors import MessageRejected
from leadwire.network import Clinic, to_item
from leadwire.story import apply
from leadwire.topics import NETWORK, REGISTER
from storage import open_archive, open_reader
from storage.chain import GENESIS, Anchor, link_hash
from storage.database import Database
from storage.service import ArchiveStage
from tests.contract.archives import NOW, alert, drop_tables, put


@pytest.fixture
def fresh(archive_url):
    """An archive of this test's own, its reader, its database."""
    drop_tables(archive_url)
    archive, reader, database = open_archive(archive_url), open_reader(archive_url), Database(archive_url)
    yield archive, reader, database
    for each in (archive, reader, database):
        each.close()


def entry(number, case="", at=None, lines=None, by="", cause=None):
    cause = cause or f"cause-{number}"
    return RegisterEntry(
        id=f"{cause}@{case}",
        alert=case,
        cause=cause,
        at=NOW + number if at is None else at,
        by=by,
        lines=lines or (Line(line="clinical", state="note", data={"text": f"第 {number}"}),),
    )


def raised(number, stream, clinic):
    opened = alert(stream)
    data = {"alert": msgspec.to_builtins(opened), "clinic": clinic, "bed": "1", "priority": "high"}
    return entry(
        number, opened.id, lines=(Line(line="condition", state="raised", data=data),), cause=f"{opened.id}#1"
    )


def closed(number, case):
    return entry(number, case, lines=(Line(line="clinical", state="closed", data={"reason": "ok"}),), by="li")


def written(reader):
    return [msgspec.json.decode(line.data, type=RegisterEntry) for line in reader.register.links()]


def whole(reader):
    """The chain computed by hand, as a stranger would from the documentation."""
    previous = GENESIS
    for number, line in enumerate(reader.register.links(), 1):
        text = json.dumps(json.loads(line.data), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        previous = hashlib.sha256((previous + text).encode()).hexdigest()
        assert (line.seq, line.hash, line.data) == (number, previous, text)
    assert list(reader.register.faults()) == []
    return previous


@given(
    story=st.lists(st.integers(0, 9), min_size=1, max_size=30),
    what=st.lists(st.sampled_from(["", "", "flush", "flush", "reopen", "other"]), min_size=30, max_size=30),
)
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_entries_doubled_replayed_and_taken_by_two_make_the_same_chain(archive_url, story, what):
    """The bus delivers in order, from the last commit at the earliest; two owners may overlap."""
    drop_tables(archive_url)
    first, other = open_archive(archive_url), open_archive(archive_url)
    entries = [entry(n, case=f"case-{n % 3}") for n in story]
    committed = 0
    for number, one in enumerate(entries):
        first.add(one)
        then = what[number]
        if then == "flush":
            first.flush(NOW)
            committed = number + 1
        elif then == "reopen":  # killed: what was not committed comes again
            first.discard()
            for again in entries[committed : number + 1]:
                first.add(again)
        elif then == "other":  # another owner does the same work
            for again in entries[max(0, committed - 2) : number + 1]:
                other.add(again)
            other.flush(NOW)
    for again in entries[committed:]:
        first.add(again)
    first.flush(NOW)
    put(other, *entries)
    reader = open_reader(archive_url)
    unique = list({one.id: one for one in entries}.values())
    assert written(reader) == [next(e for e in entries if e.id == one.id) for one in unique]
    whole(reader)
    for each in (first, other, reader):
        each.close()


def test_the_stage_archives_the_register_and_the_network(fresh):
    archive, reader, _ = fresh
    stage = ArchiveStage(archive)
    clinic = to_item(Clinic(id="town/east", name="Town", tier="township"), key="k", at=NOW, by="li")
    gone = to_item(Clinic(id="gone", name="Gone", tier="township"), key="k2", at=NOW)
    records = [
        (REGISTER, "a", encode(entry(1, "a"))),
        (NETWORK, "clinic/town/east", encode(clinic)),
        (NETWORK, "clinic/gone", encode(gone)),
        (REGISTER, "a", encode(entry(1, "a"))),
        (NETWORK, "clinic/gone", None),
    ]
    for offset, (topic, key, value) in enumerate(records):
        stage.process(Record(topic.name, 0, offset, key, value, NOW), NOW)
    stage.checkpoint()
    assert written(reader) == [entry(1, "a")]
    (fact,) = reader.register.facts()
    assert (fact.kind, fact.id, fact.body, fact.by) == ("clinic", "town/east", clinic.body, "li")


def test_an_entry_that_json_cannot_hold_is_refused_and_the_others_stay(fresh):
    archive, reader, _ = fresh
    for data in ({"x": float("nan")}, {"x": b"bytes"}, {"x": {1: 2, "a": 3}}):
        bad = decode(encode(entry(1, lines=(Line(line="clinical", state="note", data=data),))))
        with pytest.raises(MessageRejected, match="JSON cannot hold"):
            archive.add(bad)
    with pytest.raises(MessageRejected, match="NUL"):
        archive.add(entry(1, case="a\0b"))
    put(
        archive,
        entry(2, lines=(Line(line="clinical", state="note", data={"text": "a\0\u2028中 \U0001f9e1"}),)),
    )
    assert written(reader)[0].lines[0].data["text"] == "a\0\u2028中 \U0001f9e1"
    whole(reader)


def test_several_processes_at_once_make_one_chain(archive_url):
    drop_tables(archive_url)
    open_archive(archive_url).close()
    together = threading.Barrier(4)

    def append(which):
        archive = open_archive(archive_url)
        together.wait()
        for number in range(10):
            put(archive, entry(100 * which + number, case=f"case-{number % 2}"), entry(number))
        archive.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(append, range(4)))
    reader = open_reader(archive_url)
    assert len(written(reader)) == 4 * 10 + 10
    whole(reader)
    reader.close()


WRITER = """
import sys
from storage import open_archive
from tests.contract.test_register import entry
archive = open_archive(sys.argv[1])
for number in range(100_000):
    archive.add(entry(number, case=f"case-{number % 3}"))
    if number % 7 == 6:
        archive.flush(0.0)
        print(number + 1, flush=True)
"""


def test_a_kill_leaves_a_whole_chain_and_doing_it_again_completes_it(fresh, archive_url):
    archive, reader, _ = fresh
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, archive_url], stdout=subprocess.PIPE, text=True
    ) as process:
        flushed = 0
        for line in process.stdout:
            flushed = int(line)
            if flushed >= 100:
                process.send_signal(signal.SIGKILL)
                break
    assert len(written(reader)) >= flushed
    whole(reader)
    there = reader.register.head().seq
    entries = [entry(number, case=f"case-{number % 3}") for number in range(there + 20)]
    put(archive, *entries)
    assert written(reader) == entries
    whole(reader)


def test_cases_are_found_by_time_clinic_and_state(fresh):
    archive, reader, _ = fresh
    cases = [raised(1, "s1", "north"), raised(2, "s2", "south"), raised(3, "s3", "north")]
    put(archive, *cases, closed(4, cases[0].alert))
    put(archive, closed(4, cases[0].alert))

    def found(**which):
        return [row.stream for row in reader.register.cases(**which)]

    assert found() == ["s3", "s2", "s1"]
    assert found(state="open") == ["s3", "s2"]
    assert found(state="closed") == ["s1"]
    assert found(clinics=["north"]) == ["s3", "s1"]
    assert found(clinics=[]) == []
    assert found(since=NOW + 2, until=NOW + 3) == ["s2"]
    assert found(limit=1) == ["s3"]
    case = reader.register.case(cases[0].alert)
    assert case == apply(apply(None, cases[0]), closed(4, cases[0].alert))
    assert case is not None
    assert case.closed
    assert reader.register.case("nobody") is None
    row = reader.register.cases(state="closed")[0]
    assert (row.clinic, row.clinical, row.closed_at, row.seq) == ("north", "closed", NOW + 4, 4)
    assert [e.cause for e in reader.register.entries(cases[0].alert)] == [cases[0].cause, "cause-4"]


def test_the_register_is_read_page_by_page(fresh):
    archive, reader, _ = fresh
    put(archive, *(entry(n, case=f"c{n % 2}", by="li" if n % 3 else "") for n in range(12)))
    page = reader.register.page(limit=5)
    assert [line.seq for line in page] == [1, 2, 3, 4, 5]
    assert [line.seq for line in reader.register.page(after=5, limit=50)] == [6, 7, 8, 9, 10, 11, 12]
    assert [line.seq for line in reader.register.page(alert="c1", by="li")] == [2, 6, 8, 12]
    assert [line.seq for line in reader.register.page(since=NOW + 3, until=NOW + 5)] == [4, 5]
    assert reader.register.span(NOW + 3, NOW + 5) == (4, 5)
    assert reader.register.span(NOW + 99, None) == (1, 0)
    assert reader.register.head().seq == 12


def test_an_entry_that_cannot_be_understood_is_kept_and_harms_no_other(fresh):
    archive, reader, _ = fresh
    strange = entry(1, "c", lines=(Line(line="condition", state="raised", data={"alert": 7}),))
    put(archive, strange, raised(2, "s", "a\0b"))
    assert written(reader)[0] == strange
    assert [row.stream for row in reader.register.cases()] == ["s"]


# ------------------------------------------------------------------ whoever changes it is found


STATEMENTS = (
    "UPDATE register SET at = 0",
    "DELETE FROM register",
    "UPDATE register SET data = '{}' WHERE seq = 1",
)


@pytest.mark.parametrize("statement", [*STATEMENTS, "TRUNCATE register"])
def test_the_database_refuses_to_change_a_line(fresh, statement):
    archive, reader, database = fresh
    if statement.startswith("TRUNCATE") and not database.is_postgres:
        pytest.skip("SQLite knows no TRUNCATE")
    put(archive, entry(1), entry(2))
    with pytest.raises(sa.exc.DBAPIError, match="the register only grows"), database.writing() as connection:
        connection.execute(sa.text(statement))
    assert len(written(reader)) == 2


def tamper(database, *statements):
    """What an administrator of the database can do."""
    with database.writing() as connection:
        if database.is_postgres:
            connection.execute(sa.text("ALTER TABLE register DISABLE TRIGGER USER"))
        else:
            for what in ("update", "delete"):
                connection.execute(sa.text(f"DROP TRIGGER register_no_{what}"))
        for statement, values in statements:
            connection.execute(sa.text(statement), values)


@pytest.fixture
def ten(fresh):
    archive, reader, database = fresh
    put(archive, *(entry(n) for n in range(1, 11)))
    return reader, database, reader.register.head()


def faults(reader, *anchors):
    return [(fault.kind, fault.seq) for fault in reader.register.faults(anchors=anchors)]


def words(reader, *anchors):
    return "; ".join(fault.what for fault in reader.register.faults(anchors=anchors))


def test_a_whole_register_has_no_fault(ten):
    reader, _, head = ten
    assert faults(reader, head, Anchor(3, reader.register.page(2, 1)[0].hash)) == []
    assert list(reader.register.faults(4, 6)) == []
    assert list(reader.register.faults(11)) == []


def test_a_changed_line_is_named(ten):
    reader, database, _ = ten
    tamper(database, ("UPDATE register SET data = replace(data, '第 5', '第 6') WHERE seq = 5", {}))
    assert faults(reader) == [("changed", 5)]
    assert words(reader) == "line 5 was changed: its text does not give its hash"
    assert list(reader.register.faults(6)) == []


@pytest.mark.parametrize(
    ("column", "value"), [("at", 0.0), ("by", "wang"), ("alert", "x"), ("cause", "y"), ("id", "z")]
)
def test_a_changed_column_is_named(ten, column, value):
    reader, database, _ = ten
    tamper(database, (f'UPDATE register SET "{column}" = :value WHERE seq = 5', {"value": value}))
    assert words(reader) == f"line 5 was changed: {column} is not what its text says"


def test_a_changed_line_with_its_hash_made_anew_is_found_by_the_next(ten):
    reader, database, _ = ten
    line = reader.register.page(4, 1)[0]
    data = line.data.replace("第 5", "第 6")
    tamper(
        database,
        (
            "UPDATE register SET data = :data, hash = :hash WHERE seq = 5",
            {"data": data, "hash": link_hash(line.prev_hash, data)},
        ),
    )
    assert faults(reader) == [("missing", 6)]
    assert "line 6 does not follow line 5: what it follows is missing or was changed" in words(reader)


@pytest.mark.parametrize(
    ("first", "last", "said"), [(5, 5, "line 5 is missing"), (1, 3, "lines 1 to 3 are missing")]
)
def test_missing_lines_are_named(ten, first, last, said):
    reader, database, _ = ten
    tamper(database, ("DELETE FROM register WHERE seq BETWEEN :a AND :b", {"a": first, "b": last}))
    assert faults(reader) == [("missing", first)]
    assert words(reader) == said


def test_a_missing_line_with_the_others_moved_up_is_found(ten):
    reader, database, _ = ten
    move = [("UPDATE register SET seq = :to WHERE seq = :at", {"at": n, "to": n - 1}) for n in range(6, 11)]
    tamper(database, ("DELETE FROM register WHERE seq = 5", {}), *move)
    assert faults(reader) == [("missing", 5)]


def test_lines_in_another_order_are_named(ten):
    reader, database, _ = ten
    swap = [(5, 99), (6, 5), (99, 6)]
    tamper(
        database,
        *(("UPDATE register SET seq = :to WHERE seq = :at", {"at": a, "to": b}) for a, b in swap),
    )
    found = faults(reader)
    assert ("reordered", 5) in found
    assert {seq for _, seq in found} == {5, 6, 7}
    assert "line 5 stands in the wrong place: it follows line 6" in words(reader)


def test_the_last_line_cut_off_is_found_by_a_head_kept_aside_only(ten):
    reader, database, head = ten
    tamper(database, ("DELETE FROM register WHERE seq = 10", {}))
    assert faults(reader) == []
    assert faults(reader, head) == [("missing", 10)]
    assert "line 10, whose hash was kept aside, is missing: the last line is 9" in words(reader, head)


def test_a_whole_forged_chain_is_found_by_a_head_kept_aside(ten):
    reader, database, head = ten
    previous = GENESIS
    forged = []
    for line in reader.register.links():
        data = line.data.replace("第 5", "第 6")
        values = {"seq": line.seq, "data": data, "prev": previous, "hash": link_hash(previous, data)}
        forged.append(("UPDATE register SET data=:data, prev_hash=:prev, hash=:hash WHERE seq=:seq", values))
        previous = values["hash"]
    tamper(database, *forged)
    assert faults(reader) == []
    assert faults(reader, head) == [("head", 10)]
