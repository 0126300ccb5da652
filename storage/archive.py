"""The archive's writer: takes messages, buffers them, and makes them durable in one transaction.

`add` checks and buffers, `flush` writes, `compact` turns settled parts into blocks. All are
idempotent: the same messages twice, in any cut and after any crash, leave the same archive. Rows
of a waveform that are there already stay (first wins); a beat that comes again is replaced (it may
have been given a class); an episode that has ended never opens again; an alert's transition, a line of the
register and a quarantined message are kept as they first came.

Not here: reading (`reader.py`), packing (`blocks.py`, `event_blocks.py`), compaction (`compaction.py`).
"""

from typing import Any

import msgspec
import sqlalchemy as sa

from leadwire.case import NetworkItem, RegisterEntry
from leadwire.errors import MessageRejected
from leadwire.messages import Message
from leadwire.model import (
    Alert,
    Beat,
    DeviceStatus,
    HeartRate,
    LinkEvent,
    Quarantined,
    RhythmEpisode,
    SampleChunk,
    SignalQuality,
    StreamInfo,
)
from storage import event_blocks, presence, tables, timescale
from storage.blocks import Run, block_of
from storage.compaction import COMPACTORS, Compactor
from storage.database import Database, upgrade
from storage.event_blocks import DenseEvent
from storage.lines import Line, Lines
from storage.parts import joined
from storage.register import RegisterWriter, check_entry, write_facts
from storage.rows import alert_row, as_json, quarantine_row
from storage.tables import key_time

MAX_BUFFER_BYTES = 64 << 20
"""More than this in memory is flushed at once, not only at the next checkpoint."""

SETTLE_S = 60.0
"""A block to which nothing was added for so long is compacted."""

_MAX_WORD = 500
_MESSAGE_BYTES = 400  # what a message weighs in memory besides its payload, about
_EPISODE_UPDATE = ("end_sample", "data")

RareEvent = RhythmEpisode | LinkEvent | DeviceStatus


class Archive:
    """Writes to one archive. Belongs to one thread; several processes may write to one archive.

    Made by `storage.open_archive`.
    """

    def __init__(self, database: Database, keep_days: float | None) -> None:
        self._db = database
        self.keep_days = keep_days
        self.discard()

    # ---------------------------------------------------------------- taking

    def discard(self) -> None:
        """Forget what was added and not flushed, and everything remembered about the tables."""
        self._lines = Lines(self._db)
        self._register = RegisterWriter(self._db)
        self._forget_buffers()

    def _forget_buffers(self) -> None:
        self._chunks: dict[str, list[SampleChunk]] = {}
        self._dense: dict[str, list[DenseEvent]] = {}
        self._rare: list[RareEvent] = []
        self._infos: dict[str, StreamInfo] = {}
        self._alerts: dict[tuple[str, int], Alert] = {}
        self._quarantined: list[Quarantined] = []
        self._entries: list[RegisterEntry] = []
        self._facts: dict[tuple[str, str], NetworkItem | None] = {}
        self.buffered_bytes = 0

    def add(self, message: Message) -> None:
        """Take one message; it is durable after the next `flush`.

        Raises
        ------
        MessageRejected
            A NUL in the name of a signal, or a message that is not for the archive. Nothing was taken.
        """
        if isinstance(message, SampleChunk):
            _check_words(*message.sig_name, *message.units)
            if message.n_samples:
                self._chunks.setdefault(message.stream, []).append(message)
            self.buffered_bytes += len(message.samples)
        elif isinstance(message, Beat | HeartRate | SignalQuality):
            self._dense.setdefault(message.stream, []).append(message)
        elif isinstance(message, RhythmEpisode | LinkEvent | DeviceStatus):
            self._rare.append(message)
        elif isinstance(message, StreamInfo):
            self._infos[message.stream] = message
        elif isinstance(message, Alert):
            _check_words(message.id)
            self._alerts.setdefault((message.id, message.version), message)
        elif isinstance(message, Quarantined):
            self._quarantined.append(message)
            self.buffered_bytes += len(message.data)
        elif isinstance(message, RegisterEntry):
            check_entry(message)
            self._entries.append(message)
        elif isinstance(message, NetworkItem):
            _check_words(message.id)
            self._facts[message.kind, message.id] = message
        else:
            raise MessageRejected(f"a {type(message).__name__} came; the archive keeps none")
        self.buffered_bytes += _MESSAGE_BYTES

    def take_out(self, key: str) -> None:
        """A fact of the network with this key (``kind/id``) is none any more."""
        kind, _, id = key.replace("\0", "").partition("/")
        self._facts[kind, id] = None
        self.buffered_bytes += _MESSAGE_BYTES

    # ---------------------------------------------------------------- writing

    def flush(self, now: float) -> None:
        """Make everything added durable, in one transaction. `now` in s since 1970.

        Raises
        ------
        ArchiveUnavailable
            Nothing was written; what was added is still held, and `flush` may be tried again.
        """
        if not self.buffered_bytes:
            return
        try:
            with self._db.writing() as connection:
                self._write(connection, now)
        except BaseException:
            # What they learned may have been rolled back.
            self._lines = Lines(self._db)
            self._register.forget()
            raise
        self._forget_buffers()

    def _write(self, connection: sa.Connection, now: float) -> None:
        self._lines.ensure(connection, self._wanted_lines(now))
        self._write_chunks(connection, now)
        self._write_dense(connection, now)
        self._write_rare(connection)
        for info in self._infos.values():
            connection.execute(
                sa.update(tables.streams)
                .where(tables.streams.c.stream == info.stream)
                .values(info=as_json(info))
            )
        self._db.upsert(connection, tables.alerts, [alert_row(a) for a in self._alerts.values()])
        held = {row["digest"]: row for row in map(quarantine_row, self._quarantined)}
        self._db.upsert(connection, tables.quarantine, held.values())
        write_facts(self._db, connection, self._facts)
        self._register.append(connection, self._entries)

    def _wanted_lines(self, now: float) -> dict[str, Line]:
        """For each stream its key line, should it be new: best from samples.

        By the gateway's clock or ours: a device whose clock stands in 2005 must not expire at once.
        """
        lines: dict[str, Line] = {}
        for event in (*self._rare, *(e[0] for e in self._dense.values())):
            lines[event.stream] = Line(_plausible(now), 250.0)
        for info in self._infos.values():
            lines[info.stream] = Line(_plausible(now), info.fs)
        for stream, (chunk, *_) in self._chunks.items():
            start = _plausible(chunk.receive_time, now)
            lines[stream] = Line(start - chunk.first_sample / chunk.fs, chunk.fs)
        return lines

    def _write_chunks(self, connection: sa.Connection, now: float) -> None:
        rows: list[dict[str, Any]] = []
        ends = {stream: max(c.end_sample for c in chunks) for stream, chunks in self._chunks.items()}
        for stream, chunks in self._chunks.items():
            stream_id = self._lines.id_of(stream)
            taken: list[Run] = []
            first = min(c.first_sample for c in chunks)
            if first < self._lines.end_of(stream):  # a replay, or late rows: what is there stays
                taken = presence.archived(connection, stream_id, first, ends[stream])
            for part in joined(presence.fresh(chunks, taken)):
                chunk = part.chunks[0]
                rows.append(
                    {
                        "stream_id": stream_id,
                        "block": block_of(part.first),
                        "written": now,
                        "first_sample": part.first,
                        "end_sample": part.end,
                        "device_time": chunk.device_time,
                        "receive_time": chunk.receive_time,
                        "signal_ids": msgspec.json.encode(
                            self._lines.signal_ids(connection, stream, chunk)
                        ).decode(),
                        "samples": b"".join(c.samples for c in part.chunks),
                    }
                )
        self._lines.write_ends(connection, ends)
        if rows:
            connection.execute(sa.insert(tables.waveform_parts), rows)

    def _write_dense(self, connection: sa.Connection, now: float) -> None:
        rows: list[dict[str, Any]] = []
        for stream, events in self._dense.items():
            blocks: dict[int, list[DenseEvent]] = {}
            for event in events:
                blocks.setdefault(event_blocks.block_of(event.sample), []).append(event)
            rows += [
                {
                    "stream_id": self._lines.id_of(stream),
                    "block": block,
                    "written": now,
                    "data": event_blocks.encode_part(part),
                }
                for block, part in blocks.items()
            ]
        if rows:
            connection.execute(sa.insert(tables.event_parts), rows)

    def _write_rare(self, connection: sa.Connection) -> None:
        rows: dict[tuple[Any, ...], dict[str, Any]] = {}
        for event in self._rare:
            row = self._rare_row(event)
            key = tuple(row[column.name] for column in tables.events.primary_key)
            if key in rows and rows[key]["end_sample"] is not None and row["end_sample"] is None:
                continue
            rows[key] = row
        self._db.upsert(connection, tables.events, rows.values(), _EPISODE_UPDATE, unless="end_sample")

    def _rare_row(self, event: RareEvent) -> dict[str, Any]:
        row = {"stream_id": self._lines.id_of(event.stream), "end_sample": None, "data": as_json(event)}
        if isinstance(event, RhythmEpisode):
            line = self._lines.line_of(event.stream)
            return row | {
                "sample": event.onset,
                "type": "episode",
                "kind": event.kind,
                "time": line.time(event.onset),
                "end_sample": event.end,
            }
        is_link = isinstance(event, LinkEvent)
        return row | {
            "sample": event.sample,
            "type": "link" if is_link else "device_status",
            "kind": event.kind if isinstance(event, LinkEvent) else "",
            "time": key_time(event.time),
        }

    # ---------------------------------------------------------------- upkeep

    def compact(self, now: float, settle_s: float = SETTLE_S, limit: int = 8) -> int:
        """Turn parts of blocks that were not added to for `settle_s` into blocks; `limit` at most.

        Each block is one transaction, about 3 ms a signal. Returns how many were compacted; fewer
        than `limit` means that nothing is left to do.
        """
        found: list[tuple[Compactor, int, int]] = []
        with self._db.reading() as connection:
            for parts, compactor in COMPACTORS:
                due = (
                    sa.select(parts.c.stream_id, parts.c.block)
                    .group_by(parts.c.stream_id, parts.c.block)
                    .having(sa.func.max(parts.c.written) <= now - settle_s)
                    .limit(limit)
                )
                found += [(compactor, stream_id, block) for stream_id, block in connection.execute(due)]
        for compactor, stream_id, block in found[:limit]:
            with self._db.writing() as connection:
                compactor(self._db, connection, stream_id, block)
        return min(len(found), limit)

    def expire(self, now: float) -> None:
        """Delete waveforms and events that began more than `keep_days` before `now` (s since 1970).

        Whole blocks (on TimescaleDB whole chunks) go at a time. Alerts and streams stay.
        """
        if self.keep_days is None:
            return
        before = key_time(now - self.keep_days * 86_400)
        with self._db.writing() as connection:
            if self._db.is_postgres and timescale.present(connection):
                timescale.drop_before(connection, before)
                return
            for table in (tables.waveform_blocks, tables.event_blocks, tables.events):
                connection.execute(sa.delete(table).where(table.c.time < before))

    def close(self) -> None:
        """Let go of the connections. What was not flushed is gone."""
        self._db.close()


def open_archive(url: str, keep_days: float | None = None) -> Archive:
    """Open the archive at `url` for writing; make it, or bring its tables up to date, first.

    Parameters
    ----------
    url
        ``sqlite:///PATH`` or ``postgresql://USER:PASSWORD@HOST:PORT/NAME``.
    keep_days
        Waveforms and events older than this are deleted by `Archive.expire`, and by TimescaleDB on
        its own where its jobs run. None: nothing ever is.

    Raises
    ------
    SettingError
        The address is impossible, the server refuses us, or the tables are a newer program's.
    ArchiveUnavailable
        The database cannot be reached now.
    """
    database = Database(url)
    upgrade(database, keep_days=keep_days)
    return Archive(database, keep_days)


def _plausible(*times: float) -> float:
    """The first of `times` (s since 1970) that lies in 2000 to 2100."""
    return next((t for t in times if 946_684_800 <= t <= 4_102_444_800), 946_684_800.0)


def _check_words(*words: str) -> None:
    # Ranges were checked when the message was read; this is what PostgreSQL's text cannot hold.
    for word in words:
        if not 0 < len(word) <= _MAX_WORD or "\0" in word:
            raise MessageRejected(
                f"a name of {len(word)} characters came; 1 to {_MAX_WORD} and no NUL were expected"
            )
