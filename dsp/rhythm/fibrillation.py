"""ventricular_fibrillation: fibrillation or flutter, from the waveform alone.

QRS detection fails in VF, so no beat is asked. Every second the waveform meter (`dsp/waves.py`) gives each
lead's log-odds of its latest 4 s; leads that can be told are averaged, each limited to `MOST` so that
none decides alone, and the mean of `BEGIN_S` seconds decides. One long look and a short one: an onset is
announced 3 to 8 s after it, when most of the window fibrillates.

It ends when the mean of `END_S` seconds says so, or after `STILL_S` in which no lead can be
told: nothing measured (the technical condition has taken over), or smaller than a monitor's floor for
complexes, which is asystole and is left to that alarm. No quality flag withholds it: VF looks like noise
to whoever looks for QRS complexes, and the model was trained on motion and muscle noise.

While it lasts `Second.overruled` says so and what rests on QRS complexes is not announced
(rates, asystole, ventricular tachycardia): only the worst of the family is.
"""

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from dsp.abstract import Second, condition
from dsp.episodes import begin, end
from dsp.pulse_witness import contradicts
from dsp.wave_features import WINDOW_S
from leadwire.model import RhythmEpisode
from leadwire.settings import Limits

MOST = 4.0
BEGIN_S = 3
BEGIN_ODDS = 1.25
END_S = 6
END_ODDS = -1.0
"""Where a waveform stops speaking for a rhythm (`ventricular.py`); fibrillation needs `OVER_ODDS`."""
OVER_ODDS = -1.75
"""Noise in the midst of fibrillation does not end it; beats on one lead do while the other is undecided."""
STILL_S = 2


def fused(odds: NDArray[np.float64]) -> float:
    """Mean log-odds of the leads that can be told, each limited to +-`MOST`; NaN if there is none."""
    total, n = 0.0, 0
    for v in odds.tolist():
        if v == v:
            total += min(max(v, -MOST), MOST)
            n += 1
    return total / n if n else float("nan")


class WaveState(Struct):
    """`odds`: of the latest seconds, oldest first; `still`: seconds in a row without any; `since`: the first
    sample that an episode may begin at.
    """

    odds: list[float] = field(default_factory=lambda: [-MOST] * END_S)
    still: int = 0
    since: int = -1
    episode: RhythmEpisode | None = None

    def take(self, now: Second, odds: float) -> None:
        """Remember one more second."""
        if self.since < 0:
            self.since = now.start
        told = odds == odds
        self.still = 0 if told else self.still + 1
        self.odds = [*self.odds[1:], odds if told else -MOST]

    def mean(self, seconds: int) -> float:
        """Of the latest seconds."""
        return sum(self.odds[-seconds:]) / seconds

    def onset(self, now: Second) -> int:
        """Where the present run of seconds in favour began: most of its first window was the rhythm."""
        n = 0
        while n < len(self.odds) and self.odds[-1 - n] > 0:
            n += 1
        return max(self.since, now.stop - round((max(n, 1) + WINDOW_S - 2) * now.fs))


PULSE_AT_MOST = 120.0
"""1/min; a regular pulse faster than this may be that of a ventricular tachycardia."""


@condition("fibrillation")
class Fibrillation:
    """See the module."""

    kinds: tuple[str, ...] = ("ventricular_fibrillation",)

    def __init__(self, limits: Limits) -> None:
        self.state = WaveState()

    def second(self, now: Second) -> list[RhythmEpisode]:
        s = self.state
        s.take(now, fused(now.wave_vf))
        out: list[RhythmEpisode] = []
        if s.episode is not None and s.episode.withheld and not self._doubt(now, s.episode.onset):
            out.append(end(s.episode, now.start))
            s.episode, s.since = None, now.start
        if s.episode is None:
            mean = s.mean(BEGIN_S)
            if mean > BEGIN_ODDS and s.odds[-1] > 0:
                leads = tuple(n for n, v in zip(now.leads, now.wave_vf.tolist(), strict=True) if v > 0)
                onset = s.onset(now)
                s.episode = begin(
                    now,
                    self.kinds[0],
                    onset,
                    rule="waveform",
                    value=round(mean, 2),
                    threshold=BEGIN_ODDS,
                    unit="log-odds",
                    leads=leads,
                    withheld=self._doubt(now, onset),
                )
                out.append(s.episode)
        elif s.mean(END_S) < OVER_ODDS or s.still >= STILL_S:
            over = end(s.episode, now.start if s.still else now.stop - round(WINDOW_S / 2 * now.fs))
            s.since = now.stop
            s.episode = None
            out.append(over)
        now.overruled = "" if s.episode is None or s.episode.withheld else self.kinds[0]
        return out

    def _doubt(self, now: Second, onset: int) -> str:
        """A fibrillating heart has no pulse: one that goes on undisturbed is a moving patient's."""
        return "pulse" if contradicts(now, onset, high=PULSE_AT_MOST) else ""

    def open(self) -> list[RhythmEpisode]:
        return [] if self.state.episode is None else [self.state.episode]
