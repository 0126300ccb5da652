"""Fixtures of the contracts: a test that asks for them runs on every database, or on every bus."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from leadwire.bus import Bus
from storage import Archive, Reader, open_archive, open_reader
from tests.contract.archives import DATABASES, empty_database
from tests.contract.buses import Adapter, kafka_adapter, local_adapter, opened
from tests.services.kafka import Broker


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


_ADAPTERS = ["local", pytest.param("kafka", marks=pytest.mark.kafka)]


@pytest.fixture(params=_ADAPTERS)
def adapter(request: pytest.FixtureRequest, tmp_path: Path) -> Adapter:
    if request.param == "local":
        return local_adapter(tmp_path)
    address: str = request.getfixturevalue("kafka_address")

    @contextmanager
    def never() -> Iterator[None]:
        raise AssertionError("the shared broker is not stopped")
        yield

    return kafka_adapter(address, never)


@pytest.fixture(params=_ADAPTERS)
def frail(request: pytest.FixtureRequest, tmp_path: Path) -> Adapter:
    """An adapter that can be taken away."""
    if request.param == "local":
        return local_adapter(tmp_path)
    broker: Broker = request.getfixturevalue("kafka_broker")

    @contextmanager
    def away() -> Iterator[None]:
        broker.stop()
        try:
            yield
        finally:
            broker.start()

    return kafka_adapter(broker.address, away)


@pytest.fixture
def bus(adapter: Adapter) -> Iterator[Bus]:
    with opened(adapter.address) as bus:
        yield bus
