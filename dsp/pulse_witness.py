"""What the pulse says of an alarm: the heart's second witness.

Electrodes that fall off stop the ECG and not the pulse. A regular, clean pulse that went on undisturbed
*withholds* an alarm that the ECG raised (`contradicts`); a missing pulse alone proves nothing, for a cuff
inflates and a finger clip falls off, but one that was clean and failed together with a doubtful ECG makes
the doubt smaller (`lost`).

Not here: finding pulses (`pulse.py`).
"""

from dataclasses import dataclass

import numpy as np

from dsp.abstract import PulseTrain, Second
from dsp.pulse import CLOSE_S, KEPT, LEARN_S

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
"""Usual intervals; longer without a pulse, and one was missed."""
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
        last = train.onsets[train.onsets < begin][-1]
        since = train.onsets[train.onsets >= last]
        longest = np.diff([*since, now.stop]).max() / now.fs
        if longest > MISSED * 60 / found.rate:
            return True
    return False
