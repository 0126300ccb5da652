"""The latency benchmark measures a running Leadwire, and alarms are not late by the second."""

import json
from pathlib import Path

import pytest

from benchmarks.frame import main


@pytest.mark.timeout(240)
def test_beats_and_frames_arrive_within_the_second_they_belong_to(tmp_path: Path) -> None:
    file = tmp_path / "latency.json"
    assert main(["latency", "--patients", "4", "--seconds", "6", "--json", str(file)]) == 0
    said = json.loads(file.read_text())
    event, frame = said["records"]
    assert event["n"] >= 4 * 5  # 75 beats a minute each
    assert frame["n"] >= 4 * 6 * 4  # five blocks a second each
    # Not a speed test, for machines are shared: half of all arrive before the next beat is due.
    assert max(event["p50_ms"], frame["p50_ms"]) < 800
