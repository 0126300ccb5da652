"""Perturbed records are what their names say, and nothing else of them changes."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import wfdb
from msgspec import structs

from benchmarks.perturb import LATER_S, PERTURBATIONS, SNR_DB, perturbed
from leadwire.model import INVALID_SAMPLE, SampleChunk
from tests.dsp_signals import FS, chunk, cut, digital, ecg, regular


@pytest.fixture(scope="module")
def record() -> list[SampleChunk]:
    """Two leads and a pulse, 160 s in seconds; one sample is missing."""
    d = digital(ecg(regular(70, 160), 160))
    d = np.column_stack([d, d[:, 0]])
    d[1000, 0] = INVALID_SAMPLE
    whole = chunk(d, leads=("II", "V1", "X"))
    return cut([structs.replace(whole, sig_name=("II", "V1", "PLETH"), units=("mV", "mV", "NU"))], [250])


@pytest.fixture(scope="module")
def noises(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nstdb")
    x = np.random.default_rng(1).standard_normal((3600, 2))
    for name in ("em", "ma"):
        wfdb.wrsamp(
            name,
            fs=360,
            units=["mV"] * 2,
            sig_name=["a", "b"],
            p_signal=x,
            fmt=["16"] * 2,
            write_dir=str(folder),
        )
    return folder


def rows(chunks: list[SampleChunk]) -> np.ndarray:
    return np.concatenate([c.d_signal() for c in chunks])


@pytest.mark.parametrize("how", ["", *PERTURBATIONS])
def test_every_perturbation_leaves_a_stream_without_gaps(
    record: list[SampleChunk], noises: Path, how: str
) -> None:
    out = list(perturbed(record, how, noises))
    assert all(a.end_sample == b.first_sample for a, b in pairwise(out))
    assert out[-1].end_sample == record[-1].end_sample
    assert out[0].first_sample == (LATER_S * FS if how == "later" else 0)


@pytest.mark.parametrize(
    ("how", "left"),
    [("without-1", ("V1", "PLETH")), ("without-2", ("II", "PLETH")), ("no-pulse", ("II", "V1"))],
)
def test_what_is_missing_is_what_the_name_says(
    record: list[SampleChunk], noises: Path, how: str, left: tuple[str, ...]
) -> None:
    out = list(perturbed(record, how, noises))
    assert {c.sig_name for c in out} == {left}
    assert np.array_equal(rows(out), rows(record)[:, [record[0].sig_name.index(name) for name in left]])


def test_inverted_twice_is_the_record(record: list[SampleChunk], noises: Path) -> None:
    once = list(perturbed(record, "inverted", noises))
    assert rows(once)[1000, 0] == INVALID_SAMPLE
    assert np.array_equal(rows(once)[:, 2], rows(record)[:, 2])
    assert np.array_equal(rows(list(perturbed(once, "inverted", noises))), rows(record))


def test_noise_has_the_power_that_is_asked_for(record: list[SampleChunk], noises: Path) -> None:
    added = rows(list(perturbed(record, "noise", noises))).astype(float) - rows(record)
    swing = np.median(np.ptp(rows(record)[250:, 1].reshape(-1, 250), axis=1))
    assert np.std(added[:, 1]) == pytest.approx(swing / 8**0.5 * 10 ** (-SNR_DB / 20), rel=0.1)
    assert added[1000, 0] == 0
    assert not added[:, 2].any()
