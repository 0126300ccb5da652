"""Data that come late: listed, never sounded, unless what they tell still lasts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.conditions import HOLD_S
from tests.unit.condition_world import FS, World, said


def outage(world: World, seconds: float) -> None:
    """The link was down so long; what was stored then begins to arrive."""
    world.run(60)
    world.wait(seconds)


def catch_up(world: World, until_s: int, each_s: float = 0.05) -> list[object]:
    """What was stored arrives, faster than it was measured."""
    out: list[object] = []
    while world.at < until_s:
        before = world.behind_s
        out += world.run(world.at + 1)
        world.behind_s = before - 1 + each_s
    return out


def test_what_began_and_ended_in_late_data_is_listed_late_and_ended_at_once() -> None:
    world = World()
    outage(world, 600)
    catch_up(world, 100)
    assert world.hear(said("asystole", 95)) == []
    catch_up(world, 150)
    (alert,) = world.hear(said("asystole", 95, end=140))
    assert (alert.version, alert.state, alert.late) == (1, "ended", True)


def test_what_still_lasts_when_the_stream_has_caught_up_sounds_and_says_that_it_is_late() -> None:
    world = World()
    outage(world, 600)
    catch_up(world, 300)
    assert world.hear(said("asystole", 295)) == []
    (alert,) = catch_up(world, 700)
    assert (alert.state, alert.late, alert.onset) == ("active", True, 29500)  # type: ignore[attr-defined]


def test_a_late_condition_is_not_held_for_ever() -> None:
    world = World()
    outage(world, 3600)
    catch_up(world, 70)
    assert world.hear(said("asystole", 69)) == []
    assert world.wait(59) == []
    (alert,) = world.wait(2)
    assert (alert.state, alert.late) == ("active", True)


def test_a_stream_that_stays_behind_is_as_fresh_as_it_gets() -> None:
    world = World()
    outage(world, 120)  # the device lost two minutes without counting them
    world.run(130)
    (alert,) = world.hear(said("asystole", 129))
    assert not alert.late


def test_once_caught_up_nothing_is_late_any_more() -> None:
    world = World()
    outage(world, 600)
    catch_up(world, 700)
    (alert,) = world.hear(said("asystole", 699))
    assert not alert.late


@pytest.mark.parametrize("speed", [1, 7, 100])
def test_a_replay_faster_than_real_time_is_never_late(speed: int) -> None:
    world = World()
    for second in range(1, 1200):
        world.at = second
        world.behind_s = second / speed - second
        world.run(second)
        world.at = second - 1
        world.run(second)
        if second % 100 == 50:
            (alert,) = world.hear(said("asystole", second))
            assert not alert.late
            world.hear(said("asystole", second, end=second + 1))


def test_a_drifting_clock_makes_nothing_late() -> None:
    world = World()
    for _ in range(400):
        world.run(world.at + 60)
        world.behind_s += 60 * 150e-6
    world.behind_s += 29
    (alert,) = world.run(world.at + 1) + world.hear(said("asystole", world.at))
    assert not alert.late


def test_lateness_is_known_to_another_process() -> None:
    world = World()
    outage(world, 600)
    world.die()
    catch_up(world, 100)
    world.hear(said("asystole", 95))
    world.die()
    (alert,) = world.hear(said("asystole", 95, end=99))
    assert (alert.state, alert.late) == ("ended", True)


@settings(max_examples=100, deadline=None)
@given(
    arrivals=st.lists(
        st.sampled_from([0.01, 0.05, 0.5, 1.0, 1.0, 1.0, 5.0, 45.0, 600.0]), min_size=20, max_size=150
    ),
    every=st.integers(3, 30),
    lasts=st.integers(1, 12),
    deaths=st.sets(st.integers(0, 150), max_size=4),
)
def test_whatever_comes_how_late_an_asystole_is_announced_or_listed_within_a_minute(
    arrivals: list[float], every: int, lasts: int, deaths: set[int]
) -> None:
    """`arrivals`: s of the clock for each second of samples."""
    world = World()
    begun: dict[int, float] = {}
    open_: int | None = None
    for second, took in enumerate(arrivals, 1):
        world.behind_s += took - 1
        world.wait(0)
        world.run(second)
        if second in deaths:
            world.die()
        if open_ is not None and second - open_ >= lasts:
            world.hear(said("asystole", open_, end=second))
            open_ = None
        elif open_ is None and second % every == 0:
            begun[second], open_ = world.now, second
            world.hear(said("asystole", second))
    world.wait(0)
    raised: dict[int, float] = {}
    for alert in world.alerts:
        if alert.kind == "asystole":
            raised.setdefault(round(alert.onset / FS), alert.changed_at)
    for start, at in begun.items():
        if start in raised:
            # a minute, and what the samples themselves took to come
            assert raised[start] - at <= HOLD_S + max(arrivals)
        else:
            assert world.now - at < HOLD_S
