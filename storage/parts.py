"""Chunks of samples joined to the parts that the archive writes."""

from collections.abc import Iterable
from typing import NamedTuple

from leadwire.model import SampleChunk
from storage import presence
from storage.blocks import block_of
from storage.tables import BLOCK_SAMPLES


class Part(NamedTuple):
    """A stretch of contiguous rows of one stream in one calibration, not crossing a block's end."""

    first: int
    end: int
    chunks: list[SampleChunk]


def joined(chunks: Iterable[SampleChunk]) -> list[Part]:
    """`chunks` (fresh, no row twice) joined where contiguous and alike, cut at the blocks' ends."""
    parts: list[Part] = []
    for chunk in chunks:
        start = chunk.first_sample
        while start < chunk.end_sample:
            stop = min(chunk.end_sample, (block_of(start) + 1) * BLOCK_SAMPLES)
            rows = presence.piece(chunk, start, stop)
            last = parts[-1] if parts else None
            if last and last.end == start and start % BLOCK_SAMPLES and _alike(last.chunks[-1], rows):
                last.chunks.append(rows)
                parts[-1] = last._replace(end=stop)
            else:
                parts.append(Part(start, stop, [rows]))
            start = stop
    return parts


def _alike(a: SampleChunk, b: SampleChunk) -> bool:
    """Same calibration, and one clock that ran on."""
    drift = b.device_time - (a.device_time + a.n_samples / a.fs)
    return (
        (a.fs, a.sig_name, a.units, a.adc_gain, a.baseline)
        == (b.fs, b.sig_name, b.units, b.adc_gain, b.baseline)
        and abs(drift) < 0.1
    )  # fmt: skip
