"""What the server writes into a frame is what a reader written from the description reads."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dashboard import frames
from leadwire.model import Beat, SampleChunk
from tests.services.wave_frames import read_frames


def _chunk(first: int, rows: list[tuple[int, int]], **changes: object) -> SampleChunk:
    values: dict[str, object] = {
        "stream": "s",
        "first_sample": first,
        "fs": 360.0,
        "sig_name": ("II", "V1"),
        "units": ("mV", "uV"),
        "adc_gain": (200.0, 0.5),
        "baseline": (10, -20),
        "samples": np.array(rows, dtype="<i2").reshape(-1, 2).tobytes(),
        "device_time": 1000.0,
        "receive_time": 1001.0,
    }
    return SampleChunk(**(values | changes))  # type: ignore[arg-type]


_digit = st.integers(-32768, 32767)


@given(
    first=st.integers(0, 2**53 - 200_000),
    rows=st.lists(st.tuples(_digit, _digit), min_size=1, max_size=40),
    late=st.booleans(),
)
def test_a_wave_frame_carries_the_chunk_in_millivolts(
    first: int, rows: list[tuple[int, int]], late: bool
) -> None:
    chunk = _chunk(first, rows, late=late, lead_off=("V1",))
    [frame] = read_frames(frames.wave(7, chunk, [(0, 0), (3, 1)], taken=5.0, sent=6.0))
    assert (frame.kind, frame.stream, frame.first, frame.n) == (frames.WAVE, 7, first, len(rows))
    assert (frame.fs, frame.taken, frame.received, frame.sent) == (360.0, 5.0, 1001.0, 6.0)
    assert (frame.late, frame.buffered, frame.off) == (late, False, [3])
    expected = chunk.p_signal()
    np.testing.assert_allclose(frame.leads[0], expected[:, 0], rtol=1e-6)  # type: ignore[index]
    np.testing.assert_allclose(frame.leads[3], expected[:, 1], rtol=1e-6)  # type: ignore[index]


def test_a_wave_frame_holds_only_the_leads_asked_for_in_the_order_asked() -> None:
    [frame] = read_frames(
        frames.wave(1, _chunk(0, [(1, 2)]), [(1, 1), (0, 0)], taken=0, sent=0, buffered=True)
    )
    assert list(frame.leads) == [1, 0]  # type: ignore[call-overload]
    assert frame.buffered


def test_a_state_frame_says_what_is_not_known() -> None:
    data = frames.state(
        3,
        sample=10,
        sent=1.0,
        received=float("nan"),
        heart_rate=None,
        quality=None,
        usable=False,
        link="",
        battery=None,
        flags=[],
        beats=[],
    )
    [frame] = read_frames(data)
    assert np.isnan([frame.rate, frame.quality, frame.received]).all()
    assert (frame.usable, frame.link, frame.battery) == (False, 0, 255)


def test_a_state_frame_carries_beats_flags_and_numbers() -> None:
    beats = [Beat(stream="s", sample=100 + i, detected=120, symbol=s) for i, s in enumerate("NVQ")]
    data = frames.state(
        3,
        sample=2**40,
        sent=1.0,
        received=2.0,
        heart_rate=71.5,
        quality=0.5,
        usable=True,
        link="disconnected",
        battery=49.6,
        flags=[("lead_off", "missing"), (), ("mains",)],
        beats=beats,
    )
    [frame] = read_frames(data)
    assert (frame.sample, frame.rate, frame.quality, frame.link, frame.battery) == (2**40, 71.5, 0.5, 2, 50)
    assert frame.beats == [(100, "N"), (101, "V"), (102, "Q")]
    assert frame.flags == (0b1000001, 0, 0b10000)


def test_frames_follow_one_another_in_one_message() -> None:
    data = (
        frames.wave(1, _chunk(0, [(1, 2)] * 3), [(0, 0)], taken=0, sent=0)
        + frames.lost(2, 5, 9)
        + frames.clock(123.25, True)
    )
    wave, lost, clock = read_frames(data)
    assert wave.n == 3
    assert (lost.stream, lost.frames, lost.total) == (2, 5, 9)
    assert (clock.now, clock.feed) == (123.25, True)
