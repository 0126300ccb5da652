"""A real PostgreSQL server for the session; ``LEADWIRE_TEST_POSTGRES=postgresql://...`` uses another one.

On that other one the tests make databases of their own, and drop them.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.need import need

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "postgres"


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a database on a running PostgreSQL server whose user may make databases."""
    given = os.environ.get("LEADWIRE_TEST_POSTGRES")
    if given:
        yield given
        return
    folder = str(tmp_path_factory.mktemp("postgres"))
    command = [sys.executable, str(SCRIPT)]
    started = subprocess.run([*command, "start", "--dir", folder], capture_output=True, text=True)
    if started.returncode != 0:
        need("PostgreSQL", started.stderr.strip())
    yield started.stdout.strip()
    subprocess.run([*command, "stop", "--dir", folder], check=True)
