"""TimescaleDB, where the server has it: hypertables, compression, retention."""

from datetime import datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog

from leadwire.errors import ArchiveUnavailable
from storage.tables import HYPERTABLES

if TYPE_CHECKING:
    from storage.database import Database

log = structlog.get_logger(__name__)

CHUNK_DAYS = 7
COMPRESS_AFTER_DAYS = 14
_LOCK = 0x1EAD_0002


def present(connection: sa.Connection) -> bool:
    """Whether this database has the extension."""
    return connection.execute(_HAS).scalar() is not None


_HAS = sa.text("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'")


def ensure(database: "Database", keep_days: float | None) -> None:
    """Make the tables hypertables with compression, as far as this server can; do nothing twice.

    A server that has the library but not the extension gets the extension. What the server's
    licence or rights do not allow is left out and logged: the archive works without it.
    """
    _create_extension(database)
    with database.writing() as connection:
        if not present(connection):
            return
        database.lock(connection, _LOCK)
        for table in HYPERTABLES.keys() - _hypertables(connection).keys():
            connection.execute(
                sa.text(
                    "SELECT create_hypertable(CAST(:table AS regclass), 'time', migrate_data => true, "
                    "create_default_indexes => false, chunk_time_interval => make_interval(days => :days))"
                ),
                {"table": table, "days": CHUNK_DAYS},
            )
        compressed = _hypertables(connection)
    for table, segment_by in HYPERTABLES.items():
        if not compressed[table]:
            _optional(
                database,
                f"ALTER TABLE {table} SET (timescaledb.compress, "
                f"timescaledb.compress_segmentby = '{segment_by}', timescaledb.compress_orderby = 'time')",
            )
        _optional(
            database,
            f"SELECT add_compression_policy('{table}', make_interval(days => {COMPRESS_AFTER_DAYS}), "
            "if_not_exists => true)",
        )
        _optional(database, f"SELECT remove_retention_policy('{table}', if_exists => true)")
        if keep_days is not None:
            seconds = f"{keep_days * 86_400:.0f}"
            _optional(database, f"SELECT add_retention_policy('{table}', make_interval(secs => {seconds}))")


def drop_before(connection: sa.Connection, before: datetime) -> None:
    """Drop the chunks that end before `before`."""
    for table in HYPERTABLES:
        connection.execute(
            sa.text("SELECT drop_chunks(CAST(:table AS regclass), older_than => :before)"),
            {"table": table, "before": before},
        )


def _hypertables(connection: sa.Connection) -> dict[str, bool]:
    """The hypertables there are, and whether each has compression."""
    query = (
        "SELECT hypertable_name, compression_enabled FROM timescaledb_information.hypertables "
        "WHERE hypertable_schema = current_schema()"
    )
    return {row.hypertable_name: row.compression_enabled for row in connection.execute(sa.text(query))}


def _create_extension(database: "Database") -> None:
    with database.reading() as connection:
        if present(connection):
            return
        offered = connection.execute(
            sa.text("SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb'")
        ).scalar()
    if offered:
        _optional(database, "CREATE EXTENSION IF NOT EXISTS timescaledb")


def _optional(database: "Database", statement: str) -> None:
    try:
        with database.writing() as connection:
            connection.execute(sa.text(statement))
    except (sa.exc.DBAPIError, ArchiveUnavailable) as why:  # a library that is not preloaded hangs up
        log.warning("timescaledb goes without", statement=statement, why=str(why).strip().split("\n")[0])
