"""Floors: the detector's accuracy and speed on real records must not slide back."""

import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from wfdb import processing

from benchmarks import ec57
from benchmarks.qrs import read
from dsp.qrs import detect

pytestmark = pytest.mark.records


def der(folder: Path, names: str, leads: slice) -> float:
    total = ec57.Score(0, 0, 0)
    for name in names.split():
        record = read(folder / name)
        assert record is not None
        total += ec57.score(record.ref, detect(record.x[:, leads], record.fs)["sample"], record.fs)
    value = total.metrics()["DER"]
    assert value is not None
    return value


def test_mitdb_first_lead_all_beats(database: Callable[[str], Path]) -> None:
    assert der(database("mitdb"), "101 106 116 119 203 207 208 223", slice(1)) <= 0.6


def test_mitdb_both_leads_all_beats(database: Callable[[str], Path]) -> None:
    assert der(database("mitdb"), "101 106 116 119 203 207 208 223", slice(None)) <= 0.5


def test_noise_stress_12_and_6_db(database: Callable[[str], Path]) -> None:
    assert der(database("nstdb"), "118e12", slice(1)) <= 1.0
    assert der(database("nstdb"), "118e06", slice(1)) <= 8.0


def test_normal_rhythm_at_128_hz(database: Callable[[str], Path]) -> None:
    assert der(database("nsrdb"), "16265 16483", slice(1)) <= 0.3


def test_it_is_many_times_faster_than_xqrs(database: Callable[[str], Path]) -> None:
    record = read(database("mitdb") / "101")
    assert record is not None
    x = np.ascontiguousarray(record.x[: int(120 * record.fs), 0])
    detect(x, record.fs)
    ours = math.inf
    for _ in range(5):
        start = time.process_time()
        detect(x, record.fs)
        ours = min(ours, time.process_time() - start)
    start = time.process_time()
    processing.xqrs_detect(x, record.fs, verbose=False)
    assert (time.process_time() - start) / max(ours, 1e-6) >= 8
