"""Clocks: the manual one keeps the system clock's promises."""

import math
import time

import pytest

from leadwire.clock import ManualClock, SystemClock


def test_the_system_clock_is_the_machines():
    clock = SystemClock()
    assert abs(clock.now() - time.time()) < 60
    assert clock.monotonic() <= clock.monotonic()


def test_time_passes_on_both_clocks_only_when_told():
    clock = ManualClock(start=100.0)
    assert (clock.now(), clock.monotonic()) == (100.0, 0.0)
    clock.advance(2.5)
    assert (clock.now(), clock.monotonic()) == (102.5, 2.5)


def test_setting_the_wall_clock_leaves_the_monotonic_one():
    clock = ManualClock(start=100.0)
    clock.step(-50.0)
    assert (clock.now(), clock.monotonic()) == (50.0, 0.0)


@pytest.mark.parametrize("seconds", [-0.001, math.nan])
def test_time_never_passes_backward(seconds):
    clock = ManualClock()
    with pytest.raises(ValueError, match=">= 0 was expected"):
        clock.advance(seconds)
    assert clock.monotonic() == 0.0
