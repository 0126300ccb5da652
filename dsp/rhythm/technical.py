"""lead_off, flat, saturated, noisy, missing: technical conditions, from the seconds' quality flags.

lead_off   the device reports an electrode off: at once; told anew when another one goes off
flat       a connected lead shows no movement
saturated  a lead stands at the end of its range
noisy      noise leaves no lead that rhythm alarms may rely on
missing    nothing is measured on any lead, and it is not for electrodes off

One bad lead among good ones is worth a word where somebody can mend it (lead_off, flat, saturated);
noise comes and goes with movement and is worth one only where it blinds the monitoring.
"""

from msgspec import Struct

from dsp.abstract import Second, condition
from dsp.episodes import begin, end
from dsp.quality import FLAT, MISSING, NOISY, OFF, SATURATED
from leadwire.model import RhythmEpisode
from leadwire.settings import Limits


class TechnicalState(Struct):
    """`since`: first sample of the present run of bad seconds; `present`, `absent`: seconds in a row;
    `leads`: those concerned during the run.
    """

    since: int = 0
    present: int = 0
    absent: int = 0
    leads: list[str] = []
    episode: RhythmEpisode | None = None


class Technical:
    """One kind of technical condition.

    Parameters
    ----------
    kind, flag
        The word, and the quality bit it goes by.
    begin_s, end_s
        Seconds in a row until it begins, and without it until it ends.
    blinding
        Only if no lead is left that is free of trouble.
    """

    def __init__(self, kind: str, flag: int, begin_s: int, end_s: int, blinding: bool = False) -> None:
        self.kinds: tuple[str, ...] = (kind,)
        self._flag = flag
        self._begin_s = begin_s
        self._end_s = end_s
        self._blinding = blinding
        self.state = TechnicalState()

    def second(self, now: Second) -> list[RhythmEpisode]:
        s = self.state
        if not now.union & self._flag or not self._concerns(now):
            s.present = 0
            if s.episode is None:
                return []
            s.absent += 1
            if s.absent < self._end_s:
                return []
            over = end(s.episode, now.stop - round(s.absent * now.fs))
            s.episode = None
            return [over]
        leads = [n for n, f in zip(now.leads, now.flags, strict=True) if f & self._flag]
        s.absent = 0
        s.present += 1
        if s.present == 1 and s.episode is None:
            s.since, s.leads = now.start, leads
        fresh = [n for n in leads if n not in s.leads]
        s.leads = s.leads + fresh
        out: list[RhythmEpisode] = []
        if s.episode is not None and fresh and not self._blinding:
            out.append(end(s.episode, now.start))
            s.episode, s.since, s.leads = None, now.start, leads
        if s.episode is None and s.present >= self._begin_s:
            s.episode = begin(
                now,
                self.kinds[0],
                s.since,
                rule=self.kinds[0],
                value=(now.stop - s.since) / now.fs,
                threshold=float(self._begin_s),
                unit="s",
                leads=tuple(s.leads),
            )
            out.append(s.episode)
        return out

    def open(self) -> list[RhythmEpisode]:
        return [] if self.state.episode is None else [self.state.episode]

    def _concerns(self, now: Second) -> bool:
        if self._flag == MISSING:
            return not now.measured
        return not (self._blinding and now.usable)


@condition("lead_off")
def lead_off(limits: Limits) -> Technical:
    return Technical("lead_off", OFF, 1, 1)


@condition("flat")
def flat(limits: Limits) -> Technical:
    return Technical("flat", FLAT, 5, 3)


@condition("saturated")
def saturated(limits: Limits) -> Technical:
    return Technical("saturated", SATURATED, 5, 3)


@condition("noisy")
def noisy(limits: Limits) -> Technical:
    return Technical("noisy", NOISY, 10, 5, blinding=True)


@condition("missing")
def missing(limits: Limits) -> Technical:
    return Technical("missing", MISSING, 2, 1, blinding=True)
