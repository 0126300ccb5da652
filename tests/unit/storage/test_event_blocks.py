"""Beats and trends come back from their packed columns to the last bit."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadwire.errors import BugError
from leadwire.model import Beat, HeartRate, SignalQuality
from leadwire.ranges import MAX_SAMPLE
from storage import event_blocks

samples = st.lists(st.integers(0, MAX_SAMPLE), min_size=1, max_size=40, unique=True).map(sorted)
decimals = st.integers(0, 5000).map(lambda n: n / 1000)
not_negative = st.one_of(
    decimals, st.floats(0, 1e300), st.floats(0, 9, width=32), st.sampled_from([0.0, -0.0])
)
score = st.one_of(st.integers(0, 100).map(lambda n: n / 100), st.floats(0, 1))
words = st.one_of(st.sampled_from(["N", "V", "I", "II"]), st.text(max_size=5))
flags = st.sampled_from(["lead_off", "flat", "saturated", "noisy", "mains", "wander", "missing"])


def one_of_each(make):
    return samples.flatmap(lambda at: st.tuples(*(make(s) for s in at)).map(list))


beats = one_of_each(
    lambda sample: st.builds(
        Beat,
        stream=st.just("s"),
        sample=st.just(sample),
        detected=st.integers(0, MAX_SAMPLE),
        symbol=words,
        rr=st.one_of(st.none(), st.floats(5e-324, 1e300), st.integers(1, 9).map(lambda n: n / 360)),
        amplitude=not_negative,
        quality=score,
        leads=st.lists(words, max_size=3).map(tuple),
    )
)
rates = one_of_each(
    lambda sample: st.builds(
        HeartRate, stream=st.just("s"), sample=st.just(sample), rate=st.one_of(st.none(), not_negative)
    )
)
qualities = one_of_each(
    lambda sample: st.builds(
        SignalQuality,
        stream=st.just("s"),
        sample=st.just(sample),
        sig_name=st.lists(words, max_size=3).map(tuple),
        flags=st.lists(st.lists(flags, max_size=2).map(tuple), max_size=3).map(tuple),
        score=score,
        usable=st.booleans(),
    )
)


@given(events=st.one_of(beats, rates, qualities), fs=st.floats(50, 2000))
def test_events_come_back_equal_to_the_last_bit(events, fs):
    back = event_blocks.unpack(event_blocks.pack(events, fs), "s")
    assert back == events
    assert repr(back) == repr(events)  # 0.0 == -0.0, but they are not the same


@given(events=st.one_of(beats, rates, qualities))
def test_parts_come_back_equal(events):
    assert event_blocks.decode_part(event_blocks.encode_part(events)) == events


def test_a_minute_of_beats_costs_a_few_bytes_each():
    beats = [
        Beat(
            stream="s",
            sample=(at := 300 * i + i % 7),
            detected=at + 60,
            rr=None if i == 0 else (at - (300 * (i - 1) + (i - 1) % 7)) / 360,
            amplitude=round(1.2 + 0.1 * math.sin(i), 3),
            quality=0.97,
            leads=("I", "II"),
        )
        for i in range(200)
    ]
    assert len(event_blocks.pack(beats, 360.0)) < 4 * len(beats)


def test_of_two_events_at_one_sample_the_last_one_counts():
    first, second = (HeartRate(stream="s", sample=5, rate=r) for r in (60.0, 61.0))
    earlier = HeartRate(stream="s", sample=1, rate=None)
    assert event_blocks.merged([first, second, earlier]) == [earlier, second]


@given(data=st.binary(max_size=100))
def test_bytes_that_are_no_block_are_refused(data):
    with pytest.raises(BugError):
        event_blocks.unpack(data, "s")


@given(at=st.integers(0, 1000), wrong=st.integers(1, 255))
def test_a_damaged_block_is_refused(at, wrong):
    data = bytearray(
        event_blocks.pack([HeartRate(stream="s", sample=i, rate=i / 7) for i in range(50)], 250.0)
    )
    data[at % len(data)] ^= wrong
    with pytest.raises(BugError, match="a damaged event block came"):
        event_blocks.unpack(bytes(data), "s")
