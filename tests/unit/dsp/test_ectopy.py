"""Patterns of ectopic beats, from strips written as one letter a beat."""

import pytest

from dsp.abstract import Second
from dsp.rhythm.ectopy import Ectopy
from leadwire.model import RhythmEpisode
from leadwire.settings import Limits

FS = 250.0


def told(
    beats: list[tuple[float, str]],
    shapes: dict[float, int] | None = None,
    *,
    fibrillating: bool = False,
    overruled: str = "",
) -> list[RhythmEpisode]:
    """What is said of beats (s, symbol), whose shape is told by their time."""
    condition = Ectopy(Limits())
    classes: list[tuple[int, str]] = []
    out: list[RhythmEpisode] = []
    for k in range(int(beats[-1][0]) + 3):
        fresh = [(round(at * FS), c) for at, c in beats if k - 1 <= at < k]
        classes = [*classes, *fresh][-32:]
        now = Second(stream="s", fs=FS, leads=("II",), start=round(k * FS), stop=round((k + 1) * FS))
        now.known, now.usable, now.beat_leads = now.stop - round(0.5 * FS), True, ("II",)
        now.classes, now.classed = classes, fresh
        now.shapes = [
            (round(at * FS), shape) for at, shape in (shapes or {}).items() if (round(at * FS), "V") in fresh
        ]
        now.fibrillating, now.overruled = fibrillating, overruled
        out += condition.second(now)
    return out


def kinds(*args: object, **options: object) -> set[str]:
    return {e.kind for e in told(*args, **options)}  # type: ignore[arg-type]


def strip(letters: str, rr: float = 0.8) -> list[tuple[float, str]]:
    """Beats every `rr` s; V and S come a quarter early, and the beat after V waits."""
    at, beats = 1.0, []
    for k, c in enumerate(letters):
        early = 0.25 * rr if c in "VS" and letters[k - 1] not in "VS" else 0.0
        beats.append((round(at - early, 3), c))
        at += rr
    return beats


STRIPS = {
    "pvc_couplet": strip("NNNNNVVNNNN"),
    "pvc_run": strip("NNNNNVVVNNN"),
    "bigeminy": strip("NNNNNVNVNVNVN"),
    "trigeminy": strip("NNNNNVNNVNNVNN"),
    "r_on_t": [*strip("NNNNNNNN", 0.9), (7.55, "V"), (9.2, "N"), (10.1, "N")],
    "missed_beat": [*strip("NNNNNNNN", 0.8), (8.2, "N"), (9.0, "N"), (9.8, "N")],
    "svt": [*strip("NNNNNN", 0.8), *((5.4 + 0.35 * k, "S") for k in range(12)), (10.5, "N")],
    "frequent_pvc": strip("NNNNV" * 20),
}


@pytest.mark.parametrize("kind", STRIPS)
def test_a_strip_with_the_pattern_is_called_by_its_name(kind: str) -> None:
    assert kind in kinds(STRIPS[kind])


def test_a_regular_rhythm_is_called_nothing() -> None:
    assert kinds(strip("N" * 60)) == set()


@pytest.mark.parametrize("kind", ["bigeminy", "trigeminy", "r_on_t", "missed_beat", "svt"])
def test_in_atrial_fibrillation_no_pattern_of_order_or_intervals_is_said(kind: str) -> None:
    assert kind not in kinds(STRIPS[kind], fibrillating=True)


def test_in_atrial_fibrillation_a_couplet_is_still_said() -> None:
    assert "pvc_couplet" in kinds(STRIPS["pvc_couplet"], fibrillating=True)


def timely(letters: str) -> list[tuple[float, str]]:
    """Beats of which none is early."""
    return [(1.0 + 0.8 * k, c) for k, c in enumerate(letters)]


@pytest.mark.parametrize("letters", ["NNNNNNVVNNNN", "NNNNNNVVVNNN", "NNNNNNVNVNVNVN", "NNNNNNVNNVNNVNN"])
def test_beats_of_another_shape_that_are_all_in_time_are_no_ectopic_pattern(letters: str) -> None:
    assert kinds(timely(letters)) == set()


@pytest.mark.parametrize(("movement", "after"), [((6.1, 6.4), 6.6), ((6.2, 6.6, 7.0), 7.4)])
def test_movement_under_which_the_rhythm_went_on_is_no_couplet_and_no_run(
    movement: tuple[float, ...], after: float
) -> None:
    beats = [*timely("NNNNNNN"), *((at, "V") for at in movement), *((after + 0.8 * k, "N") for k in range(6))]
    assert kinds(beats) == set()


def test_a_run_is_told_with_the_beat_after_it_and_a_longer_one_with_its_fourth_beat() -> None:
    short, long = strip("NNNNNVVVNNN"), strip("NNNNNVVVVVVVNNN")
    for beats, told_by in ((short, short[8][0]), (long, long[8][0])):
        [run] = [e for e in told(beats) if e.kind == "pvc_run" and e.end is None]
        assert run.onset == round(beats[5][0] * FS)
        assert 0 <= run.detected / FS - told_by <= 2.0  # `told` shows a beat a second late


@pytest.mark.parametrize("kind", STRIPS)
def test_in_ventricular_fibrillation_nothing_is_said_of_beats(kind: str) -> None:
    assert kinds(STRIPS[kind], overruled="ventricular_fibrillation") == set()


def test_two_shapes_of_ventricular_beats_twice_each_are_multiform_and_one_shape_is_not() -> None:
    beats = strip("NNNNVNNNNVNNNNVNNNNVNN")
    ventricular = [at for at, c in beats if c == "V"]
    alternating = {at: k % 2 for k, at in enumerate(ventricular)}
    assert "multiform_pvc" in kinds(beats, alternating)
    assert "multiform_pvc" not in kinds(beats, dict.fromkeys(ventricular, 3))
    once = {at: int(k == 1) for k, at in enumerate(ventricular)}
    assert "multiform_pvc" not in kinds(beats, once)


def test_shapes_more_than_a_minute_apart_are_not_multiform() -> None:
    beats = strip("NNNNVNNV" + "N" * 90 + "VNNVNN")
    ventricular = [at for at, c in beats if c == "V"]
    assert "multiform_pvc" not in kinds(beats, {at: k // 2 for k, at in enumerate(ventricular)})
