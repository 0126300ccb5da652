"""Pulse waves: found, counted, and believed only where they deserve it."""

import numpy as np
import pytest
from numpy.typing import NDArray

from dsp.abstract import PulseTrain, Second, conditions
from dsp.pipeline import StreamAnalyzer
from dsp.pulse import PulseDetector, columns
from dsp.pulse_witness import contradicts, lost, pulsation, rate
from leadwire.model import RhythmEpisode, SampleChunk, StreamEvent
from leadwire.settings import Limits
from tests.dsp_signals import cut, digital, ecg, regular

GAIN = 100.0
BREATH = 0.05  # of a pulse's size, up and down


def pulses(onsets: NDArray[np.float64], seconds: float, fs: float, size: float = 1.0) -> NDArray[np.float64]:
    """A drawn pressure wave: a rise of 0.15 s, a fall with a dicrotic notch; it moves with the breath."""
    t = np.arange(round(seconds * fs)) / fs
    x = np.zeros(len(t))
    for onset in onsets:
        since = t - onset
        wave = np.exp(-0.5 * ((since - 0.15) / 0.07) ** 2) + 0.3 * np.exp(-0.5 * ((since - 0.42) / 0.08) ** 2)
        x += size * (1 + BREATH * np.sin(2 * np.pi * 0.25 * onset)) * wave
    return x


def detector(x: NDArray[np.float64], fs: float) -> PulseDetector:
    whole = chunk(np.zeros((len(x), 0)), x, fs)
    found = PulseDetector(fs, whole.sig_name, whole.units, 0)
    found.calibrate(whole)
    found.feed(whole.d_signal())
    return found


def chunk(leads: NDArray[np.float64], pulse: NDArray[np.float64], fs: float = 250.0) -> SampleChunk:
    """Two ECG leads and a pulse waveform."""
    n = leads.shape[1]
    d = np.column_stack([digital(leads, GAIN), digital(pulse, GAIN)])
    return SampleChunk(
        stream="t",
        first_sample=0,
        fs=fs,
        sig_name=(*("II", "V1")[:n], "PLETH"),
        units=(*("mV",) * n, "NU"),
        adc_gain=(GAIN,) * (n + 1),
        baseline=(0,) * (n + 1),
        samples=np.ascontiguousarray(d, "<i2").tobytes(),
        device_time=0.0,
        receive_time=0.0,
    )


def episodes(chunks: list[SampleChunk]) -> list[StreamEvent]:
    analyzer = StreamAnalyzer(Limits(), only=("no_qrs", "bradycardia", "tachycardia"))
    return [e for c in chunks for e in analyzer.process(c)]


def said(chunks: list[SampleChunk], kind: str) -> list[str]:
    """Why each episode of a kind was withheld; empty texts were announced."""
    return [
        e.withheld for e in episodes(chunks) if isinstance(e, RhythmEpisode) and e.kind == kind and not e.end
    ]


def test_breath_and_ecg_are_no_pulse() -> None:
    assert columns(("II", "RESP", "PLETH", "ABP", "CO2"), ("mV", "NU", "NU", "mmHg", "mmHg")) == [2, 3]


@pytest.mark.parametrize("fs", [100.0, 125.0, 250.0, 360.0, 1000.0])
@pytest.mark.parametrize("beats", [40, 75, 140])
def test_pulses_are_found_once_each_at_any_rate_of_sampling(fs: float, beats: float) -> None:
    onsets = regular(beats, 20)
    [train] = detector(pulses(onsets, 20, fs), fs).trains()
    late = onsets[(onsets > 8) & (onsets < 19)]
    found = train.onsets / fs
    found = found[(found > 8) & (found < 19.3)]
    assert abs(len(found) - len(late)) <= 1
    assert np.abs(np.diff(found) - 60 / beats).max() < 0.05


def test_the_rate_of_a_clean_pulse_is_told_and_that_of_noise_is_not() -> None:
    fs = 250.0
    clean = pulses(regular(80, 20), 20, fs)
    noise = np.cumsum(np.random.default_rng(1).standard_normal(len(clean))) / 30
    now = Second(fs=fs, start=4750, stop=5000)
    now.pulses = detector(clean, fs).trains()
    told = rate(now)
    assert told is not None
    assert abs(told - 80) < 2
    now.pulses = detector(noise, fs).trains()
    assert rate(now) is None
    now.pulses = []
    assert rate(now) is None
    assert not contradicts(now, 3000)


def train(onsets: list[float], sizes: list[float] | None = None) -> PulseTrain:
    breath = [1 + BREATH * np.sin(2 * np.pi * 0.25 * t) for t in onsets]
    at = np.array([round(250 * t) for t in onsets])
    return PulseTrain("ABP", at, np.array(sizes or breath), np.full(len(onsets), 0.9))


def test_only_a_pulse_that_went_on_undisturbed_contradicts() -> None:
    now = Second(fs=250.0, start=4750, stop=5000)
    steady = [0.8 * k for k in range(25)]

    def holds(onsets: list[float], sizes: list[float] | None = None, since: float = 14.0) -> bool:
        now.pulses = [train(onsets, sizes)]
        return contradicts(now, round(250 * since))

    assert holds(steady)
    assert not holds([t for t in steady if t < 17.5])  # it stopped
    assert not holds([t for t in steady if not 15 < t < 16.5])  # two are missing
    assert not holds([t for t in steady if t > 12])  # it began after what it would contradict: compressions
    assert not holds(steady, [1.0] * 20 + [0.3] * 5)  # it faded
    now.pulses = [train(steady)]
    assert not contradicts(now, 3500, low=80)


def test_only_a_clean_pulse_that_misses_a_beat_is_lost() -> None:
    now = Second(fs=250.0, start=4750, stop=5000)
    steady = [0.8 * k for k in range(25)]

    def gone(onsets: list[float], sizes: list[float] | None = None) -> bool:
        now.pulses = [train(onsets, sizes)]
        return lost(now, 17 * 250)

    assert not gone(steady)
    assert gone([t for t in steady if t < 17.2])
    assert gone([t for t in steady if not 17 < t < 18.5])
    assert not gone([t for t in steady if t < 11])  # it had gone long before
    rng = np.random.default_rng(5)
    assert not gone(np.sort(rng.uniform(0, 17, 25)).tolist())  # it never was clean
    now.pulses = []
    assert not lost(now, 17 * 250)


def test_a_clip_that_is_put_on_late_is_learnt_like_one_that_was_on() -> None:
    onsets = regular(75, 30)
    x = pulses(onsets, 30, 250.0)
    x[: 10 * 250] = 0.0
    [found] = detector(x, 250.0).trains()
    late = found.onsets[found.onsets > 15 * 250] / 250
    assert np.abs(np.diff(late) - 0.8).max() < 0.05


def test_asystole_is_withheld_while_the_pulse_goes_on_and_announced_when_it_stops() -> None:
    leads = ecg(regular(75, 15), 60)
    both = chunk(leads, pulses(regular(75, 60) + 0.25, 60, 250.0))
    assert set(said([both], "asystole")) == {"pulse"}
    stops = chunk(leads, pulses(regular(75, 35) + 0.25, 60, 250.0))
    assert said([stops], "asystole") == ["pulse", ""]
    never = chunk(leads, pulses(regular(75, 15) + 0.25, 60, 250.0))
    assert said([never], "asystole") == [""]


def test_an_asystole_on_flat_leads_ends_when_the_pulse_is_back_and_on_live_ones_it_does_not() -> None:
    leads = ecg(regular(75, 15), 60)
    onsets = regular(75, 60) + 0.25
    back = pulses(onsets[(onsets < 15) | (onsets > 26)], 60, 250.0)
    assert said([chunk(leads, back)], "asystole") == [""]
    leads[round(15.5 * 250) :] = 0.0
    assert said([chunk(leads, back)], "asystole") == ["", "pulse"]


def test_a_test_pattern_never_speaks_against_an_asystole() -> None:
    now = Second(fs=250.0, start=4750, stop=5000)
    now.pulses = [train([0.8 * k for k in range(25)], sizes=[1.0] * 25)]
    assert not contradicts(now, round(250 * 14.0))
    assert rate(now) is None


def test_three_slow_beats_are_an_extreme_bradycardia_at_once() -> None:
    slow = ecg([*regular(80, 30), *np.arange(31.9, 60, 2.2)], 60)[:, :1]
    first = next(
        e
        for e in episodes([chunk(slow, np.zeros(len(slow)))])
        if isinstance(e, RhythmEpisode) and e.kind == "extreme_bradycardia"
    )
    assert first.detected / 250 < 31.9 + 2 * 2.2 + 2.5 + 1.0


@pytest.mark.parametrize("lengths", [[1, 7, 400], [250], [33]])
def test_cuts_and_snapshots_leave_no_trace(lengths: list[int]) -> None:
    x = pulses(regular(75, 40) + 0.25, 40, 250.0)
    x[3000:3100] = np.nan
    whole = chunk(ecg(regular(75, 15), 40), x)
    expected = episodes([whole])
    pieces = cut([whole], lengths)
    assert episodes(pieces) == expected
    first, second = StreamAnalyzer(Limits()), StreamAnalyzer(Limits())
    half = len(pieces) // 2
    for piece in pieces[:half]:
        first.process(piece)
    second.restore(first.snapshot())
    assert second.snapshot() == first.snapshot()
    for piece in pieces[half:]:
        assert second.process(piece) == first.process(piece)


def test_a_gap_begins_the_pulse_anew() -> None:
    found = detector(pulses(regular(75, 10), 10, 250.0), 250.0)
    found.skip(10_000)
    [before] = found.trains()
    assert not pulsation(before, 250.0, 2500, 12_500).n
    found.feed(digital(pulses(regular(75, 10), 10, 250.0)[:, None], GAIN))
    [after] = found.trains()
    assert pulsation(after, 250.0, 12_500, 15_000).rate == pytest.approx(75, abs=2)


def test_a_ventricular_tachycardia_is_withheld_while_a_normal_pulse_goes_on() -> None:
    def watch(last_pulse: float) -> list[tuple[str, str]]:
        rule, out = conditions()["ventricular"](Limits()), []
        for k in range(40):
            now = Second(stream="t", fs=250.0, start=250 * k, stop=250 * (k + 1), leads=("II",))
            now.known = now.stop - 125
            now.wave_vt = now.wave_vf = now.wave_rate = np.full(1, np.nan)
            if k >= 20:
                now.classed = [(250 * k - 60, "V"), (250 * k - 160, "V")][::-1]
                now.classed.append((250 * k + 40, "V"))
            onsets = [0.8 * i for i in range(60) if 0.8 * i < min(k + 0.7, last_pulse)][-32:]
            now.pulses = [train(onsets)]
            out += [(e.kind, e.withheld) for e in rule.second(now) if e.end is None]
        return out

    assert {w for _, w in watch(99.0)} == {"pulse"}
    assert watch(20.5)[0] == ("ventricular_tachycardia", "")
    assert [w for _, w in watch(28.0)][-1] == ""
