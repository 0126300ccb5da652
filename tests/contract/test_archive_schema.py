"""Opening, migrating, refusing, going away and coming back: on all three databases."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from leadwire.bus import Bus, open_bus
from leadwire.codec import encode
from leadwire.errors import ArchiveUnavailable, SettingError
from leadwire.runner import Runner
from leadwire.topics import CHUNKS, TOPICS
from storage import database as database_module
from storage import open_archive, open_reader
from storage.database import Database, alembic_config, upgrade
from storage.service import ArchiveStage
from storage.tables import HYPERTABLES, metadata
from tests.contract.archives import (
    LATER,
    chunk,
    compact,
    drop_tables,
    empty_database,
    episode,
    put,
    signal,
)

REVISIONS = [s.revision for s in ScriptDirectory.from_config(alembic_config()).walk_revisions()]


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_earlier_revision_is_brought_to_the_tables_of_today(archive_url, revision):
    drop_tables(archive_url)
    database = Database(archive_url)
    upgrade(database, revision)
    open_archive(archive_url).close()
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": _ours, "compare_type": True})
        assert compare_metadata(context, metadata) == []
    database.close()


def _ours(_object, name, type_, _reflected, _compare_to):
    # TimescaleDB adds an index on the time of a hypertable as it converts it.
    return type_ != "index" or not (name or "").endswith("_time_idx")


def test_opening_again_changes_nothing_and_keeps_everything(archive_url):
    drop_tables(archive_url)
    archive = open_archive(archive_url)
    put(archive, chunk("a", 0, signal(100)), episode("a", 5))
    archive.close()
    archive = open_archive(archive_url)
    put(archive, chunk("a", 100, signal(200)[100:]))
    archive.close()
    reader = open_reader(archive_url)
    (segment,) = reader.read_waveform("a", 0, 1000)
    assert np.array_equal(segment.d_signal, signal(200))
    assert [e.onset for e in reader.episodes("a")] == [5]
    reader.close()


def test_several_that_open_at_once_do_not_race(archive_url):
    drop_tables(archive_url)
    together = threading.Barrier(4)

    def open_together(number):
        together.wait()
        archive = open_archive(archive_url)
        put(archive, chunk(f"s{number}", 0, signal(10)))
        archive.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(open_together, range(4)))
    reader = open_reader(archive_url)
    assert sorted(s.stream for s in reader.streams()) == ["s0", "s1", "s2", "s3"]
    reader.close()


def test_a_newer_programs_archive_is_refused(archive_url):
    drop_tables(archive_url)
    open_archive(archive_url).close()
    database = Database(archive_url)
    with database.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SettingError, match=r"revision '9999', which this Leadwire does not know"):
        open_archive(archive_url)
    reader = open_reader(archive_url)
    with pytest.raises(ArchiveUnavailable, match=r"at revision 9999, \w+ was expected"):
        reader.streams()
    reader.close()
    database.close()


def test_another_programs_tables_are_refused_and_left_alone(archive_url):
    drop_tables(archive_url)
    database = Database(archive_url)
    with database.writing() as connection:
        connection.execute(sa.text("CREATE TABLE alerts (note TEXT)"))
        connection.execute(sa.text("INSERT INTO alerts VALUES ('mine')"))
    with pytest.raises(SettingError, match="has tables alerts of another program"):
        open_archive(archive_url)
    with database.reading() as connection:
        assert connection.scalar(sa.text("SELECT note FROM alerts")) == "mine"
    database.close()


def test_a_reader_before_the_archive_waits_for_it(archive_url):
    drop_tables(archive_url)
    reader = open_reader(archive_url)
    with pytest.raises(ArchiveUnavailable, match="start `leadwire archive` first"):
        reader.streams()
    open_archive(archive_url).close()
    assert reader.streams() == []
    reader.close()


def test_two_writers_of_one_stream_lose_nothing(archive_url):
    drop_tables(archive_url)
    owner, zombie = open_archive(archive_url), open_archive(archive_url)
    samples = signal(400)
    put(zombie, chunk("a", 0, samples[:100]))
    put(owner, chunk("a", 0, samples[:200]))
    put(zombie, chunk("a", 100, samples[100:150]))
    put(owner, chunk("a", 200, samples[200:]))
    compact(zombie)
    put(zombie, chunk("a", 50, samples[50:400]))
    compact(owner)
    reader = open_reader(archive_url)
    (segment,) = reader.read_waveform("a", 0, 1000)
    assert np.array_equal(segment.d_signal, samples)
    for each in (owner, zombie, reader):
        each.close()


def test_what_is_too_old_is_deleted_and_the_rest_stays(archive_url):
    drop_tables(archive_url)
    day = 86_400.0
    archive = open_archive(archive_url, keep_days=60)
    for stream, age in (("old", 100), ("new", 10)):
        put(archive, chunk(stream, 0, signal(100), receive_time=LATER - age * day), episode(stream, 50))
    compact(archive)
    archive.expire(LATER)
    reader = open_reader(archive_url)
    assert reader.read_waveform("old", 0, 100) == []
    assert reader.episodes("old") == []
    assert len(reader.read_waveform("new", 0, 100)) == len(reader.episodes("new")) == 1
    reader.close()
    archive.close()


def test_without_a_limit_nothing_is_ever_deleted(archive_url):
    drop_tables(archive_url)
    archive = open_archive(archive_url)
    put(archive, chunk("a", 0, signal(100)))
    compact(archive)
    archive.expire(LATER + 1e9)
    reader = open_reader(archive_url)
    assert len(reader.read_waveform("a", 0, 100)) == 1
    reader.close()
    archive.close()


# ------------------------------------------------------------------ away and back


@pytest.fixture
def bus(tmp_path) -> Bus:
    bus = open_bus(f"local:{tmp_path / 'bus.sqlite'}")
    bus.create_topics(TOPICS.values())
    yield bus
    bus.close()


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_the_database_goes_away_and_comes_back_and_every_sample_is_there(
    kind, bus, tmp_path, request, monkeypatch
):
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT_S", 0.1)
    samples = signal(5000)
    with empty_database(kind, tmp_path, request.getfixturevalue) as url:
        archive = open_archive(url)
        reader = open_reader(url)
        stage = Counting(archive, commit_every_s=0.05)
        runner = Runner(bus, stage, poll_s=0.02)
        stop = threading.Event()
        thread = threading.Thread(target=runner.run, args=(stop,))
        thread.start()
        producer = bus.producer()

        def publish(first, end):
            for at in range(first, end, 250):
                producer.publish(CHUNKS, "a", encode(chunk("a", at, samples[at : at + 250])))
            producer.flush()

        try:
            publish(0, 2000)
            assert arrives(lambda: archived_until(reader) == 2000)
            with away(kind, url):
                with pytest.raises(ArchiveUnavailable):
                    open_archive(url)
                publish(2000, 4000)
                assert arrives(lambda: stage.taken > 8 + 8)  # it took them again, and could not write them
            publish(4000, 5000)
            assert arrives(lambda: archived_until(reader) == 5000)
        finally:
            stop.set()
            thread.join()
            producer.close()
        (segment,) = reader.read_waveform("a", 0, 10_000)
        assert np.array_equal(segment.d_signal, samples)
        reader.close()
        archive.close()


class Counting(ArchiveStage):
    taken = 0

    def process(self, record, now):
        self.taken += 1
        return super().process(record, now)


def archived_until(reader):
    try:
        found = reader.stream("a")
    except ArchiveUnavailable:
        return 0
    return found.end_sample if found else 0


def arrives(condition, within_s=120.0):
    """Whether `condition` comes true: another thread works at it."""
    pause = threading.Event()
    for _ in range(int(within_s / 0.02)):
        if condition():
            return True
        pause.wait(0.02)
    return False


class away:
    """While this lasts, nobody gets at the database: locked (SQLite), or no connection is let in."""

    def __init__(self, kind, url):
        if kind == "sqlite":
            self._engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
            self._out, self._in = ["BEGIN EXCLUSIVE"], ["COMMIT"]
        else:
            name = sa.make_url(url).database
            server = sa.make_url(url).set(drivername="postgresql+psycopg2", database="postgres")
            self._engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
            self._out = [
                f"ALTER DATABASE {name} ALLOW_CONNECTIONS false",
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
            ]
            self._in = [f"ALTER DATABASE {name} ALLOW_CONNECTIONS true"]

    def __enter__(self):
        self._connection = self._engine.connect()
        for statement in self._out:
            self._connection.execute(sa.text(statement))

    def __exit__(self, *_):
        for statement in self._in:
            self._connection.execute(sa.text(statement))
        self._connection.close()
        self._engine.dispose()


# ------------------------------------------------------------------ TimescaleDB itself


@pytest.fixture
def timescale(timescale_url):
    drop_tables(timescale_url)
    database = Database(timescale_url)
    yield database
    database.close()
    drop_tables(timescale_url)


@pytest.mark.timescale
def test_timescale_has_hypertables_with_compression_and_retention(timescale, timescale_url):
    open_archive(timescale_url, keep_days=90).close()
    with timescale.reading() as connection:
        found = connection.execute(
            sa.text("SELECT hypertable_name, compression_enabled FROM timescaledb_information.hypertables")
        ).all()
        jobs = (
            "SELECT hypertable_name, proc_name FROM timescaledb_information.jobs WHERE hypertable_name > ''"
        )
        policies = connection.execute(sa.text(jobs)).all()
    assert {tuple(row) for row in found} == {(name, True) for name in HYPERTABLES}
    assert {tuple(row) for row in policies} == {
        (name, policy) for name in HYPERTABLES for policy in ("policy_compression", "policy_retention")
    }


@pytest.mark.timescale
def test_a_compressed_chunk_is_read_and_takes_late_rows(timescale, timescale_url):
    archive, reader = open_archive(timescale_url), open_reader(timescale_url)
    samples = signal(300)
    put(archive, chunk("a", 0, samples[:200]), episode("a", 5))
    compact(archive)
    with timescale.writing() as connection:
        for table in HYPERTABLES:
            connection.execute(sa.text(f"SELECT compress_chunk(c) FROM show_chunks('{table}') c"))
    with timescale.reading() as connection:
        state = "SELECT hypertable_name, is_compressed FROM timescaledb_information.chunks"
        assert ("waveform_blocks", True) in {tuple(row) for row in connection.execute(sa.text(state))}
    (segment,) = reader.read_waveform("a", 0, 1000)
    assert np.array_equal(segment.d_signal, samples[:200])
    put(archive, chunk("a", 150, samples[150:]), episode("a", 5, end=90))
    compact(archive)
    (segment,) = reader.read_waveform("a", 0, 1000)
    assert np.array_equal(segment.d_signal, samples)
    assert [e.end for e in reader.episodes("a")] == [90]
    assert reader.envelope("a", 0, 300, 1).high[0, 0] == samples[:, 0].max() / 200
    archive.close()
    reader.close()


@pytest.mark.timescale
def test_an_archive_of_plain_tables_becomes_hypertables_with_its_rows(timescale, timescale_url, monkeypatch):
    monkeypatch.setattr(database_module.timescale, "ensure", lambda *_: None)
    archive = open_archive(timescale_url)
    put(archive, chunk("a", 0, signal(200)), episode("a", 5))
    compact(archive)
    archive.close()
    monkeypatch.undo()
    open_archive(timescale_url).close()
    with timescale.reading() as connection:
        hypertables = sa.text("SELECT count(*) FROM timescaledb_information.hypertables")
        assert connection.scalar(hypertables) == len(HYPERTABLES)
    reader = open_reader(timescale_url)
    assert np.array_equal(reader.read_waveform("a", 0, 1000)[0].d_signal, signal(200))
    reader.close()
