"""Fixtures of the ingest tests."""

import pytest

from leadwire.bus.local import LocalBus
from leadwire.topics import TOPICS


@pytest.fixture
def bus(tmp_path):
    bus = LocalBus(tmp_path / "bus.sqlite")
    bus.create_topics(TOPICS.values())
    yield bus
    bus.close()
