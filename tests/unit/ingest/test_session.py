"""A stream's session: whatever way the blocks come, the bus gets the same rows, and nothing is acknowledged
that it has not."""

import itertools
import random
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.protocols.port import Bye, Data, Status
from ingest.session import Output, Session
from ingest.window import MAX_GAPS, MAX_WAITING_BLOCKS, MAX_WAITING_BYTES, Moment
from leadwire.errors import ProtocolRejected
from leadwire.model import DeviceStatus, LinkEvent, SampleChunk
from tests.unit.ingest.devices import STARTED, hello, samples

FS = 250.0
REORDER_S = 2.0
NOW = Moment(STARTED, 100.0)


def later(seconds: float) -> Moment:
    return Moment(NOW.time + seconds, NOW.monotonic + seconds)


def block(first: int, end: int, oldest: int = 0, content: bytes | None = None, jump_s: float = 0.0) -> Data:
    return Data(
        seq=0,
        first_sample=first,
        oldest=min(oldest, first),
        device_time=STARTED + first / FS + jump_s,
        samples=samples(first, end) if content is None else content,
        n_samples=end - first,
    )


def session(acknowledged: int = 0) -> Session:
    return Session(hello(acknowledged=acknowledged), REORDER_S)


def chunks(outputs: Iterable[Output]) -> list[SampleChunk]:
    return [o for o in outputs if isinstance(o, SampleChunk)]


def events(outputs: Iterable[Output]) -> list[tuple[str, int, int]]:
    return [(o.kind, o.sample, o.n_samples) for o in outputs if isinstance(o, LinkEvent)]


def rows(outputs: Iterable[Output], late: bool = False) -> list[tuple[int, bytes]]:
    """(number, content) of every row, in the order in which they went out."""
    return [
        (c.first_sample + i, c.samples[4 * i : 4 * i + 4])
        for c in chunks(outputs)
        if c.late is late
        for i in range(c.n_samples)
    ]


def truth(first: int, end: int) -> list[tuple[int, bytes]]:
    return [(n, samples(n, n + 1)) for n in range(first, end)]


@st.composite
def cuts(draw: st.DrawFn) -> list[Data]:
    """0..end in blocks of any length, some again and cut otherwise."""
    end = draw(st.integers(1, 300))
    marks = sorted({0, end, *draw(st.lists(st.integers(1, end), max_size=12))})
    sent = [block(a, b) for a, b in itertools.pairwise(marks)]
    for _ in range(draw(st.integers(0, 6))):
        a = draw(st.integers(0, end - 1))
        sent.append(block(a, draw(st.integers(a + 1, end))))
    return sent


@given(cuts(), st.randoms(use_true_random=False))
def test_any_order_cut_and_repetition_within_the_window_gives_the_same_rows(sent, rng):
    rng.shuffle(sent)
    end = max(b.end_sample for b in sent)
    s, out = session(), []
    for i, b in enumerate(sent):
        out += s.data(b, later(i * REORDER_S / (len(sent) + 1)))
    assert rows(out) == truth(0, end)
    assert rows(out, late=True) == []
    assert events(out) == [], "in time and with the same content: there is nothing to report"
    assert s.duplicates == sum(b.n_samples for b in sent) - end
    assert s.wake_at is None


@given(cuts(), st.data())
def test_nothing_is_acknowledged_that_is_not_published_and_everything_is_in_the_end(sent, data):
    """Blocks in any order, any pause between them, and the bus takes chunks in any order."""
    rng = random.Random(data.draw(st.integers(0, 2**32)))
    rng.shuffle(sent)
    end = max(b.end_sample for b in sent)
    s, out, open_chunks, durable, now = session(), [], [], set(), 0.0
    for b in sent:
        now += rng.choice([0.0, 0.1, 3.0])
        new = s.tick(later(now)) + s.data(b, later(now))
        out += new
        open_chunks += chunks(new)
        while open_chunks and rng.random() < 0.5:
            chunk = open_chunks.pop(rng.randrange(len(open_chunks)))
            s.durable(chunk)
            durable.update(range(chunk.first_sample, chunk.end_sample))
        assert set(range(s.acknowledged)) <= durable
    assert open_chunks or s.acknowledged == end
    for chunk in open_chunks:
        s.durable(chunk)
    assert s.acknowledged == end, "every sample has come, so every sample is acknowledged"
    assert sorted(rows(out) + rows(out, late=True)) == truth(0, end), "each row once, late or not"
    in_time = [n for n, _ in rows(out)]
    assert in_time == sorted(in_time), "what is not late goes out in order"


@settings(max_examples=50)
@given(cuts(), st.integers(0, 2**32))
def test_a_gateway_killed_at_any_point_loses_nothing_and_repeats_only_the_same(sent, seed):
    """The device re-sends from its last acknowledgement to a session that knows nothing."""
    rng = random.Random(seed)
    sent.sort(key=lambda b: b.first_sample)
    end = max(b.end_sample for b in sent)
    bus: dict[int, bytes] = {}
    acknowledged = 0
    for last in (False, False, True):
        s = session(acknowledged)
        for b in sent:
            if b.end_sample <= acknowledged:
                continue
            if not last and rng.random() < 0.1:
                break  # SIGKILL
            for chunk in chunks(s.data(b, NOW)):
                for n, content in rows([chunk]):
                    assert bus.setdefault(n, content) == content
                if rng.random() < 0.8:
                    s.durable(chunk)
                    if rng.random() < 0.5:
                        acknowledged = s.acknowledged  # the device hears of it, or not
    assert bus == dict(truth(0, end))


def test_a_hole_is_waited_for_then_made_explicit_then_filled_late():
    s = session()
    assert rows(s.data(block(0, 100), NOW)) == truth(0, 100)
    assert s.data(block(150, 200), NOW) == []
    assert s.wake_at == NOW.monotonic + REORDER_S
    assert s.tick(later(REORDER_S - 0.01)) == []
    out = s.tick(later(REORDER_S))
    assert events(out) == [("gap", 100, 50)]
    assert rows(out) == truth(150, 200)
    assert s.resend_from == 100, "the device may still have them"
    out = s.data(block(100, 150), later(5))
    assert events(out) == [("late", 100, 50)]
    assert rows(out) == []
    assert rows(out, late=True) == truth(100, 150)
    assert events(s.data(block(100, 150), later(5))) == [], "a second time it is a duplicate"


def test_a_hole_that_the_device_can_no_longer_fill_is_a_gap_at_once():
    s = session()
    s.data(block(0, 100), NOW)
    out = s.data(block(150, 200, oldest=150), NOW)
    assert events(out) == [("gap", 100, 50)]
    assert rows(out) == truth(150, 200)
    assert s.resend_from is None


def test_of_a_hole_only_what_the_device_still_holds_is_waited_for():
    s = session()
    s.data(block(0, 100), NOW)
    out = s.data(block(150, 200, oldest=120), NOW)
    assert events(out) == [("gap", 100, 20)]
    assert rows(out) == []
    out = s.data(block(120, 150, oldest=120), NOW)
    assert events(out) == []
    assert rows(out) == truth(120, 200)


def test_samples_that_come_although_the_device_had_given_them_up_are_kept():
    s = session()
    s.data(block(0, 100), NOW)
    s.data(block(150, 200, oldest=150), NOW)
    out = s.data(block(100, 150, oldest=100), NOW)
    assert rows(out, late=True) == truth(100, 150)


def test_an_acknowledgement_passes_a_gap_only_when_the_device_has_nothing_for_it():
    s = session()
    for c in chunks(s.data(block(0, 100), NOW) + s.data(block(150, 200), NOW) + s.tick(later(3))):
        s.durable(c)
    assert s.acknowledged == 100
    for c in chunks(s.data(block(200, 250, oldest=120), later(4))):
        s.durable(c)
    assert s.acknowledged == 120, "100 to 119 never come, 120 to 149 may"
    assert s.missing(250) == 120
    for c in chunks(s.data(block(120, 150, oldest=120), later(5))):
        s.durable(c)
    assert s.acknowledged == 250


def test_back_fill_is_reported_once_and_not_with_every_block():
    s = session()
    s.data(block(1000, 1100), NOW)
    s.tick(later(3))
    out = [o for n in range(0, 1000, 100) for o in s.data(block(n, n + 100), later(4))]
    assert events(out) == [("late", 0, 100)]
    assert rows(out, late=True) == truth(0, 1000)


@pytest.mark.parametrize("where", ["published", "waiting"])
def test_the_first_content_of_a_sample_holds_and_the_contradiction_is_reported(where):
    s = session()
    first = 0 if where == "published" else 50
    out = s.data(block(first, first + 100), NOW)
    other = bytearray(samples(first, first + 100))
    other[4 * 20] ^= 1
    other[4 * 30] ^= 1
    again = s.data(block(first, first + 100, content=bytes(other)), NOW)
    assert events(again) == [("overlap", first + 20, 2)]
    rest = s.data(block(0, 50), NOW) if where == "waiting" else []
    assert rows(out + again + rest) == truth(0, first + 100)


def test_content_is_compared_only_as_far_back_as_it_is_kept():
    s = session()
    n = round(FS * 60)
    for first in range(0, n, 250):
        s.data(block(first, first + 250), NOW)
    wrong = bytes(4 * 250)
    assert events(s.data(block(n - 250, n, content=wrong), NOW)) != []
    assert events(s.data(block(250, 500, content=wrong), NOW)) == []
    assert s.duplicates == 500


def test_a_device_that_starts_its_numbering_again_is_refused_and_not_taken_for_an_echo():
    s = session(acknowledged=5000)
    with pytest.raises(ProtocolRejected, match="begin a new stream"):
        s.data(block(0, 250), NOW)
    assert rows(s.data(block(4900, 5100), NOW)) == truth(5000, 5100), "a block across the mark is fine"


def test_a_jump_of_the_device_clock_is_reported_and_a_drift_is_not():
    s = session()
    out = s.data(block(0, 250), NOW)
    out += s.data(block(250, 500, jump_s=0.4), NOW)
    assert events(out) == []
    assert events(s.data(block(500, 750, jump_s=3600.4), NOW)) == [("clock_jump", 500, 0)]
    assert events(s.data(block(750, 1000, jump_s=3600.4), NOW)) == [], "once, not for ever"
    assert events(s.data(block(1000, 1250, jump_s=-7200), NOW)) == [("clock_jump", 1000, 0)]
    s = session()
    out = []
    for i in range(600):  # ten minutes at 200 ppm
        out += s.data(block(i * 250, i * 250 + 250, jump_s=i * 2e-4), NOW)
    assert events(out) == []


def test_leads_that_are_off_stand_on_every_chunk_from_the_status_s_sample_on():
    s = session()
    out = s.data(block(0, 100), NOW)
    (said,) = s.status(Status(sample=150, device_time=STARTED, lead_off=(1,), battery=80.0), NOW)
    assert said == DeviceStatus(stream="bed-7.1", sample=150, time=NOW.time, lead_off=("L1",), battery=80.0)
    out += s.data(block(100, 200), NOW)
    s.status(Status(sample=250, device_time=STARTED), NOW)
    out += s.data(block(200, 300), NOW)
    assert [(c.first_sample, c.end_sample, c.lead_off) for c in chunks(out)] == [
        (0, 100, ()), (100, 150, ()), (150, 200, ("L1",)), (200, 250, ("L1",)), (250, 300, ()),
    ]  # fmt: skip
    assert rows(out) == truth(0, 300)
    times = [c.device_time for c in chunks(out)]
    assert times == pytest.approx([STARTED + c.first_sample / FS for c in chunks(out)])


@given(st.lists(st.tuples(st.integers(0, 300), st.booleans()), max_size=80), cuts())
def test_statuses_never_change_the_rows(statuses, sent):
    s, out = session(), []
    for sample, off in statuses:
        s.status(Status(sample=sample, device_time=0.0, lead_off=(0,) if off else ()), NOW)
    for b in sent:
        out += s.data(b, NOW)
    assert rows(out) == truth(0, max(b.end_sample for b in sent))


def test_a_reconnect_resumes_where_the_bus_is_and_keeps_what_waits():
    s = session()
    first, second = chunks(s.data(block(0, 100), NOW) + s.data(block(100, 200), NOW))
    s.durable(second)
    s.data(block(250, 300), NOW)
    assert s.connect(hello(), later(1)) == []
    assert s.resume == 0, "the first chunk is not durable"
    s.durable(first)
    assert s.connect(hello(acknowledged=100), later(1)) == []
    assert s.resume == 200
    out = s.data(block(200, 250), later(1))
    assert rows(out) == truth(200, 300)
    assert events(out) == []


def test_a_device_that_another_gateway_acknowledged_further_is_believed():
    s = session()
    s.data(block(0, 100), NOW)
    s.data(block(450, 600), NOW)
    out = s.connect(hello(acknowledged=500), NOW)
    assert s.resume >= 500
    assert rows(out) == truth(500, 600)
    assert events(out) == [], "it is no gap: the other one has published it"


def test_a_stream_keeps_its_shape():
    s = session()
    for other in (hello(n_sig=3), hello(fs=500.0)):
        with pytest.raises(ProtocolRejected, match="new stream"):
            s.check(other)
    s.check(replace(hello(), bed="8", firmware="2"))


def test_a_bye_is_the_end_only_when_every_sample_has_come():
    s = session()
    out = s.data(block(0, 100), NOW) + s.data(block(150, 200), NOW)
    with pytest.raises(ProtocolRejected, match="200 or more was expected"):
        s.bye(Bye(180, 0), NOW)
    out += s.bye(Bye(200, 0), NOW)
    assert s.missing(200) == 100, "the device still has them: it must send them again"
    out += s.bye(Bye(200, 200), NOW)
    assert s.missing(200) is None, "now it says that it has not"
    assert events(out) == [("gap", 100, 50)]
    assert rows(out) == truth(0, 100) + truth(150, 200)


def test_a_device_that_is_gone_for_good_has_what_waited_passed_on():
    s = session()
    s.data(block(50, 100), NOW)
    s.data(block(150, 200), NOW)
    out = s.flush(later(300))
    assert events(out) == [("gap", 0, 50), ("gap", 100, 50)]
    assert rows(out) == truth(50, 100) + truth(150, 200)


def test_memory_is_bounded_however_far_ahead_blocks_come():
    s, n = session(), 16_000
    out = []
    for i in range(40):
        out += s.data(block(100 + i * (n + 1), 100 + i * (n + 1) + n), NOW)
    waiting = 40 * n * 4 - sum(len(c.samples) for c in chunks(out))
    assert waiting <= MAX_WAITING_BYTES
    s, out = session(), []
    for i in range(2000):
        out += s.data(block(1 + 2 * i, 2 + 2 * i), NOW)
    assert 2000 - len(chunks(out)) <= MAX_WAITING_BLOCKS


def test_many_holes_are_remembered_coarsely_and_nothing_in_them_is_lost():
    s = session()
    n = 4 * MAX_GAPS
    out = []
    for i in range(n):
        out += s.data(block(1 + 2 * i, 2 + 2 * i), NOW)
    out += s.tick(later(3))
    for c in chunks(out):
        s.durable(c)
    assert s.acknowledged == 0
    filled = [c for i in range(n) for c in chunks(s.data(block(2 * i, 2 * i + 1), later(4)))]
    for c in filled:
        s.durable(c)
    got = dict(rows(out)) | dict(rows(filled, late=True))
    assert got == dict(truth(0, 2 * n))
    again = s.data(block(0, 2 * n), later(5))
    for c in chunks(again):
        s.durable(c)
    assert s.acknowledged == 2 * n, "sent again from the last acknowledgement, all is safe"
