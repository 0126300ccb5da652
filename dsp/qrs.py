"""Streaming QRS detection on 1 to 16 leads: `QrsDetector`, and `detect` for a whole record.

The front end is in `qrs_front.py`, the decisions are in `qrs_judge.py`; here are the state, its
snapshots and the interface. What a beat means for the rhythm is not decided here.
"""

import math
import struct
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dsp import qrs_front as front
from dsp import qrs_judge as judge
from dsp.qrs_weights import WEIGHTS

QRS_DTYPE: Final = np.dtype(
    [("sample", "i8"), ("detected", "i8"), ("amplitude", "f4"), ("quality", "f4"), ("leads", "u2")]
)
"""One beat: fiducial sample and the last sample the decision needed, both counted from the detector's
first sample; amplitude in mV p-p; quality 0..1; one bit per lead that it rests on."""

MIN_FS, MAX_FS, MAX_SIG = 100.0, 1000.0, 16

_VERSION = 1
_HEADER = struct.Struct("<4sHHd")
_MAGIC = b"LWQR"
_RING_S = 0.7
_FAR = -(10**12)


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
        within 0.30 s; the rest are found by search-back or while (re)learning.

    Raises
    ------
    ValueError
        `fs` or `n_sig` out of range.

    Examples
    --------
    >>> detector = QrsDetector(fs=250.0, n_sig=1)
    >>> for chunk in chunks:  # (n_samples, 1) in mV  # doctest: +SKIP
    ...     beats = detector.process(chunk)
    """

    def __init__(self, fs: float, n_sig: int) -> None:
        if not MIN_FS <= fs <= MAX_FS:
            raise ValueError(f"fs {fs} Hz came; {MIN_FS:g} to {MAX_FS:g} Hz was expected")
        if not 1 <= n_sig <= MAX_SIG:
            raise ValueError(f"{n_sig} leads came; 1 to {MAX_SIG} were expected")
        self.fs = float(fs)
        self.n_sig = n_sig
        self._cfg, self._sos = judge.configuration(self.fs)
        rate = float(self._cfg[judge.RATE])
        self.delay_s = judge.RELEARN_SPAN_S + 0.3
        ring = math.ceil(_RING_S * rate)
        length = 2 * int(judge.Parameters.half_template * rate) + 1
        n = n_sig
        self._i = np.zeros(judge.N_INT, np.int64)
        self._f = np.zeros(judge.N_FLOAT)
        self._arrays = (
            np.zeros((n, front.LEAD_STATE)),
            np.zeros((n, ring)),
            np.zeros((n, ring)),
            np.zeros(ring),
            self._i,
            self._f,
            np.zeros((2 * n, judge.N_CHAN)),
            np.zeros((n, judge.N_TRACK)),
            np.zeros((n, judge.N_FRESH, judge.N_FR)),
            np.zeros((judge.N_CANDIDATES, judge.K_ENV + 2 * n)),
            np.zeros((judge.N_TEMPLATES, n, length)),
            np.zeros((judge.N_TEMPLATES, 2)),
        )
        self._reset()

    def _reset(self) -> None:
        for array in self._arrays:
            array[...] = 0
        self._arrays[0][:, front.MISSING] = 1
        self._i[judge.LAST] = self._i[judge.TRIED] = _FAR
        self._f[judge.CORR] = 1.0

    @property
    def n_samples(self) -> int:
        """How many samples have come."""
        return int(self._i[judge.IN])

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
        samples = np.ascontiguousarray(x, dtype=np.float64)
        if samples.ndim != 2 or samples.shape[1] != self.n_sig:
            raise ValueError(f"samples of shape {samples.shape} came; (n_samples, {self.n_sig}) was expected")
        room = judge.N_CANDIDATES + int(len(samples) / (judge.Parameters.refractory * self.fs)) + 2
        out_i = np.empty((room, 3), np.int64)
        out_f = np.empty((room, 2))
        n = judge.run(samples, self._cfg, self._sos, *self._arrays, _WEIGHTS, out_i, out_f, _NO_TRACE)
        beats = np.empty(n, QRS_DTYPE)
        beats["sample"], beats["detected"], beats["leads"] = out_i[:n].T
        beats["amplitude"], beats["quality"] = out_f[:n].T
        return beats

    def skip(self, n_samples: int) -> NDArray[np.void]:
        """Pass over `n_samples` that never came: the same as so many NaN rows."""
        found = [
            self.process(np.full((min(n_samples - done, int(self.fs)), self.n_sig), np.nan))
            for done in range(0, n_samples, int(self.fs))
        ]
        return np.concatenate(found) if found else np.empty(0, QRS_DTYPE)

    def snapshot(self) -> bytes:
        """Return the whole state; a detector that restores it continues bit for bit."""
        header = _HEADER.pack(_MAGIC, _VERSION, self.n_sig, self.fs)
        return b"".join([header, *(array.tobytes() for array in self._arrays)])

    def restore(self, snapshot: bytes) -> None:
        """Take over a state made by `snapshot` of a detector with the same `fs` and `n_sig`.

        Raises
        ------
        ValueError
            It is no such snapshot; the detector is left as it was.
        """
        expected = _HEADER.pack(_MAGIC, _VERSION, self.n_sig, self.fs)
        size = len(expected) + sum(array.nbytes for array in self._arrays)
        if snapshot[: len(expected)] != expected or len(snapshot) != size:
            raise ValueError(
                f"a snapshot of {len(snapshot)} bytes that begins {snapshot[:16]!r} came; "
                f"version {_VERSION} for {self.n_sig} leads at {self.fs:g} Hz, {size} bytes, was expected"
            )
        at = len(expected)
        for array in self._arrays:
            array[...] = np.frombuffer(snapshot, array.dtype, array.size, at).reshape(array.shape)
            at += array.nbytes


_WEIGHTS = np.array(WEIGHTS)
_NO_TRACE = np.zeros((0, judge.N_FEATURES + 2))


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
    found = [detector.process(samples), detector.skip(math.ceil(0.4 * fs))]
    beats = np.concatenate(found)
    return beats[beats["sample"] < len(samples)]
