"""A real Apache Kafka for the tests: ``LEADWIRE_TEST_KAFKA=HOST:PORT``, or one that scripts/kafka starts."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.need import need

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "kafka"


class Broker:
    """A broker of our own in a folder of its own, which a test may stop and start."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = self.start()

    def start(self) -> str:
        return self._run("start")

    def stop(self, *, keep: bool = True) -> None:
        self._run("stop", *(["--keep"] if keep else []))

    def _run(self, *args: str) -> str:
        done = subprocess.run(
            [sys.executable, str(SCRIPT), *args, "--dir", str(self.folder)],
            capture_output=True,
            text=True,
            timeout=900,
        )
        if done.returncode != 0:
            need("Apache Kafka", done.stderr.strip() or f"scripts/kafka exited with {done.returncode}")
        return done.stdout.strip()


@pytest.fixture(scope="session")
def kafka_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker of our own for the whole run. A test that stops it starts it again."""
    broker = Broker(tmp_path_factory.mktemp("kafka") / "broker")
    try:
        yield broker
    finally:
        broker.stop(keep=False)


@pytest.fixture(scope="session")
def kafka_address(request: pytest.FixtureRequest) -> str:
    """HOST:PORT of a broker for the whole run."""
    if named := os.environ.get("LEADWIRE_TEST_KAFKA"):
        return named
    broker: Broker = request.getfixturevalue("kafka_broker")
    return broker.address
