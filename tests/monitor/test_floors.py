"""Floors of the noise and robustness benchmarks on a few records: they must not slide back."""

import argparse
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import noise, robustness

pytestmark = pytest.mark.records


def asked(data: Path, records: str, **more: object) -> argparse.Namespace:
    return argparse.Namespace(data=str(data), records=records, peers=False, **more)


def test_noise_stress(database: Callable[[str], Path]) -> None:
    total = noise.run(asked(database("nstdb"), "118e18,118e12,118e06", leads="first")).total
    assert total["DER_18dB"] <= 0.3
    assert total["DER_12dB"] <= 2.5
    assert total["DER_6dB"] <= 14.0


def test_faults_make_few_beats_and_detection_comes_back(database: Callable[[str], Path]) -> None:
    faults = "nan,gap,flat,saturation,noise,gain_five,inversion,pacing,mains"
    result = robustness.run(asked(database("mitdb"), "112,122,220", faults=faults))
    assert result.total["records"] == 3
    assert result.total["false_beats"] <= 18
    assert result.total["recover_max_s"] <= 3.0


def test_what_is_no_ratio_is_no_noise_record() -> None:
    assert [noise.decibel(name) for name in ("118e_6", "119e24", "em", "118")] == [-6, 24, None, None]
