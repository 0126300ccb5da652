"""Ventricular rhythms: tachycardia, sustained tachycardia, rhythm and bradycardia; the worst alone is said.

sustained_ventricular_tachycardia   one of the next that has lasted `Limits.vt_sustained_s`
ventricular_tachycardia             `Limits.vt_beats` ventricular beats in a row at `Limits.vt_rate` or more,
                                    or a fast wide rhythm by its waveform
ventricular_rhythm                  `RHYTHM_BEATS` in a row, slower, down to `Limits.ventricular_bradycardia`
ventricular_bradycardia             the same, slower still

Two ways lead to a tachycardia, for each is blind where the other sees. Beat classes (`dsp/beats.py`)
need complexes that were found and a patient whose normal beats are known; one beat of the run, but not its
last, may be of another class (the first one is often fused) if all of it was usable. The waveform
(`dsp/waves.py`) needs neither: it sees a tachycardia that the recording begins with, or one too wide for
the QRS detector. By the waveform it takes log-odds over `BEGIN_S` seconds and repetitions at
`Limits.vt_rate` or more; a single second and lower odds (`LOST_ODDS`) if a clean pulse failed with it.

A run ends with two other beats in a row, or `SILENT_S` without a ventricular beat; a captured or fused
beat inside a tachycardia does not end it. Rates are those of the latest `RATE_BEATS` intervals of
the run. During ventricular fibrillation nothing of this is announced (`Second.overruled`).

Numbers are those of bedside monitors (Mindray ePM; Edan: >= 5 V at >= 100). Not here: runs of 3 to 5,
couplets and PVC counts, which are ectopy.
"""

import math

from msgspec import Struct, field

from dsp.abstract import Second, condition
from dsp.episodes import begin, end
from dsp.pulse_witness import contradicts, lost
from dsp.rhythm.fibrillation import END_ODDS, END_S, WaveState, fused
from leadwire.model import RhythmEpisode
from leadwire.settings import Limits

BEGIN_S = 3
WAVE_ODDS = 1.0
LOST_ODDS = -1.0
"""What a single second needs if the pulse failed with it: a second witness for a short run."""
PLAIN_ODDS = -1.5
"""Below this the waveform says nothing of a tachycardia."""
RHYTHM_BEATS = 5
RATE_BEATS = 5
SILENT_S = 3.0
PULSE_PART = 0.9
"""A pulse at most this part of `Limits.vt_rate` is not that of a tachycardia."""

NONE, BRADYCARDIA, RHYTHM, TACHYCARDIA, SUSTAINED = range(5)


class VentricularState(Struct):
    """The present run: its first and latest ventricular beats, their number, other beats since. `level` is
    that of the open episode, `since` where its tachycardia began, `below` seconds without reason for it.
    """

    first: int = -1
    latest: list[int] = []
    n: int = 0
    others: int = 0
    level: int = NONE
    since: int = -1
    below: int = 0
    poor: int = -1
    wave: WaveState = field(default_factory=WaveState)
    episode: RhythmEpisode | None = None


@condition("ventricular")
class Ventricular:
    """See the module."""

    kinds: tuple[str, ...] = (
        "ventricular_bradycardia",
        "ventricular_rhythm",
        "ventricular_tachycardia",
        "sustained_ventricular_tachycardia",
    )

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.state = VentricularState()

    def second(self, now: Second) -> list[RhythmEpisode]:
        s = self.state
        if not now.usable:
            s.poor = now.stop
        for sample, symbol in now.classed:
            self._beat(sample, symbol)
        if s.n and now.known - s.latest[-1] > SILENT_S * now.fs:
            s.n, s.latest = 0, []
        s.wave.take(now, fused(now.wave_vt))
        if s.level == NONE and self._plain(now):
            return []
        rate = self._rate(now.fs)
        level, onset, by_wave = self._level(now, rate)
        out: list[RhythmEpisode] = []
        if now.overruled:
            if s.episode is not None:
                out.append(end(s.episode, now.start))
            s.episode, s.level, s.below = None, NONE, 0
            return out
        s.below = s.below + 1 if level < min(s.level, TACHYCARDIA) else 0
        if level == TACHYCARDIA:
            if s.level < TACHYCARDIA:
                s.since = onset
            if now.stop - s.since >= self._limits.vt_sustained_s * now.fs:
                level = SUSTAINED
        freed = level >= TACHYCARDIA and s.episode is not None and s.episode.withheld != ""
        freed = freed and s.episode is not None and not self._doubt(now, level, s.episode.onset)
        if level > s.level or s.below >= END_S // 2 or freed:
            self._change(now, level, onset, rate, by_wave, out)
        if s.level >= TACHYCARDIA and s.episode is not None and not s.episode.withheld:
            now.overruled = self.kinds[s.level - 1]
        return out

    def open(self) -> list[RhythmEpisode]:
        return [] if self.state.episode is None else [self.state.episode]

    def _plain(self, now: Second) -> bool:
        """Whether nothing is ventricular now: no run, no waveform, and another class of the newest beat."""
        s = self.state
        return s.n == 0 and s.wave.odds[-1] <= PLAIN_ODDS and not (now.classes and now.classes[-1][1] == "V")

    def _beat(self, sample: int, symbol: str) -> None:
        s = self.state
        if symbol != "V":
            s.others += 1
            if s.others >= 2 or s.n < RHYTHM_BEATS:
                s.n, s.latest = 0, []
            return
        if s.n == 0:
            s.first = sample
        s.n, s.others = s.n + 1, 0
        s.latest = [*s.latest[-RATE_BEATS:], sample]

    def _rate(self, fs: float) -> float:
        """Of the latest intervals of the run, 1/min; 0 if it has none."""
        latest = self.state.latest
        return 60.0 * fs * (len(latest) - 1) / (latest[-1] - latest[0]) if len(latest) > 1 else 0.0

    def _level(self, now: Second, rate: float) -> tuple[int, int, bool]:
        """What this second is, since when, and whether the waveform says so."""
        s, limits = self.state, self._limits
        if s.n >= limits.vt_beats and rate >= limits.vt_rate:
            return TACHYCARDIA, s.first, False
        nearly = self._nearly(now)
        if nearly >= 0:
            return TACHYCARDIA, nearly, False
        open_ = s.level >= TACHYCARDIA
        odds = s.wave.mean(END_S) > END_ODDS if open_ else s.wave.mean(BEGIN_S) > WAVE_ODDS
        odds = odds and s.wave.odds[-1] > (END_ODDS if open_ else 0)
        odds = odds or (s.wave.odds[-1] > LOST_ODDS and lost(now, s.wave.onset(now)))
        if odds and self._fast(now):
            return TACHYCARDIA, s.wave.onset(now), True
        if s.n >= RHYTHM_BEATS and rate > 0:
            slow = rate < limits.ventricular_bradycardia
            return BRADYCARDIA if slow else RHYTHM, s.first, False
        return NONE, now.start, False

    def _nearly(self, now: Second) -> int:
        """Where a run began of which one beat alone was not taken for ventricular; -1 if there is none."""
        n = self._limits.vt_beats
        run = now.classes[-n:]
        first, last = (run[0][0], run[-1][0]) if len(run) == n else (now.stop, now.stop)
        rate = 60.0 * now.fs * (n - 1) / (last - first) if last > first else 0.0
        others = sum(symbol != "V" for _, symbol in run)
        clear = self.state.poor <= first and now.known - last <= SILENT_S * now.fs
        return first if clear and others == 1 and run[-1][1] == "V" and rate >= self._limits.vt_rate else -1

    def _fast(self, now: Second) -> bool:
        rates = sorted(r for r, v in zip(now.wave_rate.tolist(), now.wave_vt.tolist(), strict=True) if v > -1)
        return bool(rates) and rates[len(rates) // 2] >= self._limits.vt_rate

    def _change(
        self, now: Second, level: int, onset: int, rate: float, by_wave: bool, out: list[RhythmEpisode]
    ) -> None:
        s, limits = self.state, self._limits
        if s.episode is not None:
            out.append(end(s.episode, now.start))
            onset = now.start if level != SUSTAINED else s.since
        s.episode, s.level, s.below = None, level, 0
        if level == NONE:
            return
        if by_wave:
            rate = max((r for r in now.wave_rate.tolist() if math.isfinite(r)), default=0.0)
        s.episode = begin(
            now,
            self.kinds[level - 1],
            onset,
            rule="waveform" if by_wave else "ventricular_beats",
            value=round(rate, 1),
            threshold=limits.vt_rate if level >= TACHYCARDIA else limits.ventricular_bradycardia,
            unit="1/min",
            leads=now.leads if by_wave else now.beat_leads,
            withheld=self._doubt(now, level, onset),
        )
        out.append(s.episode)

    def _doubt(self, now: Second, level: int, onset: int) -> str:
        """A tachycardia below which a normal pulse goes on as if nothing had happened is an artefact."""
        normal = PULSE_PART * self._limits.vt_rate
        return "pulse" if level >= TACHYCARDIA and contradicts(now, onset, high=normal) else ""
