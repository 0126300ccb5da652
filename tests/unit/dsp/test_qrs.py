"""What holds for the QRS detector on synthetic signals, whatever is done to them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dsp import qrs_state, qrs_weights
from dsp.qrs import QrsDetector, detect
from dsp.qrs_judge import discriminant

FS = 250.0
Array = NDArray[np.float64]


def ecg(
    seconds: float, fs: float = FS, rate: float = 75.0, amplitude: float = 1.0, noise: float = 0.01
) -> Array:
    """(n_samples,) in mV: P, narrow QRS and T as Gaussians, the first R at 0.5 s, a little white noise."""
    t = np.arange(int(seconds * fs)) / fs
    x = np.random.default_rng(7).normal(0.0, noise, len(t))
    for r in r_peaks(seconds, rate):
        for at, width, height in (
            (-0.16, 0.025, 0.12),
            (0, 0.011, 1),
            (0.03, 0.012, -0.25),
            (0.28, 0.05, 0.25),
        ):
            x += amplitude * height * np.exp(-0.5 * ((t - r - at) / width) ** 2)
    return x


def r_peaks(seconds: float, rate: float = 75.0) -> Array:
    return np.arange(0.5, seconds - 0.5, 60.0 / rate)


def in_pieces(x: Array, cuts: list[int], fs: float = FS) -> NDArray[np.void]:
    detector = QrsDetector(fs, x.shape[1])
    return np.concatenate([detector.process(piece) for piece in np.split(x, sorted(cuts))])


def two_leads() -> Array:
    x = np.stack([ecg(12), 0.4 * ecg(12, noise=0.05)], axis=1)
    x[700:800, 0] = np.nan
    x[1500:1560] = np.nan
    return x


def test_every_beat_is_found_once_and_on_time() -> None:
    beats = detect(ecg(60), FS)
    expected = r_peaks(60)
    assert len(beats) == len(expected)
    error = beats["sample"] / FS - expected
    assert np.abs(error).max() < 0.012
    latency = (beats["detected"] - beats["sample"]) / FS
    assert np.percentile(latency[beats["sample"] > 3 * FS], 99) <= 0.300
    assert latency.max() <= QrsDetector(FS, 1).delay_s
    assert beats["amplitude"] == pytest.approx(1.25, abs=0.3)


def test_first_report_comes_within_three_seconds() -> None:
    assert detect(ecg(10), FS)["detected"][0] <= 3 * FS


@settings(max_examples=40)
@given(st.lists(st.integers(0, 3000), max_size=30))
def test_any_cut_gives_the_same_bits(cuts: list[int]) -> None:
    x = two_leads()
    whole = QrsDetector(FS, 2).process(x)
    assert len(whole) > 10
    assert in_pieces(x, cuts).tobytes() == whole.tobytes()


def test_sample_by_sample_gives_the_same_bits() -> None:
    x = two_leads()[:1500]
    assert in_pieces(x, list(range(1500))).tobytes() == QrsDetector(FS, 2).process(x).tobytes()


@settings(max_examples=20)
@given(st.integers(0, 3000))
def test_a_restored_snapshot_continues_bit_for_bit(cut: int) -> None:
    x = two_leads()
    one, other = QrsDetector(FS, 2), QrsDetector(FS, 2)
    one.process(x[:cut])
    other.restore(one.snapshot())
    assert other.process(x[cut:]).tobytes() == one.process(x[cut:]).tobytes()
    assert other.snapshot() == one.snapshot()


def test_a_foreign_snapshot_is_refused_and_changes_nothing() -> None:
    detector = QrsDetector(FS, 1)
    detector.process(ecg(3)[:, None])
    before = detector.snapshot()
    for bad in (
        b"",
        before[:-1],
        b"XXXX" + before[4:],
        QrsDetector(FS, 2).snapshot(),
        QrsDetector(360, 1).snapshot(),
    ):
        with pytest.raises(ValueError, match=r"was expected|were expected"):
            detector.restore(bad)
    assert detector.snapshot() == before


def test_what_comes_later_changes_nothing_reported_before() -> None:
    x = ecg(20)[:, None]
    other = x.copy()
    other[2500:] = np.random.default_rng(1).normal(0, 3, other[2500:].shape)
    one, two = (QrsDetector(FS, 1).process(s) for s in (x, other))
    assert one[one["detected"] < 2500].tobytes() == two[two["detected"] < 2500].tobytes()


def test_input_is_not_written_and_may_be_read_only() -> None:
    x = two_leads()
    kept = x.copy()
    x.flags.writeable = False
    QrsDetector(FS, 2).process(x)
    np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize("n", [0, 1, 7, 2500, 2501, 5000, 123_457])
def test_skipping_is_the_same_as_missing_samples(n: int) -> None:
    x = ecg(8)[:, None]
    one, two = QrsDetector(FS, 1), QrsDetector(FS, 1)
    for detector in (one, two):
        detector.process(x)
    assert one.skip(n).tobytes() == two.process(np.full((n, 1), np.nan)).tobytes()
    assert one.snapshot() == two.snapshot()
    assert one.n_samples == len(x) + n


def test_skipping_a_year_takes_no_time_and_detection_resumes() -> None:
    detector = QrsDetector(FS, 1)
    detector.process(ecg(8)[:, None])
    year = int(365 * 86400 * FS)
    detector.skip(year)
    beats = detector.process(ecg(10)[:, None])
    assert beats["sample"][0] == pytest.approx(8 * FS + year + 0.5 * FS, abs=4)


@pytest.mark.parametrize("fs", [100.0, 128.0, 200.0, 250.0, 257.3, 360.0, 500.0, 1000.0])
def test_any_sampling_rate_gives_the_same_beats(fs: float) -> None:
    beats = detect(ecg(30, fs), fs)
    expected = r_peaks(30)
    assert len(beats) == len(expected)
    assert np.abs(beats["sample"] / fs - expected).max() < 0.016


@pytest.mark.parametrize("gain", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_gain_and_polarity_do_not_matter(gain: float, sign: float) -> None:
    assert len(detect(sign * gain * ecg(30), FS)) == len(r_peaks(30))


def test_nothing_below_the_monitors_floor_is_a_beat() -> None:
    assert len(detect(0.1 * ecg(60, noise=0.0), FS)) == 0


@pytest.mark.parametrize("sd", [0.005, 0.02, 0.1, 1.0])
def test_noise_alone_makes_no_beats(sd: float) -> None:
    noise = np.random.default_rng(3).normal(0, sd, int(60 * FS))
    assert len(detect(noise, FS)) == 0


@pytest.mark.parametrize("value", [0.0, 5.0, -300.0, np.nan, np.inf])
def test_a_flat_stuck_or_missing_line_makes_no_beats(value: float) -> None:
    assert len(detect(np.full(int(60 * FS), value), FS)) == 0


def test_asystole_is_not_filled_with_noise() -> None:
    x = np.concatenate([ecg(20), np.random.default_rng(5).normal(0, 0.02, int(30 * FS))])
    assert detect(x, FS)["sample"].max() < 20.2 * FS


def test_edges_of_gaps_make_no_beats_and_detection_resumes_at_once() -> None:
    x = ecg(60) + np.linspace(0, 40, int(60 * FS))  # a drift, so that each edge could be a step
    for start in (10.3, 20.65, 31.0):
        x[int(start * FS) : int((start + 5) * FS)] = np.nan
    beats = detect(x, FS)["sample"] / FS
    expected = r_peaks(60)
    expected = expected[~((expected % 60 > 10.2) & (expected < 15.4))]
    false = [b for b in beats if np.abs(r_peaks(60) - b).min() > 0.1]
    assert not false
    for end in (15.3, 25.65, 36.0):
        assert ((beats > end) & (beats < end + 3)).sum() >= 2


@pytest.mark.parametrize("factor", [0.2, 5.0])
def test_after_a_gain_step_beats_are_found_again_within_three_seconds(factor: float) -> None:
    x = ecg(40, amplitude=1.5)
    x[int(20 * FS) :] *= factor
    found = detect(x, FS)
    reported = found[(found["sample"] > 20 * FS) & (found["detected"] < 23.2 * FS)]
    assert len(reported) >= 1
    late = r_peaks(40)
    assert (found["sample"] > 23 * FS).sum() >= (late > 23).sum() - 1


def test_saturation_makes_no_train_of_beats_and_detection_resumes() -> None:
    x = ecg(40)
    x[int(15 * FS) : int(19 * FS)] = 5.0
    beats = detect(np.clip(x, -5, 5), FS)["sample"] / FS
    assert ((beats > 15.3) & (beats < 19)).sum() == 0
    assert ((beats > 19) & (beats < 22)).sum() >= 3


def test_pacing_pulses_alone_are_no_beats() -> None:
    fs = 1000.0
    x = np.random.default_rng(2).normal(0, 0.01, int(30 * fs))
    for at in range(500, len(x), 900):
        x[at : at + 2] += 5.0
    assert len(detect(x, fs)) == 0


@pytest.mark.parametrize("fs", [250.0, 360.0, 500.0, 1000.0])
@pytest.mark.parametrize("mv", [-8.0, -0.6, 0.6, 3.0])
def test_a_line_that_jumps_between_two_levels_makes_no_beats(mv: float, fs: float) -> None:
    x = np.random.default_rng(2).normal(0, 0.005, int(30 * fs))
    x += np.where(np.arange(len(x)) / fs % 1.6 < 0.8, mv, 0.0)
    assert len(detect(x, fs)) == 0


@pytest.mark.parametrize("gain", [3.0, 8.0])
@pytest.mark.parametrize("fs", [128.0, 250.0, 360.0, 1000.0])
def test_the_steepest_complexes_are_no_pulses(fs: float, gain: float) -> None:
    assert len(detect(gain * ecg(30, fs), fs)) == len(r_peaks(30))


def test_a_large_p_wave_is_not_counted_beside_its_complex() -> None:
    x = ecg(60)
    t = np.arange(len(x)) / FS
    for r in r_peaks(60):
        x += 0.4 * np.exp(-0.5 * ((t - r + 0.18) / 0.03) ** 2)
    assert len(detect(x, FS)) == len(r_peaks(60))


@pytest.mark.parametrize("pr", [0.16, 0.2, 0.22])
def test_the_p_wave_of_a_slow_conduction_waits_for_its_complex(pr: float) -> None:
    x = ecg(60, rate=60.0)
    t = np.arange(len(x)) / FS
    for r in r_peaks(60, 60.0)[10:]:
        x += 0.35 * np.exp(-0.5 * ((t - r + pr) / 0.02) ** 2)
    assert len(detect(x, FS)) == len(r_peaks(60, 60.0))


def test_a_complex_that_the_start_cuts_in_two_is_no_beat() -> None:
    x = ecg(30)[int(0.5 * FS) :]  # begins at the top of an R wave
    assert detect(x, FS)["sample"][0] == pytest.approx(0.8 * FS, abs=4)


@pytest.mark.parametrize("lead", [0, 1])
def test_while_one_lead_is_off_the_other_goes_on(lead: int) -> None:
    x = np.stack([ecg(60), 0.5 * ecg(60, noise=0.02)], axis=1)
    off = np.arange(int(20 * FS), int(30 * FS))
    x[off, lead] = 3.0 * np.exp(-(off - off[0]) / (2.0 * FS))  # an electrode comes off, the amplifier settles
    beats = detect(x, FS)["sample"] / FS
    expected = r_peaks(60)
    missed = [r for r in expected if np.abs(beats - r).min() > 0.1]
    assert len(missed) <= 1
    assert len(beats) <= len(expected) + 1


def test_a_lead_that_fails_or_is_noise_does_not_matter_while_another_is_good() -> None:
    good = ecg(60)
    noise = np.random.default_rng(4).normal(0, 0.5, len(good))
    dead = np.full(len(good), np.nan)
    for other in (noise, dead, np.zeros(len(good))):
        for pair in ((good, other), (other, good)):
            assert len(detect(np.stack(pair, axis=1), FS)) == pytest.approx(len(r_peaks(60)), abs=1)


def test_when_leads_change_places_detection_goes_on() -> None:
    x = np.stack([ecg(40), np.full(int(40 * FS), np.nan)], axis=1)
    x[int(20 * FS) :] = x[int(20 * FS) :, ::-1].copy()
    beats = detect(x, FS)["sample"] / FS
    assert ((beats > 20) & (beats < 23)).sum() >= 2
    assert (beats > 23).sum() >= (r_peaks(40) > 23).sum() - 1


def test_the_net_is_of_the_features_that_are_measured() -> None:
    weights = qrs_weights.load()
    assert weights.shape[0] == 2 + len(qrs_state.FEATURES)
    phi = np.random.default_rng(6).normal(size=len(qrs_state.FEATURES))
    sums = weights[0] + phi @ weights[1:-1]
    expected = weights[-1, 0] * sums[0] + np.maximum(sums[1:], 0.0) @ weights[-1, 1:]
    assert discriminant(weights, phi) == pytest.approx(expected)


def test_sixteen_leads_at_1000_hz_fit_in_80_kilobytes() -> None:
    assert len(QrsDetector(1000.0, 16).snapshot()) <= 81920


@pytest.mark.parametrize(
    ("fs", "n_sig"), [(99.0, 1), (1001.0, 1), (float("nan"), 1), (250.0, 0), (250.0, 17)]
)
def test_impossible_configurations_are_refused(fs: float, n_sig: int) -> None:
    with pytest.raises(ValueError, match=r"was expected|were expected"):
        QrsDetector(fs, n_sig)


@pytest.mark.parametrize("shape", [(10,), (10, 2), (10, 1, 1)])
def test_samples_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\(n_samples, 1\) was expected"):
        QrsDetector(FS, 1).process(np.zeros(shape))
