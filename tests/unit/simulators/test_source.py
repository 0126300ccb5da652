"""Sources in memory and in a loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadwire.errors import RecordRejected
from leadwire.model import INVALID_SAMPLE
from simulators.source import ArraySource, Looped, from_physical

X = np.arange(14, dtype=np.int16).reshape(7, 2)
SOURCE = ArraySource(X, 100.0, ("I", "II"), ("mV", "mV"), (200.0, 200.0), (0, 0), off=((2, 4, ("II",)),))


@given(start=st.integers(0, 40), n=st.integers(0, 40))
def test_a_loop_repeats_its_source_for_ever(start: int, n: int) -> None:
    got = Looped(SOURCE).read(start, start + n)
    assert got.dtype == np.int16
    np.testing.assert_array_equal(got, X[np.arange(start, start + n) % 7])


def test_electrodes_fall_off_in_every_round() -> None:
    assert [Looped(SOURCE).lead_off(n) for n in (1, 2, 3, 4, 9, 11)] == [
        (),
        ("II",),
        ("II",),
        (),
        ("II",),
        (),
    ]


def test_nothing_cannot_be_looped() -> None:
    with pytest.raises(RecordRejected, match="without samples"):
        Looped(ArraySource(X[:0], 100.0, ("I", "II"), ("mV", "mV"), (200.0, 200.0), (0, 0)))
    with pytest.raises(RecordRejected, match="without an end"):
        Looped(Looped(SOURCE))


def test_physical_values_are_rounded_cut_off_and_marked_where_missing() -> None:
    source = from_physical(np.array([[0.1, np.nan], [100.0, -100.0], [-0.0011, np.inf]]), 100.0, ("I", "II"))
    np.testing.assert_array_equal(
        source.read(0, 3), [[50, INVALID_SAMPLE], [32767, -32767], [-1, INVALID_SAMPLE]]
    )


@pytest.mark.parametrize(
    ("samples", "fs", "says"),
    [
        (X[:, :1], 100.0, r"shape \(7, 1\) came; int16 of shape \(n, 2\)"),
        (X.astype(np.int32), 100.0, "int32 samples"),
        (X, 1.0, "fs 1.0 Hz came"),
    ],
)
def test_impossible_arrays_are_rejected(samples: np.ndarray, fs: float, says: str) -> None:
    with pytest.raises(RecordRejected, match=says):
        ArraySource(samples, fs, ("I", "II"), ("mV", "mV"), (200.0, 200.0), (0, 0))
