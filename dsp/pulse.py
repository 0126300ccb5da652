"""Pulse waves in pulse waveforms (photoplethysmogram, arterial pressure): where, how large, how sure.

What conditions are shown is one `PulseTrain` per waveform (`Second.pulses`).

Onsets are found by the slope sum function (Zong et al. 2003, "An open-source algorithm to detect onset
of arterial blood pressure pulses"): the sum of all rises within a window. Departures:

- the rate is brought to about 62.5 Hz first, and the unit does not matter (no pressure thresholds);
- no learning period: the first pulse is that which exceeds what came in `LEARN_S`;
- a pulse is told as soon as its slope sum has fallen to half, at most `CLOSE_S` after its onset,
  and never corrected later;
- "purity", the largest slope sum over the sum of all rises since the pulse before: near 1 where
  nothing moves but the pulse, small in motion and noise (after Li & Clifford 2012, whose quality compares
  beats with a template; here the same without one).

Not here: what a pulse says of an alarm (`pulse_witness.py`), values of pressure or saturation.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import signal

from dsp.abstract import PulseTrain
from leadwire.model import INVALID_SAMPLE, UNIT_IN_MV, SampleChunk

NAMES = ("PLETH", "PPG", "PULS", "SPO2", "ABP", "ART", "IBP", "UAP", "FAP", "AOP")
"""A waveform is one of the pulse if its name contains one of these: breath and CO2 are "NU" too."""

RATE_HZ = 62.5  # of the slope sum, about
LOWPASS_HZ = 10.0
WINDOW_S = 0.16
LEARN_S = 1.5
CROSSING = 0.5  # of the usual slope sum
CLOSE_S = 0.4
REFRACTORY_S = 0.22
FORGET_S = 2.0  # then the threshold begins to fall
FALL_S = 1.5
BROKEN_S = 0.2  # without measurement
KEPT = 32

# A pulse: onset (stream's sample), size, purity.
PULSE = 3
# Columns of a waveform's row of state, before the pulses and the window.
AT, SEEN, Z1, Z2, LAST_Y, SUM, HEAD, USUAL, LEARNT = 0, 1, 2, 3, 4, 5, 6, 7, 8
OPEN, ONSET, TOP, RISES, LAST_ONSET, DARK, N, SINCE = 9, 10, 11, 12, 13, 14, 15, 16
PULSES = 17
RING = PULSES + KEPT * PULSE


def columns(sig_name: tuple[str, ...], units: tuple[str, ...]) -> list[int]:
    """Return which signals are pulse waveforms."""
    return [
        i
        for i, (name, unit) in enumerate(zip(sig_name, units, strict=True))
        if unit not in UNIT_IN_MV and any(word in name.upper() for word in NAMES)
    ]


class PulseDetector:
    """Streaming pulses of one stream's pulse waveforms.

    Parameters
    ----------
    fs
        Sampling rate in Hz.
    sig_name, units
        All signals of the stream; `columns` says which of them are pulse waveforms.
    origin
        The stream's sample number of the first row.

    Notes
    -----
    All state is `state`, shape (n_waveforms, columns). A pulse is known at most `CLOSE_S` + one
    filter delay (some 30 ms) after its onset.
    """

    def __init__(self, fs: float, sig_name: tuple[str, ...], units: tuple[str, ...], origin: int) -> None:
        self.fs = fs
        found = columns(sig_name, units)
        self.names = tuple(sig_name[i] for i in found)
        self._columns = np.array(found, dtype=np.int64)
        self._every = max(1, int(fs / RATE_HZ))
        self._step = self._every / fs
        low = signal.butter(2, min(LOWPASS_HZ, 0.4 * fs), fs=fs, output="ba")
        self._filter = np.array([*low[0], *low[1][1:], *signal.lfilter_zi(*low)])
        self._scale = np.zeros((len(found), 2))
        self._off = np.zeros(len(found), dtype=np.bool_)
        self.state = np.zeros((len(found), RING + round(WINDOW_S / self._step)))
        self.state[:, AT] = origin

    def calibrate(self, chunk: SampleChunk) -> None:
        """Take over gains, baselines and what is unplugged; to be called before any row of `chunk`."""
        for k, i in enumerate(self._columns.tolist()):
            self._scale[k] = chunk.baseline[i], 1.0 / chunk.adc_gain[i]
            self._off[k] = self.names[k] in chunk.lead_off

    def feed(self, d: NDArray[np.int16]) -> None:
        """Take digital rows (n_samples, n_sig) of all signals, `INVALID_SAMPLE` where not measured."""
        if self.names:
            _feed(
                d,
                self._columns,
                self._scale,
                self._off,
                self._every,
                self._step,
                self.fs,
                self._filter,
                self.state,
            )

    def skip(self, n_samples: int) -> None:
        """Pass over so many samples without measurement."""
        self.state[:, AT] += n_samples
        for row in self.state:
            _begin_anew(row)

    def trains(self) -> list[PulseTrain]:
        """Return the latest pulses of each waveform."""
        found = []
        for name, row in zip(self.names, self.state, strict=True):
            n = int(row[N])
            table = row[PULSES : PULSES + n * PULSE].reshape(n, PULSE).copy()
            found.append(
                PulseTrain(name, table[:, 0].astype(np.int64), table[:, 1], table[:, 2], int(row[SINCE]))
            )
        return found


@njit(cache=True, nogil=True)
def _begin_anew(s):  # type: ignore[no-untyped-def]
    """The window and what is learnt are forgotten; the pulses found stay."""
    s[SEEN] = s[SUM] = s[USUAL] = s[LEARNT] = s[OPEN] = s[RISES] = 0.0
    s[LAST_ONSET] = -np.inf
    s[RING:] = 0.0


@njit(cache=True, nogil=True)
def _feed(d, columns, scale, off, every, step, fs, lowpass, state):  # type: ignore[no-untyped-def]
    b0, b1, b2, a1, a2, zi1, zi2 = lowpass
    for j in range(state.shape[0]):
        s = state[j]
        for i in range(d.shape[0]):
            at = s[AT]
            s[AT] += 1.0
            digit = d[i, columns[j]]
            if digit == INVALID_SAMPLE or off[j]:
                s[DARK] += 1.0
                if s[DARK] == np.ceil(BROKEN_S * fs) and s[SEEN] > 0:
                    _begin_anew(s)
                continue
            s[DARK] = 0.0
            v = (digit - scale[j, 0]) * scale[j, 1]
            if s[SEEN] == 0:
                s[Z1], s[Z2], s[LAST_Y], s[SEEN] = zi1 * v, zi2 * v, v, 1.0
                s[LAST_ONSET] = at
            y = b0 * v + s[Z1]
            s[Z1] = b1 * v - a1 * y + s[Z2]
            s[Z2] = b2 * v - a2 * y
            if int(at) % every == 0:
                _slope_sum(s, y, at, step, fs)


@njit(cache=True, nogil=True)
def _slope_sum(s, y, at, step, fs):  # type: ignore[no-untyped-def]
    rise = max(0.0, y - s[LAST_Y])
    s[LAST_Y] = y
    width = s.size - RING
    head = int(s[HEAD])
    s[RING + head] = rise
    s[HEAD] = (head + 1) % width
    total = 0.0
    for k in range(width):
        total += s[RING + k]
    s[RISES] += rise
    since = (at - s[LAST_ONSET]) / fs
    if s[LEARNT] < LEARN_S:
        if s[LEARNT] == 0 and total == 0:
            return  # a flat line (a clip that is not on yet) teaches nothing
        s[LEARNT] += step
        s[USUAL] = max(s[USUAL], total)
        if s[LEARNT] < LEARN_S:
            return
        s[SINCE] = at
    if s[OPEN] == 0:
        threshold = CROSSING * s[USUAL]
        if since > FORGET_S:
            threshold *= np.exp(-(since - FORGET_S) / FALL_S)
        if total > threshold and total > 0 and since >= REFRACTORY_S:
            s[OPEN], s[ONSET], s[TOP] = 1.0, at, total
        return
    s[TOP] = max(s[TOP], total)
    if total > CROSSING * s[TOP] and (at - s[ONSET]) / fs < CLOSE_S:
        return
    n = int(s[N])
    if n == KEPT:
        s[PULSES : PULSES + (KEPT - 1) * PULSE] = s[PULSES + PULSE : PULSES + KEPT * PULSE].copy()
        n -= 1
    p = PULSES + n * PULSE
    s[p], s[p + 1] = s[ONSET], s[TOP]
    s[p + 2] = s[TOP] / s[RISES] if s[RISES] > 0 else 0.0
    s[N] = n + 1
    # A pulse that only a lowered threshold let through tells of a new size; a giant one is a movement.
    share = 0.5 if since > FORGET_S else 0.25
    s[USUAL] += share * (min(s[TOP], 2 * s[USUAL]) - s[USUAL])
    s[LAST_ONSET], s[RISES], s[OPEN] = s[ONSET], 0.0, 0.0
