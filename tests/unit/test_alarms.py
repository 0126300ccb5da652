"""The alarm benchmarks judge rightly, and what they measured on a short selection must not slide back."""

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import wfdb

from benchmarks import alarms, falsealarms
from benchmarks.alarms import Truth
from leadwire.errors import SettingError
from leadwire.model import Evidence, RhythmEpisode
from leadwire.settings import Limits


def episode(kind: str, onset: int, end: int | None = None, withheld: str = "") -> RhythmEpisode:
    return RhythmEpisode(
        stream="t",
        kind=kind,
        onset=onset,
        detected=onset + 500,
        end=end,
        withheld=withheld,
        evidence=Evidence(rule="r", value=0.0, threshold=4.0, unit="s"),
    )


def test_a_missed_true_alarm_weighs_five() -> None:
    rows = [{"outcome": "TP"}] * 5 + [{"outcome": "TN"}] * 3 + [{"outcome": "FP"}, {"outcome": "FN"}]
    assert alarms.score(rows) == pytest.approx(100 * 8 / 14)
    assert alarms.score([]) is None


def test_only_announced_episodes_that_lasted_into_the_window_count() -> None:
    over = [episode("asystole", 1000), episode("asystole", 1000, 2000)]
    assert alarms.announced(over, ("asystole",), 3000) is None
    assert alarms.announced(over[:1], ("asystole",), 3000) == over[0]
    assert alarms.announced([episode("asystole", 1000, withheld="pulse")], ("asystole",), 0) is None
    assert alarms.announced([episode("pause", 1000)], ("asystole",), 0) is None


def test_the_truth_is_read_from_the_table_and_from_a_header(tmp_path: Path) -> None:
    assert alarms.truths(tmp_path) == {}
    (tmp_path / "ALARMS.csv").write_text("record,alarm,true\na1,Asystole,1\nv2,Ventricular_Tachycardia,0\n")
    assert alarms.truths(tmp_path) == {
        "a1": Truth("asystole", True),
        "v2": Truth("ventricular_tachycardia", False),
    }
    for name, comments, truth in (
        ("a1", ["Asystole", "True alarm"], Truth("asystole", True)),
        ("v2", ["Ventricular_Tachycardia", "False alarm"], Truth("ventricular_tachycardia", False)),
        ("x3", ["Asystole"], None),
    ):
        wfdb.wrsamp(
            name,
            fs=250,
            units=["mV"],
            sig_name=["II"],
            p_signal=np.zeros((10, 1)),
            fmt=["16"],
            adc_gain=[200.0],
            baseline=[0],
            comments=comments,
            write_dir=str(tmp_path),
        )
        assert alarms.from_header(tmp_path / name) == truth
    (tmp_path / "ALARMS.csv").write_text("record,alarm,true\na1,Thunder,1\n")
    with pytest.raises(SettingError, match="Thunder"):
        alarms.truths(tmp_path)


def test_no_record_both_tunes_and_is_held_out() -> None:
    assert not alarms.HELD_OUT & alarms.TUNED
    assert not falsealarms.HELD_OUT & falsealarms.TUNED


def test_normal_time_is_what_is_annotated_so_less_its_margins() -> None:
    assert falsealarms.normal([], 100.0, 50_000) == [(0, 50_000)]
    changes = [(10, "(N"), (20_000, "(VT"), (21_000, "(N"), (40_000, "(AFIB")]
    assert falsealarms.normal(changes, 100.0, 50_000) == [(0, 19_000), (22_000, 39_000)]


def test_an_alarm_that_the_reference_confirms_is_not_false() -> None:
    beats = np.concatenate([np.arange(0, 10_000, 200), np.arange(10_500, 20_000, 100)])

    def holds(kind: str, onset: int) -> bool:
        ventricular = np.array([18_100, 18_200])
        return falsealarms.confirmed(episode(kind, onset), beats, ventricular, 100.0, Limits())

    assert holds("pause", 9_900)
    assert not holds("tachycardia", 15_000)
    assert holds("bradycardia", 5_000)
    assert not holds("ventricular_tachycardia", 18_000)
    assert holds("pvc_couplet", 18_000)
    assert not holds("atrial_fibrillation", 18_000)


@pytest.mark.records
def test_alarms_of_the_challenge(database: Callable[[str], Path]) -> None:
    names = "a142s,a385l,a604s,a608s,a645l,b269l,t149l,t777l,t817l"
    result = alarms.run(Namespace(data=str(database("cinc2015")), records=names))
    assert result.total["alarms"]["asystole"]["TPR"] == 100
    assert result.total["alarms"]["extreme_tachycardia"]["TPR"] == 100
    assert result.total["score"] >= 60


@pytest.mark.records
def test_false_alarms_of_a_healthy_heart(database: Callable[[str], Path]) -> None:
    result = falsealarms.run(Namespace(data=str(database("mitdb")), records="112", annotator="atr"))
    assert result.total["rhythm_per_day"] <= 40
