"""Compaction: the parts of one settled block become one row a signal and a kind."""

from collections.abc import Callable

import sqlalchemy as sa

from storage import event_blocks
from storage.blocks import OpenBlock, put_parts
from storage.database import Database
from storage.event_blocks import DenseEvent
from storage.lines import Line
from storage.tables import (
    BLOCK_SAMPLES,
    EVENT_BLOCK_SAMPLES,
    signals,
    streams,
    waveform_blocks,
    waveform_parts,
)
from storage.tables import event_blocks as event_blocks_table
from storage.tables import event_parts as event_parts_table

_WAVEFORM_COLUMNS = (
    "n_samples",
    "first_sample",
    "end_sample",
    "device_time",
    "receive_time",
    "runs",
    "envelope",
    "data",
)


def compact_waveform(database: Database, connection: sa.Connection, stream_id: int, block: int) -> None:
    """Merge all parts of `block` into one row a signal and delete them, in the caller's transaction."""
    _, line = _locked(database, connection, stream_id)
    c = waveform_parts.c
    parts = connection.execute(
        sa.select(waveform_parts).where(c.stream_id == stream_id, c.block == block).order_by(c.id)
    ).all()
    if not parts:
        return
    fs_of: dict[int, float] = {
        row.id: row.fs
        for row in connection.execute(
            sa.select(signals.c.id, signals.c.fs).where(signals.c.stream_id == stream_id)
        )
    }
    open_blocks: dict[int, OpenBlock] = {
        row.signal_id: OpenBlock.from_row(row)
        for row in connection.execute(
            sa.select(waveform_blocks).where(
                waveform_blocks.c.signal_id.in_(fs_of), waveform_blocks.c.block == block
            )
        )
    }
    changed = put_parts(open_blocks, parts, block, fs_of)
    time = line.time(block * BLOCK_SAMPLES)
    rows = [{"signal_id": i, "time": time} | open_blocks[i].to_row() for i in sorted(changed)]
    for row in rows:  # one at a time: a block may be a hundred kilobytes
        database.upsert(connection, waveform_blocks, [row], _WAVEFORM_COLUMNS)
    _delete(connection, waveform_parts, [part.id for part in parts])


def compact_events(database: Database, connection: sa.Connection, stream_id: int, block: int) -> None:
    """Merge all parts of `block` into one row a kind and delete them, in the caller's transaction."""
    stream, line = _locked(database, connection, stream_id)
    c, b = event_parts_table.c, event_blocks_table.c
    parts = connection.execute(
        sa.select(c.id, c.data).where(c.stream_id == stream_id, c.block == block).order_by(c.id)
    ).all()
    if not parts:
        return
    came: dict[str, list[DenseEvent]] = {}
    for part in parts:
        for event in event_blocks.decode_part(part.data):
            came.setdefault(event_blocks.kind_of(event), []).append(event)
    for kind, events in came.items():
        have = connection.scalar(
            sa.select(b.data).where(b.stream_id == stream_id, b.kind == kind, b.block == block)
        )
        before = event_blocks.unpack(have, stream) if have is not None else []
        after = event_blocks.merged([*before, *events])
        if after != before:
            row = {
                "stream_id": stream_id,
                "kind": kind,
                "block": block,
                "time": line.time(block * EVENT_BLOCK_SAMPLES),
                "n_events": len(after),
                "data": event_blocks.pack(after, line.fs),
            }
            database.upsert(connection, event_blocks_table, [row], ("n_events", "data"))
    _delete(connection, event_parts_table, [part.id for part in parts])


def _locked(database: Database, connection: sa.Connection, stream_id: int) -> tuple[str, Line]:
    """The stream's name and line; until the transaction ends nobody else compacts this stream."""
    # Two that merge the same block would each lose the other's parts.
    database.lock(connection, stream_id)
    row = connection.execute(sa.select(streams).where(streams.c.id == stream_id)).one()
    return row.stream, Line(row.epoch, row.clock_fs)


def _delete(connection: sa.Connection, table: sa.Table, ids: list[int]) -> None:
    for i in range(0, len(ids), 1000):
        connection.execute(sa.delete(table).where(table.c.id.in_(ids[i : i + 1000])))


Compactor = Callable[[Database, sa.Connection, int, int], None]
COMPACTORS: tuple[tuple[sa.Table, Compactor], ...] = (
    (waveform_parts, compact_waveform),
    (event_parts_table, compact_events),
)
"""The tables of parts, and what compacts one block of each."""
