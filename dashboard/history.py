"""The last minutes of one lead from the archive, as JSON for the patient page.

Values are in mV, missing ones null: a hole in the record stays a hole on the page.
"""

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

MAX_SPAN: Final = 2_000_000
"""Samples one answer may cover: 33 min at 1000 Hz."""

MAX_SAMPLES: Final = 60_000
"""Samples one answer may hold one by one."""

MAX_BINS: Final = 4_000


class HistoryReader(Protocol):
    """What the dashboard asks of the archive."""

    def lead_mv(self, stream: str, lead: str, start: int, stop: int) -> NDArray[np.float64]:
        """Samples `start` <= n < `stop` of one lead in mV; NaN where there is none.

        Raises
        ------
        ArchiveUnavailable
            The database cannot be reached now.
        """
        ...


@dataclass(frozen=True, slots=True)
class Span:
    """What was asked for: sample numbers `start` <= n < `stop` of a lead."""

    stream: str
    lead: str
    start: int
    stop: int

    def __post_init__(self) -> None:
        if not 0 < self.stop - self.start <= MAX_SPAN:
            raise ValueError(f"samples {self.start}..{self.stop} came; 1 to {MAX_SPAN} samples were expected")


class HistoryMessage(Struct, frozen=True):
    """Samples one by one (`mv`), or lowest and highest of equal bins (`low`, `high`)."""

    start: int
    stop: int
    mv: list[float | None] | None = None
    low: list[float | None] | None = None
    high: list[float | None] | None = None


def read(reader: HistoryReader, span: Span, bins: int) -> HistoryMessage:
    """Read `span`; with `bins` > 0, or when it is too long for single samples, as an envelope."""
    mv = reader.lead_mv(span.stream, span.lead, span.start, span.stop)
    n = span.stop - span.start
    if bins == 0 and n > MAX_SAMPLES:
        bins = MAX_BINS
    if bins == 0 or bins >= n:
        return HistoryMessage(span.start, span.stop, mv=_numbers(mv))
    low, high = envelope(mv, bins)
    return HistoryMessage(span.start, span.stop, low=_numbers(low), high=_numbers(high))


def envelope(mv: NDArray[np.float64], bins: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lowest and highest of each of `bins` stretches of nearly equal length; NaN where all is missing.

    Parameters
    ----------
    mv
        Shape (n_samples,), n_samples >= bins >= 1.
    """
    begin = np.arange(bins) * len(mv) // bins
    missing = np.isnan(mv)
    low = np.minimum.reduceat(np.where(missing, np.inf, mv), begin)
    high = np.maximum.reduceat(np.where(missing, -np.inf, mv), begin)
    empty = ~np.isfinite(low)
    low[empty] = high[empty] = np.nan
    return low, high


def _numbers(values: NDArray[np.float64]) -> list[float | None]:
    """Micro-volt resolution is enough; JSON has no NaN."""
    return [None if v != v else v for v in np.round(values, 4).tolist()]
