"""Beats between their two reports: first without a class, as soon as they are sure, then with it."""

from typing import Any

from msgspec import Struct, structs

from dsp.beat_state import SYMBOLS
from leadwire.model import Beat

KEPT = 32


class BookState(Struct):
    """`waiting`: reported without a class yet; `classes`: (sample, symbol); `fresh`: those of this second;
    `shapes`: (sample, number of the template) of the ventricular ones among these.
    """

    waiting: list[Beat] = []
    classes: list[tuple[int, str]] = []
    fresh: list[tuple[int, str]] = []
    shapes: list[tuple[int, int]] = []


class BeatBook:
    """See the module."""

    def __init__(self) -> None:
        self.state = BookState()

    def add(self, beat: Beat) -> None:
        """Note a beat that was reported without a class."""
        self.state.waiting.append(beat)

    def classify(self, sample: int, detected: int, code: int, shape: int = -1) -> Beat | None:
        """Return the beat at `sample` once more, with its class; None if nobody reported it."""
        state = self.state
        while state.waiting and state.waiting[0].sample < sample:
            del state.waiting[0]
        if not state.waiting or state.waiting[0].sample != sample:
            return None
        beat = structs.replace(state.waiting.pop(0), detected=detected, symbol=SYMBOLS[code])
        if beat.rr is None:  # data were missing before it
            state.classes.clear()
        state.classes.append((sample, beat.symbol))
        state.fresh.append((sample, beat.symbol))
        if beat.symbol == "V" and shape >= 0:
            state.shapes.append((sample, shape))
        if len(state.classes) > KEPT:
            del state.classes[:-KEPT]
        return beat


def merged(beats: list[tuple[Any, ...]], classes: list[list[int]]) -> list[tuple[Any, ...]]:
    """Beats (sample, detected, ...) and classes (sample, detected, code, shape) as they became known.

    A beat comes before what becomes known at the same sample.
    """
    if not classes:
        return beats
    return sorted([*beats, *map(tuple, classes)], key=lambda row: row[1])
