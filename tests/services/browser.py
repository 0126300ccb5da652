"""Chromium for the pages' tests, and a ward with a running dashboard for them to look at."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.need import need
from tests.services.ward import Ward

ARGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    """An empty ward: a local bus of its own, a dashboard on a free port, no archive."""
    made = Ward(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Chromium's program: ``LEADWIRE_TEST_CHROMIUM``, or Debian's."""
    named = os.environ.get("LEADWIRE_TEST_CHROMIUM")
    found = named or shutil.which("chromium") or shutil.which("chromium-browser")
    if not found or not Path(found).exists():
        need("Chromium", f"{named} is no program" if named else "there is no chromium in PATH")
    return found
