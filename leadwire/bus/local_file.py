"""The file of the local bus: its tables, how it is opened, and what SQLite's errors mean.

Each partition is a table of its own, ``m<id>``, so that appending stays at the end of a B-tree and
retention cuts at its front. A new message's offset comes from `partitions.next`, hence offsets are
never used twice, whatever was deleted.
"""

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from leadwire.errors import BusUnavailable, SettingError
from leadwire.topics import Topic

APPLICATION_ID = 0x4C574253
"""The file's mark, "LWBS"; SQLite keeps it in the header."""
FORMAT = 1

_SCHEMA = """
CREATE TABLE topics (name TEXT PRIMARY KEY, retention_s REAL, compacted INTEGER NOT NULL);
CREATE TABLE partitions (
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL, number INTEGER NOT NULL,
    next INTEGER NOT NULL DEFAULT 0, UNIQUE (topic, number));
CREATE TABLE groups (name TEXT PRIMARY KEY, generation INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE members (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, topics TEXT NOT NULL,
    lease REAL NOT NULL, lease_s REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE claims (
    name TEXT NOT NULL, partition INTEGER NOT NULL, member TEXT NOT NULL,
    PRIMARY KEY (name, partition)) WITHOUT ROWID;
CREATE TABLE offsets (
    name TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL,
    PRIMARY KEY (name, partition)) WITHOUT ROWID;
"""

_WAL_PAGES = 4000
"""Pages of 4 KiB in the write-ahead log before they are copied into the file."""


@contextmanager
def unavailable(path: Path) -> Iterator[None]:
    """Turn what SQLite says about the world into `BusUnavailable`; its word on our SQL stays a bug."""
    try:
        yield
    except sqlite3.DatabaseError as why:
        if isinstance(why, (sqlite3.ProgrammingError, sqlite3.IntegrityError)):
            raise
        raise BusUnavailable(f"bus file {path}: {why}") from why


def is_locked(why: sqlite3.Error) -> bool:
    """Whether another process holds the file, so that waiting helps."""
    return getattr(why, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """One write transaction: all of it or nothing."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def connect(path: Path, wait_s: float, synchronous: Literal["FULL", "NORMAL"]) -> sqlite3.Connection:
    """Open `path`, making it a bus if it is new.

    Parameters
    ----------
    wait_s
        How long a statement waits for other processes' locks, in s.
    synchronous
        FULL: a commit survives a power cut. NORMAL: the latest ones may not, without harm to older.

    Raises
    ------
    SettingError
        The file exists and is something else.
    BusUnavailable
        It cannot be opened now.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as why:
        raise BusUnavailable(f"bus file {path}: {why.strerror}") from why
    deadline = time.monotonic() + wait_s
    while True:
        try:
            return _connect(path, wait_s, synchronous)
        except sqlite3.OperationalError as why:
            # Turning a new file to WAL does not wait for others by itself.
            if not is_locked(why) or time.monotonic() > deadline:
                raise BusUnavailable(f"bus file {path}: {why}") from why
            time.sleep(0.02)
        except sqlite3.DatabaseError as why:
            raise SettingError(f"{path}: {why}; a bus file or no file was expected") from why


def _connect(path: Path, wait_s: float, synchronous: str) -> sqlite3.Connection:
    db = sqlite3.connect(
        path, timeout=wait_s, isolation_level=None, check_same_thread=False, cached_statements=512
    )
    try:
        db.execute(f"PRAGMA synchronous={synchronous}")
        db.execute(f"PRAGMA wal_autocheckpoint={_WAL_PAGES}")
        db.execute("PRAGMA journal_size_limit=67108864")
        (mark,) = db.execute("PRAGMA application_id").fetchone()
        if mark != APPLICATION_ID:
            db.execute("PRAGMA journal_mode=WAL")
            with transaction(db):
                _make(db, path)
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version != FORMAT:
            raise SettingError(f"{path}: bus format {version} came; {FORMAT} was expected")
    except BaseException:
        db.close()
        raise
    return db


def _make(db: sqlite3.Connection, path: Path) -> None:
    (mark,) = db.execute("PRAGMA application_id").fetchone()
    if mark == APPLICATION_ID:
        return  # another process was faster
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if mark or tables:
        raise SettingError(f"{path} is another program's database; a bus file or no file was expected")
    for statement in _SCHEMA.split(";"):
        if statement.strip():
            db.execute(statement)
    db.execute(f"PRAGMA application_id={APPLICATION_ID}")
    db.execute(f"PRAGMA user_version={FORMAT}")


def create_topics(db: sqlite3.Connection, topics: Iterable[Topic]) -> None:
    """Make the missing ones of `topics`. Raises `SettingError` on another number of partitions."""
    missing = [topic for topic in topics if not _exists(db, topic)]
    if missing:
        with transaction(db):
            for topic in missing:
                if not _exists(db, topic):  # another process may have been faster
                    _create(db, topic)


def _exists(db: sqlite3.Connection, topic: Topic) -> bool:
    number = len(partition_ids(db, topic.name))
    if number not in (0, topic.partitions):
        raise SettingError(
            f"{topic.name} has {number} partitions on the bus; {topic.partitions} were expected"
        )
    return number > 0


def _create(db: sqlite3.Connection, topic: Topic) -> None:
    retention_s = None if topic.compacted else topic.retention_s
    db.execute("INSERT INTO topics VALUES (?, ?, ?)", (topic.name, retention_s, topic.compacted))
    for number in range(topic.partitions):
        made = db.execute("INSERT INTO partitions (topic, number) VALUES (?, ?)", (topic.name, number))
        table = f"m{made.lastrowid}"
        db.execute(
            f"CREATE TABLE {table} (n INTEGER PRIMARY KEY, time REAL NOT NULL, key TEXT NOT NULL, value BLOB)"
        )
        if topic.compacted:
            db.execute(f"CREATE INDEX {table}_key ON {table} (key, n)")
            db.execute(f"CREATE INDEX {table}_deleted ON {table} (n) WHERE value IS NULL")


def partition_ids(db: sqlite3.Connection, topic: str) -> list[int]:
    """The ids of `topic`'s partitions by number; empty if there is no such topic."""
    rows = db.execute("SELECT id FROM partitions WHERE topic = ? ORDER BY number", (topic,))
    return [pid for (pid,) in rows]
