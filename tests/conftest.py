"""Fixtures that every test may use."""

import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no failure; how long a test may take is pytest-timeout's to say.
settings.register_profile("leadwire", deadline=None)
settings.load_profile("leadwire")

ROOT = Path(__file__).resolve().parents[1]

_SERVICES = ("kafka", "postgres", "timescale", "browser")
pytest_plugins = [
    name for name in (f"tests.services.{s}" for s in _SERVICES) if importlib.util.find_spec(name) is not None
]


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
    """A setting in the shell that runs the tests must not change what they say."""
    kept = ("LEADWIRE_DATA", "LEADWIRE_TEST_")
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("LEADWIRE_") and not name.startswith(kept):
                patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def records() -> Path:
    """The folder of public ECG records: ``LEADWIRE_DATA``, or ``shared/data`` beside the checkout."""
    named = os.environ.get("LEADWIRE_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(
            f"ECG records: LEADWIRE_DATA={named} is no folder" if named else "ECG records: no LEADWIRE_DATA"
        )
    return folder


@pytest.fixture(scope="session")
def database(records: Path) -> Callable[[str], Path]:
    """``database("mitdb")`` is the folder of that database; one that is not there skips the test."""

    def folder(name: str) -> Path:
        if not (records / name).is_dir():
            pytest.skip(f"ECG records: there is no {name} in LEADWIRE_DATA")
        return records / name

    return folder
