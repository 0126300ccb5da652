"""The same events give the same alerts, once: reordered across streams, said twice, killed at any point."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.conditions import ConditionEngine
from leadwire.model import Alert, Beat, DeviceStatus, HeartRate, StreamEvent
from tests.unit.condition_world import FS, T0, pack, said, stream_info

PACK = pack(
    svt=[
        {"priority": "high", "at_least": 200, "unit": "1/min", "delay_s": 5, "clear_s": 3},
        {"priority": "medium", "at_least": 150, "unit": "1/min", "delay_s": 2, "clear_s": 4},
    ],
    extreme_bradycardia={"priority": "high", "at_most": 35, "unit": "1/min", "delay_s": 2, "clear_s": 3},
    atrial_fibrillation=[
        {"priority": "high", "rate_at_least": 150, "delay_s": 3, "clear_s": 2},
        {"priority": "low", "delay_s": 4, "clear_s": 6},
    ],
    pause={"priority": "medium", "at_least": 3.5, "unit": "s", "clear_s": 2},
    noisy={"priority": "low", "delay_s": 3, "clear_s": 3},
)
KINDS = ("svt", "extreme_bradycardia", "atrial_fibrillation", "pause", "noisy", "asystole", "unheard_of")
VALUES = {"svt": (150.0, 210.0), "extreme_bradycardia": (34.0, 39.0), "pause": (3.1, 3.9)}


def story(seed: int, seconds: int, stream: str) -> list[StreamEvent]:
    """What the detectors say of one stream, in order: each kind begins and ends by turns."""
    draw = Random(seed)
    events: list[StreamEvent] = []
    open_: dict[str, tuple[int, float, str]] = {}
    rate = 75.0
    for second in range(1, seconds):
        rate = draw.choice([rate, rate, rate, 33.0, 38.0, 75.0, 155.0, 205.0])
        if draw.random() < 0.3:
            sample = round((second - 0.3) * FS)
            rr = draw.choice([0.5, 0.8, 3.6, None])
            events.append(Beat(stream=stream, sample=sample, detected=sample + 20, rr=rr))
        if draw.random() < 0.1:
            level = draw.choice([5.0, 20.0, 24.0, 60.0, None])
            events.append(DeviceStatus(stream=stream, sample=second * round(FS) - 1, time=T0, battery=level))
        events.append(HeartRate(stream=stream, sample=second * round(FS), rate=rate))
        for kind in draw.sample(KINDS, draw.choice([0, 0, 0, 1, 1, 2])):
            if kind in open_:
                onset, value, withheld = open_.pop(kind)
                end = float(second)
                events.append(said(kind, onset, value, end, onset + 0.9, withheld, stream))
            else:
                value = draw.choice(VALUES.get(kind, (4.0,)))
                withheld = draw.choice(["", "", "", "noisy"])
                open_[kind] = (second - 1, value, withheld)
                events.append(said(kind, second - 1, value, None, second - 0.1, withheld, stream))
    return events


def stories(stream: str) -> st.SearchStrategy[list[StreamEvent]]:
    return st.builds(story, st.integers(0, 2**32), st.integers(5, 60), st.just(stream))


def fresh() -> ConditionEngine:
    return ConditionEngine(lambda stream, info: PACK)


def introduced(engine: ConditionEngine) -> ConditionEngine:
    for stream in "ab":
        engine.on_stream(stream_info(stream))
    return engine


def straight(events: list[StreamEvent]) -> list[tuple[object, ...]]:
    engine = introduced(fresh())
    return told([a for e in events for a in engine.on_event(e, T0).alerts])


def told(alerts: list[Alert]) -> list[tuple[object, ...]]:
    """What must not differ, per alert in the order of its transitions."""
    return sorted(
        (a.id, a.version, a.state, a.kind, a.priority, a.onset, a.end or -1, a.late, a.evidence.value)
        for a in alerts
    )


@settings(max_examples=40, deadline=None)
@given(a=stories("a"), b=stories("b"), seed=st.integers(0, 2**32))
def test_streams_do_not_hear_each_other(a: list[StreamEvent], b: list[StreamEvent], seed: int) -> None:
    choose = Random(seed)
    alone = sorted(straight(a) + straight(b))
    left, right, merged = list(a), list(b), []
    while left or right:
        source = left if left and (not right or choose.random() < 0.5) else right
        merged.append(source.pop(0))
    assert sorted(straight(merged)) == alone


@settings(max_examples=40, deadline=None)
@given(events=stories("a"), cuts=st.lists(st.integers(0, 200), max_size=6), back=st.integers(0, 60))
def test_what_is_said_twice_is_announced_once(events: list[StreamEvent], cuts: list[int], back: int) -> None:
    """The detectors' process died now and then, and said its last words again."""
    doubled: list[StreamEvent] = []
    for i, event in enumerate(events):
        doubled.append(event)
        if i in cuts:
            doubled += events[max(0, i - back) : i + 1]
    assert straight(doubled) == straight(events)


@settings(max_examples=80, deadline=None)
@given(
    events=stories("a"),
    commits=st.sets(st.integers(0, 200), max_size=12),
    deaths=st.lists(st.tuples(st.integers(0, 200), st.booleans()), max_size=5),
)
def test_killed_at_any_point_it_comes_to_the_same_end(
    events: list[StreamEvent], commits: set[int], deaths: list[tuple[int, bool]]
) -> None:
    """A death comes before the writing of snapshots, or between it and the commit; the last commit counts.

    There is one every few events at least, as the runner does it.
    """
    commits = commits | set(range(10, 300, 10))
    published: list[Alert] = []
    snapshots: dict[str, bytes] = {}
    committed = at = 0
    deaths = sorted(deaths)
    engine = introduced(fresh())
    while at < len(events):
        published += engine.on_event(events[at], T0).alerts
        at += 1
        dies = bool(deaths) and deaths[0][0] < at
        if at in commits or (dies and deaths[0][1]):
            snapshots |= {s: data for s, _, data in engine.changed() if data is not None}
        if dies:
            deaths.pop(0)
            engine = fresh()
            engine.rebuild(published)
            for stream, data in snapshots.items():
                engine.restore(stream, data)
            introduced(engine)
            at = committed
        elif at in commits:
            committed = at
    assert told(published) == straight(events)
    assert len({(a.id, a.version) for a in published}) == len(published)
