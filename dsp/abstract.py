"""What all analyzers share: the law they keep, what a condition is shown, and the two registries.

The law of this folder, which `tests/contract/test_analyzers.py` holds against every registered class:

- whole == cut: one record or its thousand fragments of any length, 0 included, say the same;
- causal: nothing said at sample n depends on a sample after n; each says how late it may be;
- input is never written to;
- `snapshot` at any point, restored in another process, continues equal;
- NaN, gaps, flat lines, saturation, a gain step, a lead swap and pure noise never crash it, never
  silence it for long, and never make beats.

Adding a rhythm is one new file in `dsp/rhythm/` with a class under `@condition`, and its test.
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from leadwire.model import RhythmEpisode, SampleChunk, StreamEvent
from leadwire.settings import Limits


class Analyzer(Protocol):
    """Samples of one stream in, events out."""

    @property
    def delay_s(self) -> float:
        """Worst case from a fiducial point to its report, in s of samples."""
        ...

    def process(self, chunk: SampleChunk) -> list[StreamEvent]:
        """Take the next samples; return what became known, in the order it did."""
        ...

    def snapshot(self) -> bytes:
        """All state, at most 64 kB for two leads."""
        ...

    def restore(self, data: bytes) -> None:
        """Go on from `snapshot`; raise `MessageRejected` if these bytes are none of ours."""
        ...


@dataclass(frozen=True, slots=True)
class PulseTrain:
    """The latest pulses of one waveform as of the end of a second.

    Attributes
    ----------
    name
        Of the waveform.
    onsets
        Sample numbers of the latest pulses (up to 32), ascending.
    sizes
        Of the same pulses, in the waveform's own unit.
    purity
        Of the same pulses, 0..1: how much of all rises since the last pulse was the pulse.
    since
        Where pulses could be found from; the waveform began, or came back, a little earlier.
    """

    name: str
    onsets: NDArray[np.int64]
    sizes: NDArray[np.float64]
    purity: NDArray[np.float64]
    since: int = 0


@dataclass(slots=True)
class Second:
    """What a condition is shown once per second of samples.

    Attributes
    ----------
    stream, fs, leads
        Whose second this is; `leads` are the names of the ECG leads.
    start, stop
        Its samples: start <= n < stop.
    known
        Every QRS whose R lies before this sample has been reported, but for rare search-backs.
    fresh
        R peaks reported during this second, ascending.
    beats
        The latest R peaks (up to 32) since data were last missing, ascending, `fresh` included.
    classes
        (sample, symbol) of the latest classified beats (up to 32) since data were last missing,
        ascending; a class is known `dsp.beat_state.WAIT_S` after its R peak. `classed` are those of this
        second. Symbols: N, S, V, F, "/" (paced), Q (cannot be told).
    shapes
        (sample, number of the shape) of this second's ventricular beats that have one.
    beat_leads
        The leads that the newest beat was seen in.
    rate
        Heart rate in 1/min, None if it cannot be told.
    irregularity
        Spread of the latest R-R intervals relative to their median (0: a clock).
    flags, union
        Per lead the bits of `dsp.quality` (`OFF`, `FLAT` ...), and those of all leads together.
    measured
        At least one lead was measured for most of the second.
    seeing
        A QRS complex, had there been one, would have shown: some lead was measured without
        saturation and without noise as large as the complexes. A flat line is a clear view.
    usable
        Some lead has nothing wrong with it that rhythm analysis minds; `score` 0..1 is the best lead's.
    pulses
        The latest pulses of each pulse waveform of the stream; `dsp.pulse_witness.contradicts` asks them.
    wave_vf, wave_vt, wave_rate
        Per lead what `dsp.waves` says of the latest 4 s: log-odds of fibrillation or flutter, of ventricular
        tachycardia (NaN: cannot be told), and repetitions in 1/min.
    overruled
        The ventricular rhythm that lasts now and stands above what other conditions would say; else empty.
    fibrillating
        Atrial fibrillation is announced: no beat is early, and no pattern of intervals means anything.
    trouble
        Why a second is not seeing or not usable: quality flags joined by commas; else empty.
    """

    stream: str = ""
    fs: float = 0.0
    leads: tuple[str, ...] = ()
    start: int = 0
    stop: int = 0
    known: int = 0
    fresh: list[int] = field(default_factory=list)
    beats: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    classes: list[tuple[int, str]] = field(default_factory=list)
    classed: list[tuple[int, str]] = field(default_factory=list)
    shapes: list[tuple[int, int]] = field(default_factory=list)
    beat_leads: tuple[str, ...] = ()
    rate: float | None = None
    irregularity: float = 0.0
    flags: tuple[int, ...] = ()
    union: int = 0
    measured: bool = False
    seeing: bool = False
    usable: bool = False
    score: float = 0.0
    trouble: str = ""
    wave_vf: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    wave_vt: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    wave_rate: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    overruled: str = ""
    fibrillating: bool = False
    pulses: list[PulseTrain] = field(default_factory=list)


class Condition(Protocol):
    """A rule that watches the seconds go by and says when a condition begins and ends.

    Attributes
    ----------
    kinds
        The words it may say (`RhythmEpisode.kind`).
    state
        Everything it remembers, as a plain struct: this is its snapshot.
    """

    kinds: tuple[str, ...]
    state: Any

    def second(self, now: Second) -> list[RhythmEpisode]:
        """Look at one second; return the episodes that began or ended, usually none."""
        ...

    def open(self) -> list[RhythmEpisode]:
        """The episodes that have begun and not ended."""
        ...


ConditionFactory = Callable[[Limits], Condition]
AnalyzerFactory = Callable[[Limits], Analyzer]
S = TypeVar("S", bound=Struct)
C = TypeVar("C", bound=ConditionFactory)
A = TypeVar("A", bound=AnalyzerFactory)

FIRST = ("fibrillation", "ventricular")
"""Conditions asked before all others, which give way to them (`Second.overruled`)."""

_conditions: dict[str, ConditionFactory] = {}
_analyzers: dict[str, AnalyzerFactory] = {}


def condition(name: str) -> Callable[[C], C]:
    """Register a condition (a class taking `Limits`) under a name that its snapshot is kept by."""

    def register(factory: C) -> C:
        if _conditions.setdefault(name, factory) is not factory:
            raise ValueError(f"condition {name!r} is registered twice")
        return factory

    return register


def analyzer(factory: A) -> A:
    """Register a class taking `Limits` that keeps the law of this folder."""
    _analyzers[f"{factory.__module__}.{factory.__name__}"] = factory
    return factory


def conditions() -> dict[str, ConditionFactory]:
    """All conditions in `dsp/rhythm/`, by name: `FIRST`, then in the order of names."""
    _walk("dsp.rhythm")
    order = {name: i for i, name in enumerate(FIRST)}
    return dict(sorted(_conditions.items(), key=lambda item: (order.get(item[0], len(FIRST)), item[0])))


def analyzers() -> dict[str, AnalyzerFactory]:
    """All analyzers in `dsp/`, by name."""
    _walk("dsp")
    return dict(sorted(_analyzers.items()))


def _walk(package: str) -> None:
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__, package + "."):
        if module.name != "dsp.service":  # the shell; it imports us
            importlib.import_module(module.name)
