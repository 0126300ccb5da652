"""tachycardia and bradycardia, each plain or extreme: the heart rate against its limits.

What is compared is the very rate that is shown, once a second, so that the number on the screen does not
contradict an alarm. A level begins after `BEGIN_S` seconds in a row beyond its limit and
ends after `END_S` seconds back inside by `HYSTERESIS`; of the two levels the worse alone is said.

Noise makes irregular false beats, and a fast regular rhythm makes no quiet slices (see `quality.py`):
so a rate is withheld only where most of the window was not usable *and* the intervals are
irregular, the `LATEST` ones among themselves as well. A pulse (`dsp.pulse_witness`) whose rate is beyond the
limit too confirms it; one inside the limit by `AGREE` withholds it, but not against a clean regular ECG.

Extreme bradycardia does not wait until the window has forgotten the faster beats: `SLOW_INTERVALS` in a
row longer than the limit's with a shown rate below it, or five beats whose mean rate reaches it while the
shown rate is below the plain limit; the evidence then says the rate of those five. A rate that cannot be
told for `UNKNOWN_S` ends the episode (asystole or a technical condition speaks then).
During ventricular tachycardia or fibrillation nothing is said of rates.
"""

import numpy as np
from msgspec import Struct, field

from dsp.abstract import Second, condition
from dsp.episodes import begin, end
from dsp.heart_rate import WINDOW_S
from dsp.pulse_witness import rate
from leadwire.model import RhythmEpisode
from leadwire.settings import Limits

BEGIN_S = 2
END_S = 3
UNKNOWN_S = 3
HYSTERESIS = 0.03  # of the limit
IRREGULAR = 0.15
POOR_S = 3  # of the window's 8 s
LATEST, EVEN = 8, 0.3  # intervals: regular if the longest and the shortest differ by less of the middle
SLOW_INTERVALS = 3
FIVE_BEATS = 4  # intervals
ACCURACY = 1.0
"""1/min; five beats within a monitor's accuracy of the limit have reached it (IEC 60601-2-27)."""
AGREE = 0.15


class RateState(Struct):
    """`level`: 0 none, 1, 2 extreme. Seconds in a row: `above` each level, `below` the present one,
    `unknown` without a rate. `poor`: one bit per past second that was not usable, for `trouble`.
    """

    level: int = 0
    above: list[int] = field(default_factory=lambda: [0, 0])
    below: int = 0
    unknown: int = 0
    poor: int = 0
    trouble: str = ""
    episode: RhythmEpisode | None = None


class _Rate:
    """One direction: `sign` +1 watches for fast, -1 for slow."""

    def __init__(self, kinds: tuple[str, str], limits: tuple[float, float], sign: int) -> None:
        self.kinds: tuple[str, ...] = kinds
        self._limits = limits
        self._sign = sign
        self.state = RateState()

    def second(self, now: Second) -> list[RhythmEpisode]:
        s = self.state
        s.poor = (s.poor << 1 | (not now.usable)) & ((1 << int(WINDOW_S)) - 1)
        if not now.usable:
            s.trouble = now.trouble
        if now.overruled:
            s.above, s.unknown = [0, 0], 0
            return self._change(now, 0, "") if s.level else []
        if now.rate is None:
            s.above = [0, 0]
            s.unknown += 1
            return self._change(now, 0, "") if s.level and s.unknown >= UNKNOWN_S else []
        s.unknown = 0
        if s.level == 0 and self._inside(now.rate):
            s.above[0] = s.above[1] = 0
            return []
        for i, limit in enumerate(self._limits):
            s.above[i] = s.above[i] + 1 if self._sign * (now.rate - limit) > 0 else 0
        five = self._five(now)
        if self._sign < 0 and ((s.above[1] == 1 and self._slow(now)) or five is not None):
            s.above[1] = BEGIN_S
        reached = 2 if s.above[1] >= BEGIN_S else 1 if s.above[0] >= BEGIN_S else 0
        if reached == 1 and s.above[1] and s.level == 0:
            return []  # the next second will tell which of the two it is
        withheld = ""
        if reached and (s.level < reached or (s.episode is not None and s.episode.withheld)):
            withheld = self._doubt(now, self._limits[reached - 1])
        if reached > s.level:
            return self._change(now, reached, withheld, five if reached == 2 else None)
        if s.level == 0:
            return []
        limit = self._limits[s.level - 1]
        s.below = s.below + 1 if self._sign * (now.rate - limit) < -HYSTERESIS * limit else 0
        if s.below >= END_S:
            return self._change(now, min(reached, s.level - 1), withheld)
        if s.episode is not None and s.episode.withheld and not withheld and reached:
            return self._change(now, reached, "")
        return []

    def _inside(self, rate: float) -> bool:
        """Whether a rate is beyond neither limit."""
        plain, extreme = self._limits
        if self._sign > 0:
            return rate <= plain and rate <= extreme
        return rate >= plain and rate >= extreme

    def _slow(self, now: Second) -> bool:
        rr = np.diff(now.beats[-1 - SLOW_INTERVALS :]) / now.fs
        return len(rr) == SLOW_INTERVALS and bool(rr.min() * self._limits[1] > 60)

    def _five(self, now: Second) -> float | None:
        """The rate of the five beats that the newest one completes, if they reach the extreme limit."""
        if self._sign > 0 or not now.fresh or now.rate is None:
            return None
        beats = now.beats[-1 - FIVE_BEATS :]
        if len(beats) <= FIVE_BEATS:
            return None
        rate = 60.0 * FIVE_BEATS * now.fs / float(beats[-1] - beats[0])
        return rate if rate <= self._limits[1] + ACCURACY and now.rate < self._limits[0] else None

    def _doubt(self, now: Second, limit: float) -> str:
        """Why a rate beyond `limit` must not be announced; empty: it may."""
        pulse = rate(now)
        if pulse is not None and self._sign * (pulse - limit) > 0:
            return ""
        rr = np.sort(np.diff(now.beats[-1 - LATEST :]))
        even = len(rr) == LATEST and rr[-1] - rr[0] < EVEN * rr[LATEST // 2]
        irregular = now.irregularity > IRREGULAR and not even
        if self.state.poor.bit_count() >= POOR_S and irregular:
            return self.state.trouble
        doubtful = self.state.poor > 0 or now.irregularity > IRREGULAR
        if doubtful and pulse is not None and self._sign * (pulse - limit) < -AGREE * limit:
            return "pulse"
        return ""

    def open(self) -> list[RhythmEpisode]:
        return [] if self.state.episode is None else [self.state.episode]

    def _change(
        self, now: Second, level: int, withheld: str, five: float | None = None
    ) -> list[RhythmEpisode]:
        s = self.state
        out: list[RhythmEpisode] = []
        if s.episode is not None:
            out.append(end(s.episode, now.start))
        s.episode = None
        s.level, s.below = level, 0
        if level and now.rate is not None:
            s.episode = begin(
                now,
                self.kinds[level - 1],
                now.start,
                rule="heart_rate",
                value=now.rate if five is None else round(five, 1),
                threshold=self._limits[level - 1],
                unit="1/min",
                leads=now.beat_leads,
                withheld=withheld,
            )
            out.append(s.episode)
        return out


@condition("tachycardia")
def tachycardia(limits: Limits) -> _Rate:
    """Fast: `Limits.tachycardia`, `Limits.extreme_tachycardia`."""
    kinds = ("tachycardia", "extreme_tachycardia")
    return _Rate(kinds, (limits.tachycardia, limits.extreme_tachycardia), 1)


@condition("bradycardia")
def bradycardia(limits: Limits) -> _Rate:
    """Slow: `Limits.bradycardia`, `Limits.extreme_bradycardia`."""
    kinds = ("bradycardia", "extreme_bradycardia")
    return _Rate(kinds, (limits.bradycardia, limits.extreme_bradycardia), -1)
