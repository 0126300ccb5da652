"""Waveform meter: what each lead looks like as a wave, once a second, without any QRS detection.

QRS detectors fail in ventricular fibrillation, and those that learn a patient fail in a tachycardia that
the recording begins with. This meter looks at the latest `WINDOW_S` of each lead by itself, measures the
features of `wave_features.py` and asks small boosted trees (`wave_model.py`): is this fibrillation or
flutter, is this ventricular tachycardia, and if it is one of the two, which? It forgets everything older: no
learning period, no reference that a gain step or a bad minute could spoil.

The idea of several plain features judged by one trained rule is Jekova 2007 and Li, Rajagopalan & Clifford
2014 (IEEE Trans Biomed Eng 61(6)); features are named in `wave_features.py`. Departures: trees instead of a
support vector machine (a kernel of a microsecond), windows of 4 s each second, per lead and causal, no
features from the gain, trained on records of motion noise and of false alarms too, on the same records
played faster and slower, and with the trees bound to rise and fall with what is known to speak for and
against fibrillation (`benchmarks/train_vf.py`).

The trace is brought to about 60 values a second first, by a triangle of twice that length (the mains
and what is faster are gone), and only then filtered: a value costs two additions a sample. It is 12 ms late.

Below `LEAST_MV` nothing is judged: fine fibrillation so small is asystole to a monitor, and is
alarmed as that. Not here: which leads count, for how long, and what is announced (`rhythm/fibrillation.py`).
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import signal

from dsp import wave_features, wave_model
from dsp.wave_features import REPEAT_HZ, SLOPE_REST, SWING, WINDOW_S

LEAST_MV = 0.1
"""Swing between the 2nd and 98th percentile; 0.15 mV peak to peak is about this."""
RATE_HZ = 62.5
"""The trace is averaged down to about so many values a second."""
HIGH_PASS_HZ = 1.0
FORGET_S = 0.5
"""The filter begins anew after so long without measurement."""
MEASURED_PART = 0.8
"""Each second of the window must have been measured for so much of it."""
REST = 0.05
"""A `slope_rest` below this is a trace that rests between complexes: no flutter, no fibrillation, no fast
ventricular rhythm (0.06 is the least of 30,000 windows of those), and no need to measure more
(log-odds `SURE`)."""
SURE = -9.0
UNLIKELY = -4.0
"""Fibrillation less likely than this need not be told from tachycardia."""
WORSE = 3.0
"""Log-odds in favour of fibrillation where it could be either: the worse of two is the one to announce."""

# Columns of a lead's row of state; the ring of averaged values follows.
QUIET, VALUE, SUM, RISING, FALLING, COUNT, AT, FED = range(8)
FILTER = 8  # a biquad
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
        high = signal.butter(2, HIGH_PASS_HZ, btype="highpass", fs=self._rate, output="sos")
        self._filter = np.concatenate([high[0, :3], high[0, 4:], signal.sosfilt_zi(high)[0]])
        self._forget = FORGET_S * fs
        self.state = np.zeros((n_sig, RING + int(WINDOW_S * self._rate)))
        self.state[:, QUIET] = np.inf
        self.features = np.zeros((n_sig, len(wave_features.NAMES)))
        self.valid = np.zeros(n_sig, dtype=np.bool_)
        self.vf, self.vt, self.rate = np.full((3, n_sig), np.nan)
        self._model: NDArray[np.float64] | None = None  # the trainer measures before there is one

    def feed(self, x: NDArray[np.float64]) -> None:
        """Take samples of the present second: (n_samples, n_sig), mV, NaN where nothing was measured."""
        _feed(x, self._filter, self._forget, self._step, self.state)

    def skip(self) -> None:
        """Samples are passed over: the present second begins anew."""
        self.state[:, QUIET] = np.inf
        self.state[:, FED] = 0.0

    def measure(self, length: int) -> None:
        """Close the second of `length` samples: sets `features` and `valid`."""
        _measure(length, self._rate, self.state, self.features, self.valid)

    def second(self, length: int) -> None:
        """Close the second of `length` samples: sets `vf`, `vt` and `rate`."""
        if self._model is None:
            self._model = wave_model.load("ventricular", wave_features.NAMES)
        _measure(length, self._rate, self.state, self.features, self.valid)
        judge(self.features, self.valid, self._model, self.vf, self.vt, self.rate)


@njit(cache=True, nogil=True)
def _feed(x, high, forget, step, state):  # type: ignore[no-untyped-def]
    b0, b1, b2, a1, a2 = high[0], high[1], high[2], high[3], high[4]
    n, whole = state.shape[1] - RING, 1.0 / (step * step)
    for lead in range(x.shape[1]):
        s = state[lead]
        quiet, value, total, rising, falling = s[QUIET], s[VALUE], s[SUM], s[RISING], s[FALLING]
        count, at, fed, z0, z1 = int(s[COUNT]), int(s[AT]), s[FED], s[FILTER], s[FILTER + 1]
        for i in range(x.shape[0]):
            v = x[i, lead]
            if np.isfinite(v):
                if quiet >= forget:  # as if it had been so forever
                    total, rising = count * v, 0.5 * count * (count + 1) * v
                    falling = 0.5 * step * (step - 1) * v
                    z0, z1 = high[5] * v, high[6] * v
                quiet, value = 0.0, v
                fed += 1.0
            else:
                quiet += 1.0
                v = value
            count += 1
            total += v
            rising += count * v
            if count == step:
                u = (falling + rising) * whole
                falling = step * total - rising
                y = b0 * u + z0
                z0 = b1 * u - a1 * y + z1
                z1 = b2 * u - a2 * y
                s[RING + at] = y
                at = at + 1 if at + 1 < n else 0
                count, total, rising = 0, 0.0, 0.0
        s[QUIET], s[VALUE], s[SUM], s[RISING], s[FALLING] = quiet, value, total, rising, falling
        s[COUNT], s[AT], s[FED], s[FILTER], s[FILTER + 1] = count, at, fed, z0, z1


@njit(cache=True, nogil=True)
def _measure(length, rate, state, features, valid):  # type: ignore[no-untyped-def]
    n = state.shape[1] - RING
    y = np.empty(n)
    for lead in range(state.shape[0]):
        s = state[lead]
        least = 1.0
        for k in range(SEEN, RING - 1):
            s[k] = s[k + 1]
            least = min(least, s[k])
        s[RING - 1] = s[FED] / length
        s[FED] = 0.0
        valid[lead] = False
        if min(least, s[RING - 1]) < MEASURED_PART:
            continue
        at = int(s[AT])
        for i in range(n - at):
            y[i] = s[RING + at + i]
        for i in range(at):
            y[n - at + i] = s[RING + i]
        valid[lead] = wave_features.features(y, rate, REST, features[lead])


@njit(cache=True, nogil=True)
def judge(features, valid, model, vf, vt, rate):  # type: ignore[no-untyped-def]
    for lead in range(features.shape[0]):
        x = features[lead]
        if not valid[lead] or x[SWING] < np.log(LEAST_MV):
            vf[lead] = vt[lead] = np.nan
        elif x[SLOPE_REST] < REST:
            vf[lead] = vt[lead] = SURE
        else:
            vf[lead] = wave_model.ask(x, model[0])
            if vf[lead] > UNLIKELY:
                vf[lead] = -np.log(np.exp(-vf[lead]) + np.exp(wave_model.ask(x, model[2]) - WORSE))
            vt[lead] = wave_model.ask(x, model[1])
            rate[lead] = 60.0 * x[REPEAT_HZ]
