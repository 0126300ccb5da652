"""Recordings on disk as sources: any WFDB record that `wfdb` reads, block by block, as int16.

Nothing of a record is held but the block last read, so a day of Holter costs what a minute does.
Departures from `wfdb.rdrecord`: samples stay digital; every format's "no measurement" value becomes
`INVALID_SAMPLE`; signals sampled less often than the fastest are held, never interpolated; values
wider than int16 are shifted, and only if that is not enough halved as often as needed, and gain and
baseline say so (`RecordSource.halved`). Not here: annotations, which tests and benchmarks read.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import wfdb
from numpy.typing import NDArray

from leadwire.errors import RecordRejected
from leadwire.model import INVALID_SAMPLE
from leadwire.ranges import check_calibrated
from simulators.source import Samples

BLOCK_S = 60.0
# wfdb.io._signal.INVALID_SAMPLE_VALUE: what each format writes where nothing was measured.
_INVALID = {"80": -128, "508": -128, "310": -512, "311": -512, "212": -2048, "24": -(1 << 23)} | {
    "524": -(1 << 23),
    "32": -(1 << 31),
}
_WIDE = frozenset({"24", "32", "524"})
_NONE = np.iinfo(np.int64).min
_UNITS = {
    "mv": "mV",
    "millivolt": "mV",
    "millivolts": "mV",
    "uv": "uV",
    "µv": "uV",
    "microvolt": "uV",
    "v": "V",
}


@dataclass(frozen=True)
class _Fit:
    """How the numbers of one signal become int16: sign * (value - zero) / 2**halved + baseline."""

    zero: int
    baseline: int
    sign: int = 1
    halved: int = 0


class RecordSource:
    """One WFDB record as a `simulators.source.Source`.

    Parameters
    ----------
    path
        The record, with or without ``.hea``.

    Attributes
    ----------
    name
        The record's name.
    halved
        Per signal, how often values were halved to fit int16; 0: the numbers are those of the record
        (but for a shift that `baseline` carries).

    Raises
    ------
    RecordRejected
        There is no such record, a file of it is missing, or it cannot be played: the text says which.
    """

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        self._path = path.with_suffix("") if path.suffix == ".hea" else path
        self.name = self._path.name
        header = self._header()
        self._multi = isinstance(header, wfdb.MultiRecord)
        self._mixed = False
        signals = self._of_segments(header) if self._multi else header
        self._check(signals)
        self._spf: list[int] = [n or 1 for n in signals.samps_per_frame]
        self._per_frame = max(self._spf)
        self._fmt: list[str] = list(signals.fmt)
        self.fs = float(header.fs) * self._per_frame
        self._names = list(signals.sig_name)
        self.sig_name = _distinct(self._names)
        self.units = tuple(_UNITS.get((u or "mV").lower(), u or "mV") for u in signals.units)
        self._n_frames = int(header.sig_len)
        self.n_samples: int | None = self._n_frames * self._per_frame
        self._gain = [float(g) if g else 200.0 for g in signals.adc_gain]  # 0: uncalibrated, WFDB says 200
        self._zero = [int(b or 0) for b in signals.baseline]
        self._block_frames = max(1, round(BLOCK_S * float(header.fs)))
        self._block = -1
        self._rows: Samples = np.empty((0, len(self.sig_name)), dtype=np.int16)
        self._whole: list[NDArray[np.int64]] | None = None
        self._fits = [self._fit(i) for i in range(len(self.sig_name))]
        self.halved = tuple(f.halved for f in self._fits)
        self.adc_gain = tuple(abs(g) / (1 << f.halved) for g, f in zip(self._gain, self._fits, strict=True))
        self.baseline = tuple(f.baseline for f in self._fits)
        try:
            check_calibrated(self.fs, self.sig_name, self.units, self.adc_gain, self.baseline)
        except ValueError as why:
            raise RecordRejected(f"record {self.name}: {why}") from None
        self._rows_of(0)  # a missing or short signal file is told now, not in mid-stream

    def read(self, start: int, stop: int) -> Samples:
        """Rows `start` <= n < `stop`, shape (stop - start, n_sig)."""
        per_block = self._block_frames * self._per_frame
        pieces = []
        while start < stop:
            block = start // per_block
            a = start - block * per_block
            n = min(stop - start, per_block - a)
            pieces.append(self._rows_of(block)[a : a + n])
            start += n
        return np.concatenate(pieces) if pieces else self._rows[:0]

    def lead_off(self, sample: int) -> tuple[str, ...]:
        """No record says this; always empty."""
        return ()

    def _header(self) -> "wfdb.Record | wfdb.MultiRecord":
        try:
            return wfdb.rdheader(str(self._path), rd_segments=True)
        except FileNotFoundError as why:
            missing = Path(str(why.filename or f"{self.name}.hea")).name
            raise RecordRejected(
                f"record {self._path}: {missing} is missing; a WFDB record with its header was expected"
            ) from None
        except Exception as why:
            # wfdb raises whatever it stumbles over: the header is foreign text.
            raise RecordRejected(f"record {self._path}: its header cannot be read: {why}") from None

    def _of_segments(self, header: wfdb.MultiRecord) -> wfdb.Record:
        """The signals of a record in segments: the first segment that has each tells its gain."""
        found: dict[str, tuple[object, ...]] = {}
        fields = ("samps_per_frame", "fmt", "units", "adc_gain", "baseline")
        names: list[str] = []
        for segment in header.segments:
            if segment is None or not segment.n_sig:
                continue
            for i, name in enumerate(segment.sig_name):
                names += [] if name in names else [name]
                if segment.file_name and segment.file_name[0] != "~":  # "~": a layout, not signals
                    values = tuple(getattr(segment, f)[i] for f in fields)
                    self._mixed |= found.setdefault(name, values) != values
                    if found[name][2] != values[2]:
                        raise RecordRejected(
                            f"record {self.name}: signal {name} changes its unit from "
                            f"{found[name][2]} to {values[2]}; one unit was expected"
                        )
        names = [n for n in names if n in found]
        merged = wfdb.Record(n_sig=len(names), fs=header.fs, sig_len=header.sig_len, sig_name=names)
        for i, f in enumerate(fields):
            setattr(merged, f, [found[n][i] for n in names])
        return merged

    def _check(self, header: wfdb.Record) -> None:
        if not header.n_sig:
            raise RecordRejected(f"record {self.name}: it has no signals; at least one was expected")
        if not header.sig_len:
            raise RecordRejected(
                f"record {self.name}: its header gives no length; a number of samples was expected"
            )

    def _frames(self, first: int, end: int) -> list[NDArray[np.int64]]:
        """Digital values per signal of frames `first` <= n < `end`, int64, invalid as int64's least."""
        try:
            if self._multi:
                return self._from_physical(first, end)
            if "8" in self._fmt:  # differences: only the whole can be summed up
                if self._whole is None:
                    self._whole = self._digital(0, self._n_frames)
                return [x[first * n : end * n] for x, n in zip(self._whole, self._spf, strict=True)]
            return self._digital(first, end)
        except FileNotFoundError as why:
            missing = Path(str(why.filename)).name
            raise RecordRejected(
                f"record {self.name}: {missing} is missing; its signals were expected"
            ) from None
        except RecordRejected:
            raise
        except Exception as why:
            raise RecordRejected(f"record {self.name}: its signals cannot be read: {why}") from None

    def _digital(self, first: int, end: int) -> list[NDArray[np.int64]]:
        record = wfdb.rdrecord(str(self._path), first, end, physical=False, smooth_frames=False)
        return [
            np.where(x == _INVALID.get(fmt, INVALID_SAMPLE), _NONE, x)
            for x, fmt in zip(record.e_d_signal, self._fmt, strict=True)
        ]

    def _from_physical(self, first: int, end: int) -> list[NDArray[np.int64]]:
        # Segments may differ in gain and in signals; physical values are what they have in common.
        record = wfdb.rdrecord(str(self._path), first, end, physical=True, smooth_frames=False)
        by_name = dict(zip(record.sig_name, record.e_p_signal, strict=True))
        out = []
        for name, n, gain, zero in zip(self._names, self._spf, self._gain, self._zero, strict=True):
            x = by_name.get(name, np.full((end - first) * n, np.nan))
            d = np.full(len(x), _NONE, dtype=np.int64)
            good = np.isfinite(x)
            d[good] = np.rint(x[good] * gain) + zero
            out.append(d)
        return out

    def _fit(self, i: int) -> _Fit:
        """The least change that brings signal `i` into int16; wide formats take one pass over it."""
        zero, sign = self._zero[i], -1 if self._gain[i] < 0 else 1
        low, high = self._range(i) if self._fmt[i] in _WIDE or self._mixed else (0, 0)
        if low > INVALID_SAMPLE and high <= 32767:
            return _Fit(zero, sign * zero, sign)
        low, high = sorted((sign * (low - zero), sign * (high - zero)))
        halved = 0
        while (high - low) >> halved > 65_000:
            halved += 1
        return _Fit(zero, -((low + high) // 2 >> halved), sign, halved)

    def _range(self, i: int) -> tuple[int, int]:
        low, high = [], []
        for first in range(0, self._n_frames, self._block_frames):
            x = self._frames(first, min(first + self._block_frames, self._n_frames))[i]
            x = x[x != _NONE]
            if len(x):
                low.append(int(x.min()))
                high.append(int(x.max()))
        return min(low, default=0), max(high, default=0)

    def _rows_of(self, block: int) -> Samples:
        if block != self._block:
            first = block * self._block_frames
            end = min(first + self._block_frames, self._n_frames)
            rows = np.empty(((end - first) * self._per_frame, len(self.sig_name)), dtype=np.int16)
            for i, (x, fit) in enumerate(zip(self._frames(first, end), self._fits, strict=True)):
                rows[:, i] = _int16(_held(x, self._spf[i], self._per_frame), fit)
            self._block, self._rows = block, rows
        return self._rows


def _int16(x: NDArray[np.int64], fit: _Fit) -> NDArray[np.int64]:
    """`x` as `fit` says, still in int64; missing values as `INVALID_SAMPLE`."""
    missing = x == _NONE
    y: NDArray[np.int64] = fit.sign * (np.where(missing, 0, x) - fit.zero)
    if fit.halved:
        y = (y + (1 << (fit.halved - 1))) >> fit.halved
    y = np.clip(y + fit.baseline, -32767, 32767)
    y[missing] = INVALID_SAMPLE
    return y


def _held(x: NDArray[np.int64], spf: int, per_frame: int) -> NDArray[np.int64]:
    """`x` with `spf` values a frame as `per_frame` values a frame, each value held."""
    if spf == per_frame:
        return x
    within = np.arange(per_frame) * spf // per_frame
    return x.reshape(-1, spf)[:, within].reshape(-1)


def _distinct(names: list[str | None]) -> tuple[str, ...]:
    """Signal names as the model wants them: none empty, none twice, none over 32 characters."""
    seen: list[str] = []
    for i, name in enumerate(names):
        plain = (name or f"signal {i + 1}").strip()[:28]
        n, distinct = 2, plain
        while distinct in seen:
            distinct, n = f"{plain}-{n}", n + 1
        seen.append(distinct)
    return tuple(seen)
