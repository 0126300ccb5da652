"""One stream's present state: time, buffer, leads."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.live import BUFFER_S, LiveStream
from leadwire.model import DeviceStatus, HeartRate, LinkEvent
from tests.services.ward import chunk, info

PATIENT = info("s1", started=1000.0)


@given(
    offset=st.floats(-1e6, 1e6),
    delays=st.lists(st.floats(0.0, 60.0), min_size=1, max_size=40),
)
def test_the_time_a_sample_was_taken_is_off_by_no_more_than_the_shortest_delay(
    offset: float, delays: list[float]
) -> None:
    live = LiveStream(0, "s1")
    for i, delay in enumerate(delays):
        true = 5000.0 + i  # server time of the chunk's first sample
        c = chunk(PATIENT, 250 * i, np.zeros(250), device_time=true - offset, receive_time=true + 1.0 + delay)
        taken, _ = live.add_chunk(c)
        # Delays before the first packet that was fast cannot be told from the clock's offset.
        assert taken - true == pytest.approx(min(delays[: i + 1]), abs=1e-3)


def test_late_rows_do_not_move_the_newest_sample_nor_fill_the_buffer() -> None:
    live = LiveStream(0, "s1")
    live.add_chunk(chunk(PATIENT, 1000, np.zeros(250), now=2000.0))
    live.add_chunk(chunk(PATIENT, 0, np.zeros(250), now=2001.0, late=True))
    assert live.end_sample == 1250
    assert [c.first_sample for c, _ in live.chunks] == [1000]


def test_the_buffer_holds_the_last_seconds_only() -> None:
    live = LiveStream(0, "s1")
    for i in range(60):
        live.add_chunk(chunk(PATIENT, 250 * i, np.zeros(250), now=2000.0 + i))
    kept_s = sum(c.n_samples for c, _ in live.chunks) / 250
    assert BUFFER_S <= kept_s <= BUFFER_S + 1


def test_a_lead_that_appears_later_is_appended_so_that_indices_stay_valid() -> None:
    live = LiveStream(0, "s1")
    live.describe(info("s1", leads=("II",)))
    assert live.add_chunk(chunk(info("s1", leads=("V1", "II")), 0, np.zeros(10)))[1]
    assert live.leads == ["II", "V1"]
    assert not live.add_chunk(chunk(info("s1", leads=("V1",)), 10, np.zeros(10)))[1]


def test_a_rate_that_can_no_longer_be_told_is_not_kept() -> None:
    live = LiveStream(0, "s1")
    live.add_event(HeartRate(stream="s1", sample=10, rate=60.0))
    live.add_event(HeartRate(stream="s1", sample=20, rate=None))
    assert live.heart_rate is None


def test_link_and_battery_follow_what_the_device_says() -> None:
    live = LiveStream(0, "s1")
    live.add_chunk(chunk(PATIENT, 0, np.zeros(10)))
    assert live.link == "connected"
    assert live.add_event(LinkEvent(stream="s1", kind="disconnected", sample=10, time=1.0))
    assert not live.add_event(LinkEvent(stream="s1", kind="gap", sample=10, time=1.0))
    assert live.add_event(DeviceStatus(stream="s1", sample=10, time=1.0, battery=40.0))
    assert (live.link, live.battery) == ("disconnected", 40.0)


def test_the_buffer_is_joined_where_rows_follow_one_another_and_nowhere_else() -> None:
    live = LiveStream(0, "s1")
    ramp = np.linspace(-1, 1, 100)
    for first, changes in [(0, {}), (100, {}), (250, {}), (350, {"lead_off": ("II",)}), (450, {})]:
        live.add_chunk(chunk(PATIENT, first, ramp, now=2000.0 + first / 250, **changes))  # type: ignore[arg-type]
    joined = list(live.joined())
    assert [(c.first_sample, c.n_samples, c.lead_off) for c, _ in joined] == [
        (0, 200, ()),
        (250, 100, ()),
        (350, 100, ("II",)),
        (450, 100, ()),
    ]
    assert b"".join(c.samples for c, _ in joined) == b"".join(c.samples for c, _ in live.chunks)
