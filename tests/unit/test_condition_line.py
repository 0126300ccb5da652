"""When a condition is announced, worse, over: criteria, delays, clear times, other processes."""

from dataclasses import replace

import pytest

from tests.unit.condition_world import FS, T0, World, pack, said, stream_info

SVT = {"priority": "medium", "delay_s": 10, "clear_s": 5}
GRADES = [
    {"priority": "high", "tier": "critical", "at_least": 230, "unit": "1/min"},
    {"priority": "medium", "at_least": 150, "unit": "1/min"},
]


def test_an_alert_carries_its_bed_and_its_rule() -> None:
    world = World()
    world.run(10)
    (alert,) = world.hear(said("asystole", 5))
    assert (alert.clinic, alert.bed, alert.patient, alert.device) == ("c1", "7", "p1", "d1")
    assert alert.rule.pack == "monitor-adult 1"
    assert (alert.rule.latching, alert.rule.family, alert.rule.can_be_off) == (True, "slow", False)
    assert not alert.late


def test_a_delayed_condition_is_announced_once_it_has_lasted_in_samples() -> None:
    world = World(pack(svt=SVT))
    world.run(20)
    assert world.hear(said("svt", 18, 160)) == []
    assert world.run(27) == []
    (alert,) = world.run(40)
    assert (alert.onset, alert.changed_at) == (1800, T0 + 28)
    assert world.reasons() == []


def test_a_condition_that_is_over_before_its_delay_is_refused_by_name() -> None:
    world = World(pack(svt=SVT))
    world.run(20)
    world.hear(said("svt", 18, 160))
    world.run(26)
    assert world.hear(said("svt", 18, 160, end=25)) == []
    assert world.reasons() == ["delayed_and_gone"]
    world.run(60)
    assert world.alerts == []


def test_a_condition_that_comes_back_before_its_clear_time_is_the_same_alert() -> None:
    world = World(pack(svt=SVT | {"delay_s": 0}))
    world.run(20)
    (raised,) = world.hear(said("svt", 18, 160))
    world.run(30)
    assert world.hear(said("svt", 18, 160, end=29)) == []
    world.run(33)
    assert world.hear(said("svt", 32, 155)) == []
    world.run(50)
    assert world.hear(said("svt", 32, 155, end=48)) == []
    assert world.run(52) == []
    (ended,) = world.run(60)
    assert (ended.id, ended.version, ended.state, ended.end) == (raised.id, 2, "ended", 4800)
    (again,) = world.hear(said("svt", 60, 155))
    assert again.id != raised.id


def test_what_is_withheld_does_not_keep_an_alert_that_is_gone() -> None:
    world = World(pack(svt=SVT | {"delay_s": 0}))
    world.run(20)
    world.hear(said("svt", 18, 160))
    world.run(30)
    world.hear(said("svt", 18, 160, end=29))
    world.hear(said("svt", 30, 155, withheld="noisy"))
    (ended,) = world.run(40)
    assert (ended.state, ended.end) == ("ended", 2900)
    assert world.reasons() == ["withheld"]


def test_a_worse_grade_raises_the_same_alert_and_it_is_never_lowered() -> None:
    world = World(pack(svt=GRADES))
    world.run(20)
    (raised,) = world.hear(said("svt", 18, 160))
    (worse,) = world.run(25, rate=235)
    assert (worse.id, worse.version, worse.priority, worse.rule.tier) == (raised.id, 2, "high", "critical")
    assert (worse.evidence.value, worse.evidence.threshold) == (235, 230)
    assert world.run(60, rate=160) == []
    (ended,) = world.hear(said("svt", 18, 160, end=58))
    assert (ended.version, ended.priority, ended.state) == (3, "high", "ended")


def test_a_rate_beyond_the_detectors_limit_and_not_the_packs_is_below_criterion_until_it_is_reached() -> None:
    rule = {"priority": "high", "at_most": 35, "unit": "1/min", "clear_s": 5}
    world = World(pack(extreme_bradycardia=rule))
    world.run(20)
    assert world.hear(said("extreme_bradycardia", 18, 39)) == []
    assert world.reasons() == ["below_criterion"]
    assert world.run(40, rate=38) == []
    (raised,) = world.run(50, rate=34)
    assert (raised.onset, raised.evidence.value, raised.evidence.threshold) == (4100, 34, 35)
    assert world.run(60, rate=35.9) == []  # back by less than it takes
    assert world.run(63, rate=38) == []
    assert world.run(64, rate=34) == []  # a short lapse is none
    (ended,) = world.run(80, rate=38)
    assert (ended.id, ended.state, ended.end) == (raised.id, "ended", 6500)
    (again,) = world.run(90, rate=34)
    assert again.onset == 8100
    (over,) = world.hear(said("extreme_bradycardia", 18, 39, end=90)) + world.run(96)
    assert (over.id, over.end) == (again.id, 9000)
    assert world.engine.open_alerts() == ()


def test_equal_limits_leave_the_end_of_a_rate_to_the_detectors() -> None:
    world = World(pack(tachycardia={"priority": "medium", "at_least": 120, "unit": "1/min"}))
    world.run(20, rate=125)
    world.hear(said("tachycardia", 18, 125))
    assert world.run(23, rate=100) == []
    (ended,) = world.hear(said("tachycardia", 18, 125, end=22))
    assert ended.end == 2200


def test_one_detectors_condition_can_be_another_ones_name() -> None:
    world = World()  # monitor-adult calls 45/min a bradycardia, however wide the detectors are set
    world.run(20)
    (raised,) = world.hear(said("extreme_bradycardia", 18, 45))
    assert (raised.kind, raised.priority, raised.rule.rank) == ("bradycardia", "medium", 30)
    (worse,) = world.run(25, rate=38)
    assert (worse.id, worse.kind, worse.priority) == (raised.id, "extreme_bradycardia", "high")


def test_atrial_fibrillation_is_critical_only_while_the_rate_beside_it_is() -> None:
    grades = [
        {"priority": "high", "tier": "critical", "rate_at_least": 180, "delay_s": 30},
        {"priority": "low"},
    ]
    world = World(pack(atrial_fibrillation=grades))
    world.run(20, rate=110)
    (raised,) = world.hear(said("atrial_fibrillation", 10, 0.9, detected=20))
    assert raised.priority == "low"
    assert world.run(50, rate=185) == []
    assert world.run(60, rate=150) == []
    assert world.run(91, rate=185) == world.alerts[1:]
    assert world.alerts[1].priority == "high"


def test_a_silence_is_measured_on_while_it_lasts() -> None:
    world = World(pack(asystole={"priority": "high", "at_least": 6, "unit": "s"}))
    world.run(20)
    assert world.hear(said("asystole", 15.5, 4.2, detected=20)) == []
    assert world.run(22, rate=None) == []
    (raised,) = world.run(30, rate=None)
    assert (raised.onset, raised.changed_at, raised.evidence.value) == (1550, T0 + 23, 6.5)


def test_a_long_interval_that_a_beat_ends_counts_as_long_as_it_was() -> None:
    world = World(pack(pause={"priority": "high", "at_least": 3.5, "unit": "s"}))
    world.run(20)
    assert world.hear(said("pause", 16, 3.2, detected=20)) == []
    world.beat(19.7, 3.7)
    (raised,) = world.run(21)
    assert raised.evidence.value == 3.7


def test_a_pause_that_stays_short_is_below_criterion() -> None:
    world = World(pack(pause={"priority": "high", "at_least": 3.5, "unit": "s"}))
    world.run(20)
    world.hear(said("pause", 16.5, 3.2, detected=20))
    world.beat(19.8, 3.3)
    world.beat(20.5, 0.7)
    world.run(22)
    world.hear(said("pause", 16.5, 3.2, end=19.8))
    assert world.alerts == []
    assert world.reasons() == ["below_criterion"]


def test_a_value_in_another_unit_is_in_doubt_announced() -> None:
    world = World()
    world.run(20)
    episode = said("pause", 16, 300)
    wrong = type(episode.evidence)(rule="pause", value=2.0, threshold=1.0, unit="beats")
    (alert,) = world.hear(type(episode)(stream="a", kind="pause", onset=1, detected=2, evidence=wrong))
    assert alert.kind == "pause"


@pytest.mark.parametrize(("kind", "reason"), [("unheard_of", "no_rule"), ("trigeminy", "off")])
def test_a_kind_that_is_not_announced_says_why(kind: str, reason: str) -> None:
    world = World(pack(trigeminy={"priority": "low", "off": True}))
    world.run(20)
    assert world.hear(said(kind, 18)) == []
    world.run(40)
    world.hear(said(kind, 18, end=30))
    assert world.reasons() == [reason]


def test_a_kind_that_is_switched_off_while_it_lasts_stays_until_it_ends() -> None:
    world = World()
    world.run(20)
    (raised,) = world.hear(said("svt", 18, 160))
    world.pack = pack(svt={"priority": "medium", "off": True})
    assert world.run(40) == []
    (ended,) = world.hear(said("svt", 18, 160, end=39))
    assert ended.id == raised.id
    world.hear(said("svt", 40, 160))
    assert world.reasons() == ["off"]


def test_an_alert_outlives_a_change_of_packs_with_fewer_or_no_rules_for_it() -> None:
    world = World(pack(svt=GRADES))
    for n, rules in enumerate([[GRADES[1]], None, [*GRADES, {"priority": "low"}]]):
        start = 100 * n + 20
        world.pack = pack(svt=GRADES)
        world.run(start)
        (raised,) = world.hear(said("svt", start - 2, 160))
        left = {k: v for k, v in pack().rules.items() if k != "svt"}
        world.pack = replace(pack(), rules=left) if rules is None else pack(svt=rules)
        assert world.run(start + 10) == []
        (ended,) = world.hear(said("svt", start - 2, 160, end=start + 9))
        assert (ended.id, ended.state, ended.rule) == (raised.id, "ended", raised.rule)


def test_a_rule_that_is_switched_on_while_a_condition_lasts_announces_it() -> None:
    world = World(pack(svt={"priority": "medium", "off": True}))
    world.run(20)
    world.hear(said("svt", 18, 160))
    world.pack = pack(svt={"priority": "high"})
    (raised,) = world.run(22)
    assert raised.priority == "high"


def test_a_battery_is_low_until_it_is_well_above_the_limit_or_on_mains() -> None:
    world = World()
    world.run(5)
    assert world.battery(21) == []
    (low,) = world.battery(20)
    assert (low.kind, low.category, low.evidence.value, low.evidence.unit) == (
        "battery_low",
        "technical",
        20,
        "%",
    )
    world.run(10)
    assert world.battery(15) == []
    assert world.battery(25) == []
    (ended,) = world.battery(26)
    assert ended.id == low.id
    world.run(20)
    (again,) = world.battery(3)
    world.run(21)
    (mains,) = world.battery(None)
    assert (again.id, mains.state) == (mains.id, "ended")


def test_an_unknown_stream_delays_nothing() -> None:
    world = World(pack(svt=SVT), known=False)
    (alert,) = world.hear(said("svt", 18, 160))
    assert (alert.clinic, alert.late) == ("", False)


def test_an_end_held_back_is_told_by_the_clock_once_no_samples_come_any_more() -> None:
    world = World(pack(svt=SVT | {"delay_s": 0}))
    world.run(20)
    world.hear(said("svt", 18, 160))
    world.run(22)
    assert world.hear(said("svt", 18, 160, end=21)) == []
    assert world.wait(4) == []
    (ended,) = world.wait(8)
    assert (ended.state, ended.end) == ("ended", 2100)


# A new process goes on.


def test_a_delay_goes_on_in_another_process() -> None:
    world = World(pack(svt=SVT))
    world.run(20)
    world.hear(said("svt", 18, 160))
    world.run(25)
    world.die()
    (alert,) = world.run(40)
    assert (alert.onset, alert.changed_at) == (1800, T0 + 28)


def test_an_end_held_back_and_a_return_are_known_to_another_process() -> None:
    world = World(pack(svt=SVT | {"delay_s": 0}))
    world.run(20)
    world.hear(said("svt", 18, 160))
    world.hear(said("svt", 18, 160, end=20))
    world.die()
    world.run(22)
    world.hear(said("svt", 21, 150))
    world.die()
    world.run(40)
    world.hear(said("svt", 21, 150, end=39))
    world.die()
    (ended,) = world.run(50)
    assert (ended.version, ended.end) == (2, 3900)


def test_a_process_without_snapshots_still_ends_what_was_announced() -> None:
    world = World()
    world.run(20)
    (raised,) = world.hear(said("extreme_bradycardia", 18, 45))
    world.run(25, rate=38)
    announced = list(world.alerts)
    world.engine = world.fresh()
    world.engine.rebuild(announced)
    (ended,) = world.hear(said("extreme_bradycardia", 18, 45, end=30))
    assert (ended.id, ended.version, ended.state) == (raised.id, 3, "ended")


def test_an_end_after_hours_is_heard_without_a_snapshot() -> None:
    world = World()
    world.run(20)
    world.hear(said("svt", 18, 160))
    announced = list(world.alerts)
    world.engine = world.fresh()
    world.engine.rebuild(announced)
    hours = round(5 * 3600 * FS)
    world.engine.on_stream(stream_info())
    world.at = 5 * 3600
    world.hear(said("svt", 18, 160, end=5 * 3600))
    (ended,) = world.run(world.at + 10)
    assert (ended.state, ended.end) == ("ended", hours)
