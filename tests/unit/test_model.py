"""A chunk of samples: what it refuses, and what it says of its samples."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from leadwire.model import INVALID_SAMPLE, SampleChunk, StreamInfo, event_id
from leadwire.ranges import MAX_CHUNK_SAMPLES, MAX_SAMPLE, MAX_TIME


def chunk(d=((0, 0), (100, -100)), **changes) -> SampleChunk:
    fields = {
        "stream": "s",
        "first_sample": 1000,
        "fs": 250.0,
        "sig_name": ("II", "V1"),
        "units": ("mV", "uV"),
        "adc_gain": (200.0, 0.5),
        "baseline": (0, 10),
        "samples": np.array(d, "<i2").tobytes(),
        "device_time": 50.0,
        "receive_time": 60.0,
    }
    return SampleChunk(**(fields | changes))


@pytest.mark.parametrize(
    ("changes", "came", "expected"),
    [
        ({"stream": ""}, "''", "1 to 96"),
        ({"stream": "a b"}, "'a b'", "A-Z a-z 0-9"),
        ({"stream": "-a"}, "'-a'", "letter or digit"),
        ({"stream": "a" * 97}, "aaa", "1 to 96"),
        ({"stream": "a\n"}, r"'a\n'", "A-Z a-z 0-9"),
        ({"first_sample": -1}, "-1", "0 to"),
        ({"first_sample": MAX_SAMPLE}, str(MAX_SAMPLE), "0 to"),
        ({"fs": 99.9}, "99.9 Hz", "100 to 1000"),
        ({"fs": 1000.1}, "1000.1 Hz", "100 to 1000"),
        ({"fs": math.nan}, "nan Hz", "100 to 1000"),
        ({"sig_name": (), "units": (), "adc_gain": (), "baseline": ()}, "0 signals", "1 to 16"),
        ({"sig_name": ("II", "II")}, "twice", "distinct"),
        ({"sig_name": ("II", "")}, "empty", "distinct"),
        ({"units": ("mV",)}, "1 units", "2 signals"),
        ({"units": ("mV", "")}, "empty", "mV"),
        ({"adc_gain": (200.0,)}, "1 gains", "one each"),
        ({"baseline": (0, 0, 0)}, "3 baselines", "one each"),
        ({"adc_gain": (200.0, 0.0)}, "0.0", "1e-06 to 1e+09"),
        ({"adc_gain": (200.0, -5.0)}, "-5.0", "1e-06 to 1e+09"),
        ({"adc_gain": (200.0, math.nan)}, "nan", "1e-06 to 1e+09"),
        ({"adc_gain": (200.0, math.inf)}, "inf", "1e-06 to 1e+09"),
        ({"baseline": (0, 2**31)}, str(2**31), "32-bit"),
        ({"samples": b"\0" * 7}, "7 sample bytes", "multiple of 4"),
        ({"samples": b"\0" * (4 * MAX_CHUNK_SAMPLES + 4)}, str(MAX_CHUNK_SAMPLES + 1), "at most"),
        ({"device_time": math.nan}, "nan", "1970"),
        ({"receive_time": 2 * MAX_TIME}, "e+11", "1970"),
        ({"lead_off": ("V9",)}, "V9", "names out of"),
    ],
)
def test_an_impossible_chunk_cannot_be_made(changes, came, expected):
    with pytest.raises(ValueError, match="came") as caught:
        chunk(**changes)
    assert came in str(caught.value)
    assert expected in str(caught.value)


def test_physical_samples_are_millivolts_and_missing_ones_are_nan():
    x = chunk(d=[(200, 10), (-100, 510), (INVALID_SAMPLE, 32767)])
    np.testing.assert_array_equal(x.p_signal()[:2], [[1.0, 0.0], [-0.5, 1.0]])
    assert np.isnan(x.p_signal()[2, 0])
    assert x.p_signal()[2, 1] == pytest.approx((32767 - 10) / 0.5 / 1000)


def test_other_signals_keep_their_unit_and_are_no_leads():
    x = chunk(sig_name=("II", "ABP"), units=("V", "mmHg"))
    assert x.ecg_leads() == (0,)
    np.testing.assert_array_equal(x.p_signal()[1], [100 / 200 * 1000, (-100 - 10) / 0.5])


def test_samples_are_a_view_nobody_can_write_to():
    x = chunk()
    assert x.d_signal().base is not None
    assert not x.d_signal().flags.writeable
    assert x.p_signal().flags.writeable
    before = x.p_signal().copy()
    x.p_signal()[:] = 7
    np.testing.assert_array_equal(x.p_signal(), before)


def test_an_empty_chunk_has_no_rows():
    x = chunk(d=np.empty((0, 2)))
    assert x.n_samples == 0
    assert x.end_sample == x.first_sample
    assert x.d_signal().shape == x.p_signal().shape == (0, 2)


@given(n=st.integers(0, 20), data=st.data())
def test_rows_cut_anywhere_join_to_the_whole(n, data):
    whole = chunk(d=np.arange(2 * n).reshape(n, 2))
    cut = data.draw(st.integers(whole.first_sample, whole.end_sample))
    left, right = whole.rows(whole.first_sample, cut), whole.rows(cut, whole.end_sample)
    assert left.samples + right.samples == whole.samples
    assert (left.end_sample, right.end_sample) == (cut, whole.end_sample)
    assert right.first_sample == cut
    assert right.device_time == pytest.approx(whole.device_time + (cut - whole.first_sample) / whole.fs)
    assert structs.replace(right, samples=b"", first_sample=0, device_time=0.0) == structs.replace(
        whole, samples=b"", first_sample=0, device_time=0.0
    )


@pytest.mark.parametrize(("start", "stop"), [(999, 1001), (1001, 1003), (1002, 1001)])
def test_rows_outside_the_chunk_are_refused(start, stop):
    with pytest.raises(ValueError, match=r"inside 1000\.\.1002"):
        chunk().rows(start, stop)


def test_a_label_too_long_is_refused_without_being_shown():
    with pytest.raises(ValueError, match="a label of 200 characters came") as caught:
        StreamInfo(
            stream="s",
            device="d",
            clinic="c",
            bed="1",
            patient="Zhang" * 40,
            fs=250.0,
            sig_name=("II",),
            units=("mV",),
            started=0.0,
        )
    assert "Zhang" not in str(caught.value)


def test_the_same_happening_has_the_same_id():
    assert event_id("s", 5, "pause") == event_id("s", 5, "pause") == "s:5:pause"
    assert len({event_id("s", 5, "pause"), event_id("s", 6, "pause"), event_id("t", 5, "pause")}) == 3
