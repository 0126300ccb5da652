"""Lethal rhythms end to end: what is announced when, what gives way to what, and what is never lost."""

from pathlib import Path

import numpy as np
import pytest
import wfdb
from numpy.typing import NDArray

from benchmarks import vf
from benchmarks.vf_reference import segments, unclear
from dsp.pipeline import StreamAnalyzer
from leadwire.model import RhythmEpisode
from leadwire.settings import Limits
from tests.dsp_signals import FS, chunk, cut, digital, ecg, fibrillation, regular, wide

VF, VT, SUSTAINED = (
    "ventricular_fibrillation",
    "ventricular_tachycardia",
    "sustained_ventricular_tachycardia",
)


def told(x: NDArray[np.float64]) -> list[RhythmEpisode]:
    """The announced episodes: as they began, with their end if they ended."""
    analyzer = StreamAnalyzer(Limits())
    events = [e for c in cut([chunk(digital(x))], [250]) for e in analyzer.process(c)]
    last: dict[tuple[int, str], RhythmEpisode] = {}
    for e in events:
        if isinstance(e, RhythmEpisode) and not e.withheld:
            last[e.onset, e.kind] = e
    return list(last.values())


def of(episodes: list[RhythmEpisode], kind: str) -> list[RhythmEpisode]:
    return [e for e in episodes if e.kind == kind]


@pytest.fixture(scope="module")
def arrest() -> list[RhythmEpisode]:
    """20 s of sinus rhythm, 25 s of fibrillation, 20 s of nothing, 25 s of sinus rhythm."""
    still = 0.005 * np.random.default_rng(4).standard_normal((20 * 250, 2))
    beats = ecg(regular(72, 20), 20)
    return told(np.vstack([beats, fibrillation(25), still, ecg(regular(72, 25), 25)]))


def test_fibrillation_is_announced_within_ten_seconds_and_ends(arrest: list[RhythmEpisode]) -> None:
    [e] = of(arrest, VF)
    assert abs(e.onset / FS - 20) < 4
    assert 20 < e.detected / FS <= 30
    assert e.end is not None
    assert 43 < e.end / FS < 52


def test_the_asystole_after_it_is_announced(arrest: list[RhythmEpisode]) -> None:
    [e] = of(arrest, "asystole")
    assert 45 < e.detected / FS < 60


def test_nothing_else_is_announced_while_it_lasts(arrest: list[RhythmEpisode]) -> None:
    [fatal] = of(arrest, VF)
    assert fatal.end is not None
    for e in arrest:
        if e.kind in (VT, SUSTAINED, "asystole", "pause", "tachycardia", "extreme_tachycardia"):
            assert e.detected >= fatal.end - FS or (e.end is not None and e.end <= fatal.detected + FS)


@pytest.mark.parametrize("rate", [150, 180, 210])
def test_a_stream_that_begins_in_a_wide_tachycardia_alarms_within_ten_seconds(rate: float) -> None:
    episodes = told(wide(regular(rate, 20), 20))
    assert min(e.detected for e in episodes if e.kind in (VT, VF)) <= 10 * FS


def test_a_tachycardia_of_half_a_minute_is_sustained_and_said_once() -> None:
    episodes = told(wide(regular(150, 50), 50))
    [vt], [sustained] = of(episodes, VT), of(episodes, SUSTAINED)
    assert vt.end is not None
    assert sustained.detected / FS == pytest.approx(vt.onset / FS + 30, abs=2)
    assert sustained.end is None


def test_a_slow_ventricular_rhythm_is_no_tachycardia() -> None:
    episodes = told(ecg(regular(80, 14), 40) + wide(regular(60, 39, 14.5), 40))
    assert of(episodes, "ventricular_rhythm")
    assert not [e for e in episodes if e.kind in (VT, VF, SUSTAINED)]


@pytest.mark.parametrize("rate", [50, 80, 120])
def test_sinus_rhythm_is_none_of_it(rate: float) -> None:
    assert not [e for e in told(ecg(regular(rate, 40), 40)) if "ventricular" in e.kind]


@pytest.mark.parametrize(
    ("heard", "found", "false"),
    [
        ([(22.0, 60.0)], 1, 0),
        ([(5.0, 70.0)], 1, 0),  # active at the onset
        ([(5.0, 6.0)], 0, 1),
        ([(100.0, 130.0)], 0, 0),  # ventricular tachycardia
        ([(205.0, 210.0)], 0, 0),  # noise beside it
        ([(400.0, 410.0)], 0, 1),
        ([], 0, 0),
    ],
)
def test_how_the_benchmark_counts(heard: list[tuple[float, float]], found: int, false: int) -> None:
    parts = [
        (0.0, 20.0, "N"),
        (20.0, 60.0, "VF"),
        (60.0, 100.0, "N"),
        (100.0, 200.0, "VT"),
        (200.0, 220.0, "NOISE"),
        (220.0, 300.0, "N"),
        (300.0, 303.0, "VF"),  # too short to count
        (303.0, 500.0, "N"),
    ]
    assert unclear(parts) == [(200.0, 220.0)]
    counts = vf.score(parts, heard)
    assert (counts.episodes, counts.found, counts.false) == (1, found, false)


def test_a_run_of_fast_beats_is_cut_out_where_no_rhythm_is_annotated(tmp_path: Path) -> None:
    beats = np.concatenate([np.arange(1, 10, 0.8), np.arange(10, 13, 0.25), np.arange(13, 20, 0.8)])
    symbols = ["N"] * len(beats)
    wfdb.wrann("bare", "atr", np.round(250 * beats).astype(int), symbols, fs=250, write_dir=str(tmp_path))
    notes = ["(N", *[""] * (len(beats) - 1)]
    samples = np.round(250 * beats).astype(int)
    wfdb.wrann("noted", "atr", samples, symbols, aux_note=notes, fs=250, write_dir=str(tmp_path))
    words = [word for _, _, word in segments(tmp_path / "bare", 20.0, 250.0, fast=True)]
    assert words == ["N", "FAST", "N"]
    assert segments(tmp_path / "bare", 20.0, 250.0) == [(0.0, 20.0, "N")]
    assert segments(tmp_path / "noted", 20.0, 250.0, fast=True) == [(0.0, 20.0, "N")]


@pytest.mark.records
def test_floors_on_records(database) -> None:  # type: ignore[no-untyped-def]
    """One held-out and two tuned records; the full run is ``leadwire bench vf``."""

    total = vf.Counts()
    for name in ("cu01", "cu21", "cu31"):
        path: Path = database("cudb") / name
        record = wfdb.rdrecord(str(path), physical=False)
        fs = float(record.fs)
        total += vf.score(segments(path, record.sig_len / fs, fs), vf.alarms(record))
    assert total.episodes == 7
    assert total.found >= 6
    assert total.false <= 1
    assert np.median(total.delays) < 8
