"""What may stand in the repository."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAX_LINES = 400
READ_BY_PEOPLE = {".py", ".js", ".css", ".html", ".sh", ".md", ".toml", ".yml", ".yaml", ""}
VENDORED = ("dashboard/static/vendor/",)
NOT_WRITTEN_BY_HAND = {"LICENSE", "accuracy.md"}  # the latter by benchmarks/accuracy_page.py
RECORDS = {".dat", ".atr", ".mat", ".edf", ".hea", ".npz", ".qrs", ".xws"}


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    try:
        listing = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
        )
    except (OSError, subprocess.CalledProcessError) as why:
        pytest.skip(f"git: this is no checkout ({why})")
    return [Path(name) for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_every_file_can_be_read_in_one_sitting(tracked):
    long = {}
    for file in tracked:
        if file.suffix in READ_BY_PEOPLE and file.name not in NOT_WRITTEN_BY_HAND:
            if str(file).startswith(VENDORED):
                continue
            lines = (ROOT / file).read_text(encoding="utf-8").count("\n")
            if lines > MAX_LINES:
                long[str(file)] = lines
    assert not long


def test_no_ecg_record_is_in_the_repository(tracked):
    assert not [str(file) for file in tracked if file.suffix in RECORDS]


def test_nothing_large_is_in_the_repository(tracked):
    assert not [str(file) for file in tracked if (ROOT / file).stat().st_size > 1 << 20]
