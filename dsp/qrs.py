"""Streaming QRS detection on 1 to 16 leads: `QrsDetector`, and `detect` for a whole record.

Here are the interface and the snapshots. Parameters and state stand in `qrs_state.py`, the kernels
in `qrs_front.py` (filters), `qrs_shape.py` (R peak, templates), `qrs_measure.py` (features of a candidate),
`qrs_judge.py` (decisions), `qrs_start.py` (start, relearning) and `qrs_run.py` (the loop). What a beat means
for the rhythm is not decided here.

Sources
-------
J. Pan and W. J. Tompkins 1985 and P. S. Hamilton and W. J. Tompkins 1986 (IEEE Trans. Biomed. Eng.):
running levels of QRS and noise peaks, search-back, T-wave discrimination by slope. P. Hamilton 2002,
Open Source ECG Analysis (EP Limited): medians of eight peaks, baseline-shift check.

Departures
----------
- Two bands per lead (5-18 and 12-28 Hz) and all leads make one detection function; each channel weighs
  by its own running signal-to-noise ratio, so noise chooses the band and the lead.
- The threshold is a small net on what `qrs_state.FEATURES` names: strength, noise, quiet before and after,
  size, slope and width against the lead's usual complexes, two templates of the patient's own complexes
  (in the band and below 40 Hz), rhythm (gap against median and last intervals, their spread), what was
  refused lately, baseline step. It is fitted (`benchmarks/fit_qrs.py`, `models/qrs.json`).
- A peak waits 150 ms for a larger one, an unsure one 180 ms; one so small that it may be a P wave waits for
  its complex 200 ms, and 250 ms if the detection function rises again. If a P wave did win, it is
  forgotten when the QRS complex follows.
- No learning period; where levels have become useless, peaks that stand out teach new ones.
- What begins in the first 0.1 s, or so soon after a gap, was cut in two and is no beat.
- Missing and stuck samples are spliced. Jumps steeper than 0.6 mV/ms are held back before the filters
  until it is known what they are: a pacing pulse (removed, with the amplifier's recovery), a step
  (spliced out), or signal (left alone); smaller pulses are known by their shape.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dsp import kernels, qrs_weights
from dsp import qrs_state as q
from dsp.qrs_run import advance, enter

QRS_DTYPE: Final = np.dtype(
    [("sample", "i8"), ("detected", "i8"), ("amplitude", "f4"), ("quality", "f4"), ("leads", "u2")]
)
"""One beat: fiducial sample and the last sample the decision needed, both counted from the detector's
first sample; amplitude in mV p-p; quality 0..1; one bit per lead that it rests on."""
COLUMNS: Final = ("sample", "detected", "quality", "amplitude", "leads")
"""The same as columns of plain numbers."""

MIN_FS, MAX_FS, MAX_SIG = 100.0, 1000.0, 16

_VERSION = 5
_WEIGHTS = qrs_weights.load()
_FLUSH_S = 0.4
_NO_TRACE: Final = np.empty((0, q.TRACE_COLUMNS))


class QrsDetector:
    """Find QRS complexes as the samples come in.

    Parameters
    ----------
    fs
        Sampling rate in Hz, 100 to 1000.
    n_sig
        Number of leads, 1 to 16.

    Attributes
    ----------
    delay_s
        No beat is reported later than this after its R peak, in s. Nearly all (p99) are reported
        within 0.30 s; the rest are found by search-back, or at the start or while learning anew.

    Raises
    ------
    ValueError
        `fs` or `n_sig` out of range.

    Examples
    --------
    >>> import numpy as np
    >>> detector = QrsDetector(fs=250.0, n_sig=1)
    >>> detector.process(np.zeros((250, 1)))["sample"]
    array([], dtype=int64)
    """

    def __init__(self, fs: float, n_sig: int) -> None:
        if not MIN_FS <= fs <= MAX_FS:
            raise ValueError(f"fs {fs} Hz came; {MIN_FS:g} to {MAX_FS:g} Hz was expected")
        if not 1 <= n_sig <= MAX_SIG:
            raise ValueError(f"{n_sig} leads came; 1 to {MAX_SIG} were expected")
        self.fs = float(fs)
        self.n_sig = n_sig
        self.delay_s = q.SPAN_S + 0.5
        config = q.configuration(self.fs)
        self._step, self._config = config.step, q.packed(config)
        self._memory = q.empty_memory(n_sig, config.rate)
        self._rows, self._count = np.empty((2 * q.N_CANDIDATES, 5)), np.zeros(1, np.int64)
        self._phi = np.zeros(q.N_PHI)

    @property
    def n_samples(self) -> int:
        """How many samples have come."""
        return int(self._memory.n[q.IN])

    def process(self, x: ArrayLike) -> NDArray[np.void]:
        """Take the next samples and return the beats that are now certain.

        Parameters
        ----------
        x
            (n_samples, n_sig) in mV; NaN where a lead has no measurement. It is not written to.

        Returns
        -------
        numpy.ndarray
            Of `QRS_DTYPE`, in rising order of `sample`.

        Raises
        ------
        ValueError
            `x` has another shape.
        """
        return named(self.find(x))

    def find(self, x: ArrayLike, trace: NDArray[np.float64] = _NO_TRACE) -> NDArray[np.float64]:
        """Do as `process`, but return plain rows (n, 5) of `COLUMNS`: a live stream asks every second.

        `trace`, where there is one, gets every decision with its features (`qrs_judge.Out`).
        """
        samples = np.ascontiguousarray(x, dtype=np.float64)
        if samples.ndim != 2 or samples.shape[1] != self.n_sig:
            raise ValueError(f"samples of shape {samples.shape} came; (n_samples, {self.n_sig}) was expected")
        room = q.N_CANDIDATES + int(len(samples) / (q.REFRACTORY_S * self.fs)) + 2
        if room > len(self._rows):
            self._rows = np.empty((room, 5))
        n, floats, rings = self._memory
        rows, count, phi = self._rows, self._count, self._phi
        enter(samples, n, floats, rings, self._config, _WEIGHTS, rows, count, phi, trace)
        return self._rows[: self._count[0]].copy()

    def skip(self, n_samples: int) -> NDArray[np.void]:
        """Pass over `n_samples` that never came: the same as so many NaN rows, and as fast for any number.

        Returns
        -------
        numpy.ndarray
            As `process`: beats before the gap that are now certain.
        """
        fed = min(n_samples, math.ceil((q.FORGET_S + 1.0) * self.fs))
        beats = self.process(np.full((fed, self.n_sig), np.nan))
        advance(self._memory.n, n_samples - fed, self._step)
        return beats

    def snapshot(self) -> bytes:
        """Return the whole state; a detector that restores it continues bit for bit."""
        return kernels.save(self._header(), self._memory)

    def restore(self, snapshot: bytes) -> None:
        """Take over a state made by `snapshot` of a detector with the same `fs` and `n_sig`.

        Raises
        ------
        ValueError
            It is no such snapshot; the detector is left as it was.
        """
        kernels.load(snapshot, self._header(), self._memory)

    def _header(self) -> bytes:
        return kernels.header(b"LWQR", _VERSION, self.n_sig, self.fs)


def named(rows: NDArray[np.float64]) -> NDArray[np.void]:
    """Return rows of `COLUMNS` as `QRS_DTYPE`."""
    beats = np.empty(len(rows), QRS_DTYPE)
    for name, column in zip(COLUMNS, rows.T, strict=True):
        beats[name] = column
    return beats


def detect(x: ArrayLike, fs: float) -> NDArray[np.void]:
    """Find the beats of a whole record, the last ones included.

    Parameters
    ----------
    x
        (n_samples, n_sig) or (n_samples,) in mV.
    fs
        Sampling rate in Hz.

    Returns
    -------
    numpy.ndarray
        Of `QRS_DTYPE`; `detected` may lie up to 0.4 s behind the end of the record.
    """
    samples = np.asarray(x, dtype=np.float64)
    if samples.ndim == 1:
        samples = samples[:, None]
    detector = QrsDetector(fs, samples.shape[1])
    beats = np.concatenate([detector.process(samples), detector.skip(math.ceil(_FLUSH_S * fs))])
    return beats[beats["sample"] < len(samples)]
