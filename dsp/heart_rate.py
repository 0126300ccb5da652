"""Heart rate from R peaks: the mean over the latest 8 s, robust against one missed beat.

Like bedside monitors the rate is 60 n / (time of n intervals), so bigeminy of 80 beats a minute reads
80. The intervals taken are the latest that fit into `WINDOW_S`, at least two, at most 10
(an even number: bigeminy again): 15/min to 300/min are told, and a step 80 -> 120 or 80 -> 40 is
through within 8 s and a beat.
A single interval of twice the others' length, all others being regular, counts as two: one missed beat
must not read as a slow heart. Not here: finding beats, or limits.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

WINDOW_S = 8.0
MAX_INTERVALS = 10
SPREAD_INTERVALS = 20
KEPT = 32
SILENT_S = 5.0
"""Longer without a beat (below 12/min) there is no rate, and the next beat begins anew."""

MISSED_LOW, MISSED_HIGH = 1.75, 2.25
REGULAR = 0.15


class HeartRateMeter:
    """Streaming heart rate of one stream.

    Parameters
    ----------
    fs
        Sampling rate in Hz.

    Attributes
    ----------
    state
        The number of R peaks since the last break, then the latest `KEPT` of them, oldest first.
    """

    def __init__(self, fs: float) -> None:
        self.fs = fs
        self.state = np.zeros(1 + KEPT, dtype=np.int64)
        self._told = (-1, 0.0, 0.0)  # the latest R peak, and what was told of it and those before

    def beats(self) -> NDArray[np.int64]:
        """The latest R peaks since the last break, ascending; a view."""
        return self.state[1 : 1 + self.state[0]]

    def last(self) -> int:
        """The latest R peak, -1 if there is none."""
        n = int(self.state[0])
        return int(self.state[n]) if n else -1

    def beat(self, sample: int, broken: bool) -> float | None:
        """Take the next R peak; return its R-R interval in s.

        Parameters
        ----------
        sample
            Where.
        broken
            Data were missing since the beat before: the interval is unknown (None).
        """
        state, n = self.state, int(self.state[0])
        rr = (sample - int(state[n])) / self.fs if n and not broken else None
        if rr is None or not 0 < rr <= SILENT_S:
            n = 0
        elif n == KEPT:
            state[1:-1] = state[2:]
            n -= 1
        state[n + 1] = sample
        state[0] = n + 1
        return rr if rr is None or rr > 0 else None

    def rate(self, known: int) -> tuple[float | None, float]:
        """The rate when all beats before sample `known` are in, and how irregular the beats are.

        Returns
        -------
        rate
            In 1/min; None if it cannot be told.
        irregularity
            The spread of the middle half of the latest 20 intervals over their median; 0 for fewer
            than four.
        """
        state = self.state
        n = state.item(0)
        last = state.item(n)
        if n < 3 or known - last > SILENT_S * self.fs:
            return None, 0.0
        if self._told[0] != last:
            self._told = last, *_rate(state, self.fs)
        return self._told[1:]


@njit(cache=True, nogil=True)
def _rate(state, fs):  # type: ignore[no-untyped-def]
    last = int(state[0])
    first = max(1, last - MAX_INTERVALS)
    while first < last - 2 and state[first] < state[last] - WINDOW_S * fs:
        first += 1
    rr = np.diff(state[first : last + 1])
    rr.sort()
    n = rr.size
    total = state[last] - state[first]
    counted = n
    if n >= 4:
        longest = rr[n - 1]
        rest = (total - longest) / (n - 1)
        regular = rr[0] >= (1 - REGULAR) * rest and rr[n - 2] <= (1 + REGULAR) * rest
        if regular and MISSED_LOW * rest < longest < MISSED_HIGH * rest:
            counted = n + 1
    longer = np.diff(state[max(1, last - SPREAD_INTERVALS) : last + 1])
    longer.sort()
    m = longer.size
    irregularity = (longer[(3 * m) // 4] - longer[m // 4]) / longer[m // 2] if m >= 4 else 0.0
    return 60.0 * fs * counted / total, irregularity
