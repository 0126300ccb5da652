"""The latency benchmark measures a running Leadwire, and its detectors are not late by the second."""

import json
from pathlib import Path

import pytest

from benchmarks.frame import main


@pytest.mark.timeout(600)
def test_beats_and_frames_arrive_and_a_beat_not_a_beat_later_than_its_frame(tmp_path: Path) -> None:
    file = tmp_path / "latency.json"
    assert main(["latency", "--patients", "4", "--seconds", "6", "--json", str(file)]) == 0
    said = json.loads(file.read_text())
    event, frame = said["records"]
    # Not a speed test, for machines are shared: less than half of 75 beats a minute, five blocks a second.
    assert event["n"] >= 4 * 3
    assert frame["n"] >= 4 * 6 * 2
    # Both come through the same gateway and bus at the same time: what is left is the detector's own.
    assert event["p50_ms"] < frame["p50_ms"] + 800
