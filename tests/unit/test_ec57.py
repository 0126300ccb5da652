"""Our EC57 scorer against wfdb's, and what it adds to it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wfdb import processing

from benchmarks import ec57
from benchmarks.qrs import read
from dsp.qrs import detect


def samples(*values: int) -> ec57.Samples:
    return np.array(values, np.int64)


rising = st.lists(st.integers(0, 5000), unique=True, max_size=40).map(lambda v: np.array(sorted(v), np.int64))


@given(rising, rising, st.integers(0, 200))
def test_matching_is_one_to_one_within_the_window_and_the_largest_possible(
    beats: ec57.Samples, found: ec57.Samples, window: int
) -> None:
    of_beat, of_detection = ec57.match(beats, found, window)
    pairs = [(b, d) for b, d in enumerate(of_beat) if d >= 0]
    assert all(abs(int(beats[b]) - int(found[d])) <= window for b, d in pairs)
    assert sorted(d for _, d in pairs) == sorted(np.flatnonzero(of_detection >= 0))
    assert all(of_detection[d] == b for b, d in pairs)
    assert len(pairs) == greatest(beats, found, window)


def greatest(beats: ec57.Samples, found: ec57.Samples, window: int) -> int:
    """The size of a maximum matching, by augmenting paths."""
    partner: dict[int, int] = {}

    def place(b: int, seen: set[int]) -> bool:
        for d in np.flatnonzero(np.abs(found - beats[b]) <= window):
            if int(d) not in seen:
                seen.add(int(d))
                if int(d) not in partner or place(partner[int(d)], seen):
                    partner[int(d)] = b
                    return True
        return False

    return sum(place(b, set()) for b in range(len(beats)))


@pytest.mark.records
@pytest.mark.parametrize("name", ["101", "109", "118", "203", "208", "215", "223"])
def test_on_records_it_agrees_with_wfdb_where_detections_are_further_apart_than_the_window(
    name: str, database: Callable[[str], Path]
) -> None:
    record = read(database("mitdb") / name)
    assert record is not None
    found = detect(record.x[:, :1], record.fs)["sample"]
    found = found[np.diff(found, prepend=-(10**9)) > 0.15 * record.fs]
    ours = ec57.score(record.ref, found, record.fs)
    theirs = processing.compare_annotations(record.ref.beats, found, int(ec57.WINDOW_S * record.fs))
    # wfdb's neighbourwise matching may lose pairs where beats lie closer than two windows; ours never does.
    assert 0 <= ours.TP - theirs.tp <= 3
    assert theirs.fp - ours.FP == theirs.fn - ours.FN == ours.TP - theirs.tp


def test_vf_segments_are_excluded_on_both_sides() -> None:
    ref = ec57.reference(samples(100, 500, 900, 1300), ["N", "[", "]", "N"], 2000)
    assert ref.excluded == ((500, 900),)
    score = ec57.score(ref, samples(100, 600, 700, 1000, 1300), 360.0)
    assert (score.TP, score.FP, score.FN) == (2, 1, 0)


def test_a_vf_segment_without_an_end_reaches_to_the_end_of_the_record() -> None:
    assert ec57.reference(samples(10, 50), ["N", "["], 100).excluded == ((50, 100),)


def test_the_learning_period_is_left_out_of_all_counts() -> None:
    ref = ec57.reference(samples(10, 400, 800), ["N", "V", "N"], 1000)
    score = ec57.score(ref, samples(10, 300, 800), 1.0 * 100, skip_s=3.5)
    assert (score.TP, score.FP, score.FN) == (1, 0, 1)


def test_rhythm_marks_and_noise_are_no_beats() -> None:
    assert list(ec57.reference(samples(1, 2, 3, 4, 5), ["+", "~", "|", "N", "/"], 9).beats) == [4, 5]


def test_metrics_are_percentages_and_undefined_without_beats() -> None:
    metrics = ec57.Score(95, 10, 5).metrics()
    assert metrics["Se"] == pytest.approx(95.0)
    assert metrics["+P"] == pytest.approx(100 * 95 / 105)
    assert metrics["DER"] == pytest.approx(15.0)
    assert ec57.Score(0, 3, 0).metrics()["DER"] is None
