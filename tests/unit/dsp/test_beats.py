"""Beat classes and the patterns made of them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks import beat_score
from benchmarks.drawn_beats import draw
from dsp import beat_state
from dsp.beat_model import flatten, load
from dsp.beat_state import SYMBOLS
from dsp.beats import BeatClassifier
from dsp.pipeline import StreamAnalyzer
from leadwire.model import Beat, RhythmEpisode, StreamEvent
from leadwire.settings import Limits
from tests.dsp_signals import FS, trouble


def run(kind: str) -> list[StreamEvent]:
    analyzer = StreamAnalyzer(Limits())
    return [event for c in trouble(kind) for event in analyzer.process(c)]


def test_every_beat_is_told_at_once_and_again_with_its_class_within_0_7_s() -> None:
    beats = [e for e in run("ectopic") if isinstance(e, Beat)]
    first = {e.sample: e for e in reversed(beats)}
    last = {e.sample: e for e in beats}
    assert all(e.symbol == "Q" for e in first.values())
    late = [s for s in last if last[s].symbol == "Q"]
    assert len(late) <= 2  # the last of the recording have no class yet
    delays = [(last[s].detected - s) / FS for s in last if last[s].symbol != "Q"]
    assert sorted(delays)[int(0.95 * len(delays))] <= 0.7


def test_wide_early_beats_are_ventricular_and_a_regular_rhythm_has_none() -> None:
    def symbols(kind: str) -> str:
        last = {e.sample: e.symbol for e in run(kind) if isinstance(e, Beat)}
        return "".join(last[s] for s in sorted(last))

    assert symbols("ectopic").count("V") >= 13
    assert set(symbols("clean")) <= {"N", "Q"}


def test_each_ectopic_pattern_is_said_once_while_it_lasts() -> None:
    kinds = [e.kind for e in run("ectopic") if isinstance(e, RhythmEpisode) and e.end is None]
    patterns = ("pvc_couplet", "pvc_run", "bigeminy", "trigeminy", "frequent_pvc", "multiform_pvc")
    for kind in (*patterns, "svt", "missed_beat"):
        assert kinds.count(kind) == 1


def test_features_stand_where_the_kernels_write_them() -> None:
    for name in ("rho", "own", "difference P", "rr 8", "alike slow", "early", "rho usual", "odds of S"):
        constant = {"alike slow": "ALIKE_LONG", "odds of S": "ODDS_S"}.get(
            name, name.upper().replace(" ", "_")
        )
        assert getattr(beat_state, constant) == beat_state.FEATURES.index(name)


def test_a_tree_deeper_than_the_kernel_walks_is_refused() -> None:
    chain = [part for k in range(4) for part in ([0, 0.5, 2 * k + 1, 2 * k + 2], [0.0])] + [[1.0]]
    trees = {"features": ["rho"], "bias": 0.0, "trees": [chain]}
    with pytest.raises(ValueError, match="splits deep"):
        flatten({"V": trees, "S": trees})
    assert len(load()) > 1


@pytest.mark.records
def test_supraventricular_beats_are_found_alone_and_where_most_beats_are(
    database: Callable[[str], Path],
) -> None:
    alone = most = beat_score.Confusion()
    for name in ("118", "220"):
        record = beat_score.read(database("mitdb") / name)
        assert record is not None
        alone = alone + beat_score.confusion(record, beat_score.classify(record, 2))
        for drawn in draw(record):
            x = np.ascontiguousarray(drawn.record.x)
            told = BeatClassifier(record.fs, x.shape[1]).process(x, drawn.found)
            if drawn.kind == "sick":
                most = most + beat_score.confusion(drawn.record, told)
    sveb = alone.metrics()["SVEB"]
    assert (sveb["Se"] or 0) >= 80
    assert (sveb["+P"] or 0) >= 85
    assert (most.metrics()["SVEB"]["Se"] or 0) >= 60


@pytest.mark.records
def test_ventricular_beats_of_real_patients_are_found(database: Callable[[str], Path]) -> None:
    total = beat_score.Confusion()
    for name in ("119", "106", "116"):
        record = beat_score.read(database("mitdb") / name)
        assert record is not None
        total = total + beat_score.confusion(record, beat_score.classify(record, 2))
    veb = total.metrics()["VEB"]
    assert (veb["Se"] or 0) >= 95
    assert (veb["+P"] or 0) >= 95


@pytest.mark.records
def test_fusion_beats_are_said_and_hardly_ever_of_others(database: Callable[[str], Path]) -> None:
    record = beat_score.read(database("mitdb") / "208")
    assert record is not None
    counts = beat_score.confusion(record, beat_score.classify(record, 2)).counts
    fusion = SYMBOLS.index("F")
    assert counts[fusion, fusion] >= 20
    assert counts[[SYMBOLS.index("N"), SYMBOLS.index("S")], fusion].sum() <= counts[fusion, fusion] / 4
