"""The law of dsp/, held against every analyzer and every condition that registers itself."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
import wfdb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dsp.abstract import Analyzer, analyzers, conditions
from dsp.pipeline import StreamAnalyzer
from leadwire import codec
from leadwire.errors import MessageRejected
from leadwire.model import Beat, RhythmEpisode, SampleChunk, SignalQuality, StreamEvent
from leadwire.settings import Limits
from tests.dsp_signals import BAD_S, FS, GAIN, TROUBLES, chunk, cut, digital, ecg, regular, trouble

Make = Callable[[], Analyzer]

SUBJECTS = analyzers()
LENGTHS = st.lists(st.integers(0, 900), min_size=1, max_size=30).filter(any)
RELAXED = settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def run(analyzer: Analyzer, chunks: list[SampleChunk]) -> list[StreamEvent]:
    events = [event for c in chunks for event in analyzer.process(c)]
    for event in events:
        codec.encode(event)  # a number of numpy's in it would stop the stage
    return events


def known_at(event: StreamEvent) -> int:
    """The last sample that an event needed (the end of an episode: unknown, it is never earlier)."""
    return event.detected if isinstance(event, Beat | RhythmEpisode) else event.sample - 1


@pytest.fixture(params=SUBJECTS, scope="module")
def make(request: pytest.FixtureRequest) -> Make:
    factory = SUBJECTS[request.param]
    return lambda: factory(Limits())


def test_the_walk_finds_the_pipeline_and_the_troubles_bring_out_all_its_conditions() -> None:
    assert "dsp.pipeline.StreamAnalyzer" in SUBJECTS
    events = [e for kind in TROUBLES for e in run(StreamAnalyzer(Limits()), trouble(kind))]
    said = {e.kind for e in events if isinstance(e, RhythmEpisode)}
    assert said == {kind for factory in conditions().values() for kind in factory(Limits()).kinds}
    assert any(e.withheld for e in events if isinstance(e, RhythmEpisode))


@pytest.mark.parametrize("kind", TROUBLES)
@RELAXED
@given(lengths=LENGTHS)
def test_the_answer_is_the_same_however_the_samples_are_cut(
    make: Make, kind: str, lengths: list[int]
) -> None:
    whole = trouble(kind)
    assert run(make(), cut(whole, lengths)) == run(make(), whole)


@pytest.mark.parametrize("kind", TROUBLES)
@RELAXED
@given(lengths=LENGTHS, at=st.integers(0, 80))
def test_a_snapshot_at_any_point_continues_equal(make: Make, kind: str, lengths: list[int], at: int) -> None:
    chunks = cut(trouble(kind), [*lengths, 300])
    at = min(at, len(chunks))
    first, second = make(), make()
    before = run(first, chunks[:at])
    snapshot = first.snapshot()
    second.restore(snapshot)
    assert second.snapshot() == snapshot
    rest = run(second, chunks[at:])
    assert rest == run(first, chunks[at:])
    assert before + rest == run(make(), chunks)


@pytest.mark.parametrize("kind", TROUBLES)
@RELAXED
@given(seconds=st.floats(1, 39))
def test_what_is_said_does_not_depend_on_the_future(make: Make, kind: str, seconds: float) -> None:
    chunks = trouble(kind)
    n = chunks[0].first_sample + round(seconds * FS)
    past, changed = [], []
    for c in chunks:
        stop = min(max(n, c.first_sample), c.end_sample)
        past.append(c.rows(c.first_sample, stop))
        d = c.d_signal().copy()
        d[stop - c.first_sample :] = 1500
        changed.append(chunk(d, c.first_sample, c.fs, c.sig_name, c.lead_off))
    early = run(make(), past)
    assert all(known_at(e) < max(n, past[-1].end_sample) for e in early)
    assert run(make(), changed)[: len(early)] == early


@pytest.mark.parametrize("kind", TROUBLES)
def test_events_come_in_the_order_in_which_they_became_known(make: Make, kind: str) -> None:
    known = [known_at(e) for e in run(make(), trouble(kind)) if not (isinstance(e, RhythmEpisode) and e.end)]
    assert known == sorted(known)


@pytest.mark.parametrize("kind", TROUBLES)
def test_each_episode_begins_once_and_ends_at_most_once(make: Make, kind: str) -> None:
    begun: dict[tuple[int, str], RhythmEpisode] = {}
    ended = set()
    for e in run(make(), trouble(kind)):
        if not isinstance(e, RhythmEpisode):
            continue
        identity = (e.onset, e.kind)
        if e.end is None:
            assert identity not in begun
            begun[identity] = e
        else:
            assert e.onset <= e.end
            assert e.withheld == begun[identity].withheld
            assert identity not in ended
            ended.add(identity)


def test_samples_seen_before_and_late_samples_say_nothing(make: Make) -> None:
    [whole] = trouble("slow and fast")
    analyzer = make()
    chunks = cut([whole], [250])
    told = run(analyzer, chunks[:30])
    assert run(analyzer, chunks[:30]) == []
    assert run(analyzer, [whole.rows(0, 25 * 250)]) == []
    assert run(analyzer, [chunk(whole.d_signal(), 2_000_000, late=True)]) == []
    # A chunk that overlaps counts from where it is new.
    assert told + run(analyzer, [whole.rows(20 * 250, whole.end_sample)]) == run(make(), chunks)


def test_the_input_is_never_written_to(make: Make) -> None:
    for kind in TROUBLES:
        for c in trouble(kind):
            before = bytes(bytearray(c.samples))
            make().process(c)
            assert c.samples == before


@pytest.mark.parametrize("kind", TROUBLES)
def test_two_leads_fit_into_64_kb(make: Make, kind: str) -> None:
    analyzer = make()
    for c in cut(trouble(kind), [250]):
        analyzer.process(c)
        assert len(analyzer.snapshot()) <= 65_536


def test_a_snapshot_costs_little_more_than_its_bytes(make: Make) -> None:
    analyzer = make()
    run(analyzer, trouble("asystole"))
    ours = peer = np.inf
    for _ in range(50):
        began = time.perf_counter()
        snapshot = analyzer.snapshot()
        between = time.perf_counter()
        msgspec.msgpack.encode(msgspec.msgpack.decode(snapshot))
        ours, peer = min(ours, between - began), min(peer, time.perf_counter() - between)
    assert ours < 20 * peer  # as much as it measured; both at their quickest, by turns


@pytest.mark.parametrize("kind", ["noise", "flat", "saturated", "missing"])
def test_nothing_makes_beats_out_of_no_heart(make: Make, kind: str) -> None:
    beats = [e.sample / FS for e in run(make(), trouble(kind)) if isinstance(e, Beat)]
    assert [t for t in beats if BAD_S[0] + 0.3 < t < BAD_S[1] - 0.2] == []


@pytest.mark.parametrize("kind", [k for k in TROUBLES if k not in {"asystole", "other rate", "long gap"}])
def test_nothing_silences_it_for_more_than_three_seconds(make: Make, kind: str) -> None:
    beats = [e.sample / FS for e in run(make(), trouble(kind)) if isinstance(e, Beat)]
    good = [t for t in beats if t > 31]
    lasting = {"gain step", "lead swap", "one lead missing", "clean", "slow and fast", "broken rows"}
    again = BAD_S[0] if kind in lasting else BAD_S[1]
    if kind == "lead off":
        again += 900 / FS
    assert min(t for t in beats if t >= again) <= again + 3.0
    assert len(good) >= 6


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x80", b"\x95\x01\xa1t\x05\x90\xc0", bytes(1000)])
def test_bytes_that_are_no_snapshot_are_refused(make: Make, data: bytes) -> None:
    with pytest.raises(MessageRejected):
        make().restore(data)


@RELAXED
@given(data=st.data())
def test_a_damaged_snapshot_is_refused_or_taken_but_never_crashes(make: Make, data: st.DataObject) -> None:
    analyzer = make()
    run(analyzer, trouble("asystole"))
    snapshot = analyzer.snapshot()
    cut_at = data.draw(st.integers(0, len(snapshot) - 1))
    with pytest.raises(MessageRejected):
        make().restore(snapshot[:cut_at])


_ELSEWHERE = """
import sys
from dsp.abstract import analyzers
from leadwire import codec
from leadwire.settings import Limits
import msgspec
name, snapshot, chunks = msgspec.msgpack.decode(sys.stdin.buffer.read())
a = analyzers()[name](Limits())
a.restore(snapshot)
events = [codec.encode(e) for c in chunks for e in a.process(codec.decode(c))]
sys.stdout.buffer.write(msgspec.msgpack.encode(events))
"""


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_snapshot_continues_equal_in_another_process(name: str) -> None:
    chunks = cut(trouble("slow and fast"), [333])
    first = SUBJECTS[name](Limits())
    run(first, chunks[:15])
    message = msgspec.msgpack.encode((name, first.snapshot(), [codec.encode(c) for c in chunks[15:]]))
    done = subprocess.run(
        [sys.executable, "-c", _ELSEWHERE],
        input=message,
        capture_output=True,
        check=True,
        timeout=280,
        cwd=Path(__file__).resolve().parents[2],
    )
    elsewhere = [codec.decode(e) for e in msgspec.msgpack.decode(done.stdout)]
    assert elsewhere == run(first, chunks[15:])


@RELAXED
@given(data=st.data())
def test_no_samples_whatever_break_it(make: Make, data: st.DataObject) -> None:
    """Blocks of any int16, gaps of any size, electrodes on and off: it goes on, and finds the heart again."""
    analyzer = make()
    at = data.draw(st.integers(0, 10**12))
    for _ in range(data.draw(st.integers(1, 8))):
        n = data.draw(st.integers(1, 1500))
        rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
        low, high = sorted(data.draw(st.tuples(st.integers(-32768, 32767), st.integers(-32768, 32767))))
        d = rng.integers(low, high + 1, (n, 2)).astype("<i2")
        off = data.draw(st.sampled_from([(), ("II",), ("V1",), ("II", "V1")]))
        analyzer.process(chunk(d, at, lead_off=off))
        at += n + data.draw(st.sampled_from([0, 0, 0, 1, 100, 5000, 10**9]))
    x = digital(ecg(regular(72, 30), 30), GAIN)
    events = run(analyzer, [chunk(x, at)])
    late = [e for e in events if isinstance(e, SignalQuality) and e.sample > at + 20 * FS]
    assert any(q.usable for q in late)


@pytest.mark.records
@pytest.mark.parametrize("record", ["207", "104"])
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lengths=LENGTHS)
def test_the_answer_is_the_same_however_a_real_record_is_cut(
    make: Make, database: Callable[[str], Path], record: str, lengths: list[int]
) -> None:
    r = wfdb.rdrecord(str(database("mitdb") / record), sampto=360 * 90, physical=False)
    whole = [chunk(r.d_signal.astype("<i2"), fs=360.0, leads=tuple(r.sig_name))]
    assert run(make(), cut(whole, lengths)) == run(make(), whole)
