"""asystole and pause: no QRS complex for too long. One family, so that the worst one alone is said.

Silence counts from the last R peak (or from where measurement began) to the last sample before which
every complex has been reported. After `Limits.pause_s` it is a pause, after
`Limits.asystole_s` asystole; each is announced 0.5 to 1.5 s later.

What is silence, and what is blindness:

- No lead measured (electrodes reported off, data missing): nothing can be said. The count begins anew
  when a lead is back, and an open episode ends: the technical alarm has taken over.
- Ventricular fibrillation or tachycardia is announced (`Second.overruled`): complexes are not looked for.
  The count begins anew when it ends, and it ends soon on a trace that has gone still (`fibrillation.py`).
  Behind a tachycardia whose complexes were found until `FOLLOWED_S` ago it begins at the last one of them,
  or `Limits.pause_s` ago: a heart that stops out of a tachycardia is alarmed a second after that one's end.
- All measured leads noisy or saturated: complexes may hide. The count goes on, but what it finds
  is only told as `withheld`, with the reason, until the view has been clear for the whole limit.
- A pulse that went on through it all (`pulse_witness.contradicts`): the heart beats, the electrodes do not
  see it. Withheld likewise, as ``pulse``; when the pulse ends too, the count of a clear view begins. As far
  as it has vouched once it need not do so again.
  An announced asystole on flat leads ends when the pulse has been back for `PULSE_BACK_S`.
- **A flat line on leads reported as connected is a clear view.** IEC 60601-2-27 asks for asystole to be
  alarmed, and for a lead fault to be told apart by electrode status, which the device sends us.
  Equipment that is not sure must not stay silent: so asystole is announced, its
  evidence says ``flat``, and the technical condition `flat` is raised beside it.

An open asystole ends with two beats less than the limit apart: one artefact in a dying heart must
not stop the alarm. A pause ends after two intervals below its limit, so a heart of 18/min is one
episode and not eighteen a minute.
"""

from msgspec import Struct

from dsp.abstract import Second, condition
from dsp.episodes import begin, end
from dsp.pulse_witness import contradicts
from dsp.quality import FLAT, UNMEASURED_MASK
from leadwire.model import RhythmEpisode
from leadwire.settings import Limits

PULSE_BACK_S = 10.0
FOLLOWED_S = 6.0
FIBRILLATION = "ventricular_fibrillation"


class NoQrsState(Struct):
    """What a silence is counted from.

    `silent_from`: the last beat or the beginning of measurement; `clear_from`: since when the view
    is clear as well; both -1 before the first second. `trouble`: what last blocked the view.
    `followed`: the last beat during a tachycardia, -1 if none. `returned`: the last beat inside an
    open asystole, -1 if none. `steady`: short intervals since the last long one of an open pause,
    which ended at sample `over`.
    """

    silent_from: int = -1
    clear_from: int = -1
    trouble: str = ""
    followed: int = -1
    returned: int = -1
    steady: int = 0
    over: int = 0
    asystole: RhythmEpisode | None = None
    pause: RhythmEpisode | None = None


@condition("no_qrs")
class NoQrs:
    """See the module."""

    kinds: tuple[str, ...] = ("asystole", "pause")

    def __init__(self, limits: Limits) -> None:
        self._asystole_s = limits.asystole_s
        self._pause_s = limits.pause_s
        self.state = NoQrsState()

    def second(self, now: Second) -> list[RhythmEpisode]:
        s = self.state
        out: list[RhythmEpisode] = []
        if s.silent_from < 0:
            s.silent_from = s.clear_from = now.start
        if not now.measured or now.overruled:
            self._end_asystole(now.start, out)
            self._end_pause(now.start, out)
            s.silent_from = s.clear_from = self._anew(now)
            return out
        if not now.seeing:
            s.clear_from, s.trouble = now.stop, now.trouble
        for r in now.fresh:
            if r > s.silent_from:
                self._silence(now, r, out)
                self._beat(now, r, out)
        self._silence(now, now.known, out)
        return out

    def open(self) -> list[RhythmEpisode]:
        return [e for e in (self.state.asystole, self.state.pause) if e is not None]

    def _anew(self, now: Second) -> int:
        """Where the count of a silence begins that may follow this second, of which nothing is said."""
        s = self.state
        if now.overruled and now.fresh:
            s.followed = now.fresh[-1]
        followed = s.followed >= 0 and now.stop - s.followed <= FOLLOWED_S * now.fs
        if not followed or not now.seeing or now.overruled == FIBRILLATION:
            return now.stop
        return max(s.followed, now.stop - round(self._pause_s * now.fs))

    def _silence(self, now: Second, until: int, out: list[RhythmEpisode]) -> None:
        """Say what a silence that lasted until sample `until` amounts to."""
        s = self.state
        silent = (until - s.silent_from) / now.fs
        if s.asystole is not None and not s.asystole.withheld:
            if self._unplugged(now):
                self._end_asystole(now.start, out)
                s.silent_from = s.clear_from = now.start
            return
        if silent < self._pause_s:
            return
        if contradicts(now, s.clear_from if s.trouble == "pulse" else s.silent_from):
            s.clear_from, s.trouble = until, "pulse"
        clear = (until - s.clear_from) / now.fs
        if clear >= self._asystole_s or (silent >= self._asystole_s and s.asystole is None):
            self._end_asystole(s.clear_from, out)
            self._end_pause(until, out)
            s.asystole = self._begin(now, "asystole", self._asystole_s, silent, clear)
            s.returned = -1
            out.append(s.asystole)
        elif s.asystole is None and (
            s.pause is None or (s.pause.withheld and clear >= self._pause_s and s.clear_from > s.pause.onset)
        ):
            self._end_pause(s.clear_from, out)
            s.pause = self._begin(now, "pause", self._pause_s, silent, clear)
            s.steady = 0
            out.append(s.pause)

    def _unplugged(self, now: Second) -> bool:
        """Whether every lead is flat (chest compressions would move it) above a pulse that goes on."""
        flat = all(f & (UNMEASURED_MASK | FLAT) for f in now.flags)
        return flat and contradicts(now, now.stop - round(PULSE_BACK_S * now.fs))

    def _beat(self, now: Second, r: int, out: list[RhythmEpisode]) -> None:
        s = self.state
        if s.asystole is not None:
            if s.asystole.withheld:
                self._end_asystole(r, out)
            elif s.returned >= 0 and (r - s.returned) / now.fs < self._asystole_s:
                self._end_asystole(s.returned, out)
            s.returned = r
        if s.pause is not None:
            if (r - s.silent_from) / now.fs >= self._pause_s:
                s.steady, s.over = 0, r
            else:
                s.steady += 1
            if s.steady >= 2:
                self._end_pause(s.over, out)
        s.silent_from, s.clear_from = r, max(r, s.clear_from if not now.seeing else r)

    def _begin(self, now: Second, kind: str, limit: float, silent: float, clear: float) -> RhythmEpisode:
        s = self.state
        announced = clear >= limit
        leads = tuple(n for n, f in zip(now.leads, now.flags, strict=True) if not f & UNMEASURED_MASK)
        flat = all(f & (UNMEASURED_MASK | FLAT) for f in now.flags)
        return begin(
            now,
            kind,
            s.clear_from if announced else s.silent_from,
            rule="no_qrs",
            value=clear if announced else silent,
            threshold=limit,
            unit="s",
            leads=leads,
            detail="flat" if flat else "",
            withheld="" if announced else s.trouble,
        )

    def _end_asystole(self, sample: int, out: list[RhythmEpisode]) -> None:
        if self.state.asystole is not None:
            out.append(end(self.state.asystole, sample))
            self.state.asystole = None

    def _end_pause(self, sample: int, out: list[RhythmEpisode]) -> None:
        if self.state.pause is not None:
            out.append(end(self.state.pause, sample))
            self.state.pause = None
