"""The dsp role: what it publishes, restores, forgets, and what becomes of bad chunks."""

import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import dsp.service
from dsp.pipeline import StreamAnalyzer
from dsp.service import FORGET_S, DspStage
from leadwire import codec
from leadwire.bus import Bus, Record, TopicPartition, open_bus, partition_of
from leadwire.bus.compacted import read_compacted
from leadwire.errors import MessageRejected
from leadwire.model import RhythmEpisode, SampleChunk, State, StreamEvent
from leadwire.runner import Outgoing, Runner
from leadwire.settings import Limits
from leadwire.topics import CHUNKS, EVENTS, STATE, TOPICS
from tests.dsp_signals import cut, trouble

PARTITION = partition_of("t", CHUNKS.partitions)
OWNED = frozenset({TopicPartition(CHUNKS.name, PARTITION)})


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    opened = open_bus(f"local:{tmp_path / 'bus.sqlite'}")
    opened.create_topics(TOPICS.values())
    yield opened
    opened.close()


@pytest.fixture
def stage(bus: Bus) -> DspStage:
    made = DspStage(bus, Limits(), 5.0)
    made.assigned(OWNED)
    return made


def record(value: SampleChunk | bytes, offset: int = 0, key: str = "t") -> Record:
    data = value if isinstance(value, bytes) else codec.encode(value)
    return Record(CHUNKS.name, PARTITION, offset, key, data, 0.0)


def feed(stage: DspStage, chunks: list[SampleChunk], now: float = 0.0) -> list[Outgoing]:
    return [out for c in chunks for out in stage.process(record(c), now)]


def events(out: list[Outgoing]) -> list[StreamEvent]:
    return [codec.decode(o.value or b"") for o in out if o.topic is EVENTS]  # type: ignore[misc]


def save(bus: Bus, out: list[Outgoing]) -> None:
    producer = bus.producer()
    for o in out:
        producer.publish(o.topic, o.key, o.value)
    producer.flush()
    producer.close()


CHUNKS_ = cut(trouble("slow and fast"), [250])


def test_the_events_of_the_analyzer_go_out_under_the_streams_key(stage: DspStage) -> None:
    out = feed(stage, CHUNKS_)
    alone = StreamAnalyzer(Limits())
    assert events(out) == [e for c in CHUNKS_ for e in alone.process(c)]
    assert {(o.topic.name, o.key) for o in out} == {(EVENTS.name, "t")}


def test_a_new_owner_goes_on_where_the_snapshot_ends_and_passes_over_what_it_contains(
    bus: Bus, stage: DspStage
) -> None:
    first = feed(stage, CHUNKS_[:20])
    save(bus, list(stage.checkpoint()))
    rest = feed(stage, CHUNKS_[20:])
    heir = DspStage(bus, Limits(), 5.0)
    heir.assigned(OWNED)
    # The offsets were committed earlier than the snapshot: five chunks come again.
    assert events(feed(heir, CHUNKS_[15:])) == events(rest)
    assert len(first) > 0


def test_only_streams_that_changed_are_saved_and_their_state_says_where_it_stands(stage: DspStage) -> None:
    feed(stage, CHUNKS_[:3])
    [saved] = list(stage.checkpoint())
    assert (saved.topic, saved.key) == (STATE, "t")
    assert codec.decode_as(saved.value or b"", State).next_sample == 750
    assert list(stage.checkpoint()) == []


def test_revoked_partitions_are_forgotten(stage: DspStage) -> None:
    feed(stage, CHUNKS_[:3])
    stage.revoked(OWNED)
    assert list(stage.checkpoint()) == []


def test_a_snapshot_of_another_version_means_learning_anew_from_there_and_ends_what_was_open(
    bus: Bus, stage: DspStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = cut(trouble("asystole"), [250])
    feed(stage, silent[:30])
    monkeypatch.setattr("dsp.pipeline.SNAPSHOT_VERSION", 0)
    save(bus, list(stage.checkpoint()))
    monkeypatch.undo()
    heir = DspStage(bus, Limits(), 5.0)
    heir.assigned(OWNED)
    said = events(feed(heir, silent[25:]))
    assert [(e.kind, e.end) for e in said if isinstance(e, RhythmEpisode)][:1] == [("asystole", 7500)]
    assert min(e.sample for e in said if not isinstance(e, RhythmEpisode)) >= 7500


def test_a_state_that_cannot_be_read_means_learning_anew(bus: Bus) -> None:
    save(bus, [Outgoing(STATE, "t", b"rubbish")])
    heir = DspStage(bus, Limits(), 5.0)
    heir.assigned(OWNED)
    assert len(events(feed(heir, CHUNKS_))) > 50


@pytest.mark.parametrize(
    ("value", "key"),
    [
        (b"", "t"),
        (b"\xc1 rubbish", "t"),
        (codec.encode(State(stream="t", stage="x", next_sample=0, snapshot=b"")), "t"),
        (codec.encode(CHUNKS_[0]), "somebody else"),
    ],
)
def test_what_is_no_chunk_of_its_key_is_refused(stage: DspStage, value: bytes, key: str) -> None:
    with pytest.raises(MessageRejected):
        stage.process(record(value, key=key), 0.0)
    assert events(feed(stage, CHUNKS_[:3])) != []


def test_a_bug_in_one_stream_quarantines_its_chunk_ends_its_episodes_and_leaves_the_others_alone(
    stage: DspStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = cut(trouble("asystole"), [250])
    feed(stage, silent[:30])
    process = StreamAnalyzer.process

    def failing(self: StreamAnalyzer, c: SampleChunk) -> list[StreamEvent]:
        if c.stream == "t" and c.first_sample == 7500:
            raise ZeroDivisionError
        return process(self, c)

    monkeypatch.setattr(StreamAnalyzer, "process", failing)
    with pytest.raises(MessageRejected, match="ZeroDivisionError"):
        feed(stage, [silent[30]])
    over = events(list(stage.idle(0.0)))
    assert [(e.kind, e.end) for e in over if isinstance(e, RhythmEpisode)] == [("asystole", 7500)]
    assert list(stage.idle(0.0)) == []
    later = events(feed(stage, silent[31:]))
    assert "asystole" in {e.kind for e in later if isinstance(e, RhythmEpisode)}


def test_a_stream_silent_for_a_day_is_forgotten_and_its_episodes_end(bus: Bus, stage: DspStage) -> None:
    feed(stage, cut(trouble("asystole"), [250])[:30], now=1000.0)
    save(bus, list(stage.checkpoint()))
    assert list(stage.idle(1000.0 + FORGET_S - 100)) == []
    out = list(stage.idle(1000.0 + FORGET_S + 100))
    assert [e.kind for e in events(out) if isinstance(e, RhythmEpisode)] == ["asystole"]
    assert out[-1] == Outgoing(STATE, "t", None)
    save(bus, out)
    assert read_compacted(bus, STATE) == {}


def test_through_the_runner_a_restart_neither_loses_nor_doubles_an_event(bus: Bus) -> None:
    producer = bus.producer()
    for c in CHUNKS_[:20]:
        producer.publish(CHUNKS, "t", codec.encode(c))
    producer.flush()
    _run_until(bus, 20)
    for c in CHUNKS_[20:]:
        producer.publish(CHUNKS, "t", codec.encode(c))
    producer.flush()
    producer.close()
    _run_until(bus, len(CHUNKS_) - 20)
    consumer = bus.consumer([EVENTS])
    found: list[StreamEvent] = []
    while records := consumer.poll(1.0):
        found += [codec.decode(r.value or b"") for r in records]  # type: ignore[misc]
    consumer.close()
    alone = StreamAnalyzer(Limits())
    assert found == [e for c in CHUNKS_ for e in alone.process(c)]


class _Counting(DspStage):
    """Counts the chunks that it was given."""

    given = 0

    def process(self, record: Record, now: float) -> Iterable[Outgoing]:
        out = super().process(record, now)
        self.given += 1
        return out


def _run_until(bus: Bus, processed: int) -> None:
    stop, stage = threading.Event(), _Counting(bus, Limits(), 0.2)
    thread = threading.Thread(target=Runner(bus, stage, poll_s=0.05).run, args=(stop,))
    thread.start()
    deadline = time.monotonic() + 240  # it may be the first to compile the detectors
    while stage.given < processed and time.monotonic() < deadline:
        stop.wait(0.02)
    stop.set()
    thread.join(60)
    assert stage.given == processed


def test_the_shell_names_itself_as_the_group_of_the_chunks() -> None:
    assert dsp.service.DspStage.name == "dsp"
    assert dsp.service.DspStage.topics == (CHUNKS,)
