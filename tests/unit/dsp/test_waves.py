"""The waveform meter: what it takes for fibrillation and ventricular tachycardia, and what it does not."""

import time

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from dsp import wave_model
from dsp.wave_features import NAMES
from dsp.waves import SURE, WaveMeter
from tests.dsp_signals import FS, ecg, fibrillation, regular, wide


def heard(x: NDArray[np.float64], fs: float = FS) -> WaveMeter:
    meter = WaveMeter(fs, x.shape[1])
    for k in range(int(len(x) / fs)):
        a, b = round(k * fs), round((k + 1) * fs)
        meter.feed(x[a:b])
        meter.second(b - a)
    return meter


@pytest.mark.parametrize("fs", [100.0, 128.0, 250.0, 360.0, 500.0, 1000.0])
def test_fibrillation_is_seen_at_every_rate(fs: float) -> None:
    meter = heard(fibrillation(8, fs), fs)
    assert (meter.vf > 0.5).all()


@pytest.mark.parametrize("mv", [0.25, 1.0, 3.0])
def test_size_is_no_reason(mv: float) -> None:
    assert (heard(fibrillation(8, mv=mv)).vf > 0).all()


@pytest.mark.parametrize("rate", [40, 72, 110])
def test_narrow_beats_are_neither(rate: float) -> None:
    meter = heard(ecg(regular(rate, 10), 10))
    assert (meter.vf < -2).all()
    assert (meter.vt < -2).all()


@pytest.mark.parametrize("rate", [150, 180, 210])
def test_a_wide_tachycardia_that_the_stream_begins_with_is_seen_with_its_rate(rate: float) -> None:
    meter = heard(wide(regular(rate, 8), 8))
    assert (np.maximum(meter.vt, meter.vf) > 0).all()
    assert meter.rate == pytest.approx(rate, rel=0.08)


@pytest.mark.parametrize(
    "x",
    [
        np.zeros((2000, 1)),
        np.full((2000, 1), np.nan),
        0.02 * np.random.default_rng(1).standard_normal((2000, 1)),
        fibrillation(8, mv=0.03)[:, :1],
    ],
    ids=["flat", "missing", "faint noise", "fine waves"],
)
def test_nothing_is_judged_below_the_floor(x: NDArray[np.float64]) -> None:
    meter = heard(x)
    assert np.isnan(meter.vf).all() or (meter.vf <= SURE).all()


def test_muscle_noise_is_neither() -> None:
    meter = heard(ecg(regular(72, 10), 10) + 0.3 * np.random.default_rng(2).standard_normal((2500, 2)))
    assert (meter.vf < 0).all()
    assert (meter.vt < 0).all()


def test_after_a_hole_nothing_is_judged_until_the_window_is_full_again() -> None:
    x = fibrillation(20)
    x[2500:2800] = np.nan
    meter = WaveMeter(FS, 2)
    told = []
    for k in range(20):
        meter.feed(x[k * 250 : (k + 1) * 250])
        meter.second(250)
        told.append(bool(np.isfinite(meter.vf).all()))
    assert told[3:10] == [True] * 7
    assert not any(told[10:14])
    assert all(told[15:])


def test_the_model_belongs_to_these_features() -> None:
    with pytest.raises(ValueError, match="was trained on"):
        wave_model.load("ventricular", NAMES[1:])


def test_a_second_of_one_lead_costs_about_as_much_as_a_filter_of_it() -> None:
    x = fibrillation(4)[:, :1].copy()
    meter = heard(np.tile(x, (2, 1)))
    band = butter(2, (0.5, 40.0), "bandpass", fs=FS, output="sos")
    ours = peer = np.inf
    for k in range(300):
        second = x[(k % 4) * 250 : (k % 4 + 1) * 250]
        start = time.perf_counter()
        meter.feed(second)
        meter.second(250)
        between = time.perf_counter()
        sosfilt(band, second, axis=0)
        ours, peer = min(ours, between - start), min(peer, time.perf_counter() - between)
    assert ours < 10 * peer  # 2 times measured; both at their quickest, by turns, so that no machine matters
