"""Ectopic beats: couplets, runs, bigeminy, trigeminy, R-on-T, PVCs a minute, SVT, missed beats.

pvc_couplet    two V in a row
pvc_run        `RUN` V in a row or more (from `Limits.vt_beats` on `ventricular.py` says what it is)
bigeminy       `CYCLES` times one other beat and one V
trigeminy      `CYCLES` times two other beats and one V
r_on_t         V after less than a third of the mean interval, then a pause of 1.25 of it, below 100/min
multiform_pvc  two shapes of V in the last 60 s, `EACH_SHAPE` beats of each at least
frequent_pvc   more than `Limits.pvc_per_min` V in the last 60 s, until less than `LESS` of that
svt            `Limits.svt_beats` S in a row at `Limits.svt_rate` or more
missed_beat    an interval of 1.8 to 2.2 of the mean in a regular rhythm, not after an ectopic beat

Two things look like couplets and short runs and are none. Beats of another shape that all come in time
(`TIMELY`) are sinus beats of a patient who has turned over, or of a bundle branch. And after a real ectopic
beat the next one waits: where it comes at once (`RETURN`), the rhythm went on underneath and the "ectopic"
beats were movement. So both are told one beat after their last, and a run as soon as it is longer than `RUN`.
The same holds for bigeminy and trigeminy, whose V must come earlier than the other beats.

Numbers are those of bedside monitors (Edan, Mindray). All but svt and frequent_pvc are single events: they
open an episode that lasts until `HOLD_S` have passed without another one, so that a patient with a couplet
every ten seconds has one episode. A class is known 0.64 s after R, and is told in the second after that.
Where no lead is usable the episode is withheld, with the reason. In atrial fibrillation
(`Second.fibrillating`) nothing is said of what only the order or the intervals of beats tell (`ORDERED`), no
interval is early or late, and in ventricular fibrillation nothing at all is said.
"""

from collections import Counter
from itertools import pairwise
from statistics import median

from msgspec import Struct, field

from dsp.abstract import Second, condition
from dsp.episodes import begin, end
from leadwire.model import RhythmEpisode
from leadwire.settings import Limits

RUN = 3
CYCLES = 3
HOLD_S = 30.0
HELD_S = {"svt": 3.0, "multiform_pvc": 60.0}
MINUTE_S = 60.0
LESS = 0.7
KEPT = 16
MISSED_LOW, MISSED_HIGH = 1.8, 2.2
REGULAR = 0.1
EARLY, PAUSE, SLOW_RR_S = 1 / 3, 1.25, 0.6
TIMELY = 0.9
RETURN = 0.7
LONGER = 1.5
"""Only an interval longer than this against the shortest of three is looked at for a missed beat."""
SETTLED = 3
"""After so many plain beats in a row no pattern of ventricular beats can be completed by another one."""

EVENTS = (
    "pvc_couplet",
    "pvc_run",
    "bigeminy",
    "trigeminy",
    "r_on_t",
    "missed_beat",
    "svt",
    "frequent_pvc",
    "multiform_pvc",
)
ORDERED = frozenset({"bigeminy", "trigeminy", "r_on_t", "missed_beat", "svt"})
EACH_SHAPE = 2
FIBRILLATION = "ventricular_fibrillation"


class EctopyState(Struct):
    """`beats`: (sample, symbol), the latest; `plain`: how many of them, to the last, are N; `mean`: the
    mean interval between such, s, 0 if unknown; `pvcs`: samples of V in the last minute; `shapes`:
    (sample, number of its shape) of V in the last minute; `last`: by kind,
    when it was last seen; `episodes`: those open.
    """

    beats: list[tuple[int, str]] = []
    plain: int = 0
    mean: float = 0.0
    pvcs: list[int] = []
    shapes: list[tuple[int, int]] = []
    last: dict[str, int] = field(default_factory=dict)
    episodes: dict[str, RhythmEpisode] = field(default_factory=dict)


@condition("ectopy")
class Ectopy:
    """See the module."""

    kinds: tuple[str, ...] = EVENTS

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.state = EctopyState()

    def second(self, now: Second) -> list[RhythmEpisode]:
        out: list[RhythmEpisode] = []
        s = self.state
        if now.overruled == FIBRILLATION:
            s.beats, s.pvcs, s.shapes = [], [], []
            return [end(s.episodes.pop(kind), now.start) for kind in list(s.episodes)]
        if now.classed:
            if not (now.classes and s.beats and now.classes[0][0] <= s.beats[-1][0]):
                s.beats, s.plain, s.mean = (
                    [],
                    0,
                    0.0,
                )  # data were missing: what came before does not stand before these
            for beat in now.classed:
                self._beat(now, beat, out)
        if now.shapes:
            s.shapes = [*s.shapes, *now.shapes]
        if s.pvcs or s.shapes:
            self._minute(now, out)
        if s.episodes:
            for kind in list(s.episodes):
                hold = HELD_S.get(kind, HOLD_S)
                if kind != "frequent_pvc" and now.known - s.last[kind] > hold * now.fs:
                    out.append(end(s.episodes.pop(kind), s.last[kind]))
        return out

    def open(self) -> list[RhythmEpisode]:
        return list(self.state.episodes.values())

    def _beat(self, now: Second, beat: tuple[int, str], out: list[RhythmEpisode]) -> None:
        """Take the next beat and look for what it completes."""
        s = self.state
        beats = s.beats
        beats.append(beat)
        if len(beats) > KEPT:
            del beats[0]
        if beat[1] != "N":
            s.plain = 0
        else:
            s.plain += 1
            if s.plain > SETTLED:
                self._missed(now, out)
                return
        if beat[1] == "V":
            s.pvcs.append(beat[0])
        symbols = "".join("V" if c == "V" else "n" for _, c in beats)
        rr = [(b[0] - a[0]) / now.fs for a, b in pairwise(beats)]
        mean = self._mean(rr)
        self._ventricular(now, symbols, rr, 0.0 if now.fibrillating else mean, out)
        self._r_on_t(now, symbols, rr, mean, out)
        self._svt(now, out)

    def _ventricular(
        self, now: Second, symbols: str, rr: list[float], mean: float, out: list[RhythmEpisode]
    ) -> None:
        """Couplets, runs, bigeminy and trigeminy; `mean` is 0 where no interval is early or late."""
        beats = self.state.beats
        done = symbols.rstrip("n") if symbols.endswith("Vn") else symbols
        run = len(done) - len(done.rstrip("V"))
        over = len(symbols) - len(done)
        if run and mean:
            timely = min(rr[-over - run : len(rr) - over]) >= TIMELY * mean
            if timely or (over and rr[-1] < RETURN * mean):
                run = 0
        if over and run == 2 and len(symbols) > 3:
            self._seen(now, "pvc_couplet", beats[-3][0], 2.0, 2.0, "beats", out)
        if run >= RUN + (not over):
            self._seen(now, "pvc_run", beats[-run - over][0], float(run), float(RUN), "beats", out)
        for kind, cycle in (("bigeminy", "nV"), ("trigeminy", "nnV")):
            first, step = -CYCLES * len(cycle), len(cycle)
            if not symbols.endswith(CYCLES * cycle):
                continue
            # rr[k] is the interval before beats[k]; that before the first beat of all is nobody's business.
            early = [rr[k] for k in range(first + step - 1, 0, step)]
            others = [rr[k] for k in range(first + step - 2, 0, step) if k > first]
            if not mean or sum(early) / len(early) < TIMELY * sum(others) / len(others):
                self._seen(now, kind, beats[first][0], float(CYCLES), float(CYCLES), "cycles", out)

    def _mean(self, rr: list[float]) -> float:
        """The median interval between plain beats before the newest, or the last one known; 0: unknown."""
        s = self.state
        plain = self._plain(rr)
        if len(plain) >= 4:
            s.mean = median(plain)
        return s.mean

    def _plain(self, rr: list[float]) -> list[float]:
        beats = self.state.beats
        return [v for v, (_, a), (_, c) in zip(rr[:-1], beats, beats[1:], strict=False) if a == c == "N"]

    def _r_on_t(
        self, now: Second, symbols: str, rr: list[float], mean: float, out: list[RhythmEpisode]
    ) -> None:
        if symbols.endswith("nVn") and mean > SLOW_RR_S and rr[-2] < EARLY * mean and rr[-1] >= PAUSE * mean:
            self._seen(now, "r_on_t", self.state.beats[-2][0], rr[-2], EARLY * mean, "s", out)

    def _missed(self, now: Second, out: list[RhythmEpisode]) -> None:
        """After plain beats in a row: whether one more would have fitted in between."""
        beats = self.state.beats
        if self.state.plain < 6:
            return
        a, b, c, d, e = [sample for sample, _ in beats[-5:]]
        if e - d <= LONGER * min(d - c, c - b, b - a):
            return
        rr = [(y[0] - x[0]) / now.fs for x, y in pairwise(beats)]
        plain = self._plain(rr)
        mean = median(plain)
        spread = sorted(abs(value / mean - 1) for value in plain)
        regular = spread[len(spread) * 3 // 4] < REGULAR
        if regular and MISSED_LOW * mean < rr[-1] < min(MISSED_HIGH * mean, self._limits.pause_s):
            self._seen(now, "missed_beat", beats[-2][0], rr[-1], MISSED_LOW * mean, "s", out)

    def _svt(self, now: Second, out: list[RhythmEpisode]) -> None:
        beats, need = self.state.beats, self._limits.svt_beats
        run = beats[-need:]
        if len(run) < need or any(c != "S" for _, c in run):
            return
        rate = 60.0 * now.fs * (need - 1) / (run[-1][0] - run[0][0])
        if rate >= self._limits.svt_rate:
            self._seen(now, "svt", run[0][0], rate, self._limits.svt_rate, "1/min", out)

    def _minute(self, now: Second, out: list[RhythmEpisode]) -> None:
        s, limit = self.state, float(self._limits.pvc_per_min)
        while s.pvcs and s.pvcs[0] <= now.stop - MINUTE_S * now.fs:
            del s.pvcs[0]
        if len(s.pvcs) > limit:
            self._seen(now, "frequent_pvc", s.pvcs[0], float(len(s.pvcs)), limit, "1/min", out)
        elif "frequent_pvc" in s.episodes and len(s.pvcs) < LESS * limit:
            out.append(end(s.episodes.pop("frequent_pvc"), now.start))
        while s.shapes and s.shapes[0][0] <= now.stop - MINUTE_S * now.fs:
            del s.shapes[0]
        if now.shapes:
            often = [k for k, n in Counter(k for _, k in s.shapes).items() if n >= EACH_SHAPE]
            if len(often) > 1:
                first = min(sample for sample, k in s.shapes if k in often)
                self._seen(now, "multiform_pvc", first, float(len(often)), 2.0, "shapes", out)

    def _seen(
        self,
        now: Second,
        kind: str,
        onset: int,
        value: float,
        threshold: float,
        unit: str,
        out: list[RhythmEpisode],
    ) -> None:
        s = self.state
        if now.fibrillating and kind in ORDERED:
            return
        s.last[kind] = max(s.last.get(kind, -1), s.beats[-1][0] if s.beats else now.start)
        if kind in s.episodes:
            return
        s.episodes[kind] = begin(
            now,
            kind,
            max(onset, 0),
            rule=kind,
            value=value,
            threshold=threshold,
            unit=unit,
            leads=now.beat_leads,
            withheld="" if now.usable else now.trouble,
        )
        out.append(s.episodes[kind])
