"""The running analysis of one stream with one layout (rate and leads); `pipeline.py` decides when it begins.

It turns rows of int16 into mV, feeds the QRS detector and the quality meter, and closes each second.
"""

from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numba import njit
from numpy.typing import NDArray

from dsp import quality
from dsp.abstract import Condition, Second
from dsp.beat_book import BeatBook, BookState, merged
from dsp.beats import BeatClassifier
from dsp.heart_rate import HeartRateMeter
from dsp.pulse import PulseDetector
from dsp.qrs import QrsDetector
from dsp.waves import WaveMeter
from leadwire.model import (
    INVALID_SAMPLE,
    UNIT_IN_MV,
    Beat,
    HeartRate,
    RhythmEpisode,
    SampleChunk,
    SignalQuality,
    StreamEvent,
)

BLOCK = 4096
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
        self._quality = quality.QualityMeter(layout.fs, len(ecg))
        self._heart = HeartRateMeter(layout.fs)
        self._waves = WaveMeter(layout.fs, len(ecg))
        self._pulse = PulseDetector(layout.fs, layout.sig_name, layout.units, origin)
        self._beat_leads = 0
        self._dark = np.zeros(1, dtype=np.int64)
        self._darks: list[int] = []
        self._dark_rows = max(1, round(DARK_S * layout.fs))
        self._darks_kept = int(self.delay_s / DARK_S) + 2
        self._second = Second(stream=stream, fs=layout.fs, leads=self._leads)
        self._number, self._stop = self._locate(origin)
        self._calibration: tuple[Any, ...] = ()
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
            return
        d = chunk.d_signal()
        for a in range(skip, len(d), BLOCK):
            x, darks = self._empty(min(BLOCK, len(d) - a))
            n = _to_mv(
                d[a : a + BLOCK], self._columns, self._scale, self._off, self._dark_rows, self._dark, x, darks
            )
            self._rows(x, d[a : a + BLOCK], darks[:n], out)

    def missing(self, n_samples: int, out: list[StreamEvent]) -> None:
        """Take `n_samples` rows without measurement."""
        if self._qrs is None:
            self._at += n_samples
            return
        off, self._off = self._off, np.zeros_like(self._off)
        for a in range(0, n_samples, BLOCK):
            x, darks = self._empty(min(BLOCK, n_samples - a))
            x.fill(np.nan)
            before = int(self._dark[0])
            self._dark[0] = before + len(x)
            n = int(before < self._dark_rows <= before + len(x))
            darks[0] = self._dark_rows - before - 1
            nothing = np.full((len(x), len(self.layout.sig_name)), INVALID_SAMPLE, np.int16)
            self._rows(x, nothing, darks[:n], out)
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
        self._number, self._stop = self._locate(self._at)

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
        self._number, self._stop = self._locate(state.at)
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

    def _locate(self, sample: int) -> tuple[int, int]:
        """The number of the second that `sample` lies in, and the sample one past its end."""
        number = int(sample / self.layout.fs)
        while round(number * self.layout.fs) > sample:
            number -= 1
        while round((number + 1) * self.layout.fs) <= sample:
            number += 1
        return number, round((number + 1) * self.layout.fs)

    def _empty(self, n: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        return np.empty((n, len(self._leads))), np.empty(n // self._dark_rows + 1, dtype=np.int64)

    def _rows(
        self,
        x: NDArray[np.float64],
        d: NDArray[np.int16],
        darks: NDArray[np.int64],
        out: list[StreamEvent],
    ) -> None:
        """Run rows (n_samples, n_leads) in mV, and the same ones as digits, through everything."""
        assert self._qrs is not None
        n, first = len(x), self._at
        if len(darks):
            self._darks.extend((darks + first).tolist())
        found = self._qrs.process(x)
        beats = merged(found.tolist(), self._classifier.process(x, found).tolist())
        row = told = 0
        while row < n:
            start = round(self._number * self.layout.fs)
            stop = self._stop
            take = min(n, stop - first)
            self._quality.feed(x[row:take], self._off, first + row - start, stop - start)
            self._waves.feed(x[row:take])
            self._pulse.feed(d[row:take])
            row = take
            if first + take == stop:
                while told < len(beats) and beats[told][1] + self._zero < stop:
                    self._beat(beats[told], out)
                    told += 1
                self._close(start, stop, out)
                self._number += 1
                self._stop = round((self._number + 1) * self.layout.fs)
        while told < len(beats):
            self._beat(beats[told], out)
            told += 1
        self._at = first + n
        if len(self._darks) > self._darks_kept:
            # Complete as before: any beat still to come lies behind all that is cut off here.
            del self._darks[: -self._darks_kept]

    def _beat(self, row: tuple[Any, ...], out: list[StreamEvent]) -> None:
        if len(row) == 4:
            classified = self._book.classify(row[0] + self._zero, row[1] + self._zero, *row[2:])
            if classified is not None:
                out.append(classified)
            return
        sample, detected, amplitude, score, mask = row
        sample += self._zero
        broken = False
        if self._darks:
            last = self._heart.last()
            broken = any(last < d <= sample for d in self._darks)
        rr = self._heart.beat(sample, broken)
        self._beat_leads = mask
        self._second.fresh.append(sample)
        beat = Beat(
            stream=self._stream,
            sample=sample,
            detected=detected + self._zero,
            rr=rr,
            # Digits below 1 uV and 1 % say nothing, and cost the archive more than the beats themselves.
            amplitude=round(amplitude, 3),
            quality=round(score, 2),
            leads=self._names(mask),
        )
        self._book.add(beat)
        out.append(beat)

    def _names(self, mask: int) -> tuple[str, ...]:
        names = self._lead_names.get(mask)
        if names is None:
            names = tuple(name for i, name in enumerate(self._leads) if mask >> i & 1)
            self._lead_names[mask] = names
        return names

    def _close(self, start: int, stop: int, out: list[StreamEvent]) -> None:
        """End the second start <= n < stop and say what is known now."""
        had = stop - max(start, self._origin)
        self._quality.second(had, self._rails)
        self._waves.second(had)
        if 2 * had < stop - start:
            return  # the stream began in this second: too little to judge
        now, heart = self._second, self._heart
        flags = self._quality.flags.tolist()
        now.start, now.stop = start, stop
        now.known = stop - round(SETTLED_S * self.layout.fs)
        now.beats = heart.beats()
        now.classes, now.classed = self._book.state.classes, self._book.state.fresh
        now.shapes = self._book.state.shapes
        now.beat_leads = self._names(self._beat_leads)
        rate, now.irregularity = heart.rate(now.known)
        now.rate = None if rate is None else round(rate, 1)
        now.flags = flags
        now.pulses = self._pulse.trains()
        now.score = round(max(self._quality.scores.tolist()), 2)
        union = 0
        now.measured = now.usable = False
        blocked, flat = False, False
        for f in flags:
            union |= f
            if not f & quality.USABLE_MASK:
                now.usable = now.measured = True
            elif not f & quality.UNMEASURED_MASK:
                now.measured = True
                blocked |= bool(f & (quality.SATURATED | quality.NOISY))
                flat |= bool(f & quality.FLAT)
        now.union = union
        now.wave_vf, now.wave_vt, now.wave_rate = self._waves.vf, self._waves.vt, self._waves.rate
        now.seeing = now.usable or (flat and not blocked)
        now.trouble = "" if now.usable else ",".join(quality.names(union & quality.USABLE_MASK))
        out.append(
            SignalQuality(
                stream=self._stream,
                sample=stop,
                sig_name=self.layout.sig_name,
                flags=self._flag_names(flags),
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
        self._book.state.fresh, self._book.state.shapes = [], []

    def _flag_names(self, flags: list[int]) -> tuple[tuple[Any, ...], ...]:
        if len(flags) == len(self.layout.sig_name):
            return tuple([quality.names(f) for f in flags])
        told: list[tuple[Any, ...]] = [()] * len(self.layout.sig_name)
        for column, f in zip(self._columns.tolist(), flags, strict=True):
            told[column] = quality.names(f)
        return tuple(told)


@njit(cache=True, nogil=True)
def _to_mv(d, columns, scale, off, dark_rows, dark, x, darks):  # type: ignore[no-untyped-def]
    """Fill `x` with mV, NaN for no measurement, and `darks` with where stretches became dark; how many."""
    n = 0
    for i in range(d.shape[0]):
        seen = False
        for j in range(columns.size):
            v = d[i, columns[j]]
            if v == -32768 or off[j]:
                x[i, j] = np.nan
            else:
                x[i, j] = (v - scale[j, 0]) * scale[j, 1]
                seen = True
        if seen:
            dark[0] = 0
        else:
            dark[0] += 1
            if dark[0] == dark_rows:
                darks[n] = i
                n += 1
    return n
