"""Acceptability of 12-lead recordings: verdicts and the reasons per lead."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.quality import figures
from benchmarks.train_acceptability import labels, read
from dsp.acceptability import assess
from leadwire.errors import BugError
from tests.dsp_signals import ecg, regular

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
FS = 250.0
N = 2500


def twelve(noise: float = 0.01) -> NDArray[np.float64]:
    """A clean recording, shape (N, 12)."""
    one, other = ecg(regular(72, 10), 10, noise=0.0).T
    limb = np.column_stack([0.6 * one, 0.9 * one, 0.3 * one, -0.75 * one, 0.15 * one, 0.6 * one])
    chest = np.column_stack([other, 1.2 * other, 0.8 * one, 1.2 * one, one, 0.8 * one])
    x = np.hstack([limb, chest])
    return x + noise * np.random.default_rng(3).standard_normal(x.shape)


def why(x: NDArray[np.float64], lead: str) -> tuple[str, ...]:
    return assess(x, FS, LEADS).reasons[LEADS.index(lead)]


def test_a_clean_recording_is_acceptable_and_has_no_reasons() -> None:
    said = assess(twelve(), FS, LEADS)
    assert said.acceptable
    assert said.probability > 0.8
    assert not any(said.reasons)


@pytest.mark.parametrize(
    ("reason", "spoil"),
    [
        ("missing", lambda v, t: np.where(t > 5, np.nan, v)),
        ("flat", lambda v, t: 0 * v),
        ("lead_off", lambda v, t: 0 * v + 80.0),
        ("saturated", lambda v, t: np.where(t % 2 < 0.8, 10.0, v)),
        ("poor_contact", lambda v, t: np.where((t > 4) & (t < 5), v + 20 * np.sin(40 * t), v)),
        ("noisy", lambda v, t: v + 0.6 * np.random.default_rng(1).standard_normal(len(v))),
        ("mains", lambda v, t: v + 0.3 * np.sin(2 * np.pi * 50 * t)),
        ("wander", lambda v, t: v + 1.2 * np.sin(2 * np.pi * 0.25 * t)),
        ("low_voltage", lambda v, t: 0.05 * v),
    ],
)
def test_each_fault_is_named_on_its_lead_and_on_no_other(
    reason: str, spoil: Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]
) -> None:
    x = twelve(noise=0.004)
    x[:, 8] = spoil(x[:, 8], np.arange(N) / FS)
    said = assess(x, FS, LEADS).reasons
    assert reason in said[8]
    assert not any(said[:8] + said[9:])


@pytest.mark.parametrize("level", [0.0, 80.0])
def test_a_dead_lead_makes_it_unacceptable(level: float) -> None:
    x = twelve()
    x[:, 1] = level
    assert not assess(x, FS, LEADS).acceptable


def test_one_short_artefact_is_forgiven_and_a_long_one_on_many_leads_is_not() -> None:
    t = np.arange(N)[:, None] / FS
    burst = 8 * np.sin(2 * np.pi * 3 * t)
    short, long = twelve(), twelve()
    short[1000:1060, 4:5] += burst[1000:1060]
    long[500:2000, 4:10] += burst[500:2000]
    assert assess(short, FS, LEADS).acceptable
    assert not assess(long, FS, LEADS).acceptable


def test_exchanged_arms_are_remarked_and_forgiven() -> None:
    x = twelve()
    i, ii, iii, avr, avl, avf = x[:, :6].T.copy()
    x[:, :6] = np.column_stack([-i, iii, ii, avl, avr, avf])
    assert "swapped" in why(x, "I")
    assert assess(x, FS, LEADS).acceptable


@pytest.mark.parametrize("fs", [100.0, 500.0, 1000.0])
def test_the_verdict_does_not_hang_on_the_rate(fs: float) -> None:
    t = np.arange(round(10 * fs)) / fs
    x = np.column_stack([np.interp(t, np.arange(N) / FS, v) for v in twelve().T])
    assert assess(x, fs, LEADS).acceptable
    x[:, 6] = 0.0
    assert not assess(x, fs, LEADS).acceptable


def test_nothing_at_all_is_unacceptable_and_the_input_is_not_written() -> None:
    x = np.full((N, 12), np.nan)
    x.flags.writeable = False
    assert not assess(x, FS, LEADS).acceptable
    y = twelve()
    y.flags.writeable = False
    assert assess(y, FS, LEADS).acceptable


def test_too_little_is_refused() -> None:
    with pytest.raises(BugError):
        assess(twelve()[:100], FS, LEADS)


@pytest.mark.records
def test_it_agrees_with_the_readers_of_cinc_2011(database: Callable[[str], Path]) -> None:
    folder = database("cinc2011")
    known = labels(folder)
    names = sorted(known)[::4]
    said = [not assess(*read(folder / name)).acceptable for name in names]
    found = figures(np.array([known[name] for name in names]), np.array(said))
    assert found["accuracy"] is not None
    assert found["accuracy"] >= 88


@pytest.mark.records
def test_twelve_leads_of_another_clinic_are_acceptable(database: Callable[[str], Path]) -> None:
    folder = database("ludb")
    names = sorted(path.stem for path in folder.glob("*.hea"))[::5]
    assert np.mean([assess(*read(folder / name)).acceptable for name in names]) >= 0.85
