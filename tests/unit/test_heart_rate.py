"""The heart rate that is shown."""

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsp.heart_rate import HeartRateMeter

FS = 250.0


def shown(r_peaks: Iterable[float], at: float, fs: float = FS) -> float | None:
    """The rate at `at` s when the beats before it are in."""
    meter = HeartRateMeter(fs)
    for r in r_peaks:
        if r < at:
            meter.beat(round(r * fs), False)
    return meter.rate(round(at * fs))[0]


def train(*parts: tuple[float, float]) -> list[float]:
    """R peaks: `(rate, seconds)` one after the other."""
    beats, at, until = [], 0.0, 0.0
    for rate, seconds in parts:
        until += seconds
        while at < until:
            beats.append(at)
            at += 60.0 / rate
    return beats


@given(rate=st.floats(15, 300), fs=st.sampled_from([125.0, 250.0, 360.0, 1000.0]))
def test_15_to_300_a_minute_are_told_within_1_percent(rate: float, fs: float) -> None:
    told = shown(train((rate, 40)), 40, fs)
    assert told == pytest.approx(rate, rel=0.01)


@pytest.mark.parametrize("to", [120.0, 40.0])
def test_a_step_from_80_is_through_in_less_than_11_s(to: float) -> None:
    assert shown(train((80, 30), (to, 30)), 40.9) == pytest.approx(to, rel=0.01)


def test_bigeminy_of_80_reads_80() -> None:
    pair = 2 * 60 / 80
    beats = [t for k in range(20) for t in (k * pair, k * pair + 0.4 * pair)]
    for at in np.arange(15, 28, 0.5):
        assert shown(beats, at) == pytest.approx(80, abs=1)


@given(rate=st.floats(50, 180), missed=st.integers(18, 25))
def test_one_missed_beat_does_not_change_the_rate(rate: float, missed: int) -> None:
    beats = train((rate, 40))
    del beats[missed]
    for after in range(1, 5):
        at = (missed + after) * 60 / rate + 0.01
        assert shown(beats, at) == pytest.approx(rate, rel=0.02)


def test_a_heart_that_really_becomes_half_as_fast_is_not_taken_for_missed_beats() -> None:
    assert shown(train((90, 30), (45, 30)), 39.9) == pytest.approx(45, rel=0.01)


def test_without_beats_for_more_than_5_s_there_is_no_rate() -> None:
    beats = train((70, 20))
    assert shown(beats, beats[-1] + 4.9) is not None
    assert shown(beats, beats[-1] + 5.1) is None


def test_a_rate_needs_three_beats() -> None:
    assert shown([1.0, 2.0], 2.1) is None
    assert shown([1.0, 2.0, 3.0], 3.1) == pytest.approx(60)


def test_after_missing_data_or_a_long_silence_the_count_begins_anew() -> None:
    meter = HeartRateMeter(FS)
    for r in (0, 250, 500):
        meter.beat(r, False)
    assert meter.beat(750, True) is None
    assert meter.rate(760)[0] is None
    assert meter.beat(1000, False) == 1.0
    assert meter.beat(1000 + 7 * 250, False) == 7.0
    assert list(meter.beats()) == [1000 + 7 * 250]


@given(st.lists(st.integers(-1000, 5000), max_size=80))
def test_no_sequence_of_beats_breaks_it(steps: list[int]) -> None:
    meter = HeartRateMeter(FS)
    at = 0
    for step in steps:
        at += step
        meter.beat(at, False)
        rate, irregularity = meter.rate(at + 10)
        assert rate is None or 0 < rate < 60 * FS + 1
        assert irregularity >= 0
