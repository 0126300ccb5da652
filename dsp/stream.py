"""The running analysis of one stream with one layout (rate and leads); `pipeline.py` decides when it begins.

It turns rows of int16 into mV, feeds detectors and meters with pieces that never reach beyond a second of
samples, and closes each second.
"""

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from dsp.abstract import Condition, Second
from dsp.beat_book import BeatBook, BookState, merged
from dsp.beats import BeatClassifier
from dsp.digits import to_mv
from dsp.heart_rate import HeartRateMeter
from dsp.pulse import PulseDetector
from dsp.qrs import QrsDetector
from dsp.quality import QualityMeter, verdict
from dsp.waves import WaveMeter
from leadwire.model import (
    INVALID_SAMPLE,
    UNIT_IN_MV,
    Beat,
    HeartRate,
    QualityFlag,
    RhythmEpisode,
    SampleChunk,
    SignalQuality,
    StreamEvent,
)

DARK_S = 0.15
"""All leads missing for so long could hide a QRS complex: the R-R interval across it is unknown."""
SETTLED_S = 0.5
"""So long after an R peak its beat has been reported, but for the rare search-back (`delay_s`): the
conditions do not wait for that, for an asystole is worth more than a beat found late."""


class Layout(Struct, frozen=True):
    """What the analysis depends on besides samples."""

    fs: float
    sig_name: tuple[str, ...]
    units: tuple[str, ...]

    @classmethod
    def of(cls, chunk: SampleChunk) -> "Layout":
        return cls(chunk.fs, chunk.sig_name, chunk.units)

    def fits(self, chunk: SampleChunk) -> bool:
        """Whether `chunk` continues with the same layout."""
        return self.fs == chunk.fs and self.sig_name == chunk.sig_name and self.units == chunk.units


class RunningState(Struct):
    """The snapshot of `Running`."""

    origin: int
    zero: int
    at: int
    qrs: bytes
    quality: bytes
    kinds: bytes
    book: BookState
    dark: int
    darks: list[int]
    heart: bytes
    waves: bytes
    pulse: bytes
    beat_leads: int
    fresh: list[int]
    conditions: dict[str, msgspec.Raw]


class Running:
    """See the module.

    Parameters
    ----------
    layout, stream
        Rate and signals, and whose.
    origin
        The stream's sample number of the first row.
    conditions
        By name, in the order they are asked.
    """

    def __init__(self, layout: Layout, stream: str, origin: int, conditions: dict[str, Condition]) -> None:
        self.layout = layout
        self._stream = stream
        self._origin = self._at = origin
        self._zero = origin  # of the detector, moved by jumps
        self._conditions = conditions
        ecg = [i for i, unit in enumerate(layout.units) if unit in UNIT_IN_MV]
        self._columns = np.array(ecg, dtype=np.int64)
        self._leads = tuple(layout.sig_name[i] for i in ecg)
        self._qrs = QrsDetector(layout.fs, len(ecg)) if ecg else None
        self._classifier = BeatClassifier(layout.fs, max(1, len(ecg)))
        self._book = BeatBook()
        self._quality = QualityMeter(layout.fs, len(ecg))
        self._heart = HeartRateMeter(layout.fs)
        self._waves = WaveMeter(layout.fs, len(ecg))
        self._pulse = PulseDetector(layout.fs, layout.sig_name, layout.units, origin)
        self._beat_leads = 0
        self._dark = np.zeros(1, dtype=np.int64)
        self._darks: list[int] = []
        self._dark_rows = max(1, round(DARK_S * layout.fs))
        self._darks_kept = int(self.delay_s / DARK_S) + 2
        self._settled = round(SETTLED_S * layout.fs)
        most = int(layout.fs) + 1  # rows of a second
        self._x = np.empty((most, len(ecg)))
        self._marks = np.empty(most // self._dark_rows + 1, dtype=np.int64)
        self._nothing = np.full((most, len(layout.sig_name)), INVALID_SAMPLE, np.int16)
        self._second = Second(stream=stream, fs=layout.fs, leads=self._leads)
        self._locate(origin)
        self._calibration: tuple[tuple[float, ...], tuple[int, ...]] = ((), ())
        self._scale = self._rails = np.zeros((len(ecg), 2))
        self._off = np.zeros(len(ecg), dtype=np.bool_)
        self._off_names: tuple[str, ...] = ()
        self._lead_names: dict[int, tuple[str, ...]] = {}

    @property
    def delay_s(self) -> float:
        """Longest time from an R peak to its `Beat`, in s."""
        return self._qrs.delay_s if self._qrs is not None else 0.0

    def open(self) -> list[RhythmEpisode]:
        return [e for c in self._conditions.values() for e in c.open()]

    def calibrate(self, chunk: SampleChunk) -> None:
        """Take over gains, baselines and electrodes off from `chunk`; to be called before any row of it."""
        calibration = (chunk.adc_gain, chunk.baseline)
        if calibration != self._calibration:
            self._calibration = calibration
            unit = np.array([UNIT_IN_MV[chunk.units[i]] for i in self._columns])
            gain = np.array(chunk.adc_gain)[self._columns]
            base = np.array(chunk.baseline, dtype=np.float64)[self._columns]
            self._scale = np.column_stack([base, unit / gain])
            self._rails = np.column_stack([(-32767 - base) * unit / gain, (32767 - base) * unit / gain])
            self._pulse.calibrate(chunk)
        if chunk.lead_off != self._off_names:
            self._pulse.calibrate(chunk)
            self._off_names = chunk.lead_off
            self._off = np.array([name in chunk.lead_off for name in self._leads], dtype=np.bool_)

    def feed(self, chunk: SampleChunk, skip: int, out: list[StreamEvent]) -> None:
        """Take the rows of `chunk` (after `calibrate`) from row `skip` on, which continue the last ones."""
        if self._qrs is None:
            self._at = chunk.end_sample
        else:
            self._pieces(self._qrs, chunk.d_signal()[skip:], out)

    def missing(self, n_samples: int, out: list[StreamEvent]) -> None:
        """Take `n_samples` rows without measurement."""
        if self._qrs is None:
            self._at += n_samples
            return
        off, self._off = self._off, np.zeros_like(self._off)
        for a in range(0, n_samples, len(self._nothing)):
            self._pieces(self._qrs, self._nothing[: n_samples - a], out)
        self._off = off

    def jump(self, n_samples: int) -> None:
        """Pass over `n_samples` rows at once, after `missing` told the conditions that data are missing."""
        if n_samples == 0:
            return
        self._at += n_samples
        if self._qrs is None:
            return
        self._zero += n_samples
        self._quality.skip(n_samples)
        self._waves.skip()
        self._pulse.skip(n_samples)
        self._locate(self._at)

    def state(self) -> RunningState:
        """Everything that the future depends on."""
        return RunningState(
            origin=self._origin,
            zero=self._zero,
            at=self._at,
            qrs=self._qrs.snapshot() if self._qrs is not None else b"",
            quality=self._quality.state.tobytes(),
            kinds=self._classifier.snapshot(),
            book=self._book.state,
            dark=int(self._dark[0]),
            darks=self._darks,
            heart=self._heart.state.tobytes(),
            waves=self._waves.state.tobytes(),
            pulse=self._pulse.state.tobytes(),
            beat_leads=self._beat_leads,
            fresh=self._second.fresh,
            conditions={n: msgspec.Raw(msgspec.msgpack.encode(c.state)) for n, c in self._conditions.items()},
        )

    def load(self, state: RunningState) -> None:
        """Go on from `state`; ValueError or msgspec.DecodeError if it does not fit."""
        self._at, self._zero = state.at, state.zero
        self._locate(state.at)
        if self._qrs is not None:
            self._qrs.restore(state.qrs)
        self._classifier.restore(state.kinds)
        self._book.state = state.book
        found = np.frombuffer(state.quality, dtype=np.float64)
        self._quality.state[:] = found.reshape(self._quality.state.shape)
        self._dark[0] = state.dark
        self._darks = state.darks
        self._heart.state[:] = np.frombuffer(state.heart, dtype=np.int64)
        self._waves.state[:] = np.frombuffer(state.waves).reshape(self._waves.state.shape)
        self._pulse.state[:] = np.frombuffer(state.pulse).reshape(self._pulse.state.shape)
        self._beat_leads = state.beat_leads
        self._second.fresh = state.fresh
        for name, raw in state.conditions.items():
            if name in self._conditions:
                c = self._conditions[name]
                c.state = msgspec.msgpack.decode(raw, type=type(c.state))

    def _locate(self, sample: int) -> None:
        """Find the second that `sample` lies in: its number, its first sample, and the one past its last."""
        number = int(sample / self.layout.fs)
        while round(number * self.layout.fs) > sample:
            number -= 1
        while round((number + 1) * self.layout.fs) <= sample:
            number += 1
        self._number, self._start = number, round(number * self.layout.fs)
        self._stop = round((number + 1) * self.layout.fs)

    def _pieces(self, qrs: QrsDetector, d: NDArray[np.int16], out: list[StreamEvent]) -> None:
        """Take digital rows (n_samples, n_sig), cut where seconds end."""
        row, n = 0, len(d)
        while row < n:
            stop = min(n, row + self._stop - self._at)
            self._piece(qrs, d[row:stop], out)
            row = stop
            if self._at == self._stop:
                self._close(out)
                self._number += 1
                self._start, self._stop = self._stop, round((self._number + 1) * self.layout.fs)

    def _piece(self, qrs: QrsDetector, d: NDArray[np.int16], out: list[StreamEvent]) -> None:
        """Run rows of one second through everything that does not wait for its end."""
        x, at = self._x[: len(d)], self._at
        n = to_mv(d, self._columns, self._scale, self._off, self._dark_rows, self._dark, x, self._marks)
        if n:
            self._darks.extend((self._marks[:n] + at).tolist())
        self._quality.feed(x, self._off, at - self._start, self._stop - self._start)
        self._waves.feed(x)
        if self._pulse.names:
            self._pulse.feed(d)
        found = qrs.find(x)
        for row in merged(found.tolist(), self._classifier.process(x, found).tolist()):
            if len(row) == 4:
                classified = self._book.classify(row[0] + self._zero, row[1] + self._zero, *row[2:])
                if classified is not None:
                    out.append(classified)
            else:
                out.append(self._beat(*row))
        self._at = at + len(d)
        if len(self._darks) > self._darks_kept:
            # Complete as before: any beat still to come lies behind all that is cut off here.
            del self._darks[: -self._darks_kept]

    def _beat(self, at: float, known: float, score: float, amplitude: float, mask: float) -> Beat:
        """The beat that the detector tells of at its own sample `at`, remembered."""
        sample, leads = int(at) + self._zero, int(mask)
        broken = False
        if self._darks:
            last = self._heart.last()
            broken = any(last < d <= sample for d in self._darks)
        self._beat_leads = leads
        self._second.fresh.append(sample)
        beat = Beat(
            stream=self._stream,
            sample=sample,
            detected=int(known) + self._zero,
            rr=self._heart.beat(sample, broken),
            # Digits below 1 uV and 1 % say nothing, and cost the archive more than the beats themselves.
            amplitude=round(amplitude, 3),
            quality=round(score, 2),
            leads=self._names(leads),
        )
        self._book.add(beat)
        return beat

    def _names(self, mask: int) -> tuple[str, ...]:
        names = self._lead_names.get(mask)
        if names is None:
            names = tuple(name for i, name in enumerate(self._leads) if mask >> i & 1)
            self._lead_names[mask] = names
        return names

    def _close(self, out: list[StreamEvent]) -> None:
        """End the second that is full and say what is known now."""
        start, stop = self._start, self._stop
        had = stop - max(start, self._origin)
        self._quality.second(had, self._rails)
        self._waves.second(had)
        if 2 * had < stop - start:
            return  # the stream began in this second: too little to judge
        now, heart, book, meter = self._second, self._heart, self._book.state, self._waves
        now.start, now.stop, now.known = start, stop, stop - self._settled
        now.beats = heart.beats()
        now.classes, now.classed, now.shapes = book.classes, book.fresh, book.shapes
        now.beat_leads = self._names(self._beat_leads)
        rate, now.irregularity = heart.rate(now.known)
        now.rate = None if rate is None else round(rate, 1)
        if self._pulse.names:
            now.pulses = self._pulse.trains()
        now.wave_vf, now.wave_vt, now.wave_rate = meter.vf, meter.vt, meter.rate
        now.score = round(max(self._quality.scores.tolist()), 2)
        seen = verdict(tuple(self._quality.flags.tolist()))
        now.flags, now.union, now.trouble = seen.flags, seen.union, seen.trouble
        now.measured, now.seeing, now.usable = seen.measured, seen.seeing, seen.usable
        out.append(
            SignalQuality(
                stream=self._stream,
                sample=stop,
                sig_name=self.layout.sig_name,
                flags=self._of_all(seen.names),
                score=now.score,
                usable=now.usable,
            )
        )
        out.append(HeartRate(stream=self._stream, sample=stop, rate=now.rate))
        for condition in self._conditions.values():
            said = condition.second(now)
            if said:
                out.extend(said)
        now.fresh = []
        book.fresh, book.shapes = [], []

    def _of_all(self, names: tuple[tuple[QualityFlag, ...], ...]) -> tuple[tuple[QualityFlag, ...], ...]:
        """What is told of the ECG leads, with nothing of the other signals."""
        if len(names) == len(self.layout.sig_name):
            return names
        told: list[tuple[QualityFlag, ...]] = [()] * len(self.layout.sig_name)
        for column, some in zip(self._columns.tolist(), names, strict=True):
            told[column] = some
        return tuple(told)
