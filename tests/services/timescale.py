"""A TimescaleDB server for the session; ``LEADWIRE_TEST_TIMESCALE=postgresql://...`` uses another one.

The tests empty the archive's tables there: give them a database of their own.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.need import need

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "timescale"


@pytest.fixture(scope="session")
def timescale_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a database on a running server that has TimescaleDB."""
    given = os.environ.get("LEADWIRE_TEST_TIMESCALE")
    if given:
        yield given
        return
    folder = str(tmp_path_factory.mktemp("timescale"))
    command = [sys.executable, str(SCRIPT)]
    started = subprocess.run([*command, "start", "--dir", folder], capture_output=True, text=True)
    if started.returncode != 0:
        need("TimescaleDB", started.stderr.strip())
    yield started.stdout.strip()
    subprocess.run([*command, "stop", "--dir", folder], check=True)
