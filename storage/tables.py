"""The archive's tables, one declaration for SQLite, PostgreSQL and TimescaleDB.

Data come in twice. First as *parts*: what one flush brought, appended as it came (`waveform_parts`,
`event_parts`). When a block has settled its parts are compacted into one row a signal
(`waveform_blocks`) or a kind (`event_blocks`) and removed. Blocks are aligned: block number =
sample number // `BLOCK_SAMPLES` (`EVENT_BLOCK_SAMPLES`), whatever the sampling rate.

Times in keys. TimescaleDB wants the time column in every unique key, and an upsert by derived key
is only exact if the same bytes always give the same time. So each stream gets one fixed line
(`streams.epoch`, `streams.clock_fs`) when it is first seen, and the time of anything with a sample
number is read off that line. It is the key's time, good for partitions and retention. The measured
clock stands beside the samples (`device_time`, `receive_time`) and may drift from the line.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeDecorator, TypeEngine

BLOCK_SAMPLES = 1 << 16
"""Samples a block: 4.4 minutes at 250 Hz. Measured on mitdb, waveform only, in bit/sample:
3.918 with 1 << 15, 3.900 with 1 << 16, 3.892 with 1 << 17, which doubles what a strip must decode."""

EVENT_BLOCK_SAMPLES = 1 << 18
"""Samples a block of beats or trends: few bytes each, so longer blocks (a third less than 1 << 16)."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_S = 32_503_680_000.0  # the year 3000


def key_time(seconds: float) -> datetime:
    """`seconds` since 1970 as a time fit for a key: whole microseconds, held between 1970 and 3000."""
    return _EPOCH + timedelta(microseconds=round(min(max(seconds, 0.0), _LAST_S) * 1e6))


class KeyTime(TypeDecorator[datetime]):
    """timestamptz on PostgreSQL; whole microseconds since 1970 on SQLite, which has no times."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(DateTime(timezone=True))
        return dialect.type_descriptor(BigInteger())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        return (value - _EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None or isinstance(value, datetime):
            return value
        return _EPOCH + timedelta(microseconds=int(value))


# SQLite numbers rows by itself only in a column of exactly this type.
_Serial = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData()

streams = Table(
    "streams",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("stream", Text, nullable=False, unique=True),
    Column("epoch", Double, nullable=False),  # s since 1970 of sample 0 on the key's line; never changed
    Column("clock_fs", Double, nullable=False),  # Hz of the key's line; never changed
    Column("end_sample", BigInteger, nullable=False),  # one past the last archived sample, 0: none yet
    Column("info", Text),  # the last StreamInfo, JSON; NULL while none came
)

# One lead in one calibration: with another gain or fs it is another signal. `place` is its index in
# the chunks it came in.
signals = Table(
    "signals",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("stream_id", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("units", Text, nullable=False),
    Column("adc_gain", Double, nullable=False),
    Column("baseline", BigInteger, nullable=False),
    Column("fs", Double, nullable=False),
    Column("place", SmallInteger, nullable=False),
    UniqueConstraint("stream_id", "name", "units", "adc_gain", "baseline", "fs", "place"),
)

waveform_parts = Table(
    "waveform_parts",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("stream_id", BigInteger, nullable=False),
    Column("block", BigInteger, nullable=False),
    Column("written", Double, nullable=False),
    Column("first_sample", BigInteger, nullable=False),
    Column("end_sample", BigInteger, nullable=False),
    Column("device_time", Double, nullable=False),
    Column("receive_time", Double, nullable=False),
    Column("signal_ids", Text, nullable=False),  # JSON, in the order of the samples' columns
    Column("samples", LargeBinary, nullable=False),  # int16, little-endian, row by row
    Index("waveform_parts_block", "stream_id", "block", "written"),
)

waveform_blocks = Table(
    "waveform_blocks",
    metadata,
    Column("signal_id", BigInteger, primary_key=True),
    Column("block", BigInteger, primary_key=True),
    Column("time", KeyTime, primary_key=True),
    Column("n_samples", Integer, nullable=False),
    Column("first_sample", BigInteger, nullable=False),
    Column("end_sample", BigInteger, nullable=False),
    Column("device_time", Double, nullable=False),
    Column("receive_time", Double, nullable=False),
    Column("runs", LargeBinary),  # what is present; NULL: all of first_sample..end_sample
    Column("envelope", LargeBinary, nullable=False),  # lowest and highest sample of each bin
    Column("data", LargeBinary, nullable=False),  # the samples, see storage/blocks.py
)

event_parts = Table(
    "event_parts",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("stream_id", BigInteger, nullable=False),
    Column("block", BigInteger, nullable=False),
    Column("written", Double, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Index("event_parts_block", "stream_id", "block", "written"),
)

# What comes about every second, packed by column: kind is beat, heart_rate or quality.
event_blocks = Table(
    "event_blocks",
    metadata,
    Column("stream_id", BigInteger, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("block", BigInteger, primary_key=True),
    Column("time", KeyTime, primary_key=True),
    Column("n_events", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

# What comes seldom: type is episode (sample = onset), link or device_status; data is the message, JSON.
events = Table(
    "events",
    metadata,
    Column("stream_id", BigInteger, primary_key=True),
    Column("sample", BigInteger, primary_key=True),
    Column("type", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("time", KeyTime, primary_key=True),
    Column("end_sample", BigInteger),
    Column("data", Text, nullable=False),
)

# Every transition of every alert, for ever as it came; the highest version is the present state.
alerts = Table(
    "alerts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("stream", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("priority", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("onset", BigInteger, nullable=False),
    Column("raised_at", Double, nullable=False),
    Column("data", Text, nullable=False),
    Index("alerts_raised", "raised_at"),
    Index("alerts_stream", "stream", "raised_at"),
)

# The digest is the message's, so that a replay adds nothing.
quarantine = Table(
    "quarantine",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("time", Double, nullable=False),
    Column("source", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("truncated", Boolean, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Index("quarantine_time", "time"),
)

# Everything that became of alerts, one line an entry, chained by hashes (`chain.py`). Triggers refuse
# UPDATE and DELETE.
register = Table(
    "register",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),  # 1, 2, 3 ... without a hole
    Column("id", Text, nullable=False, unique=True),
    Column("alert", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("by", Text, nullable=False),
    Column("prev_hash", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("data", Text, nullable=False),  # the entry, canonical JSON
    Index("register_alert", "alert", "seq"),
    Index("register_at", "at"),
    Index("register_hash", "hash"),
)

# What the lines of each case add up to, for finding them; the register is the truth.
cases = Table(
    "cases",
    metadata,
    Column("id", Text, primary_key=True),
    Column("clinic", Text, nullable=False),
    Column("stream", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("priority", Text, nullable=False),
    Column("condition", Text, nullable=False),
    Column("responsibility", Text, nullable=False),
    Column("clinical", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("opened_at", Double, nullable=False),
    Column("changed_at", Double, nullable=False),
    Column("closed_at", Double),
    Column("seq", BigInteger, nullable=False),  # its last line
    Index("cases_opened", "opened_at"),
    Index("cases_clinic", "clinic", "opened_at"),
)

# The facts of the network as they are: body is the item, JSON.
network = Table(
    "network",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("at", Double, nullable=False),
    Column("by", Text, nullable=False),
    Column("body", Text, nullable=False),
)

HYPERTABLES: dict[str, str] = {
    "waveform_blocks": "signal_id",
    "event_blocks": "stream_id, kind",
    "events": "stream_id",
}
"""The tables that become hypertables where there is TimescaleDB, and how compression segments each."""
