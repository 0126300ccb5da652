"""How far a stream is behind: samples carry no time of day that could be trusted, but they arrive.

The delay of a tick is `now - sample / fs`; its smallest value so far stands for "as fresh as this stream
gets". It leaks upwards by `LEAK`, for the device's clock and ours drift apart. A stream is behind while
its delay is more than `BEHIND_S` above that: what was stored at the clinic during an outage is
arriving. A replay faster than real time only ever lowers its delay, so it is never behind.

A delay that stays (a device that lost samples without counting them, our clock set forward) must not
make everything late for ever: a stream that is behind and does not catch up for `STEADY_S` is as fresh as it
gets, and counts from there. In doubt a condition is not late, and sounds.
"""

from msgspec import Struct

BEHIND_S = 30.0
LEAK = 200e-6
STEADY_S = 60.0
CATCHING_UP = 0.1
"""s of delay lost per s: slower than this is not catching up."""


class Timing(Struct):
    """What is remembered of a stream's delay: the smallest, when it was set, and since when it is behind."""

    low: float | None = None
    at: float = 0.0
    delay: float = 0.0
    anchor_at: float | None = None
    anchor_delay: float = 0.0

    def observe(self, sample: int, fs: float, now: float) -> None:
        """A tick at `sample` was handled at `now` (s)."""
        self.delay = now - sample / fs
        if self.low is None:
            self.low = self.delay
        self.low = min(self.delay, self.low + LEAK * max(0.0, now - self.at))
        self.at = now
        if not self.behind:
            self.anchor_at = None
        elif self.anchor_at is None:
            self.anchor_at, self.anchor_delay = now, self.delay
        elif now - self.anchor_at >= STEADY_S:
            caught_up = self.anchor_delay - self.delay
            if caught_up < CATCHING_UP * (now - self.anchor_at):
                self.low = self.delay
            self.anchor_at, self.anchor_delay = now, self.delay

    @property
    def behind(self) -> bool:
        """Whether newer samples are known to be on their way."""
        return self.low is not None and self.delay - self.low > BEHIND_S
