"""Waveform meter: what each lead looks like as a wave, once a second, without any QRS detection.

QRS detectors fail in ventricular fibrillation, and those that learn a patient fail in a tachycardia that
the recording begins with. This meter looks at the latest `WINDOW_S` of each lead by itself, measures the
features of `wave_features.py` and asks small boosted trees (`wave_model.py`): is this fibrillation or
flutter, is this ventricular tachycardia, and if it is one of the two, which? It forgets everything older: no
learning period, no reference that a gain step or a bad minute could spoil.

The idea of several plain features judged by one trained rule is Jekova 2007 and Li, Rajagopalan & Clifford
2014 (IEEE Trans Biomed Eng 61(6)); features are named in `wave_features.py`. Departures: trees instead of a
support vector machine (a kernel of a microsecond), windows of 4 s each second, per lead and causal, no
features from the gain, trained on records of motion noise and of false alarms too.

Below `LEAST_MV` nothing is judged: fine fibrillation so small is asystole to a monitor, and is
alarmed as that. Not here: which leads count, for how long, and what is announced (`rhythm/fibrillation.py`).
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import signal

from dsp import wave_features, wave_model
from dsp.wave_features import WINDOW_S

LEAST_MV = 0.1
"""Swing between the 2nd and 98th percentile; 0.15 mV peak to peak is about this."""
RATE_HZ = 62.5
"""The trace is averaged down to about so many values a second."""
FORGET_S = 0.5
"""The filter begins anew after so long without measurement."""
MEASURED_PART = 0.8
"""Each second of the window must have been measured for so much of it."""
REST = 0.05
"""A slice of the window so much quieter than the loudest one is rest between complexes: no flutter, no
fibrillation, no fast ventricular rhythm, and no need to measure the rest (log-odds `SURE`)."""
SURE = -9.0
UNLIKELY = -4.0
"""Fibrillation less likely than this need not be told from tachycardia."""
WORSE = 3.0
"""Log-odds in favour of fibrillation where it could be either: the worse of two is the one to announce."""

# Columns of a lead's row of state; the ring of averaged values follows.
LAST_SEEN, VALUE, SUM, COUNT, AT, FED = 0, 1, 2, 3, 4, 5
BAND = 6  # 2 biquads
SEEN = 10  # measured part of each second of the window
RING = SEEN + int(WINDOW_S)


class WaveMeter:
    """Streaming judgement of one stream's ECG leads as waves.

    Parameters
    ----------
    fs
        Sampling rate in Hz.
    n_sig
        Number of ECG leads.

    Attributes
    ----------
    state
        Everything it remembers, shape (n_sig, RING + values of the window).
    vf, vt
        Log-odds per lead of fibrillation or flutter, and of ventricular tachycardia; NaN where nothing can be
        told: not measured for the whole window, or smaller than `LEAST_MV`.
    rate
        Repetitions of the wave, 1/min, per lead.
    features
        Shape (n_sig, n_features), the rows of leads with `valid`.
    """

    def __init__(self, fs: float, n_sig: int) -> None:
        self.fs = fs
        self._step = max(1, round(fs / RATE_HZ))
        self._rate = fs / self._step
        self._n = int(WINDOW_S * self._rate)
        band = signal.butter(2, (1.0, min(30.0, 0.45 * fs)), btype="bandpass", fs=fs, output="sos")
        self._sos = np.ascontiguousarray(np.hstack([band[:, :3], band[:, 4:], signal.sosfilt_zi(band)]))
        self._fourier = wave_features.fourier(self._n, self._rate)
        self._forget = FORGET_S * fs
        self.state = np.zeros((n_sig, RING + self._n))
        self.state[:, LAST_SEEN] = np.inf
        self.features = np.zeros((n_sig, len(wave_features.NAMES)))
        self.valid = np.zeros(n_sig, dtype=np.bool_)
        self.vf, self.vt, self.rate = np.full((3, n_sig), np.nan)

    def feed(self, x: NDArray[np.float64]) -> None:
        """Take samples of the present second: (n_samples, n_sig), mV, NaN where nothing was measured."""
        _feed(x, self._sos, self._forget, self._step, self._n, self.state)

    def skip(self) -> None:
        """Samples are passed over: the present second begins anew."""
        self.state[:, LAST_SEEN] = np.inf
        self.state[:, FED] = 0.0

    def measure(self, length: int) -> None:
        """Close the second of `length` samples: sets `features` and `valid`."""
        _measure(length, self._rate, self._fourier, self.state, self.features, self.valid)

    def second(self, length: int) -> None:
        """Close the second of `length` samples: sets `vf`, `vt` and `rate`."""
        self.measure(length)
        if not self.valid.any():
            self.vf.fill(np.nan)
            self.vt.fill(np.nan)
            return
        asked = wave_model.load("ventricular", wave_features.NAMES)
        questions = asked["vf"], asked["vt"], asked["slow"]
        _judge(self.features, self.valid, *questions, self.vf, self.vt, self.rate)


@njit(cache=True, nogil=True)
def _feed(x, sos, forget, step, n, state):  # type: ignore[no-untyped-def]
    for lead in range(x.shape[1]):
        s = state[lead]
        for i in range(x.shape[0]):
            v = x[i, lead]
            s[LAST_SEEN] += 1.0
            if np.isfinite(v):
                if s[LAST_SEEN] > forget:
                    for k in range(2):
                        s[BAND + 2 * k] = sos[k, 5] * v
                        s[BAND + 2 * k + 1] = sos[k, 6] * v
                s[LAST_SEEN] = 0.0
                s[VALUE] = v
                s[FED] += 1.0
            else:
                v = s[VALUE]
            y = v
            for k in range(2):
                z = BAND + 2 * k
                u = y
                y = sos[k, 0] * u + s[z]
                s[z] = sos[k, 1] * u - sos[k, 3] * y + s[z + 1]
                s[z + 1] = sos[k, 2] * u - sos[k, 4] * y
            s[SUM] += y
            s[COUNT] += 1.0
            if s[COUNT] == step:
                at = int(s[AT])
                s[RING + at] = s[SUM] / step
                s[AT] = at + 1 if at + 1 < n else 0
                s[SUM] = s[COUNT] = 0.0


@njit(cache=True, nogil=True)
def _measure(length, rate, fourier, state, features, valid):  # type: ignore[no-untyped-def]
    n = state.shape[1] - RING
    y = np.empty(n)
    for lead in range(state.shape[0]):
        s = state[lead]
        for k in range(SEEN, RING - 1):
            s[k] = s[k + 1]
        s[RING - 1] = s[FED] / length
        s[FED] = 0.0
        valid[lead] = False
        if s[SEEN:RING].min() < MEASURED_PART:
            continue
        at = int(s[AT])
        y[: n - at] = s[RING + at :]
        y[n - at :] = s[RING : RING + at]
        valid[lead] = wave_features.features(y, rate, fourier, REST, features[lead])


@njit(cache=True, nogil=True)
def _ask(x, trees):  # type: ignore[no-untyped-def]
    bias, roots, feature, threshold, left, right = trees
    total = bias
    for root in roots:
        node = root
        while feature[node] >= 0:
            node = left[node] if x[feature[node]] <= threshold[node] else right[node]
        total += threshold[node]
    return total


@njit(cache=True, nogil=True)
def _judge(features, valid, vf_trees, vt_trees, slow_trees, vf, vt, rate):  # type: ignore[no-untyped-def]
    for lead in range(features.shape[0]):
        x = features[lead]
        if not valid[lead] or x[0] < np.log(LEAST_MV):
            vf[lead] = vt[lead] = np.nan
        elif x[5] < REST:
            vf[lead] = vt[lead] = SURE
        else:
            vf[lead] = _ask(x, vf_trees)
            if vf[lead] > UNLIKELY:
                vf[lead] = -np.log(np.exp(-vf[lead]) + np.exp(_ask(x, slow_trees) - WORSE))
            vt[lead] = _ask(x, vt_trees)
            rate[lead] = 60.0 * x[13]
