"""Quality of a lead, second by second."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import wfdb
from numpy.typing import NDArray

from dsp import quality
from dsp.quality import QualityMeter
from tests.dsp_signals import ecg, regular

FS = 250.0
RAILS = np.array([[-10.0, 10.0]] * 2)
N = int(FS)


def judge(x: NDArray[np.float64], off: tuple[bool, bool] = (False, False), fs: float = FS) -> list[list[str]]:
    """Per second the flags of the first lead."""
    meter, n, said = QualityMeter(fs, 2), int(fs), []
    for a in range(0, len(x) - n + 1, n):
        meter.feed(np.ascontiguousarray(x[a : a + n]), np.array(off), 0, n)
        meter.second(n, RAILS)
        said.append(list(quality.names(int(meter.flags[0]))))
    return said


def heart(
    seconds: float = 20.0, noise: float = 0.01, mv: float = 1.0, rate: float = 72.0
) -> NDArray[np.float64]:
    return ecg(regular(rate, seconds), seconds, noise=noise, mv=mv)


@pytest.mark.parametrize("rate", [30.0, 72.0, 150.0, 200.0])
@pytest.mark.parametrize("mv", [0.3, 1.0, 4.0])
def test_a_clean_heart_has_no_flags(rate: float, mv: float) -> None:
    assert all(flags == [] for flags in judge(heart(rate=rate, mv=mv, noise=0.005))[1:])


def test_what_is_missing_is_missing_and_what_is_off_is_off() -> None:
    x = heart()
    x[5 * N : 6 * N] = np.nan
    assert judge(x)[4:7] == [[], ["missing"], []]
    assert judge(x, off=(True, False))[5] == ["lead_off"]


def test_a_few_missing_samples_are_no_trouble() -> None:
    x = heart()
    x[5 * N : 5 * N + N // 10] = np.nan
    assert judge(x)[5] == []


def test_a_line_is_flat_and_an_asystole_with_its_noise_is_not() -> None:
    assert judge(np.full((5 * N, 2), 0.3)) == [["flat"]] * 5
    assert "flat" not in judge(ecg([], 5, noise=0.01))[2]


def test_the_end_of_the_range_is_saturation_from_the_first_second_on() -> None:
    assert judge(np.full((3 * N, 2), 10.0)) == [["saturated"]] * 3


def test_an_extreme_never_left_before_is_saturation_once_the_usual_level_is_known() -> None:
    x = heart()
    x[8 * N : 12 * N] = 4.7
    said = judge(x)
    assert said[9:11] == [["saturated"]] * 2
    assert said[15] == []


def test_a_trace_that_drifts_away_is_not_saturated() -> None:
    t = np.arange(20 * N) / FS
    assert all("saturated" not in f for f in judge(0.3 * t[:, None] + np.zeros((1, 2))))


@pytest.mark.parametrize("sd", [0.5, 1.5])
def test_noise_as_large_as_the_complexes_is_noisy(sd: float) -> None:
    x = heart()
    x[8 * N : 16 * N] += sd * np.random.default_rng(2).standard_normal((8 * N, 2))
    said = judge(x)
    assert all("noisy" in flags for flags in said[10:16])
    assert all("noisy" not in flags for flags in said[:8] + said[19:])


def test_noise_alone_never_becomes_usable_by_lasting() -> None:
    x = 0.8 * np.random.default_rng(2).standard_normal((120 * N, 2))
    assert sum("noisy" in flags for flags in judge(x)[3:]) >= 115


def test_a_gain_step_does_not_make_a_clean_heart_noisy_for_long() -> None:
    for factor in (0.2, 5.0):
        x = heart(noise=0.004)
        x[10 * N :] *= factor
        assert all(flags == [] for flags in judge(x)[13:])


@pytest.mark.parametrize("hz", [50.0, 60.0])
def test_mains_is_told_and_gates_nothing(hz: float) -> None:
    t = np.arange(10 * N) / FS
    x = heart(10) + 0.2 * np.sin(2 * np.pi * hz * t)[:, None]
    assert judge(x)[2:] == [["mains"]] * 8
    assert not quality.MAINS & quality.USABLE_MASK


def test_wander_is_told_and_gates_nothing() -> None:
    t = np.arange(10 * N) / FS
    x = heart(10) + 2.0 * np.sin(2 * np.pi * 0.3 * t)[:, None]
    assert any("wander" in flags for flags in judge(x))
    assert all(set(flags) <= {"wander"} for flags in judge(x)[1:])


@pytest.mark.parametrize("fs", [100.0, 128.0, 360.0, 1000.0])
def test_the_same_verdicts_at_any_sampling_rate(fs: float) -> None:
    x = ecg(regular(72, 20), 20, fs=fs)
    n = int(fs)
    x[8 * n : 12 * n] = 0.0
    said = judge(x, fs=fs)
    assert said[9] == ["flat"]
    assert all(flags == [] for flags in said[:8] + said[13:])


@pytest.mark.parametrize("width", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("rate", [140.0, 168.0, 180.0, 200.0, 220.0, 250.0])
def test_a_regular_tachycardia_of_any_width_is_not_noise(rate: float, width: float) -> None:
    slow = [r for r in regular(80, 10) if r < 9.4]
    x = ecg(slow, 30)
    t = np.arange(len(x)) / FS
    for r in regular(rate, 30, start=10.2):
        for centre, sd, mv in ((0.0, 0.012 * width, 1.0), (0.035 * width, 0.010 * width, -0.4)):
            x[:, 0] += mv * np.exp(-0.5 * ((t - r - centre) / sd) ** 2)
        x[:, 0] += 0.25 * np.exp(-0.5 * ((t - r - 0.55 * 60 / rate) / 0.035) ** 2)
    assert sum("noisy" in flags for flags in judge(x)) == 0


@pytest.mark.parametrize("hz", [2.5, 3.5, 4.5, 5.5])
def test_flutter_waves_are_not_noise(hz: float) -> None:
    t = np.arange(20 * N) / FS
    x = heart()
    x[8 * N :] = (0.8 * np.sin(2 * np.pi * hz * t) + 0.2 * np.sin(4 * np.pi * hz * t))[8 * N :, None]
    assert sum("noisy" in flags for flags in judge(x)) == 0


def test_noise_on_a_tachycardia_is_still_noise() -> None:
    x = heart(rate=180)
    x[8 * N : 16 * N] += np.random.default_rng(2).standard_normal((8 * N, 2))
    assert all("noisy" in flags for flags in judge(x)[10:16])


def _every_lead_noisy(x: NDArray[np.float64], fs: float) -> NDArray[np.bool_]:
    meter, n, said = QualityMeter(fs, x.shape[1]), int(fs), []
    for a in range(0, len(x) - n + 1, n):
        meter.feed(np.ascontiguousarray(x[a : a + n]), np.zeros(x.shape[1], bool), 0, n)
        meter.second(n, np.array([[-40.0, 40.0]] * x.shape[1]))
        said.append(bool((meter.flags & quality.NOISY).all()))
    return np.array(said)


@pytest.mark.records
@pytest.mark.parametrize(
    ("name", "least", "most"), [("118e_6", 0.85, 1.0), ("118e00", 0.7, 1.0), ("118e18", 0.0, 0.02)]
)
def test_noise_stress(database: Callable[[str], Path], name: str, least: float, most: float) -> None:
    record = wfdb.rdrecord(str(database("nstdb") / name), sampto=360 * 540)
    said = _every_lead_noisy(np.asarray(record.p_signal, np.float64), 360.0)
    assert said[:298].mean() <= 0.01  # before the noise begins
    assert least <= said[302:418].mean() <= most
    assert said[423:].mean() <= 0.02  # and after it


@pytest.mark.records
@pytest.mark.parametrize("name", ["421", "426"])
def test_ventricular_rhythms_are_not_noise(database: Callable[[str], Path], name: str) -> None:
    path = database("vfdb") / name
    record, marks = wfdb.rdrecord(str(path)), wfdb.rdann(str(path), "atr")
    said = _every_lead_noisy(np.asarray(record.p_signal, np.float64), 250.0)
    at = np.searchsorted(marks.sample, (np.arange(len(said)) + 0.5) * 250) - 1
    rhythm = np.array([marks.aux_note[k].strip("(\0 ") if k >= 0 else "" for k in at])
    lethal = np.isin(rhythm, ["VT", "VF", "VFL", "VFIB"])
    assert lethal.sum() > 20
    assert said[lethal].mean() <= 0.04
