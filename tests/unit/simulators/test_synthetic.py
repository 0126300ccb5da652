"""Scripts are read or refused at the column; patients follow their script, in every lead, without a seam."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from leadwire.errors import SettingError
from leadwire.model import INVALID_SAMPLE
from simulators import synthetic
from simulators.script import LEADS, RHYTHMS, Part, parse_script
from simulators.synthetic import simulate

FS = 250.0


def test_a_script_is_read() -> None:
    assert parse_script(
        "60 s sinus 72; 8.5 s asystole;\n 2 min sinus with pvc 6 with noise 0.2 with off V1 II;"
    ) == (
        Part(60, "sinus", 72),
        Part(8.5, "asystole"),
        Part(120, "sinus", 72, pvc=6, noise=0.2, off=("V1", "II")),
    )
    assert parse_script("1s vf ;1min af 90") == (Part(1, "vf"), Part(60, "af", 90))


@pytest.mark.parametrize(
    ("script", "column", "says"),
    [
        ("", 1, "the end came; a duration"),
        ("  ", 1, "the end came"),
        ("sinus 72", 1, "'sinus' came; a duration, 0.1 to 3600, was"),
        ("60 sinus", 4, "'sinus' came; 's' or 'min'"),
        ("60 s sinnus 72", 6, "'sinnus' came; a rhythm (sinus, "),
        ("60 s sinus 720", 12, "'720' came; the rate of sinus, 30 to 180"),
        ("60 s asystole 10", 15, "'10' came; ';' or 'with'"),
        ("60 s sinus 72 8 s vf", 15, "'8' came; ';' or 'with'"),
        ("60 s sinus with", 16, "the end came; 'pvc', 'noise' or 'off'"),
        ("60 s sinus with rain", 17, "'rain' came"),
        ("60 s sinus with pvc", 20, "the end came; PVCs a minute"),
        ("60 s sinus with pvc nan", 21, "'nan' came"),
        ("60 s sinus with noise -1", 23, "'-1' came; noise in mV, 0 to 10,"),
        ("60 s sinus with off", 20, "the end came; a lead (I, II"),
        ("60 s sinus with off V1 V9", 24, "'V9' came; ';' or 'with'"),
        ("0 s sinus", 1, "'0' came"),
        ("1 s sinus;; 1 s vf", 11, "';' came; a duration"),
        ("inf s sinus", 1, "'inf' came"),
        ("1e3 s sinus", 2, "'e3' came"),
    ],
)
def test_a_wrong_script_is_refused_at_its_column(script: str, column: int, says: str) -> None:
    with pytest.raises(SettingError) as refusal:
        parse_script(script)
    assert str(refusal.value).startswith(f"script, column {column}: ")
    assert says in str(refusal.value)


def test_a_script_has_a_longest_length() -> None:
    with pytest.raises(SettingError, match="a script of 7200 s came"):
        parse_script("60 min sinus; 60 min sinus")


@given(st.text(alphabet="0123456789. sminusvfwthpc;\n石", max_size=40))
def test_no_text_makes_the_parser_stumble(text: str) -> None:
    try:
        parts = parse_script(text)
    except SettingError:
        return
    assert all(p.seconds >= 0.1 and p.rhythm in RHYTHMS for p in parts)


def mv(script: str, seed: int = 1) -> tuple[NDArray[np.float64], synthetic.Truth]:
    source, truth = simulate(script, FS, seed)
    assert source.n_samples is not None
    d = source.read(0, source.n_samples)
    return np.where(d == INVALID_SAMPLE, np.nan, d / 500.0), truth


def rates(truth: synthetic.Truth, first_s: float, end_s: float) -> NDArray[np.float64]:
    beats = np.array([n for n, _ in truth.beats if first_s * FS <= n < end_s * FS]) / FS
    return 60 / np.diff(beats)


@pytest.mark.parametrize(
    ("rhythm", "rate"), [("sinus", 72), ("bradycardia", 34), ("tachycardia", 200), ("vt", 180)]
)
def test_a_rhythm_keeps_its_rate_and_its_beats_stand_at_its_peaks(rhythm: str, rate: float) -> None:
    x, truth = mv(f"60 s {rhythm} {rate}")
    assert np.mean(rates(truth, 0, 60)) == pytest.approx(rate, rel=0.03)
    ii = x[:, 1]
    for n, symbol in truth.beats[1:-1]:
        assert symbol == ("V" if rhythm == "vt" else "N")
        near = slice(n - 20, n + 21)
        assert abs(int(np.argmax(ii[near])) - 20) <= 3
        assert np.ptp(ii[near]) > 0.5


def test_the_same_seed_is_the_same_patient_and_another_is_another() -> None:
    script = "10 s sinus with pvc 10; 5 s af; 3 s vf; 2 s sinus with noise 0.1"
    (x, truth), (again, truth_again), (other, _) = mv(script, 5), mv(script, 5), mv(script, 6)
    np.testing.assert_array_equal(x, again)
    assert truth == truth_again
    assert np.abs(x - other).max() > 0.2


def test_the_twelve_leads_obey_einthoven_and_goldberger() -> None:
    x, _ = mv("20 s sinus 75 with pvc 10; 5 s vf")
    lead = dict(zip(LEADS, x.T, strict=True))
    # Breathing and electrode noise differ from lead to lead: 0.05 mV and 4 uV each.
    for got, expected in [
        (lead["III"], lead["II"] - lead["I"]),
        (lead["aVR"], -(lead["I"] + lead["II"]) / 2),
        (lead["aVL"], lead["I"] - lead["II"] / 2),
        (lead["aVF"], lead["II"] - lead["I"] / 2),
    ]:
        assert np.abs(got - expected).max() < 0.2
        assert np.corrcoef(got, expected)[0, 1] > 0.95


def test_asystole_has_no_beats_and_no_waves_from_its_beginning_to_its_end() -> None:
    x, truth = mv("10 s sinus 80; 8 s asystole; 10 s sinus 80")
    assert [n for n, _ in truth.beats if 10 * FS <= n < 18 * FS] == []
    assert np.ptp(x[int(10.7 * FS) : int(18 * FS)], axis=0).max() < 0.15
    assert len(rates(truth, 0, 28)) > 20


def test_a_pause_lasts_from_beat_to_beat() -> None:
    _, truth = mv("10 s sinus 80; 3.5 s pause; 10 s sinus 80")
    rr = 60 / rates(truth, 0, 24)
    assert rr.max() == pytest.approx(3.5, abs=0.01)
    assert sum(rr > 1) == 1


def test_fibrillation_of_the_ventricles_has_waves_and_no_beats() -> None:
    x, truth = mv("5 s sinus; 10 s vf; 5 s sinus")
    assert [n for n, _ in truth.beats if 5 * FS <= n < 15 * FS] == []
    ii = x[int(6 * FS) : int(14 * FS), 1]
    spectrum = np.abs(np.fft.rfft(ii - ii.mean()))
    assert 3 < np.argmax(spectrum) / 8 < 7
    assert np.ptp(ii) > 0.2


def test_af_is_irregular_and_sinus_is_not() -> None:
    _, truth = mv("60 s sinus 110; 60 s af 110")
    regular, irregular = 60 / rates(truth, 0, 60), 60 / rates(truth, 60.5, 120)
    assert regular.std() / regular.mean() < 0.05
    assert irregular.std() / irregular.mean() > 0.15
    assert irregular.min() >= 0.29


@pytest.mark.parametrize(("rhythm", "share"), [("bigeminy", 1 / 2), ("trigeminy", 1 / 3)])
def test_every_second_or_third_beat_is_an_early_ventricular_one(rhythm: str, share: float) -> None:
    _, truth = mv(f"60 s {rhythm} 75")
    symbols = "".join(s for _, s in truth.beats)
    assert symbols.count("V") / len(symbols) == pytest.approx(share, abs=0.03)
    assert "VV" not in symbols


def test_pvcs_come_as_often_as_the_script_says_and_their_pause_makes_up_for_them() -> None:
    _, truth = mv("600 s sinus 75 with pvc 6")
    beats = truth.beats
    v = [i for i, (_, s) in enumerate(beats) if s == "V" and 0 < i < len(beats) - 1]
    assert len(v) == pytest.approx(60, abs=20)
    for i in v:
        assert (beats[i + 1][0] - beats[i - 1][0]) / FS == pytest.approx(2 * 0.8, rel=0.1)
        assert (beats[i][0] - beats[i - 1][0]) / FS < 0.62


def test_an_electrode_off_measures_nothing_and_is_reported_just_then() -> None:
    source, _ = simulate("4 s sinus; 3 s sinus with off V1 aVL; 4 s sinus", FS)
    x = source.read(0, 2750)
    v1 = LEADS.index("V1")
    assert (x[1000:1750, v1] == INVALID_SAMPLE).all()
    assert (x[:1000, v1] != INVALID_SAMPLE).all()
    assert (x[1000:1750, 0] != INVALID_SAMPLE).all()
    assert [source.lead_off(n) for n in (999, 1000, 1749, 1750)] == [(), ("aVL", "V1"), ("aVL", "V1"), ()]


def test_rhythms_join_without_a_step_and_so_does_the_loop() -> None:
    x, truth = mv("5 s sinus; 5 s af; 5 s vt; 5 s vf; 4 s asystole; 5 s bigeminy; 3 s pause; 5 s tachycardia")
    steps = np.abs(np.diff(np.vstack([x, x[:1]]), axis=0)).max(axis=1)
    # Nothing in a QRS is steeper than that between two samples; a step would be.
    assert steps[int(np.argmax(steps))] < 0.45
    for first, _ in truth.rhythms:
        assert steps[first - 1] < 0.2
    assert [aux for _, aux in truth.rhythms] == ["(N", "(AFIB", "(VT", "(VF", "(ASYS", "(B", "(P", "(SVTA"]


@settings(max_examples=40, deadline=None)
@given(
    parts=st.lists(
        st.tuples(
            st.floats(0.1, 12),
            st.sampled_from(sorted(RHYTHMS)),
            st.sampled_from(["", " with pvc 30", " with off V2"]),
        ),
        min_size=1,
        max_size=6,
    ),
    seed=st.integers(0, 99),
)
def test_any_script_makes_a_record_as_long_as_it_says_with_beats_in_order(
    parts: list[tuple[float, str, str]], seed: int
) -> None:
    script = ";".join(f"{seconds:.2f} s {rhythm}{extra}" for seconds, rhythm, extra in parts)
    source, truth = simulate(script, FS, seed)
    n = sum(round(p.seconds * FS) for p in parse_script(script))
    assert source.n_samples == n
    beats = [sample for sample, _ in truth.beats]
    assert all(0 <= sample < n for sample in beats)
    assert np.diff(beats).min(initial=FS) > 0.2 * FS
    assert len(truth.rhythms) == len(parts)


def test_noise_is_added_where_it_is_asked_for() -> None:
    x, _ = mv("10 s asystole; 10 s asystole with noise 0.1; 10 s asystole")
    clean, noisy = x[: int(10 * FS)], x[int(10 * FS) : int(20 * FS)]
    assert noisy.std(axis=0) == pytest.approx(np.full(12, 0.1), rel=0.15)
    assert clean.std(axis=0).max() < 0.05


def test_without_neurokit2_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "neurokit2", None)
    synthetic._wave_shapes.cache_clear()
    with pytest.raises(
        SettingError, match=r"need neurokit2, which is not installed; pip install 'leadwire\[demo\]'"
    ):
        simulate("1 s sinus")
