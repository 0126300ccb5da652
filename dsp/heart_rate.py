"""Heart rate from R peaks: the mean over the latest 8 s, robust against one missed beat.

Like bedside monitors the rate is 60 n / (time of n intervals), so bigeminy of 80 beats a minute reads
80. The intervals taken are the latest that fit into `WINDOW_S`, at least two, at most 16:
15/min to 300/min are told, and a step 80 -> 120 or 80 -> 40 is through within 8 s and a beat.
A single interval of twice the others' length, all others being regular, counts as two: one missed beat
must not read as a slow heart. Not here: finding beats, or limits.
"""

from msgspec import Struct

WINDOW_S = 8.0
MAX_INTERVALS = 16
KEPT = 32
SILENT_S = 5.0
"""Longer without a beat (below 12/min) there is no rate, and the next beat begins anew."""

MISSED = (1.75, 2.25)
REGULAR = 0.15


class HeartState(Struct):
    """The latest R peaks since the last break, ascending, and the newest one's leads."""

    beats: list[int] = []
    leads: int = 0


class HeartRateMeter:
    """Streaming heart rate of one stream.

    Parameters
    ----------
    fs
        Sampling rate in Hz.
    """

    def __init__(self, fs: float) -> None:
        self.fs = fs
        self.state = HeartState()

    def beat(self, sample: int, leads: int, broken: bool) -> float | None:
        """Take the next R peak; return its R-R interval in s.

        Parameters
        ----------
        sample, leads
            Where, and the bits of the leads it was seen in.
        broken
            Data were missing since the beat before: the interval is unknown (None).
        """
        beats = self.state.beats
        rr = None
        if beats and not broken:
            rr = (sample - beats[-1]) / self.fs
        if rr is None or not 0 < rr <= SILENT_S:
            beats.clear()
        beats.append(sample)
        if len(beats) > KEPT:
            del beats[0]
        self.state.leads = leads
        return rr if rr is None or rr > 0 else None

    def rate(self, known: int) -> float | None:
        """The rate in 1/min when all beats before sample `known` are in; None if it cannot be told."""
        beats = self.state.beats
        if len(beats) < 3 or known - beats[-1] > SILENT_S * self.fs:
            return None
        intervals = self._intervals()
        n = len(intervals)
        total = sum(intervals)
        if n >= 4:
            longest = max(intervals)
            rest = (total - longest) / (n - 1)
            others = [i for i in intervals if i != longest]
            regular = len(others) == n - 1 and all(abs(i - rest) <= REGULAR * rest for i in others)
            if regular and MISSED[0] * rest < longest < MISSED[1] * rest:
                n += 1
        return 60.0 * self.fs * n / total

    def irregularity(self) -> float:
        """The middle half's spread of the latest intervals over their median; 0 for fewer than four."""
        intervals = sorted(self._intervals())
        n = len(intervals)
        if n < 4:
            return 0.0
        return (intervals[(3 * n) // 4] - intervals[n // 4]) / intervals[n // 2]

    def _intervals(self) -> list[int]:
        beats = self.state.beats
        first = max(0, len(beats) - 1 - MAX_INTERVALS)
        earliest = beats[-1] - WINDOW_S * self.fs if beats else 0
        while first < len(beats) - 3 and beats[first] < earliest:
            first += 1
        return [b - a for a, b in zip(beats[first:], beats[first + 1 :], strict=False)]
