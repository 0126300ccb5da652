"""What holds of events -> alerts, on a clock that only the test moves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.conditions import FORGET_S, NO_DATA_S, ConditionEngine
from leadwire.model import Alert, Evidence, HeartRate, LinkEvent, RhythmEpisode, StreamEvent

T0 = 1_700_000_000.0
EVIDENCE = Evidence(rule="asystole", value=4.0, threshold=4.0, unit="s", leads=("II",))


def episode(
    kind: str = "asystole", onset: int = 100, end: int | None = None, stream: str = "a", withheld: str = ""
) -> RhythmEpisode:
    detected = onset + 1000 if end is None else end
    return RhythmEpisode(
        stream=stream,
        kind=kind,
        onset=onset,
        detected=detected,
        end=end,
        evidence=EVIDENCE,
        withheld=withheld,
    )


def alive(sample: int, stream: str = "a") -> HeartRate:
    return HeartRate(stream=stream, sample=sample, rate=72.0)


def test_an_episode_is_raised_once_and_ended_once_under_one_derived_id() -> None:
    engine = ConditionEngine()
    (raised,) = engine.on_event(episode(), T0).alerts
    (ended,) = engine.on_event(episode(end=2000), T0 + 9).alerts
    assert raised.id == ended.id == "a:100:asystole"
    assert (raised.version, raised.state, raised.priority) == (1, "active", "high")
    assert (ended.version, ended.state, ended.end) == (2, "ended", 2000)
    assert (ended.raised_at, ended.changed_at) == (T0, T0 + 9)
    assert raised.evidence == EVIDENCE
    assert engine.open_alerts() == ()


def test_an_end_whose_beginning_was_never_seen_still_makes_the_alert_known() -> None:
    (alert,) = ConditionEngine().on_event(episode(end=2000), T0).alerts
    assert (alert.version, alert.state) == (1, "ended")


def test_a_withheld_condition_is_refused_by_name_and_raised_once_it_is_no_longer_withheld() -> None:
    engine = ConditionEngine()
    (refusal,) = engine.on_event(episode(withheld="noisy"), T0).refusals
    assert (refusal.reason, refusal.detail) == ("withheld", "noisy")
    assert engine.on_event(episode(withheld="noisy", end=5000), T0).alerts == ()
    assert len(engine.on_event(episode(), T0 + 1).alerts) == 1


def test_an_announced_alert_ends_even_if_the_signal_is_bad_by_then() -> None:
    engine = ConditionEngine()
    engine.on_event(episode(), T0)
    (ended,) = engine.on_event(episode(end=3000, withheld="noisy"), T0).alerts
    assert ended.state == "ended"


def test_a_kind_without_a_rule_is_refused_by_name() -> None:
    (refusal,) = ConditionEngine().on_event(episode(kind="unheard_of"), T0).refusals
    assert refusal.reason == "no_rule"


events = st.lists(
    st.builds(
        episode,
        kind=st.sampled_from(["asystole", "pause", "lead_off"]),
        onset=st.integers(0, 5),
        end=st.none() | st.integers(2000, 2005),
        stream=st.sampled_from(["a", "b"]),
        withheld=st.sampled_from(["", "noisy"]),
    ),
    max_size=30,
)


@given(events=events, killed_at=st.integers(0, 30))
def test_replaying_events_after_a_kill_at_any_point_announces_nothing_twice(
    events: list[StreamEvent], killed_at: int
) -> None:
    published: list[Alert] = []
    first = ConditionEngine()
    for event in events[:killed_at]:
        published += first.on_event(event, T0).alerts
    second = ConditionEngine()
    second.rebuild(published)
    for event in events:  # nothing was committed: all of it comes again
        published += second.on_event(event, T0).alerts

    whole = ConditionEngine()
    expected = [a for e in events for a in whole.on_event(e, T0).alerts]
    assert {(a.id, a.state) for a in published} >= {(a.id, a.state) for a in expected}
    assert len({(a.id, a.version) for a in published}) == len(published)
    assert len({(a.id, a.state) for a in published}) == len(published)


def test_a_stream_that_falls_silent_is_an_alert_after_ten_seconds_and_ends_with_new_samples() -> None:
    engine = ConditionEngine()
    engine.on_event(alive(250), T0)
    assert engine.on_time(T0 + NO_DATA_S - 0.1).alerts == ()
    (raised,) = engine.on_time(T0 + NO_DATA_S).alerts
    assert (raised.kind, raised.category, raised.onset) == ("no_data", "technical", 250)
    assert engine.on_time(T0 + 60).alerts == ()
    (ended,) = engine.on_event(alive(500), T0 + 61).alerts
    assert (ended.id, ended.state) == (raised.id, "ended")


@pytest.mark.parametrize("kind", ["connected", "disconnected", "gap"])
def test_a_connection_without_new_samples_is_still_silence(kind: str) -> None:
    engine = ConditionEngine()
    engine.on_event(alive(250), T0)
    engine.on_time(T0 + NO_DATA_S)
    link = LinkEvent(stream="a", kind=kind, sample=250, time=T0)  # type: ignore[arg-type]
    assert engine.on_event(link, T0 + 12).alerts == ()
    assert [a.kind for a in engine.open_alerts()] == ["no_data"]


def test_a_stream_that_said_goodbye_is_never_silent() -> None:
    engine = ConditionEngine()
    engine.on_event(alive(250), T0)
    engine.on_event(LinkEvent(stream="a", kind="ended", sample=500, time=T0), T0 + 1)
    assert engine.on_time(T0 + 3600).alerts == ()


def test_a_stream_that_was_running_before_a_restart_and_never_comes_back_is_an_alert() -> None:
    before = ConditionEngine()
    before.on_event(alive(250), T0)
    after = ConditionEngine()
    after.expect("a", T0 + 100)
    assert [a.kind for a in after.on_time(T0 + 100 + NO_DATA_S).alerts] == ["no_data"]


def test_each_restart_into_silence_is_announced_anew_as_a_later_version_of_the_same_alert() -> None:
    log: list[Alert] = []
    for k in range(3):
        engine = ConditionEngine()
        engine.rebuild(log)
        engine.expect("a", T0 + 100 * k)
        log += engine.on_time(T0 + 100 * k + NO_DATA_S).alerts
        log += engine.on_event(alive(1 + k), T0 + 100 * k + 50).alerts
    assert [(a.version, a.state) for a in log] == [
        (1, "active"), (2, "ended"), (3, "active"), (4, "ended"), (5, "active"), (6, "ended"),
    ]  # fmt: skip


def test_ended_alerts_are_forgotten_only_when_their_events_can_no_longer_come_again() -> None:
    engine = ConditionEngine()
    engine.on_event(episode(), T0)
    engine.on_event(episode(end=2000), T0)
    engine.forget(T0 + FORGET_S)
    assert engine.on_event(episode(), T0 + FORGET_S).alerts == ()
    engine.forget(T0 + FORGET_S + 1)
    assert len(engine.on_event(episode(), T0 + FORGET_S + 1).alerts) == 1
