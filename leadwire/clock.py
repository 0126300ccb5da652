"""Who tells the time. Pure logic is told; shells ask a `Clock`."""

import time
from typing import Protocol


class Clock(Protocol):
    """A source of time that a test can hold in its hand."""

    def now(self) -> float:
        """Seconds since the Unix epoch; may step when the system clock is set."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never steps back."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


class ManualClock:
    """A clock that moves only when told to.

    Parameters
    ----------
    start
        First value of `now`, in seconds since the Unix epoch.
    """

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._now = start
        self._monotonic = 0.0

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let `seconds` (>= 0) pass on both clocks."""
        if not seconds >= 0:  # NaN fails too
            raise ValueError(f"time passes forward: {seconds} s came, >= 0 was expected")
        self._now += seconds
        self._monotonic += seconds

    def step(self, seconds: float) -> None:
        """Set the wall clock forward or back, as NTP or an operator does; `monotonic` stays."""
        self._now += seconds


class SteadyClock:
    """The wall clock as it was when this was made, carried on by the one that never steps.

    For deadlines: a machine whose time is set must neither forget nor hurry any.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._start = clock.now() - clock.monotonic()

    def now(self) -> float:
        return self._start + self._clock.monotonic()

    def monotonic(self) -> float:
        return self._clock.monotonic()
