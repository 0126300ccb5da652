"""atrial_fibrillation: begin, end and burden, from the irregularity of the R-R intervals.

Every `EVERY_S` seconds the latest 10 and 20 intervals, those beside ventricular beats left out, are
measured in `WINDOW_NAMES` and a small set of trees (``models/af_rhythm.json``) says how likely they are
those of fibrillation. The short window is as quick as that of Petrenas et al. 2015 (8 beats); departures: its
three-beat median and bigeminy measure stand beside other measures instead of before them, and
beats of known class are filtered by class. The trees learned sinus arrhythmia, sighs, bigeminy, frequent
supraventricular and ventricular beats and pacing as what is not fibrillation.

It begins when the likelihood was above `BEGIN` for `BEGIN_S` seconds in a row (at once above `SURE`), and
ends when it was below `END` for `END_S`. The episode's onset and end
lie where the likelihood first crossed one half, less
`LAG` beats, for half of the short window must have changed for that. Seconds that are not usable teach
nothing: the windows begin anew behind them, an open episode goes on, and ends after
`BLIND_S` without any evidence.

Atrial flutter is not told apart: with irregular conduction it looks the same in the intervals, with a fixed
ratio it is as regular as a sinus rhythm and is not found here; its waves cannot be had reliably from one
surface lead. An episode means "fibrillation, or flutter conducted irregularly".

The burden, the part of the seconds with evidence that were fibrillation since the stream began, is in
`evidence.detail` of the episode's end, as ``burden 12.3 %``.
"""

import math

import numpy as np
from msgspec import Struct, structs

from dsp import af_trees
from dsp.abstract import Second, condition
from dsp.af_rr import LONG, WINDOW_NAMES, odds
from dsp.beat_state import WAIT_S
from dsp.episodes import begin, end
from leadwire.model import RhythmEpisode
from leadwire.settings import Limits

EVERY_S = 2
"""Looked at only so often: the windows do not change faster, and it halves the cost."""
BEGIN, END = 0.75, 0.3
SURE = 0.85
"""More than this counts twice: one look more settles it."""
BEGIN_S, END_S = 3, 6
LAG = 6
BLIND_S = 60
MOST = 30.0
"""Log-odds beyond this are certainty."""
NONE = np.empty(0, dtype=np.int64)
SETTLE_S = WAIT_S + 0.06
"""A beat is used so long after its R peak: its class is known then."""


class AtrialState(Struct):
    """`ectopic`: the latest ventricular beats. `clean_from`: first sample behind the last trouble.

    Seconds in a row: `above`, `below`, `blind`. `crossed`: where the likelihood last crossed one half,
    `high`: to which side. `over`: where the last episode ended. `af_s`, `seen_s`: seconds of
    fibrillation and of evidence since the beginning.
    """

    ectopic: list[int] = []
    clean_from: int = 0
    above: int = 0
    below: int = 0
    blind: int = 0
    high: bool = False
    crossed: int = -1
    over: int = -1
    af_s: int = 0
    seen_s: int = 0
    episode: RhythmEpisode | None = None


@condition("atrial_fibrillation")
class Atrial:
    """See the module."""

    kinds: tuple[str, ...] = ("atrial_fibrillation",)

    def __init__(self, limits: Limits) -> None:
        trees = af_trees.load("af_rhythm")
        self._model = trees.roots, trees.nodes, float(trees.start[0])
        self._phi = np.empty(len(WINDOW_NAMES))
        self.state = AtrialState()

    def second(self, now: Second) -> list[RhythmEpisode]:
        s = self.state
        now.fibrillating = s.episode is not None
        for sample, symbol in now.classed:
            if symbol == "V":
                s.ectopic.append(sample)
        if len(s.ectopic) > 2 * LONG:
            del s.ectopic[: -2 * LONG]
        if not now.usable:
            s.clean_from = now.stop
        if round(now.stop / now.fs) % EVERY_S:
            return []
        likely = self._likely(now)
        if likely is None:
            s.above = s.below = 0
            s.blind += EVERY_S
            if s.episode is None:
                s.crossed = -1
            elif s.blind >= BLIND_S:
                return self._over(now.stop - round(s.blind * now.fs))
            return []
        s.blind = 0
        s.seen_s += EVERY_S
        if (likely > 0.5) != s.high or s.crossed < 0:
            s.high, s.crossed = likely > 0.5, self._where(now)
        s.above = 0 if likely <= BEGIN else s.above + (2 * EVERY_S if likely > SURE else EVERY_S)
        s.below = s.below + EVERY_S if likely < END else 0
        if s.episode is not None:
            s.af_s += EVERY_S
            if s.below >= END_S:
                s.af_s -= s.below
                return self._over(s.crossed)
        elif s.above >= BEGIN_S:
            s.af_s += s.above
            s.episode = begin(
                now,
                self.kinds[0],
                max(s.crossed, s.over + 1),
                rule="rr_irregularity",
                value=round(likely, 3),
                threshold=BEGIN,
                unit="",
                leads=now.beat_leads,
            )
            return [s.episode]
        return []

    def open(self) -> list[RhythmEpisode]:
        return [] if self.state.episode is None else [self.state.episode]

    def _likely(self, now: Second) -> float | None:
        s = self.state
        if not now.usable or now.rate is None:
            return None
        last = now.stop - round(SETTLE_S * now.fs)
        ectopic = np.array(s.ectopic, dtype=np.int64) if s.ectopic else NONE
        score = float(odds(now.beats, ectopic, s.clean_from, last, now.fs, *self._model, self._phi))
        if score != score:
            return None
        return 1.0 / (1.0 + math.exp(-score)) if score > -MOST else 0.0

    def _where(self, now: Second) -> int:
        """The beat by which the rhythm changed; the first one where there was no evidence before."""
        clean = now.beats[now.beats >= self.state.clean_from]
        return int(clean[0] if self.state.crossed < 0 else clean[-min(LAG + 1, len(clean))])

    def _over(self, sample: int) -> list[RhythmEpisode]:
        s = self.state
        if s.episode is None:
            return []
        burden = 100.0 * s.af_s / max(1, s.seen_s)
        ended = end(s.episode, sample)
        s.episode, s.above, s.below, s.over = None, 0, 0, ended.end or sample
        evidence = structs.replace(ended.evidence, detail=f"burden {burden:.1f} %")
        return [structs.replace(ended, evidence=evidence)]
