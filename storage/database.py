"""The connection to SQLite or PostgreSQL: engine, errors in our words, migrations on opening."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite

from leadwire.errors import ArchiveUnavailable, SettingError
from storage import timescale

BUSY_TIMEOUT_S = 20.0
_MIGRATION_LOCK = 0x1EAD_0001
_EXPECTED = "sqlite:///PATH or postgresql://USER:PASSWORD@HOST:PORT/NAME"


class Database:
    """An engine whose errors are ours and whose transactions say whether they write.

    Parameters
    ----------
    url
        ``sqlite:///PATH`` or ``postgresql://USER:PASSWORD@HOST:PORT/NAME``.
    connections
        Most connections held to a PostgreSQL server; ``?connections=NUMBER`` in the address goes
        first. 0: hold none, connect for each transaction (for a server that takes one at a time).

    Raises
    ------
    SettingError
        The address has neither form, or the folder of the SQLite file cannot be made.
    """

    def __init__(self, url: str, connections: int = 2) -> None:
        try:
            address = sa.make_url(url)
        except sa.exc.ArgumentError:
            raise SettingError(
                f"an archive address came that cannot be read; {_EXPECTED} was expected"
            ) from None
        if address.get_backend_name() == "sqlite" and address.database:
            self.engine = _sqlite_engine(address)
        elif address.get_backend_name() == "postgresql" and address.database:
            self.engine = _postgres_engine(address, connections)
        else:
            raise SettingError(f"archive address {_shown(address)} came; {_EXPECTED} was expected")
        self.url = _shown(address)
        self.is_postgres = address.get_backend_name() == "postgresql"

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction that writes: all of it is durable when the block ends, or none of it."""
        with self._translated(), self.engine.connect() as connection:
            if not self.is_postgres:
                connection.execution_options(leadwire_begin="BEGIN IMMEDIATE")
            with connection.begin():
                yield connection

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """One transaction that reads: everything in it sees the archive at one moment."""
        with self._translated(), self.engine.connect() as connection:
            if self.is_postgres:
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    def lock(self, connection: sa.Connection, number: int) -> None:
        """Hold lock `number` until the transaction ends; on SQLite a writing one has it anyway."""
        if self.is_postgres:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(number)))

    def upsert(
        self,
        connection: sa.Connection,
        table: sa.Table,
        rows: Iterable[Mapping[str, Any]],
        update: tuple[str, ...] = (),
        unless: str | None = None,
    ) -> None:
        """Insert `rows`; where the key (or a unique set) exists, replace columns `update`, or leave it.

        Parameters
        ----------
        rows
            No key twice.
        unless
            A column: an existing row that has a value there is not replaced by one that has none.
        """
        values = list(rows)
        if not values:
            return
        insert = postgresql.insert if self.is_postgres else sqlite.insert
        statement = insert(table)
        if not update:
            statement = statement.on_conflict_do_nothing()
        else:
            new = statement.excluded
            where = None
            if unless is not None:
                where = table.c[unless].is_(None) | new[unless].is_not(None)
            statement = statement.on_conflict_do_update(
                index_elements=list(table.primary_key.columns),
                set_={name: new[name] for name in update},
                where=where,
            )
        connection.execute(statement, values)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError) as why:
            if getattr(getattr(why, "orig", None), "sqlite_errorname", "") == "SQLITE_ERROR":
                raise  # a statement that SQLite cannot understand: waiting will not mend it
            raise ArchiveUnavailable(f"{self.url}: {_first_line(why)}") from why

    def close(self) -> None:
        self.engine.dispose()


def _shown(address: sa.URL) -> str:
    return address.render_as_string(hide_password=True)


def _first_line(why: Exception) -> str:
    return str(getattr(why, "orig", why)).strip().split("\n")[0]


def _postgres_engine(address: sa.URL, connections: int) -> sa.Engine:
    asked = address.query.get("connections", str(connections))
    if not isinstance(asked, str) or not asked.isdecimal():
        raise SettingError(f"archive address {_shown(address)} came; connections=NUMBER was expected")
    pool: dict[str, Any] = {"poolclass": sa.NullPool}
    if int(asked):
        pool = {"pool_size": int(asked), "max_overflow": 0, "pool_pre_ping": True}
    return sa.create_engine(
        address.set(drivername="postgresql+psycopg2").difference_update_query(["connections"]),
        connect_args={"connect_timeout": 10, "application_name": "leadwire"},
        **pool,
    )


def _sqlite_engine(address: sa.URL) -> sa.Engine:
    folder = Path(address.database or "").parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as why:
        raise SettingError(f"the archive's folder {folder} cannot be made: {why.strerror}") from None
    engine = sa.create_engine(address, connect_args={"timeout": BUSY_TIMEOUT_S})

    # The driver's own transaction control begins late and never for reading; ours is explicit.
    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        # FULL: what is committed here is committed on the bus next, so it must survive a power cut.
        # Pages of 1 KiB, for a new file: with the usual 4 KiB a tenth of the archive is air between
        # blocks (measured on mitdb: 4.61 bit/sample against 4.40, all tables).
        for pragma in ("page_size=1024", "journal_mode=WAL", "synchronous=FULL", "cache_size=-16384"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("leadwire_begin", "BEGIN"))

    return engine


def alembic_config() -> Config:
    """Alembic's configuration: the migrations inside this package, no file."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def upgrade(database: Database, revision: str = "head", keep_days: float | None = None) -> None:
    """Bring the tables to `revision` in one transaction; a second process waits, then finds it done.

    Raises
    ------
    SettingError
        The database belongs to a newer Leadwire, or to something else, or refuses us.
    ArchiveUnavailable
        It cannot be reached now.
    """
    config = alembic_config()
    try:
        with database.writing() as connection:
            database.lock(connection, _MIGRATION_LOCK)
            _refuse_foreign(database, connection)
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
        if database.is_postgres:
            timescale.ensure(database, keep_days)
    except ArchiveUnavailable as why:
        if re.search(r"authentication failed|does not exist|not permitted|no password", str(why)):
            raise SettingError(f"the archive refuses: {why}") from why
        if re.search(r"unable to open|readonly|not a database", str(why)):
            raise SettingError(f"the archive cannot be opened: {why}") from why
        raise
    except sa.exc.DatabaseError as why:
        raise SettingError(f"the archive {database.url} cannot be used: {_first_line(why)}") from why


def check(database: Database) -> None:
    """Raise `ArchiveUnavailable` unless the tables are this program's; the archive role makes them."""
    head = ScriptDirectory.from_config(alembic_config()).get_current_head()
    with database.reading() as connection:
        have = MigrationContext.configure(connection).get_current_revision()
    if have != head:
        raise ArchiveUnavailable(
            f"{database.url} is at revision {have}, {head} was expected: start `leadwire archive` first"
        )


def _refuse_foreign(database: Database, connection: sa.Connection) -> None:
    have = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()}
    if have is not None and have not in known:
        raise SettingError(
            f"the archive {database.url} is at revision {have[:40]!r}, which this Leadwire does not know: "
            "use the newer program that made it, or another database"
        )
    if have is None:
        taken = sorted(
            {"streams", "signals", "events", "alerts"} & set(sa.inspect(connection).get_table_names())
        )
        if taken:
            raise SettingError(
                f"the database {database.url} has tables {', '.join(taken)} of another program; "
                "an empty one, or an archive, was expected"
            )
