"""What the writer remembers of streams and signals: ids, key lines, how far each stream is archived."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from leadwire.model import SampleChunk
from storage.database import Database
from storage.tables import key_time, signals, streams

_Calibration = tuple[object, ...]


class Line(NamedTuple):
    """A stream's fixed mapping from sample number to key time: s since 1970 of sample 0, and Hz."""

    epoch: float
    fs: float

    def time(self, sample: int) -> datetime:
        """The key time of `sample`: a function of the stream and the number, of nothing else."""
        return key_time(self.epoch + sample / self.fs)


class Lines:
    """A cache in front of the tables `streams` and `signals`; `ensure` first, then ask."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._ids: dict[str, int] = {}
        self._lines: dict[str, Line] = {}
        self._signals: dict[tuple[str, _Calibration], list[int]] = {}
        self._ends: dict[str, int] = {}

    def ensure(self, connection: sa.Connection, wanted: Mapping[str, Line]) -> None:
        """Know each stream of `wanted`; one that the archive has not seen gets the line given."""
        new = {stream: line for stream, line in wanted.items() if stream not in self._ids}
        if not new:
            return
        self._db.upsert(
            connection,
            streams,
            [
                {"stream": s, "epoch": new[s].epoch, "clock_fs": new[s].fs, "end_sample": 0}
                for s in sorted(new)
            ],
        )
        for row in connection.execute(sa.select(streams).where(streams.c.stream.in_(new))):
            self._ids[row.stream] = row.id
            self._lines[row.stream] = Line(row.epoch, row.clock_fs)
            self._ends[row.stream] = row.end_sample

    def id_of(self, stream: str) -> int:
        return self._ids[stream]

    def line_of(self, stream: str) -> Line:
        return self._lines[stream]

    def end_of(self, stream: str) -> int:
        """One past the highest sample number archived as far as this writer knows, 0 for none."""
        return self._ends[stream]

    def write_ends(self, connection: sa.Connection, ends: Mapping[str, int]) -> None:
        """Note how far each stream is archived now."""
        rows = sorted((self._ids[s], end) for s, end in ends.items() if end > self._ends[s])
        if not rows:
            return
        id_: sa.BindParameter[int] = sa.bindparam("which")
        end: sa.BindParameter[int] = sa.bindparam("reached")
        # Another writer may have come further; in the order of ids, so that two never wait for each other.
        further = sa.update(streams).where(streams.c.id == id_, streams.c.end_sample < end)
        connection.execute(further.values(end_sample=end), [{"which": i, "reached": e} for i, e in rows])
        self._ends |= {s: max(end, self._ends[s]) for s, end in ends.items()}

    def signal_ids(self, connection: sa.Connection, stream: str, chunk: SampleChunk) -> list[int]:
        """The signals of `chunk`, in its order; made where they are new."""
        calibration = (chunk.fs, chunk.sig_name, chunk.units, chunk.adc_gain, chunk.baseline)
        key = (stream, calibration)
        if key not in self._signals:
            rows = [
                {
                    "stream_id": self._ids[stream],
                    "name": name,
                    "units": units,
                    "adc_gain": float(gain),
                    "baseline": baseline,
                    "fs": float(chunk.fs),
                    "place": place,
                }
                for place, (name, units, gain, baseline) in enumerate(
                    zip(chunk.sig_name, chunk.units, chunk.adc_gain, chunk.baseline, strict=True)
                )
            ]
            self._db.upsert(connection, signals, rows)
            self._signals[key] = [
                connection.execute(
                    sa.select(signals.c.id).where(*(signals.c[name] == value for name, value in row.items()))
                ).scalar_one()
                for row in rows
            ]
        return self._signals[key]
