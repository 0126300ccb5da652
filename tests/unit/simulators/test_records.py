"""Any WFDB record plays as the numbers it holds, however it is cut into blocks."""

from pathlib import Path

import numpy as np
import pytest
import wfdb
from numpy.typing import NDArray

from leadwire.errors import RecordRejected
from leadwire.model import INVALID_SAMPLE
from simulators import records
from simulators.records import RecordSource
from simulators.source import Source


def physical(source: Source) -> NDArray[np.float64]:
    assert source.n_samples is not None
    d = source.read(0, source.n_samples)
    assert d.dtype == np.int16
    p = (d - np.array(source.baseline, dtype=np.float64)) / np.array(source.adc_gain)
    p[d == INVALID_SAMPLE] = np.nan
    return p


def write(
    folder: Path,
    d: NDArray[np.int64],
    fmt: str,
    gain: float = 200.0,
    baseline: int = 0,
    name: str = "r",
    sig_name: tuple[str, ...] | None = None,
    units: str = "mV",
    fs: float = 250,
) -> Path:
    n = d.shape[1]
    wfdb.wrsamp(
        name,
        fs=fs,
        units=[units] * n,
        sig_name=list(sig_name or tuple(f"L{i}" for i in range(n))),
        d_signal=d,
        fmt=[fmt] * n,
        adc_gain=[gain] * n,
        baseline=[baseline] * n,
        write_dir=str(folder),
    )
    return folder / name


def noise(n: int, n_sig: int, amplitude: int) -> NDArray[np.int64]:
    return np.random.default_rng(3).integers(-amplitude, amplitude, (n, n_sig), endpoint=True)


@pytest.mark.parametrize(("fmt", "least"), [("16", -32768), ("212", -2048), ("80", -128)])
def test_a_narrow_format_keeps_its_numbers_and_tells_what_was_not_measured(
    tmp_path: Path, fmt: str, least: int
) -> None:
    d = noise(1000, 2, -least - 1)
    d[100:120, 1] = least
    source = RecordSource(write(tmp_path, d, fmt, baseline=10))
    assert (source.fs, source.sig_name, source.units) == (250, ("L0", "L1"), ("mV", "mV"))
    assert (source.adc_gain, source.baseline, source.halved) == ((200, 200), (10, 10), (0, 0))
    expected = np.where(d == least, INVALID_SAMPLE, d)
    np.testing.assert_array_equal(source.read(0, 1000), expected)


def test_reading_across_blocks_gives_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "BLOCK_S", 0.3)
    d = noise(1000, 3, 1000)
    source = RecordSource(write(tmp_path, d, "212"))
    cuts = [0, 1, 74, 75, 76, 500, 999, 1000]
    for start in cuts:
        for stop in (c for c in cuts if c >= start):
            np.testing.assert_array_equal(source.read(start, stop), d[start:stop])


@pytest.mark.parametrize("gain", [200.0, -200.0])
def test_values_wider_than_int16_are_shifted_without_loss_when_that_is_enough(
    tmp_path: Path, gain: float
) -> None:
    d = noise(1000, 1, 30_000) + 1_000_000
    d[5] = -(1 << 23)
    path = write(tmp_path, d, "24", gain=abs(gain), baseline=999_000)
    header = path.with_suffix(".hea")
    header.write_text(header.read_text().replace("200.0(", f"{gain}("))
    source = RecordSource(path)
    assert source.halved == (0,)
    np.testing.assert_allclose(physical(source), wfdb.rdrecord(str(path)).p_signal, rtol=0, atol=1e-9)


def test_values_wider_still_are_halved_and_the_gain_says_so(tmp_path: Path) -> None:
    d = noise(1000, 1, 400_000) + 1_000_000
    path = write(tmp_path, d, "24", gain=8000.0, baseline=123)
    source = RecordSource(path)
    (halved,) = source.halved
    assert halved == 4
    assert source.adc_gain == (500.0,)
    error = np.abs(physical(source) - wfdb.rdrecord(str(path)).p_signal)
    assert error.max() <= 0.5 / 500.0 + 1e-9


def test_signals_of_different_rates_play_at_the_fastest_and_are_held(tmp_path: Path) -> None:
    frames = 500
    fast, slow = noise(frames * 4, 1, 900)[:, 0], noise(frames, 1, 900)[:, 0] + 50
    wfdb.Record(
        record_name="m",
        n_sig=2,
        fs=125,
        sig_len=frames,
        file_name=["m.dat"] * 2,
        fmt=["16", "16"],
        samps_per_frame=[4, 1],
        adc_gain=[200.0, 10.0],
        baseline=[0, 0],
        units=["mV", "mmHg"],
        sig_name=["II", "ABP"],
        adc_res=[16, 16],
        adc_zero=[0, 0],
        init_value=[int(fast[0]), int(slow[0])],
        checksum=[int(fast.sum() % 65536), int(slow.sum() % 65536)],
        block_size=[0, 0],
        e_d_signal=[fast, slow],
    ).wrsamp(expanded=True, write_dir=str(tmp_path))
    source = RecordSource(tmp_path / "m")
    assert (source.fs, source.n_samples, source.units) == (500, frames * 4, ("mV", "mmHg"))
    np.testing.assert_array_equal(
        source.read(0, frames * 4), np.column_stack([fast, np.repeat(slow, 4)]).astype(np.int16)
    )


def test_a_record_in_segments_plays_through_gain_changes_and_holes(tmp_path: Path) -> None:
    write(tmp_path, noise(300, 1, 500), "16", gain=200.0, name="s1", sig_name=("II",))
    write(tmp_path, noise(200, 1, 500), "16", gain=400.0, name="s2", sig_name=("II",))
    (tmp_path / "lay.hea").write_text("lay 1 250 0\n~ 0 200/mV 16 0 0 0 0 II\n")
    (tmp_path / "m.hea").write_text("m/4 1 250 600\nlay 0\ns1 300\n~ 100\ns2 200\n")
    source = RecordSource(tmp_path / "m")
    expected = np.concatenate(
        [
            wfdb.rdrecord(str(tmp_path / "s1")).p_signal,
            np.full((100, 1), np.nan),
            wfdb.rdrecord(str(tmp_path / "s2")).p_signal,
        ]
    )
    np.testing.assert_allclose(physical(source), expected, atol=0.5 / 200 + 1e-9)


def test_nameless_and_double_signals_get_distinct_names(tmp_path: Path) -> None:
    path = write(tmp_path, noise(100, 3, 100), "16", sig_name=("ECG", "x", "y"))
    header = path.with_suffix(".hea")
    header.write_text(header.read_text().replace(" x\n", " ECG\n").replace(" y\n", "\n"))
    assert RecordSource(path).sig_name == ("ECG", "ECG-2", "signal 3")


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (None, "r.hea is missing"),
        ("", "header cannot be read"),
        ("\x00\xff nonsense", "header cannot be read"),
        ("r 0 250 100\n", "no signals"),
        ("r 1 250\nr.dat 16 200 16 0 0 0 0 II\n", "gives no length"),
        ("r 1 25 100\nr.dat 16 200 16 0 0 0 0 II\n", "fs 25.0 Hz came"),
        ("r 1 250 100\ngone.dat 16 200 16 0 0 0 0 II\n", "gone.dat is missing"),
        ("r 1 250 100\nr.dat 17 200 16 0 0 0 0 II\n", "cannot be read"),
        ("r 1 250 200\nr.dat 16 200 16 0 0 0 0 II\n", "signals cannot be read"),
        ("r/2 1 250 200\nnone 100\nr 100\n", "is missing"),
    ],
)
def test_a_record_that_cannot_be_played_is_rejected_with_the_reason(
    tmp_path: Path, header: str | None, says: str
) -> None:
    (tmp_path / "r.dat").write_bytes(bytes(200))
    if header is not None:
        (tmp_path / "r.hea").write_text(header, encoding="latin-1")
    with pytest.raises(RecordRejected, match=says):
        RecordSource(tmp_path / "r")


@pytest.mark.records
@pytest.mark.parametrize(
    "record",
    [
        "mitdb/101",
        "nstdb/118e00",
        "vfdb/418",
        "cudb/cu01",
        "cinc2015/a123l",
        "cinc2017/A00002",
        "cpsc2021/data_101_6",
        "ludb/1",
        "ptbdb/s0010_re",
        "nsrdb/16265",
        "cinc2011/1003574",
        "qtdb/sel114",
    ],
)
def test_a_public_record_plays_as_wfdb_reads_it(records: Path, record: str) -> None:
    path = records / record
    if not path.with_suffix(".hea").exists():
        pytest.skip(f"ECG records: there is no {record} in LEADWIRE_DATA")
    expected = wfdb.rdrecord(str(path)).p_signal
    source = RecordSource(path)
    got = physical(source)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-9, equal_nan=True)
