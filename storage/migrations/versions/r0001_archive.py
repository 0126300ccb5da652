"""The archive: streams, signals, waveforms, events, alerts, quarantine."""

import sqlalchemy as sa
from alembic import op

from storage.tables import KeyTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "streams",
        sa.Column("id", _serial, primary_key=True),
        sa.Column("stream", sa.Text, nullable=False, unique=True),
        sa.Column("epoch", sa.Double, nullable=False),
        sa.Column("clock_fs", sa.Double, nullable=False),
        sa.Column("end_sample", sa.BigInteger, nullable=False),
        sa.Column("info", sa.Text),
    )
    op.create_table(
        "signals",
        sa.Column("id", _serial, primary_key=True),
        sa.Column("stream_id", sa.BigInteger, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("units", sa.Text, nullable=False),
        sa.Column("adc_gain", sa.Double, nullable=False),
        sa.Column("baseline", sa.BigInteger, nullable=False),
        sa.Column("fs", sa.Double, nullable=False),
        sa.Column("place", sa.SmallInteger, nullable=False),
        sa.UniqueConstraint("stream_id", "name", "units", "adc_gain", "baseline", "fs", "place"),
    )
    op.create_table(
        "waveform_parts",
        sa.Column("id", _serial, primary_key=True),
        sa.Column("stream_id", sa.BigInteger, nullable=False),
        sa.Column("block", sa.BigInteger, nullable=False),
        sa.Column("written", sa.Double, nullable=False),
        sa.Column("first_sample", sa.BigInteger, nullable=False),
        sa.Column("end_sample", sa.BigInteger, nullable=False),
        sa.Column("device_time", sa.Double, nullable=False),
        sa.Column("receive_time", sa.Double, nullable=False),
        sa.Column("signal_ids", sa.Text, nullable=False),
        sa.Column("samples", sa.LargeBinary, nullable=False),
    )
    op.create_index("waveform_parts_block", "waveform_parts", ["stream_id", "block", "written"])
    op.create_table(
        "waveform_blocks",
        sa.Column("signal_id", sa.BigInteger, primary_key=True),
        sa.Column("block", sa.BigInteger, primary_key=True),
        sa.Column("time", KeyTime, primary_key=True),
        sa.Column("n_samples", sa.Integer, nullable=False),
        sa.Column("first_sample", sa.BigInteger, nullable=False),
        sa.Column("end_sample", sa.BigInteger, nullable=False),
        sa.Column("device_time", sa.Double, nullable=False),
        sa.Column("receive_time", sa.Double, nullable=False),
        sa.Column("runs", sa.LargeBinary),
        sa.Column("envelope", sa.LargeBinary, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "event_parts",
        sa.Column("id", _serial, primary_key=True),
        sa.Column("stream_id", sa.BigInteger, nullable=False),
        sa.Column("block", sa.BigInteger, nullable=False),
        sa.Column("written", sa.Double, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_index("event_parts_block", "event_parts", ["stream_id", "block", "written"])
    op.create_table(
        "event_blocks",
        sa.Column("stream_id", sa.BigInteger, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("block", sa.BigInteger, primary_key=True),
        sa.Column("time", KeyTime, primary_key=True),
        sa.Column("n_events", sa.Integer, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "events",
        sa.Column("stream_id", sa.BigInteger, primary_key=True),
        sa.Column("sample", sa.BigInteger, primary_key=True),
        sa.Column("type", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("time", KeyTime, primary_key=True),
        sa.Column("end_sample", sa.BigInteger),
        sa.Column("data", sa.Text, nullable=False),
    )
    op.create_table(
        "alerts",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("version", sa.BigInteger, primary_key=True),
        sa.Column("stream", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("priority", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("onset", sa.BigInteger, nullable=False),
        sa.Column("raised_at", sa.Double, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
    )
    op.create_index("alerts_raised", "alerts", ["raised_at"])
    op.create_index("alerts_stream", "alerts", ["stream", "raised_at"])
    op.create_table(
        "quarantine",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("truncated", sa.Boolean, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_index("quarantine_time", "quarantine", ["time"])
