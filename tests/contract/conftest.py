"""Fixtures of the archive's contract: every test that asks for them runs on all three databases."""

from collections.abc import Iterator

import pytest

from storage import Archive, Reader, open_archive, open_reader
from tests.contract.archives import DATABASES, empty_database


@pytest.fixture(scope="module", params=DATABASES)
def archive_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an empty database, one a module and kind."""
    with empty_database(request.param, tmp_path_factory.mktemp("archive"), request.getfixturevalue) as url:
        yield url


@pytest.fixture(scope="module")
def archive(archive_url: str) -> Iterator[Archive]:
    """A writer that one module's tests share; each test has streams of its own."""
    archive = open_archive(archive_url)
    yield archive
    archive.close()


@pytest.fixture(scope="module")
def reader(archive: Archive, archive_url: str) -> Iterator[Reader]:
    """A reader of what `archive` writes."""
    reader = open_reader(archive_url)
    yield reader
    reader.close()
