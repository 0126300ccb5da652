"""What a simulated device measures: samples by number, read again as often as asked.

A `Source` is a pure function of the sample number, so a device that was cut off re-reads what the
gateway has not got, and a fault (`faults.py`) gives the same samples at every reading. Here are the
port, an array as a source, and looping; `records.py` and `synthetic.py` make others.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from leadwire.errors import RecordRejected
from leadwire.ranges import check_calibrated

Samples = NDArray[np.int16]


class Source(Protocol):
    """Numbered samples of named signals.

    Attributes
    ----------
    fs
        Sampling frequency in Hz.
    sig_name, units, adc_gain, baseline
        One each per signal; physical = (digital - baseline) / adc_gain, in `units`.
    n_samples
        Number of sample rows; None: it never ends.
    """

    @property
    def fs(self) -> float: ...
    @property
    def sig_name(self) -> tuple[str, ...]: ...
    @property
    def units(self) -> tuple[str, ...]: ...
    @property
    def adc_gain(self) -> tuple[float, ...]: ...
    @property
    def baseline(self) -> tuple[int, ...]: ...
    @property
    def n_samples(self) -> int | None: ...

    def read(self, start: int, stop: int) -> Samples:
        """Rows `start` <= n < `stop`, shape (stop - start, n_sig); both inside 0..n_samples.

        `INVALID_SAMPLE` marks what was not measured. May touch files: call it from a thread where
        waiting matters.
        """
        ...

    def lead_off(self, sample: int) -> tuple[str, ...]:
        """The signals whose electrode the device would report off at `sample`."""
        ...


class ArraySource:
    """Digital samples in memory.

    Parameters
    ----------
    samples
        int16, shape (n_samples, n_sig).
    off
        Stretches (first sample, end, signals) during which electrodes are reported off.

    Raises
    ------
    RecordRejected
        The rate, the names or the shape are impossible.
    """

    def __init__(
        self,
        samples: Samples,
        fs: float,
        sig_name: tuple[str, ...],
        units: tuple[str, ...],
        adc_gain: tuple[float, ...],
        baseline: tuple[int, ...],
        off: tuple[tuple[int, int, tuple[str, ...]], ...] = (),
    ) -> None:
        try:
            check_calibrated(fs, sig_name, units, adc_gain, baseline)
        except ValueError as why:
            raise RecordRejected(str(why)) from None
        if samples.ndim != 2 or samples.shape[1] != len(sig_name) or samples.dtype != np.int16:
            raise RecordRejected(
                f"{samples.dtype} samples of shape {samples.shape} came; "
                f"int16 of shape (n, {len(sig_name)}) was expected"
            )
        self.fs = fs
        self.sig_name = sig_name
        self.units = units
        self.adc_gain = adc_gain
        self.baseline = baseline
        self.n_samples: int | None = len(samples)
        self._samples = samples
        self._off = off

    def read(self, start: int, stop: int) -> Samples:
        return self._samples[start:stop]

    def lead_off(self, sample: int) -> tuple[str, ...]:
        off = {name for first, end, names in self._off if first <= sample < end for name in names}
        return tuple(name for name in self.sig_name if name in off)


class Looped:
    """`source` again and again, its sample numbers growing for ever."""

    def __init__(self, source: Source) -> None:
        if not source.n_samples:
            raise RecordRejected(
                "a recording without samples or without an end came; one to loop was expected"
            )
        self._source = source
        self._period = source.n_samples
        self.fs = source.fs
        self.sig_name = source.sig_name
        self.units = source.units
        self.adc_gain = source.adc_gain
        self.baseline = source.baseline
        self.n_samples: int | None = None

    def read(self, start: int, stop: int) -> Samples:
        pieces = []
        while start < stop:
            at = start % self._period
            n = min(stop - start, self._period - at)
            pieces.append(self._source.read(at, at + n))
            start += n
        return np.concatenate(pieces) if pieces else self._source.read(0, 0)

    def lead_off(self, sample: int) -> tuple[str, ...]:
        return self._source.lead_off(sample % self._period)


def from_physical(
    x: NDArray[np.float64],
    fs: float,
    sig_name: tuple[str, ...],
    adc_gain: float = 500.0,
    off: tuple[tuple[int, int, tuple[str, ...]], ...] = (),
) -> ArraySource:
    """An `ArraySource` of `x`, shape (n_samples, n_sig) in mV; NaN becomes `INVALID_SAMPLE`.

    `adc_gain` in units per mV: 500 gives 2 uV steps and +-65 mV.
    """
    d = np.full(x.shape, -32768, dtype=np.int16)
    good = np.isfinite(x)
    d[good] = np.clip(np.rint(x[good] * adc_gain), -32767, 32767)
    n = len(sig_name)
    return ArraySource(d, fs, sig_name, ("mV",) * n, (adc_gain,) * n, (0,) * n, off)
