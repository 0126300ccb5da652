"""Pulse waves in pulse waveforms (photoplethysmogram, arterial pressure): where, how large, how sure.

The heart's second witness: electrodes that fall off stop the ECG and not the pulse. What conditions are
shown is one `PulseTrain` per waveform (`Second.pulses`); `contradicts` answers the question they
ask. A pulse may only ever *withhold* an alarm that the ECG raised, and only if it is beyond doubt; a
missing pulse proves nothing, for a cuff inflates and a finger clip falls off.

Onsets are found by the slope sum function (Zong et al. 2003, "An open-source algorithm to detect onset
of arterial blood pressure pulses"): the sum of all rises within a window. Departures:

- the rate is brought to about 62.5 Hz first, and the unit does not matter (no pressure thresholds);
- no learning period: the first pulse is that which exceeds what came in `LEARN_S`;
- a pulse is told as soon as its slope sum has fallen to half, at most `CLOSE_S` after its onset,
  and never corrected later;
- "purity", the largest slope sum over the sum of all rises since the pulse before: near 1 where
  nothing moves but the pulse, small in motion and noise (after Li & Clifford 2012, whose quality compares
  beats with a template; here the same without one).

Not here: values of pressure or saturation.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import signal

from dsp.abstract import PulseTrain, Second
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

SPREAD = 0.12
SIZE_SPREAD = 0.35
PURE = 0.35
LIFELESS = 0.005
"""Pulses whose intervals and sizes both vary by less than this part come from no living body."""
MIN_PULSES = 3

BEFORE_S = 4.0
RATE_S = 8.0
SURE = 0.5
MISSED = 1.5
WITNESS = 0.4
EVEN = 0.5


@dataclass(frozen=True, slots=True)
class Pulsation:
    """How the pulse went during a stretch: `rate` in 1/min, `quality` 0..1, `n` pulses.

    `longest_s` is the longest time before a pulse, `silent_s` that since the last one; `smallest` the
    smallest pulse's size over the median.
    """

    rate: float = 0.0
    quality: float = 0.0
    n: int = 0
    longest_s: float = float("inf")
    silent_s: float = float("inf")
    smallest: float = 0.0


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


def pulsation(train: PulseTrain, fs: float, begin: int, end: int) -> Pulsation:
    """How the pulse of one waveform went from sample `begin` to `end`.

    quality falls from 1 with the spread of the intervals, with the spread of the sizes, and with what
    moves besides the pulse; below `MIN_PULSES` pulses it is 0.
    """
    inside = (train.onsets >= begin) & (train.onsets < end)
    onsets = train.onsets[inside]
    if len(onsets) < MIN_PULSES:
        return Pulsation(n=len(onsets))
    rr = np.diff(onsets) / fs
    middle = float(np.median(rr))
    sizes = train.sizes[inside]
    size = float(np.median(sizes))
    spread = float(np.mean(np.abs(rr - middle))) / middle
    size_spread = float(np.mean(np.abs(sizes - size))) / size
    if spread < LIFELESS and size_spread < LIFELESS:
        # A test pattern or a pump: breathing alone moves a living pulse by several times this. It must
        # never speak against an asystole.
        return Pulsation(n=len(onsets))
    quality = (
        max(0.0, 1 - spread / (2 * SPREAD))
        * max(0.0, 1 - size_spread / (2 * SIZE_SPREAD))
        * min(1.0, float(np.median(train.purity[inside])) / PURE)
    )
    return Pulsation(
        rate=60 / middle,
        quality=quality,
        n=len(onsets),
        longest_s=float(max((onsets[0] - begin) / fs, rr.max())),
        silent_s=float((end - onsets[-1]) / fs),
        smallest=float(sizes.min()) / size,
    )


def rate(now: Second) -> float | None:
    """Return the pulse rate in 1/min of the waveform that shows it best; None if none shows it well.

    The latest `RATE_S` count. A waveform that is regular and clean is taken at its word.
    """
    begin = now.stop - round(RATE_S * now.fs)
    best = max((pulsation(t, now.fs, begin, now.stop) for t in now.pulses), key=_quality, default=None)
    if best is None or best.quality < SURE or best.silent_s > MISSED * 60 / best.rate + CLOSE_S:
        return None
    return best.rate


def _quality(p: Pulsation) -> float:
    return p.quality


def contradicts(now: Second, begin: int, low: float = 30.0, high: float = 220.0) -> bool:
    """Whether the pulse went on as if nothing had happened since `begin`, at `low` to `high` 1/min.

    Some waveform shows a regular, clean pulse of even size that began at least `BEFORE_S` before
    `begin` (or with the recording) and has gone on through it until now. What began later proves
    nothing: chest compressions make fine pulses. Nor does a pulse that missed a beat, or lost half its size.

    Parameters
    ----------
    now
        The second that a condition looks at.
    begin
        The first sample of what the ECG seems to show.
    low, high
        Pulse rates that are no excuse beyond them.

    Examples
    --------
    >>> withheld = "pulse" if contradicts(now, onset, low=40, high=100) else ""
    """
    for train in now.pulses:
        if not len(train.onsets):
            continue
        first = begin - round(BEFORE_S * now.fs)
        if train.since <= begin + LEARN_S * now.fs:
            first = max(first, train.since)
        if len(train.onsets) == KEPT:
            first = max(first, int(train.onsets[0]))
        found = pulsation(train, now.fs, first, now.stop)
        interval = 60 / found.rate if found.rate else 0.0
        if (
            found.quality >= SURE
            and low <= found.rate <= high
            and found.longest_s <= MISSED * interval
            and found.silent_s <= MISSED * interval + CLOSE_S
            and found.smallest >= EVEN
        ):
            return True
    return False


def lost(now: Second, begin: int) -> bool:
    """Whether a pulse that was regular and clean for `RATE_S` before `begin` has missed a beat since.

    What a short ventricular tachycardia does to a pulse. It proves nothing alone (a finger clip that
    slips does the same); it is for what the ECG shows as likely.

    Parameters
    ----------
    now
        The second that a condition looks at.
    begin
        The first sample of what the ECG seems to show.
    """
    for train in now.pulses:
        found = pulsation(train, now.fs, begin - round(RATE_S * now.fs), begin)
        if found.quality < WITNESS:
            continue
        since = train.onsets[(train.onsets >= begin - now.fs * found.silent_s) & (train.onsets < now.stop)]
        longest = np.diff([*since, now.stop]).max() / now.fs
        if longest > MISSED * 60 / found.rate:
            return True
    return False
