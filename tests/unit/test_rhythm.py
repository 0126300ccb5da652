"""When each condition begins and ends, on drawn beat trains: no signal, only beats and quality."""

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsp import quality
from dsp.abstract import Second, conditions
from dsp.heart_rate import HeartRateMeter
from leadwire.model import RhythmEpisode
from leadwire.settings import Limits

FS = 250
SETTLED = FS // 2
GOOD, NOISE, FLAT, OFF, MISSING, SATURATED = (
    0,
    quality.NOISY,
    quality.FLAT,
    quality.OFF,
    quality.MISSING,
    quality.SATURATED,
)


def watch(
    name: str,
    r_peaks: Iterable[float],
    seconds: int,
    flags: dict[int, tuple[int, int]] | None = None,
    limits: Limits | None = None,
) -> list[RhythmEpisode]:
    """Let condition `name` watch the beats (s); `flags` are the leads' bits in the seconds not good."""
    rule, meter = conditions()[name](limits or Limits()), HeartRateMeter(float(FS))
    beats = [round(r * FS) for r in sorted(r_peaks)]
    out: list[RhythmEpisode] = []
    for k in range(seconds):
        bits = list((flags or {}).get(k, (GOOD, GOOD)))
        now = Second(stream="t", fs=float(FS), leads=("II", "V1"), start=k * FS, stop=(k + 1) * FS)
        now.known = now.stop - SETTLED
        while beats and beats[0] < now.known:
            meter.beat(beats[0], False)
            now.fresh.append(beats.pop(0))
        now.rate, now.irregularity = meter.rate(now.known)
        now.beats, now.flags, now.union = meter.beats(), bits, bits[0] | bits[1]
        now.measured = any(not f & quality.UNMEASURED_MASK for f in bits)
        now.usable = any(not f & quality.USABLE_MASK for f in bits)
        blocked = any(f & (quality.NOISY | quality.SATURATED) for f in bits)
        now.seeing = now.usable or (bool(now.union & quality.FLAT) and not blocked)
        now.trouble = "" if now.usable else ",".join(quality.names(now.union & quality.USABLE_MASK))
        out += rule.second(now)
    return out


def told(episodes: list[RhythmEpisode]) -> list[tuple[str, bool, bool]]:
    """(kind, announced, over) of each transition."""
    return [(e.kind, not e.withheld, e.end is not None) for e in episodes]


def beats(rate: float, start: float, stop: float) -> list[float]:
    return list(np.arange(start, stop, 60.0 / rate))


# ---- asystole and pause


@given(rate=st.floats(40, 180), last=st.floats(5, 30), limit=st.floats(3, 10))
def test_asystole_is_announced_at_most_one_and_a_half_seconds_after_its_limit(
    rate: float, last: float, limit: float
) -> None:
    train = beats(rate, 0.3, last)
    said = [
        e
        for e in watch("no_qrs", train, int(last + limit + 8), limits=Limits(asystole_s=limit, pause_s=2.0))
        if e.kind == "asystole"
    ]
    assert [(e.onset, e.end, e.withheld) for e in said] == [(round(train[-1] * FS), None, "")]
    assert limit <= (said[0].detected + 1 - said[0].onset) / FS <= limit + 1.5 + 0.01
    assert said[0].evidence.threshold == limit
    assert said[0].evidence.value >= limit


def test_the_pause_gives_way_to_the_asystole() -> None:
    said = watch("no_qrs", beats(70, 0.3, 10), 20)
    assert told(said) == [("pause", True, False), ("pause", True, True), ("asystole", True, False)]


def test_a_silence_between_the_limits_is_a_pause_and_no_asystole() -> None:
    train = beats(60, 0.3, 10) + beats(60, 12.9, 25)
    said = watch("no_qrs", train, 25)
    assert told(said) == [("pause", True, False), ("pause", True, True)]
    assert said[1].end == round(12.9 * FS)


def test_a_silence_that_fits_between_two_looks_is_found_by_its_second_beat() -> None:
    train = beats(60, 0.05, 10) + beats(60, 9.05 + 4.1, 25)
    assert ("asystole", True, True) in told(watch("no_qrs", train, 25))


def test_a_heart_of_18_a_minute_is_one_long_pause() -> None:
    said = watch("no_qrs", beats(60, 0.3, 10) + beats(18, 12.0, 60), 60)
    assert [t for t in told(said) if t[0] == "pause"] == [("pause", True, False)]


def test_one_artefact_does_not_end_an_asystole_and_two_beats_do() -> None:
    silent = beats(70, 0.3, 10)
    artefact = watch("no_qrs", [*silent, 18.0], 30)
    assert [e for e in artefact if e.kind == "asystole" and e.end] == []
    back = watch("no_qrs", silent + beats(70, 20.2, 30), 30)
    assert [e.end for e in back if e.kind == "asystole"] == [None, round(20.2 * FS)]


def test_a_silence_under_noise_is_withheld_with_the_reason() -> None:
    blind = dict.fromkeys(range(9, 30), (NOISE, NOISE))
    said = [e for e in watch("no_qrs", beats(70, 0.3, 10), 30, blind) if e.kind == "asystole"]
    assert [(e.withheld, e.end) for e in said] == [("noisy", None)]


def test_after_the_noise_the_asystole_is_announced_once_the_view_was_clear_for_the_limit() -> None:
    blind = dict.fromkeys(range(9, 16), (NOISE, NOISE))
    said = [e for e in watch("no_qrs", beats(70, 0.3, 10), 40, blind) if e.kind == "asystole"]
    assert told(said) == [("asystole", False, False), ("asystole", False, True), ("asystole", True, False)]
    assert said[2].onset == 16 * FS
    assert said[2].detected <= (16 + 4 + 2) * FS


def test_one_clear_lead_is_enough_to_announce() -> None:
    blind = dict.fromkeys(range(30), (NOISE, GOOD))
    assert ("asystole", True, False) in told(watch("no_qrs", beats(70, 0.3, 10), 30, blind))


def test_a_flat_line_on_connected_leads_is_an_asystole_that_says_flat() -> None:
    flat = dict.fromkeys(range(10, 30), (FLAT, FLAT))
    said = [e for e in watch("no_qrs", beats(70, 0.3, 10), 30, flat) if e.kind == "asystole"]
    assert [(e.withheld, e.evidence.detail) for e in said] == [("", "flat")]


def test_a_flat_lead_beside_a_noisy_one_is_no_clear_view() -> None:
    blind = dict.fromkeys(range(10, 30), (FLAT, NOISE))
    assert ("asystole", True, False) not in told(watch("no_qrs", beats(70, 0.3, 10), 30, blind))


@pytest.mark.parametrize("gone", [OFF, MISSING])
def test_without_a_measured_lead_there_is_no_asystole(gone: int) -> None:
    flags = dict.fromkeys(range(10, 30), (gone, gone))
    train = beats(70, 0.3, 10) + beats(70, 31.0, 40)
    assert told(watch("no_qrs", train, 40, flags)) == []


def test_an_asystole_ends_when_the_last_lead_comes_off() -> None:
    flags = dict.fromkeys(range(20, 30), (OFF, MISSING))
    said = [e for e in watch("no_qrs", beats(70, 0.3, 10), 30, flags) if e.kind == "asystole"]
    assert [e.end for e in said] == [None, 20 * FS]


def test_a_stream_that_begins_in_asystole_is_one() -> None:
    said = [e for e in watch("no_qrs", [], 10) if e.kind == "asystole"]
    assert [(e.onset, e.withheld) for e in said] == [(0, "")]


@settings(max_examples=60)
@given(data=st.data())
def test_any_train_under_any_trouble_makes_episodes_that_begin_once_and_end_once(data: st.DataObject) -> None:
    steps = data.draw(st.lists(st.floats(0.25, 7), max_size=40))
    bits = st.sampled_from([GOOD, GOOD, NOISE, FLAT, OFF, MISSING, SATURATED])
    flags = dict(enumerate(data.draw(st.lists(st.tuples(bits, bits), max_size=60))))
    for name, factory in conditions().items():
        seen: dict[tuple[str, int], bool] = {}
        open_now: set[str] = set()
        for e in watch(name, np.cumsum(steps).tolist(), 60, flags):
            assert e.kind in factory(Limits()).kinds
            key = (e.kind, e.onset)
            if e.end is None:
                assert key not in seen
                assert e.kind not in open_now
                seen[key] = False
                open_now.add(e.kind)
            else:
                assert seen[key] is False
                assert e.end >= e.onset
                seen[key] = True
                open_now.discard(e.kind)
        if name == "no_qrs":
            assert not {"asystole", "pause"} <= open_now


# ---- rates


@given(rate=st.floats(150, 300))
def test_a_fast_heart_is_announced_in_less_than_11_s_as_the_worse_kind_alone(rate: float) -> None:
    train = beats(80, 0.3, 20) + beats(rate, 20.0, 60)
    said = watch("tachycardia", train, 60)
    worst = [e for e in said if e.kind == "extreme_tachycardia"]
    assert len(worst) == 1
    assert worst[0].detected / FS < 31
    open_at_end = {e.kind for e in said if e.end is None} - {e.kind for e in said if e.end is not None}
    assert open_at_end == {"extreme_tachycardia"}


@given(rate=st.floats(18, 38))
def test_a_slow_heart_is_announced_as_the_worse_kind_alone(rate: float) -> None:
    train = beats(80, 0.3, 20) + beats(rate, 20.0, 60)
    said = watch("bradycardia", train, 60)
    worst = [e for e in said if e.kind == "extreme_bradycardia"]
    assert len(worst) == 1
    assert worst[0].detected / FS < 20 + 11 + 60 / rate


@given(rate=st.floats(51, 119))
def test_an_ordinary_rate_is_no_alarm(rate: float) -> None:
    train = beats(rate, 0.3, 60)
    assert watch("tachycardia", train, 60) == watch("bradycardia", train, 60) == []


def test_a_rate_that_plays_round_its_limit_is_one_episode() -> None:
    steps = [60 / (120.5 + 2.4 * np.sin(k / 7)) for k in range(240)]
    said = watch("tachycardia", np.cumsum(steps).tolist(), 110)
    assert [e.end for e in said] == [None]


def test_a_tachycardia_that_calms_down_steps_down_and_ends() -> None:
    train = beats(160, 0.3, 20) + beats(128, 20.0, 40) + beats(80, 40.0, 60)
    assert [(e.kind, e.end is not None) for e in watch("tachycardia", train, 60)] == [
        ("extreme_tachycardia", False),
        ("extreme_tachycardia", True),
        ("tachycardia", False),
        ("tachycardia", True),
    ]


def test_irregular_beats_under_noise_are_withheld_and_regular_ones_are_not() -> None:
    noise = dict.fromkeys(range(60), (NOISE, NOISE))
    rng = np.random.default_rng(4)
    wild = np.cumsum(rng.uniform(0.2, 0.6, 140)).tolist()
    assert {e.withheld for e in watch("tachycardia", wild, 50, noise)} == {"noisy"}
    assert {e.withheld for e in watch("tachycardia", beats(190, 0.3, 50), 50, noise)} == {""}


def test_five_slow_beats_among_faster_ones_are_an_extreme_bradycardia_that_says_their_rate() -> None:
    train = np.cumsum([0.3, *[1.3] * 8, 1.0, 1.9, 1.4, 1.0, 1.7, *[1.3] * 8]).tolist()
    worst = [e for e in watch("bradycardia", train, 30) if e.kind == "extreme_bradycardia"]
    assert [e.end is None for e in worst] == [True, False]
    assert worst[0].evidence.value == 40.0
    others = watch("bradycardia", np.cumsum([0.3, *[1.0, 1.9, 1.0, 1.0] * 6]).tolist(), 30)
    assert {e.kind for e in others} == {"bradycardia"}


def test_a_run_of_ventricular_beats_is_a_tachycardia_although_one_was_taken_for_another() -> None:
    def episodes(symbols: str, noisy: bool = False, rate: float = 150.0) -> list[str]:
        rule = conditions()["ventricular"](Limits())
        at = [round(FS * (2 + 60 / rate * k)) for k in range(len(symbols))]
        beats, out = list(zip(at, symbols, strict=True)), []
        for k in range(10):
            now = Second(stream="t", fs=float(FS), start=k * FS, stop=(k + 1) * FS, usable=not noisy)
            now.known = now.stop - SETTLED
            now.classes = [b for b in beats if b[0] < now.known]
            now.classed = [b for b in now.classes if b[0] >= now.known - FS]
            out += [e.kind for e in rule.second(now) if e.end is None]
        return out

    for run in ("NVVVVV", "VVNVVV", "QVVVVV"):
        assert episodes(run) == ["ventricular_tachycardia"], run
    assert not episodes("NNVVVV")
    assert "ventricular_tachycardia" not in episodes("VVVVVN")
    assert "ventricular_tachycardia" not in episodes("NVVVVV", noisy=True)
    assert "ventricular_tachycardia" not in episodes("NVVVVV", rate=110)


def test_when_the_beats_stop_the_tachycardia_ends() -> None:
    said = watch("tachycardia", beats(170, 0.3, 20), 40)
    assert [e.end is not None for e in said] == [False, True]


# ---- technical conditions


@pytest.mark.parametrize(
    ("name", "bits", "begin_s"),
    [
        ("lead_off", (OFF, GOOD), 1),
        ("flat", (GOOD, FLAT), 5),
        ("saturated", (SATURATED, GOOD), 5),
        ("noisy", (NOISE, NOISE), 10),
        ("missing", (MISSING, MISSING), 2),
    ],
)
def test_a_technical_condition_begins_after_its_time_and_ends(
    name: str, bits: tuple[int, int], begin_s: int
) -> None:
    said = watch(name, [], 40, dict.fromkeys(range(10, 25), bits))
    assert [(e.kind, e.onset, e.end) for e in said] == [
        (name, 10 * FS, None),
        (name, 10 * FS, 25 * FS),
    ]
    assert said[0].detected + 1 == (10 + begin_s) * FS
    assert said[0].evidence.leads
    assert watch(name, [], 40, dict.fromkeys(range(10, 10 + begin_s - 1), bits)) == []


def test_noise_or_missing_data_on_one_of_two_leads_is_no_alarm() -> None:
    assert watch("noisy", [], 60, dict.fromkeys(range(60), (NOISE, GOOD))) == []
    assert watch("missing", [], 60, dict.fromkeys(range(60), (GOOD, MISSING))) == []


def test_data_missing_because_electrodes_are_off_is_told_as_lead_off_alone() -> None:
    flags = dict.fromkeys(range(10, 20), (OFF, OFF))
    assert watch("missing", [], 30, flags) == []
    assert [e.evidence.leads for e in watch("lead_off", [], 30, flags)][:1] == [("II", "V1")]


def test_another_electrode_off_is_told_anew() -> None:
    flags = dict.fromkeys(range(10, 15), (OFF, GOOD)) | dict.fromkeys(range(15, 20), (OFF, OFF))
    said = watch("lead_off", [], 30, flags)
    assert [(e.onset, e.end, e.evidence.leads) for e in said] == [
        (10 * FS, None, ("II",)),
        (10 * FS, 15 * FS, ("II",)),
        (15 * FS, None, ("II", "V1")),
        (15 * FS, 20 * FS, ("II", "V1")),
    ]
