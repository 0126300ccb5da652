"""The beat-by-beat scorer of ANSI/AAMI EC57: our own, checked against wfdb's in the tests.

A detection within 150 ms of a reference beat is true, one to one. Segments of ventricular flutter or
fibrillation (``[`` to ``]``) are excluded: reference beats in them do not count, nor do unmatched
detections. With `skip_s` the first seconds of the record are left out of the counts (EC57 allows
5 min for learning); the matching itself always sees the whole record.

Differences to ``wfdb.processing.compare_annotations``
------------------------------------------------------
1. wfdb's matching is neighbourwise: in a cluster of detections it may leave a reference beat and a
   detection unmatched though both are free and within the window, and where beats are crowded within
   one window it may count a detection twice. Ours is a maximum one-to-one matching.
2. wfdb knows nothing of VF segments nor of the learning period; those are applied outside it.
3. wfdb accepts a distance up to and including ``window_width``; so do we, with the window rounded to
   whole samples downwards.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WINDOW_S = 0.150
LEARNING_S = 300.0
BEAT_SYMBOLS = frozenset("NLRBAaJSVrFejnE/fQ?")
"""WFDB's beat codes; everything else in an annotation file is no beat."""

Samples = NDArray[np.int64]


@dataclass(frozen=True)
class Reference:
    """The beats of a record and its excluded segments, in samples."""

    beats: Samples
    excluded: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Score:
    """Counts of one record, or of many added up."""

    TP: int
    FP: int
    FN: int

    def __add__(self, other: "Score") -> "Score":
        return Score(self.TP + other.TP, self.FP + other.FP, self.FN + other.FN)

    def metrics(self) -> dict[str, float | int | None]:
        """Return `Se`, `+P`, `DER` in percent (None where undefined) and the counts."""
        beats, found = self.TP + self.FN, self.TP + self.FP
        return {
            "Se": 100 * self.TP / beats if beats else None,
            "+P": 100 * self.TP / found if found else None,
            "DER": 100 * (self.FP + self.FN) / beats if beats else None,
            "TP": self.TP,
            "FP": self.FP,
            "FN": self.FN,
        }


def reference(sample: Samples, symbol: list[str], length: int) -> Reference:
    """Take beats and VF segments from the annotations of a record of `length` samples."""
    beats = [s for s, code in zip(sample, symbol, strict=True) if code in BEAT_SYMBOLS]
    excluded, start = [], None
    for s, code in zip(sample, symbol, strict=True):
        if code == "[" and start is None:
            start = int(s)
        elif code == "]" and start is not None:
            excluded.append((start, int(s)))
            start = None
    if start is not None:
        excluded.append((start, length))
    return Reference(np.array(beats, np.int64), tuple(excluded))


def match(beats: Samples, detections: Samples, window: int) -> tuple[Samples, Samples]:
    """Match beats and detections one to one, as many as possible, nearer ones first.

    Parameters
    ----------
    beats, detections
        Sample numbers in rising order.
    window
        Greatest distance in samples.

    Returns
    -------
    partner_of_beat, partner_of_detection
        Index of the partner, or -1.
    """
    of_beat = np.full(len(beats), -1, np.int64)
    of_detection = np.full(len(detections), -1, np.int64)
    b = d = 0
    while b < len(beats) and d < len(detections):
        distance = int(detections[d]) - int(beats[b])
        if distance > window:
            b += 1
        elif distance < -window:
            d += 1
        else:
            # A nearer detection may be next; take it unless the next beat needs it.
            if (
                d + 1 < len(detections)
                and abs(int(detections[d + 1]) - int(beats[b])) < abs(distance)
                and (b + 1 == len(beats) or int(beats[b + 1]) - int(detections[d + 1]) > window)
            ):
                d += 1
                continue
            of_beat[b], of_detection[d] = d, b
            b += 1
            d += 1
    return of_beat, of_detection


def _within(sample: Samples, segments: tuple[tuple[int, int], ...]) -> NDArray[np.bool_]:
    inside = np.zeros(len(sample), bool)
    for start, end in segments:
        inside |= (sample >= start) & (sample <= end)
    return inside


def score(
    ref: Reference, detections: Samples, fs: float, skip_s: float = 0.0, window_s: float = WINDOW_S
) -> Score:
    """Score the detections of one record.

    Parameters
    ----------
    ref
        Reference beats and excluded segments.
    detections
        Sample numbers in rising order.
    fs
        Sampling rate in Hz.
    skip_s
        Leave out what happens before this time, in s.
    window_s
        Half-width of the match window in s.
    """
    of_beat, of_detection = match(ref.beats, detections, int(window_s * fs))
    from_ = skip_s * fs
    counted = (ref.beats >= from_) & ~_within(ref.beats, ref.excluded)
    false = (of_detection < 0) & (detections >= from_) & ~_within(detections, ref.excluded)
    return Score(
        TP=int((counted & (of_beat >= 0)).sum()),
        FP=int(false.sum()),
        FN=int((counted & (of_beat < 0)).sum()),
    )
