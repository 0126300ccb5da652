"""Reading the archive: waveforms with their gaps, envelopes, beats, episodes, alerts, streams.

Every call sees the archive at one moment: what was flushed, compacted or not. Safe to use from
several threads. Times are s since 1970; sample ranges are start <= n < stop.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar

import msgspec
import sqlalchemy as sa

from leadwire.model import (
    Alert,
    Beat,
    DeviceStatus,
    HeartRate,
    LinkEvent,
    Quarantined,
    RhythmEpisode,
    SignalQuality,
    StreamInfo,
)
from leadwire.ranges import MAX_SAMPLE
from storage import event_blocks, tables, waveforms
from storage.database import Database, check
from storage.event_blocks import DenseEvent
from storage.register_reader import RegisterReader
from storage.waveforms import Envelope, Segment

EVERYTHING = MAX_SAMPLE + 1
"""A `stop` beyond every sample."""

E = TypeVar("E", bound=DenseEvent)


@dataclass(frozen=True, slots=True)
class ArchivedStream:
    """A stream the archive knows.

    `info` is None while its StreamInfo has not come. `end_sample` is one past the last archived
    sample, 0 without waveform. `started` is the time of sample 0, s since 1970, on the gateway's
    clock when the stream was first seen.
    """

    stream: str
    info: StreamInfo | None
    fs: float
    end_sample: int
    started: float


class Reader:
    """Reads one archive. Made by `storage.open_reader`.

    `register` reads what became of alerts. Every call raises `ArchiveUnavailable` while the database
    cannot be reached, or `open_archive` has not made or updated its tables yet; a reader made before the
    archive works once it is there.
    """

    def __init__(self, database: Database) -> None:
        self._db = database
        self._checked = False
        self.register = RegisterReader(self._reading)

    def streams(self) -> list[ArchivedStream]:
        """All streams, the last one seen first."""
        with self._reading() as connection:
            return self._streams(connection, sa.true())

    def stream(self, stream: str) -> ArchivedStream | None:
        """One stream, None if the archive has not seen it."""
        with self._reading() as connection:
            found = self._streams(connection, tables.streams.c.stream == stream)
        return found[0] if found else None

    def read_waveform(
        self, stream: str, start: int, stop: int, leads: Sequence[str] | None = None
    ) -> list[Segment]:
        """The samples with start <= n < stop, as they came.

        Parameters
        ----------
        leads
            Names of the signals wanted; None: all.

        Returns
        -------
        list of Segment
            Ascending, disjoint, each without a hole and of one calibration. What lies between two
            of them was never received: it is a gap, and nothing is put there.
        """
        with self._reading() as connection:
            return waveforms.read(connection, stream, max(start, 0), min(stop, EVERYTHING), leads)

    def envelope(
        self, stream: str, start: int, stop: int, n_columns: int, leads: Sequence[str] | None = None
    ) -> Envelope:
        """Lowest and highest sample of each of about `n_columns` columns over start <= n < stop.

        Columns of 4096 samples and more begin and end on multiples of 2048 and come from the stored
        envelope, so a week is drawn without decoding a sample; `Envelope.edges` tells where.
        """
        with self._reading() as connection:
            return waveforms.envelope(
                connection, stream, max(start, 0), min(stop, EVERYTHING), n_columns, leads
            )

    def beats(self, stream: str, start: int = 0, stop: int = EVERYTHING) -> list[Beat]:
        """Beats with start <= sample < stop, ascending."""
        return self._dense(Beat, stream, start, stop)

    def heart_rates(self, stream: str, start: int = 0, stop: int = EVERYTHING) -> list[HeartRate]:
        """Heart rates with start <= sample < stop, ascending."""
        return self._dense(HeartRate, stream, start, stop)

    def qualities(self, stream: str, start: int = 0, stop: int = EVERYTHING) -> list[SignalQuality]:
        """Signal qualities with start <= sample < stop, ascending."""
        return self._dense(SignalQuality, stream, start, stop)

    def episodes(
        self, stream: str, start: int = 0, stop: int = EVERYTHING, kind: str | None = None
    ) -> list[RhythmEpisode]:
        """Episodes that touch start <= n < stop (one without an end lasts), by onset."""
        e = tables.events.c
        touching = (e.sample < stop) & (e.end_sample.is_(None) | (e.end_sample > start) | (e.sample >= start))
        where = touching if kind is None else touching & (e.kind == kind)
        return [msgspec.json.decode(d, type=RhythmEpisode) for d in self._rare("episode", stream, where)]

    def link_events(self, stream: str, start: int = 0, stop: int = EVERYTHING) -> list[LinkEvent]:
        """Link events with start <= sample < stop."""
        within = (tables.events.c.sample >= start) & (tables.events.c.sample < stop)
        return [msgspec.json.decode(d, type=LinkEvent) for d in self._rare("link", stream, within)]

    def device_statuses(self, stream: str, start: int = 0, stop: int = EVERYTHING) -> list[DeviceStatus]:
        """What the device said of itself at start <= sample < stop."""
        within = (tables.events.c.sample >= start) & (tables.events.c.sample < stop)
        return [
            msgspec.json.decode(d, type=DeviceStatus) for d in self._rare("device_status", stream, within)
        ]

    def alerts(
        self,
        stream: str | None = None,
        since: float | None = None,
        until: float | None = None,
        active: bool | None = None,
        limit: int = 1000,
    ) -> list[Alert]:
        """The present state of each alert, the last raised first.

        Parameters
        ----------
        stream
            Only this stream's.
        since, until
            Only those raised at since <= t < until, s since 1970.
        active
            True: only those that last; False: only those that ended.
        limit
            At most so many.
        """
        a, later = tables.alerts.c, tables.alerts.alias()
        surpassed = sa.exists().where(later.c.id == a.id, later.c.version > a.version)
        query = sa.select(a.data).where(~surpassed)
        if stream is not None:
            query = query.where(a.stream == stream)
        if since is not None:
            query = query.where(a.raised_at >= since)
        if until is not None:
            query = query.where(a.raised_at < until)
        if active is not None:
            query = query.where((a.state == "active") if active else (a.state != "active"))
        query = query.order_by(a.raised_at.desc(), a.id).limit(limit)
        return [msgspec.json.decode(data, type=Alert) for data in self._scalars(query)]

    def alert_history(self, alert_id: str) -> list[Alert]:
        """Every transition of one alert, from the first."""
        a = tables.alerts.c
        query = sa.select(a.data).where(a.id == alert_id).order_by(a.version)
        return [msgspec.json.decode(data, type=Alert) for data in self._scalars(query)]

    def quarantined(self, limit: int = 100) -> list[Quarantined]:
        """Refused input, the last first."""
        q = tables.quarantine.c
        with self._reading() as connection:
            rows = connection.execute(sa.select(tables.quarantine).order_by(q.time.desc()).limit(limit)).all()
        return [
            Quarantined(source=r.source, reason=r.reason, time=r.time, data=r.data, truncated=r.truncated)
            for r in rows
        ]

    def time_of(self, stream: str, sample: int, received: bool = False) -> float | None:
        """When the device took `sample`, s since 1970, by its own clock; None: an unknown stream.

        Read off the nearest archived block or part at or before the sample. `received`: by the
        gateway's clock, as its chunk arrived (up to a chunk's length too late).
        """
        with self._reading() as connection:
            return waveforms.time_of(connection, stream, sample, received)

    def counts(self) -> dict[str, int]:
        """Rows a table, and `samples` archived (each signal counts), without those not yet compacted."""
        blocks = tables.waveform_blocks.c
        with self._reading() as connection:
            found = {
                name: connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
                for name, table in tables.metadata.tables.items()
            }
            found["samples"] = int(connection.scalar(sa.select(sa.func.sum(blocks.n_samples))) or 0)
        return found

    def size(self) -> int:
        """Bytes of the database: tables, keys, indexes; without pages kept free for reuse (SQLite)."""
        if self._db.is_postgres:
            query = "SELECT pg_database_size(current_database())"
        else:
            query = (
                "SELECT (page_count - freelist_count) * page_size "
                "FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
            )
        with self._reading() as connection:
            return int(connection.scalar(sa.text(query)) or 0)

    def weight(self, stream: str) -> dict[str, int]:
        """Bytes of one stream's blocks: `waveform`, `envelope`, `beats`, `trends` (heart rate, quality)."""
        w, b, g, s = tables.waveform_blocks.c, tables.event_blocks.c, tables.signals.c, tables.streams.c
        length = sa.func.length
        with self._reading() as connection:
            stream_id = connection.scalar(sa.select(s.id).where(s.stream == stream))
            waveform, envelope = connection.execute(
                sa.select(sa.func.sum(length(w.data)), sa.func.sum(length(w.envelope)))
                .join(tables.signals, g.id == w.signal_id)
                .where(g.stream_id == stream_id)
            ).one()
            events = dict(
                connection.execute(
                    sa.select(b.kind, sa.func.sum(length(b.data)))
                    .where(b.stream_id == stream_id)
                    .group_by(b.kind)
                ).all()
            )
        return {
            "waveform": int(waveform or 0),
            "envelope": int(envelope or 0),
            "beats": int(events.pop("beat", 0)),
            "trends": int(sum(events.values())),
        }

    def close(self) -> None:
        """Let go of the connections."""
        self._db.close()

    # ---------------------------------------------------------------- inside

    def _reading(self) -> AbstractContextManager[sa.Connection]:
        if not self._checked:
            check(self._db)
            self._checked = True
        return self._db.reading()

    def _scalars(self, query: sa.Select[tuple[str]]) -> list[str]:
        with self._reading() as connection:
            return list(connection.scalars(query))

    def _rare(self, type_: str, stream: str, where: sa.ColumnElement[bool]) -> list[str]:
        e, s = tables.events.c, tables.streams.c
        return self._scalars(
            sa.select(e.data)
            .join(tables.streams, s.id == e.stream_id)
            .where(s.stream == stream, e.type == type_, where)
            .order_by(e.sample, e.time, e.kind)
        )

    def _dense(self, kind: type[E], stream: str, start: int, stop: int) -> list[E]:
        b, p, s = tables.event_blocks.c, tables.event_parts.c, tables.streams.c
        name = event_blocks.KIND_OF[kind]
        block_of = event_blocks.block_of
        span = (block_of(max(start, 0)), block_of(min(stop, EVERYTHING)))
        with self._reading() as connection:
            stream_id = connection.scalar(sa.select(s.id).where(s.stream == stream))
            packed = connection.scalars(
                sa.select(b.data)
                .where(b.stream_id == stream_id, b.kind == name, b.block.between(*span))
                .order_by(b.block)
            ).all()
            parts = connection.scalars(
                sa.select(p.data).where(p.stream_id == stream_id, p.block.between(*span)).order_by(p.id)
            ).all()
        came: list[DenseEvent] = [event for data in packed for event in event_blocks.unpack(data, stream)]
        came += [event for data in parts for event in event_blocks.decode_part(data)]
        return _between((event for event in came if isinstance(event, kind)), start, stop)

    def _streams(self, connection: sa.Connection, where: sa.ColumnElement[bool]) -> list[ArchivedStream]:
        query = sa.select(tables.streams).where(where).order_by(tables.streams.c.id.desc())
        return [
            ArchivedStream(
                stream=row.stream,
                info=None if row.info is None else msgspec.json.decode(row.info, type=StreamInfo),
                fs=row.clock_fs,
                end_sample=row.end_sample,
                started=row.epoch,
            )
            for row in connection.execute(query)
        ]


def _between(events: Iterable[E], start: int, stop: int) -> list[E]:
    return [event for event in event_blocks.merged(events) if start <= event.sample < stop]


def open_reader(url: str, connections: int = 2) -> Reader:
    """A reader of the archive at `url`; it connects when it is first asked.

    Raises
    ------
    SettingError
        The address is impossible.
    """
    return Reader(Database(url, connections))
