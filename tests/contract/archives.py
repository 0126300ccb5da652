"""The three databases under the archive, and messages to put there."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from numpy.typing import NDArray

from leadwire import codec
from leadwire.messages import Message
from leadwire.model import Alert, Evidence, RhythmEpisode, SampleChunk
from leadwire.ranges import MAX_SAMPLE
from storage import Archive, Reader
from storage.database import Database
from storage.tables import metadata

FS = 250.0
NOW = 1_700_000_000.0
NAMES = ("I", "II", "V1", "V2")
_numbers = count()

DATABASES = [
    pytest.param("sqlite", id="sqlite"),
    pytest.param("postgres", id="postgres", marks=pytest.mark.postgres),
    pytest.param("timescale", id="timescale", marks=pytest.mark.timescale),
]


@contextmanager
def empty_database(kind: str, folder: Path, fixture: Callable[[str], Any]) -> Iterator[str]:
    """The address of an empty database of `kind`, which is gone afterwards."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / (uuid.uuid4().hex + '.sqlite')}"
    elif kind == "postgres":
        server: str = fixture("postgres_url")
        name = f"leadwire_test_{uuid.uuid4().hex[:12]}"
        url = sa.make_url(server).set(drivername="postgresql+psycopg2")
        admin = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
        yield sa.make_url(server).set(database=name).render_as_string(hide_password=False)
        with admin.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    else:
        url = fixture("timescale_url")  # one database only: emptied before and after
        drop_tables(url)
        yield url
        drop_tables(url)


def drop_tables(url: str) -> None:
    database = Database(url)
    with database.writing() as connection:
        connection.execute(sa.text("DROP TABLE IF EXISTS alembic_version"))
        metadata.drop_all(connection)
    database.close()


def new_stream() -> str:
    """A stream id that no other test uses: tests share a database."""
    return f"clinic-bed.{next(_numbers)}"


def chunk(stream: str, first: int, samples: NDArray[np.int16], **changes: Any) -> SampleChunk:
    """A chunk of `samples`, shape (n_samples, n_sig)."""
    n_sig = samples.shape[1]
    fields: dict[str, Any] = {
        "fs": FS,
        "sig_name": NAMES[:n_sig],
        "units": ("mV",) * n_sig,
        "adc_gain": (200.0,) * n_sig,
        "baseline": (0,) * n_sig,
        "device_time": NOW + first / FS,
        "receive_time": NOW + 1 + first / FS,
    }
    return SampleChunk(
        stream=stream,
        first_sample=first,
        samples=np.ascontiguousarray(samples, "<i2").tobytes(),
        **fields | changes,
    )


def signal(n_samples: int, n_sig: int = 2, seed: int = 0) -> NDArray[np.int16]:
    """A wandering signal, shape (n_samples, n_sig)."""
    steps = np.random.default_rng(seed).integers(-9, 10, (n_samples, n_sig))
    return np.clip(np.cumsum(steps, axis=0), -20_000, 20_000).astype(np.int16)


def evidence(**changes: Any) -> Evidence:
    return Evidence(**{"rule": "no_qrs", "value": 4.2, "threshold": 4.0, "unit": "s"} | changes)


def episode(stream: str, onset: int, end: int | None = None, **changes: Any) -> RhythmEpisode:
    fields = {"kind": "asystole", "detected": onset + 1000, "evidence": evidence()} | changes
    return RhythmEpisode(stream=stream, onset=onset, end=end, **fields)


def alert(stream: str, version: int = 1, **changes: Any) -> Alert:
    fields: dict[str, Any] = {
        "id": f"{stream}:100:asystole",
        "kind": "asystole",
        "priority": "high",
        "category": "physiological",
        "state": "active",
        "onset": 100,
        "raised_at": NOW,
        "changed_at": NOW + version,
        "evidence": evidence(),
    }
    return Alert(stream=stream, version=version, **fields | changes)


LATER = NOW + 1e6


def put(archive: Archive, *messages: Message, now: float = NOW) -> None:
    """Archive `messages`, each read from its bytes as the stage does: nothing impossible gets through."""
    for message in messages:
        archive.add(codec.decode(codec.encode(message)))
    archive.flush(now)


def compact(archive: Archive) -> None:
    """Compact all there is."""
    while archive.compact(LATER, limit=50):
        pass


def content(reader: Reader, stream: str) -> dict[int, tuple[int, ...]]:
    """What is archived, sample by sample: {sample number: row}."""
    rows: dict[int, tuple[int, ...]] = {}
    for segment in reader.read_waveform(stream, 0, MAX_SAMPLE):
        for i, row in enumerate(segment.d_signal):
            assert segment.first_sample + i not in rows
            rows[segment.first_sample + i] = tuple(row)
    return rows
