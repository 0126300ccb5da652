"""The last minutes of a stream from the archive, as JSON for the patient page.

Values are in mV (other signals: in their own unit), missing ones null: a hole in the record stays a hole on
the page, whether the samples never came or were invalid.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from leadwire.model import Alert, Beat
from storage import Reader

MAX_SAMPLES: Final = 500_000
"""Values one answer may hold: 40 s of 12 leads at 1000 Hz."""

MAX_COLUMNS: Final = 4_000
MAX_ALERTS: Final = 500

_RESOLUTION: Final = 4
"""Decimals kept: 0.1 uV."""


@dataclass(frozen=True, slots=True)
class Span:
    """Sample numbers `start` <= n < `stop` of some leads of a stream."""

    stream: str
    start: int
    stop: int
    leads: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop:
            raise ValueError(f"samples {self.start}..{self.stop} came; 0 <= start < stop was expected")


class EnvelopeMessage(Struct, frozen=True):
    """Lowest and highest of each column; `edges` has one number more than there are columns."""

    edges: list[int]
    low: list[float | None]
    high: list[float | None]


class SamplesMessage(Struct, frozen=True):
    """Samples `start` <= n < `stop`, one list a lead; `fs` 0: the archive has none of them."""

    start: int
    stop: int
    fs: float
    leads: dict[str, list[float | None]]
    beats: list[Beat]


class ArchivedMessage(Struct, frozen=True):
    """A stream that the archive knows: as the live view has it, and where its samples end."""

    stream: str
    clinic: str
    bed: str
    patient: str
    device: str
    fs: float
    leads: tuple[str, ...]
    units: tuple[str, ...]
    started: float
    ended: float | None
    end_sample: int


def stream(reader: Reader, name: str) -> ArchivedMessage | None:
    """The archived stream `name`, None if the archive has not seen it or not what it is."""
    found = reader.stream(name)
    if found is None or found.info is None:
        return None
    info = found.info
    return ArchivedMessage(
        name,
        info.clinic,
        info.bed,
        info.patient,
        info.device,
        found.fs,
        info.sig_name,
        info.units,
        found.started,
        info.ended,
        found.end_sample,
    )


def clinic(reader: Reader, name: str) -> str:
    """The clinic of the stream `name`, empty if the archive does not know it."""
    found = reader.stream(name)
    return found.info.clinic if found is not None and found.info is not None else ""


def envelope(reader: Reader, span: Span, columns: int) -> EnvelopeMessage:
    """The envelope of the first lead of `span`."""
    found = reader.envelope(span.stream, span.start, span.stop, columns, span.leads[:1])
    if not found.sig_name:
        return EnvelopeMessage([], [], [])
    return EnvelopeMessage(found.edges.tolist(), _numbers(found.low[:, 0]), _numbers(found.high[:, 0]))


def samples(reader: Reader, span: Span) -> SamplesMessage:
    """Every sample of `span`, and the beats there.

    Raises
    ------
    ValueError
        `span` has more than `MAX_SAMPLES` values.
    """
    n = span.stop - span.start
    if n * len(span.leads) > MAX_SAMPLES:
        raise ValueError(
            f"{n} samples of {len(span.leads)} leads came; at most {MAX_SAMPLES} values were expected"
        )
    leads = {name: np.full(n, np.nan) for name in span.leads}
    fs = 0.0
    for segment in reader.read_waveform(span.stream, span.start, span.stop, span.leads):
        fs = segment.fs
        at = segment.first_sample - span.start
        values = segment.p_signal()
        for column, name in enumerate(segment.sig_name):
            leads[name][at : at + len(values)] = values[:, column]
    beats = reader.beats(span.stream, span.start, span.stop)
    return SamplesMessage(span.start, span.stop, fs, {k: _numbers(v) for k, v in leads.items()}, beats)


def alerts(reader: Reader, name: str) -> list[Alert]:
    """The present state of each alert of the stream `name`, the last raised first."""
    return reader.alerts(name, limit=MAX_ALERTS)


def _numbers(values: NDArray[np.float64]) -> list[float | None]:
    """JSON has no NaN."""
    return [None if v != v else v for v in np.round(values, _RESOLUTION).tolist()]
