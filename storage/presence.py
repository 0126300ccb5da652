"""Which rows of a stream are archived already, and which of those that came are new."""

from collections.abc import Iterable, Iterator

import sqlalchemy as sa

from leadwire.model import SampleChunk
from storage.blocks import Run, block_of, decode_runs
from storage.tables import signals, waveform_blocks, waveform_parts


def archived(connection: sa.Connection, stream_id: int, first: int, last: int) -> list[Run]:
    """The stretches within `first` <= n < `last` that are archived, ascending and disjoint."""
    parts, blocks = waveform_parts.c, waveform_blocks.c
    runs: list[Run] = [
        (row.first_sample, row.end_sample)
        for row in connection.execute(
            sa.select(parts.first_sample, parts.end_sample).where(
                parts.stream_id == stream_id, parts.block.between(block_of(first), block_of(last))
            )
        )
    ]
    for row in connection.execute(
        sa.select(blocks.runs, blocks.first_sample, blocks.end_sample).where(
            blocks.signal_id.in_(_signals_of(stream_id)),
            blocks.block.between(block_of(first), block_of(last)),
        )
    ):
        runs += decode_runs(row.runs, row.first_sample, row.end_sample)
    return joined((max(a, first), min(b, last)) for a, b in runs if a < last and b > first)


def _signals_of(stream_id: int) -> sa.Select[tuple[int]]:
    return sa.select(signals.c.id).where(signals.c.stream_id == stream_id)


def joined(runs: Iterable[Run]) -> list[Run]:
    """`runs` as ascending stretches that neither touch nor overlap."""
    result: list[Run] = []
    for start, stop in sorted(runs):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(stop, result[-1][1]))
        elif start < stop:
            result.append((start, stop))
    return result


def piece(chunk: SampleChunk, start: int, stop: int) -> SampleChunk:
    """`chunk.rows`, without a copy if that is all of it."""
    whole = start == chunk.first_sample and stop == chunk.end_sample
    return chunk if whole else chunk.rows(start, stop)


def fresh(chunks: Iterable[SampleChunk], taken: list[Run]) -> Iterator[SampleChunk]:
    """The pieces of `chunks`, in their order, whose rows are neither in `taken` nor in an earlier chunk."""
    for chunk in chunks:
        at = chunk.first_sample
        for start, stop in taken:
            if stop <= at:
                continue
            if start >= chunk.end_sample:
                break
            if at < start:
                yield piece(chunk, at, start)
            at = max(at, stop)
        if at < chunk.end_sample:
            yield piece(chunk, at, chunk.end_sample)
        taken = joined([*taken, (chunk.first_sample, chunk.end_sample)])
