"""What IEC 60601-2-27 and EC13 ask of a cardiac monitor, on our drawings of their waveforms."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from dsp.pipeline import StreamAnalyzer
from leadwire.model import Beat, HeartRate, RhythmEpisode, SampleChunk, StreamEvent
from leadwire.settings import Limits
from simulators import monitor

GAIN = 200.0  # digits per mV
CONDITIONS = ("tachycardia", "bradycardia", "no_qrs", "noisy", "flat", "saturated", "missing")
FAST = ("tachycardia", "extreme_tachycardia")


@dataclass(frozen=True)
class Shown:
    """What the monitor said: (second, rate), beats in s, episodes."""

    rates: list[tuple[float, float | None]]
    beats: list[float]
    episodes: list[RhythmEpisode]
    fs: float

    def after(self, second: float) -> list[float | None]:
        return [rate for at, rate in self.rates if at >= second]

    def announced(self, *kinds: str) -> list[float]:
        """When an episode of these kinds was announced, in s."""
        return [e.detected / self.fs for e in self.episodes if e.kind in kinds and not e.withheld]

    def reads(self, rate: float, since: float) -> bool:
        """It shows `rate` within 1/min or 1 % from `since` on."""
        tolerance = max(1.0, 0.01 * rate)
        shown = self.after(since)
        return bool(shown) and all(r is not None and abs(r - rate) <= tolerance for r in shown)


def watch(x: NDArray[np.float64], fs: float = 250.0) -> Shown:
    """Let the real analyzer watch `x` (n_samples, 1) in mV, second by second."""
    analyzer = StreamAnalyzer(Limits(), CONDITIONS)
    digits = np.clip(np.round(x * GAIN), -32767, 32767).astype("<i2")
    said: list[StreamEvent] = []
    edges = [*range(0, len(digits), round(fs)), len(digits)]
    for first, stop in pairwise(edges):
        said += analyzer.process(
            SampleChunk(
                stream="monitor",
                first_sample=first,
                fs=fs,
                sig_name=("II",),
                units=("mV",),
                adc_gain=(GAIN,),
                baseline=(0,),
                samples=digits[first:stop].tobytes(),
                device_time=0.0,
                receive_time=0.0,
            )
        )
    return Shown(
        [(e.sample / fs, e.rate) for e in said if isinstance(e, HeartRate)],
        [e.sample / fs for e in said if isinstance(e, Beat)],
        [e for e in said if isinstance(e, RhythmEpisode)],
        fs,
    )


def steady(rate: float, seconds: float = 30.0, fs: float = 250.0, **how: float) -> NDArray[np.float64]:
    return monitor.draw(monitor.rhythm(rate, 0.4, seconds), seconds, fs, **how)  # type: ignore[arg-type]


@pytest.mark.parametrize("fs", [125.0, 250.0, 500.0, 1000.0])
@pytest.mark.parametrize("rate", [15, 20, 30, 40, 60, 80, 120, 150, 180, 200, 220, 240, 250, 270, 300])
def test_rates_are_within_one_per_minute_or_one_percent(rate: float, fs: float) -> None:
    since = 18.0 if rate < 30 else 12.0
    assert watch(steady(rate, 28.0, fs), fs).reads(rate, since)


@pytest.mark.parametrize("width", [0.04, 0.07, 0.10, 0.12])
@pytest.mark.parametrize("mv", [0.2, 0.5, 2.0, 5.0])
@pytest.mark.parametrize("rate", [30, 80, 200])
def test_complexes_of_every_size_and_width_are_counted(rate: float, mv: float, width: float) -> None:
    assert watch(steady(rate, 24.0, mv=mv, width=width)).reads(rate, 14.0)


@pytest.mark.parametrize("mv", [0.05, 0.10, 0.13])
def test_nothing_below_the_floor_is_a_complex(mv: float) -> None:
    shown = watch(steady(80, 20.0, mv=mv))
    assert shown.beats == []
    assert shown.announced("asystole")


@pytest.mark.parametrize("name", sorted(monitor.BIGEMINY_RATE))
def test_bigeminies_show_every_beat(name: str) -> None:
    shown = watch(monitor.draw(monitor.bigeminy(name, 40.0), 40.0, 250.0))
    assert shown.reads(monitor.BIGEMINY_RATE[name], 15.0)


@pytest.mark.parametrize("rate", [120.0, 40.0])
def test_a_step_of_the_rate_is_shown_within_11_seconds(rate: float) -> None:
    beats = monitor.steps([(80.0, 20.0), (rate, 45.0)])
    assert watch(monitor.draw(beats, 45.0, 250.0)).reads(rate, 20.0 + 11.0)


@pytest.mark.parametrize("before", [0.0, 20.0])
@pytest.mark.parametrize("gain", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("name", ["B1", "B2"])
def test_ventricular_tachycardia_alarms_within_11_seconds(name: str, gain: float, before: float) -> None:
    x = monitor.ventricular_tachycardia(name, gain, before, before + 25.0, 250.0)
    shown = watch(x)
    assert min(shown.announced(*FAST), default=np.inf) < before + 11.0
    assert not shown.announced("asystole")
    assert shown.reads(monitor.VT_RATE[name], before + 15.0)


@pytest.mark.parametrize("rate", [150.0, 220.0, 260.0])
def test_a_jump_to_a_fast_rhythm_alarms_within_11_seconds(rate: float) -> None:
    x = monitor.draw(monitor.steps([(80.0, 20.0), (rate, 40.0)]), 40.0, 250.0)
    shown = watch(x)
    assert min(shown.announced(*FAST), default=np.inf) < 31.0
    assert not shown.announced("asystole")


@pytest.mark.parametrize("rate", [30, 40, 60, 80, 120])
@pytest.mark.parametrize("t_mv", [0.6, 1.0, 1.2])
def test_tall_t_waves_are_not_counted(t_mv: float, rate: float) -> None:
    since = 14.0 if rate < 40 else 12.0
    assert watch(steady(rate, 28.0, width=0.1, t_mv=t_mv)).reads(rate, since)


PULSES = [(mv, width) for mv in (2.0, 100.0, 700.0, -2.0, -700.0) for width in (0.0001, 0.0005, 0.002)]


@pytest.mark.parametrize("fs", [250.0, 500.0])
@pytest.mark.parametrize(("mv", "width"), PULSES)
def test_pacing_without_capture_is_asystole(mv: float, width: float, fs: float) -> None:
    at = np.arange(0.3, 20.0, 0.75)
    quiet = 0.003 * np.random.default_rng(3).standard_normal((round(20 * fs), 1))
    shown = watch(quiet + monitor.pulses(at, 20.0, fs, mv, width), fs)
    assert shown.beats == []
    assert shown.announced("asystole")


@pytest.mark.parametrize("fs", [250.0, 500.0])
@pytest.mark.parametrize(("mv", "width"), PULSES)
def test_pacing_pulses_beside_the_beats_are_not_counted(mv: float, width: float, fs: float) -> None:
    at = np.arange(0.3, 25.0, 0.75)
    shown = watch(steady(60, 25.0, fs) + monitor.pulses(at, 25.0, fs, mv, width), fs)
    assert shown.reads(60.0, 12.0)


@pytest.mark.parametrize("fs", [250.0, 500.0])
@pytest.mark.parametrize("width", [0.0005, 0.002])
@pytest.mark.parametrize("mv", [700.0, -700.0])
def test_what_the_amplifier_recovers_after_a_pulse_is_no_beat(mv: float, width: float, fs: float) -> None:
    at = np.arange(0.3, 20.0, 0.75)
    quiet = 0.003 * np.random.default_rng(3).standard_normal((round(20 * fs), 1))
    shown = watch(quiet + monitor.pulses(at, 20.0, fs, mv, width, overshoot_mv=2.0), fs)
    assert shown.beats == []
    assert shown.announced("asystole")


@pytest.mark.parametrize("overshoot", [0.0, 2.0])
@pytest.mark.parametrize(("mv", "width"), PULSES)
def test_paced_beats_are_counted_once(mv: float, width: float, overshoot: float) -> None:
    at = np.arange(0.3, 25.0, 0.75)
    pulses = monitor.pulses(at, 25.0, 250.0, mv, width, overshoot)
    assert watch(monitor.draw(monitor.rhythm(80, 0.43, 25.0), 25.0, 250.0) + pulses).reads(80.0, 12.0)


@pytest.mark.parametrize("rate", [30, 80, 200])
def test_drift_does_not_change_the_rate(rate: float) -> None:
    assert watch(steady(rate, 30.0) + monitor.drift(30.0, 250.0)).reads(rate, 12.0)


@pytest.mark.parametrize("hz", [50.0, 60.0])
@pytest.mark.parametrize("mv", [0.5, 1.0])
@pytest.mark.parametrize("rate", [30, 80, 200])
def test_mains_hum_does_not_change_the_rate(rate: float, mv: float, hz: float) -> None:
    assert watch(steady(rate, 28.0, mv=mv) + monitor.mains(28.0, 250.0, hz)).reads(rate, 12.0)


def test_the_hearts_last_beat_is_followed_by_an_alarm_of_asystole() -> None:
    x = monitor.draw(monitor.rhythm(80, 0.4, 20.0), 30.0, 250.0)
    assert 20.0 < min(watch(x).announced("asystole"), default=np.inf) < 20.0 + 10.0


def test_mains_hum_alone_makes_no_beats() -> None:
    hum = monitor.mains(20.0, 250.0, 50.0, 1.0)
    assert watch(hum).beats == []


def test_a_pulse_has_its_area_and_its_width() -> None:
    x = monitor.pulses([0.5], 1.0, 250.0, 10.0, 0.001)
    assert x.sum() / 250.0 == pytest.approx(10.0 * 0.001, rel=0.02)
    assert np.count_nonzero(np.abs(x) > 0.01) <= 4
