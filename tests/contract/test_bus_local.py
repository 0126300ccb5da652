"""What is particular to the bus in a file: what may go wrong with files, leases, retention, any history."""

import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadwire.bus import Consumer, Record, TopicPartition, local, local_writer
from leadwire.bus.compacted import read_compacted
from leadwire.bus.local import LocalBus
from leadwire.bus.local_groups import assign
from leadwire.clock import ManualClock
from leadwire.errors import BusUnavailable, SettingError
from leadwire.topics import Topic
from tests.contract.buses import ROOT, child, drain, new_topic, publish, until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "bus.sqlite"


@pytest.fixture
def bus(path: Path) -> Iterator[LocalBus]:
    bus = LocalBus(path)
    yield bus
    bus.close()


class TestFile:
    def test_another_file_is_refused_and_left_alone(self, tmp_path: Path) -> None:
        text = tmp_path / "notes.txt"
        text.write_text("not a database " * 100)
        with pytest.raises(SettingError, match=r"notes\.txt: file is not a database; a bus file"):
            LocalBus(text)
        other = tmp_path / "other.sqlite"
        db = sqlite3.connect(other)
        db.execute("CREATE TABLE patients (name TEXT)")
        db.commit()
        db.close()
        before = other.read_bytes()[100:]
        with pytest.raises(SettingError, match="another program's database"):
            LocalBus(other)
        assert other.read_bytes()[100:] == before

    def test_a_newer_format_is_refused(self, path: Path) -> None:
        LocalBus(path).close()
        db = sqlite3.connect(path)
        db.execute("PRAGMA user_version = 2")
        db.close()
        with pytest.raises(SettingError, match="bus format 2 came; 1 was expected"):
            LocalBus(path)

    def test_a_place_where_no_file_can_be_is_unavailable(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(BusUnavailable, match=r"bus file .*file/bus"):
            LocalBus(tmp_path / "file" / "bus")
        with pytest.raises(BusUnavailable, match="unable to open"):
            LocalBus(tmp_path)

    def test_many_may_make_it_at_once(self, path: Path) -> None:
        topic = new_topic(2)
        failures: list[BaseException] = []

        def make() -> None:
            try:
                bus = LocalBus(path)
                bus.create_topics([topic])
                publish(bus, topic, [("k", b"x")])
                bus.close()
            except BaseException as why:
                failures.append(why)

        threads = [threading.Thread(target=make) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        bus = LocalBus(path)
        assert sum(bus.end_offsets(topic).values()) == 6
        bus.close()

    def test_a_file_locked_for_too_long_fails_the_message(self, path: Path) -> None:
        topic = new_topic(1)
        bus = LocalBus(path, delivery_s=0.6)
        bus.create_topics([topic])
        producer = bus.producer()
        with child("hold", str(path)) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            future = producer.publish(topic, "k", b"x")
            with pytest.raises(BusUnavailable, match="database is locked"):
                future.result(60)
        with pytest.raises(BusUnavailable, match="database is locked"):
            producer.flush()
        assert producer.publish(topic, "k", b"y").result(60) == (0, 0)
        bus.close()

    def test_a_full_disk_fails_the_message_and_only_while_it_is_full(self, path: Path) -> None:
        script = f"""
import resource, sys
from leadwire.bus.local import LocalBus
from leadwire.errors import BusUnavailable
from leadwire.topics import Topic
bus = LocalBus({str(path)!r})
topic = Topic("t", "key", 1, None, False, 1 << 20)
bus.create_topics([topic])
producer = bus.producer()
producer.publish(topic, "k", b"1").result(60)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
try:
    for _ in range(40):
        producer.publish(topic, "k", bytes(1 << 16))
    producer.flush()
except BusUnavailable as why:
    print("unavailable", why)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
offset = producer.publish(topic, "k", b"2").result(60).offset
consumer = bus.consumer([topic])
values = [r.value for r in consumer.poll(1)]
print(values[0], values[-1], offset == len(values) - 1)
bus.close()
"""
        assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=240
        )
        said = done.stdout.splitlines()
        assert said[0].startswith("unavailable bus file"), done.stderr
        assert said[1] == "b'1' b'2' True"

    def test_what_was_acknowledged_outlives_the_process(self, path: Path) -> None:
        script = f"""
import sys
from leadwire.bus.local import LocalBus
from leadwire.topics import Topic
bus = LocalBus({str(path)!r})
topic = Topic("t", "key", 3, 1e6, False, 1 << 20)
bus.create_topics([topic])
producer = bus.producer()
for n in range(10**9):
    future = producer.publish(topic, f"key{{n % 5}}", str(n).encode())
    future.add_done_callback(lambda f, n=n: print(n, flush=True))
"""
        process = subprocess.Popen(
            [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        acknowledged = [int(process.stdout.readline()) for _ in range(500)]
        process.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in process.stdout.read().split("\n")[:-1]]
        process.wait()
        process.stdout.close()
        bus = LocalBus(path)
        consumer = bus.consumer([Topic("t", "key", 3, 1e6, False, 1 << 20)])
        there = {int(r.value or b"") for r in iter_all(consumer)}
        assert set(acknowledged) <= there
        assert there == set(range(len(there))), "a later message is there and an earlier one is not"
        consumer.close()
        bus.close()


def iter_all(consumer: Consumer) -> Iterator[Record]:
    while records := consumer.poll(0.2):
        yield from records


class TestTime:
    def test_a_waiting_poll_is_woken_soon(
        self, bus: LocalBus, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        patience_s = 20.0
        monkeypatch.setattr(local, "_LOOK_S", patience_s)  # it does not look by itself meanwhile
        topic = new_topic(1)
        bus.create_topics([topic])
        producer = bus.producer()
        other = LocalBus(path)  # as in another process: it shares nothing but the file
        for reader in (bus, other):
            consumer = reader.consumer([topic], start="latest")
            consumer.poll(0)
            late: list[float] = []
            for _ in range(8):
                sent: list[float] = []
                timer = threading.Timer(
                    0.03, lambda s=sent: (s.append(time.monotonic()), producer.publish(topic, "k", b"x"))
                )
                timer.start()
                assert len(consumer.poll(patience_s)) == 1
                late.append(time.monotonic() - sent[0])
                timer.join()
            # Woken, not timed out: the quickest of them after a fraction of what it would have waited.
            assert min(late) < patience_s / 20
            consumer.close()
        other.close()

    def test_messages_past_their_retention_go_and_offsets_stay(self, path: Path) -> None:
        clock = ManualClock()
        topic = Topic("t", "key", 1, 3600.0, False, 1000)
        compacted = Topic("c", "key", 1, None, True, 1000)
        bus = LocalBus(path, clock=clock, tidy_s=0.05)
        bus.create_topics([topic, compacted])
        publish(bus, topic, [("k", f"{n}".encode()) for n in range(1200)])
        publish(bus, compacted, [("a", b"kept"), ("b", None), ("c", None), ("d", b"kept")])
        clock.advance(3000)
        publish(bus, topic, [("k", b"young")] * 3)
        clock.advance(1000)
        oldest = TopicPartition(topic.name, 0)
        consumer = bus.consumer([topic])

        def first() -> int:
            consumer.seek(oldest, 0)
            return consumer.poll(1)[0].offset

        consumer.poll(0)
        until(lambda: first() == 1200)
        assert bus.end_offsets(topic) == {0: 1203}
        clock.advance(10_000)
        until(lambda: first() == 1202)
        publish(bus, topic, [("k", b"x")])
        assert bus.end_offsets(topic) == {0: 1204}
        assert read_compacted(bus, compacted) == {"a": b"kept", "d": b"kept"}
        reader = bus.consumer([compacted])
        assert {r.key for r in drain(reader, 2)} == {"a", "d"}
        for c in (consumer, reader):
            c.close()
        bus.close()

    def test_a_value_that_is_replaced_while_it_is_read_is_not_missed(self, bus: LocalBus) -> None:
        topic = new_topic(1, compacted=True)
        bus.create_topics([topic])
        publish(bus, topic, [("busy", b"0"), ("calm", b"0")])
        stop = threading.Event()

        def replace() -> None:
            producer = bus.producer()
            while not stop.is_set():
                producer.publish(topic, "busy", b"again")
                producer.flush()
            producer.close()

        writer = threading.Thread(target=replace)
        writer.start()
        try:
            for _ in range(30):
                assert set(read_compacted(bus, topic)) == {"busy", "calm"}
        finally:
            stop.set()
            writer.join()

    def test_compaction_frees_the_space(self, bus: LocalBus, path: Path) -> None:
        topic = new_topic(1, compacted=True)
        bus.create_topics([topic])
        for _ in range(20):
            publish(bus, topic, [(f"key{n}", bytes(100_000)) for n in range(5)])
        bus.close()
        assert path.stat().st_size < 4_000_000

    def test_a_consumer_that_stopped_polling_loses_its_partitions(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(local_writer, "MAX_SILENT_S", 0.4)
        bus = LocalBus(path, lease_s=0.4)
        topic = new_topic(2)
        lost: list[int] = []
        hung = bus.consumer([topic], "g", on_lost=lambda tps: lost.append(len(tps)))
        until(lambda: len(hung.assignment()) == 2, hung)
        other = bus.consumer([topic], "g")
        until(lambda: len(other.assignment()) == 2, other)
        assert lost == []
        until(lambda: len(hung.assignment()) == len(other.assignment()) == 1, hung, other)
        assert lost == [2]
        hung.close()
        other.close()
        bus.close()


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.lists(st.sampled_from("abcdef"), min_size=1, max_size=12)),
        st.tuples(st.just("poll"), st.integers(1, 7)),
        st.sampled_from([("commit", 0), ("crash", 0), ("reopen", 0)]),
    ),
    max_size=25,
)


@settings(max_examples=40)
@given(OPERATIONS)
def test_whatever_happens_each_key_replays_in_order_from_the_commit(
    operations: list[tuple[str, object]],
) -> None:
    topic = Topic("t", "key", 3, None, False, 1000)
    published: dict[int, list[tuple[str, bytes]]] = {0: [], 1: [], 2: []}
    committed = dict.fromkeys(published, 0)
    with tempfile.TemporaryDirectory() as folder:
        bus = LocalBus(Path(folder) / "bus", linger_s=0)
        consumer = bus.consumer([topic], "g")
        number = 0
        position = dict(committed)
        for what, arg in [*operations, ("publish", ["a"]), ("poll", 1000)]:
            if what == "publish":
                producer = bus.producer()
                for key in arg:  # type: ignore[attr-defined]
                    number += 1
                    at = producer.publish(topic, key, str(number).encode()).result(60)
                    assert at.offset == len(published[at.partition])
                    published[at.partition].append((key, str(number).encode()))
            elif what == "poll":
                behind = {p: len(m) for p, m in published.items()} != position
                for r in consumer.poll(60 if behind else 0, max_records=arg):  # type: ignore[arg-type]
                    assert r.offset == position[r.partition], "a hole, or out of order"
                    assert (r.key, r.value) == published[r.partition][r.offset]
                    position[r.partition] += 1
            elif what == "commit":
                consumer.commit()
                committed = dict(position)
            else:
                consumer.close()
                if what == "reopen":
                    bus.close()
                    bus = LocalBus(Path(folder) / "bus", linger_s=0)
                consumer = bus.consumer([topic], "g")
                position = dict(committed)
        assert position == {p: len(m) for p, m in published.items()}
        consumer.close()
        bus.close()


@given(
    st.lists(st.text("abcdefgh", min_size=1, max_size=2), min_size=1, max_size=6, unique=True),
    st.integers(1, 14),
    st.dictionaries(st.integers(0, 13), st.text("abcdefghx", min_size=1, max_size=2)),
)
def test_partitions_are_shared_evenly_and_move_no_more_than_needed(
    names: list[str], partitions: int, owners: dict[int, str]
) -> None:
    members = {name: frozenset(range(partitions)) for name in names}
    target = assign(members, owners)
    assert set(target) == set(range(partitions))
    load = [list(target.values()).count(name) for name in names]
    assert max(load) - min(load) <= 1
    held = [sum(owners.get(p) == name for p in range(partitions)) for name in names]
    low, more = divmod(partitions, len(names))
    # The best that an even share allows each to keep, the larger shares to those who hold the most.
    shares = [low + (i < more) for i in range(len(names))]
    kept = sum(min(h, s) for h, s in zip(sorted(held, reverse=True), shares, strict=True))
    assert sum(target[p] == owners.get(p) for p in range(partitions)) == kept
    assert assign(members, target) == target
