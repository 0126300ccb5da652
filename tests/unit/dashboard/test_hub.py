"""The hub: who is on the wall, and who is owed which frames."""

import json
from itertools import count

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dashboard.clients import WaveClient
from dashboard.frames import LOST, STATE, WAVE
from dashboard.hub import ENDED_S, SHOWN_S, Arrival, Hub
from leadwire.messages import Message
from leadwire.model import Beat, HeartRate, StreamInfo
from tests.services.ward import chunk, info
from tests.services.wave_frames import Frame, read_frames

NOW = 10_000.0
_seq = count()


def _tell(hub: Hub, *what: Message, now: float = NOW) -> None:
    hub.apply([Arrival("t", m.stream, next(_seq), m) for m in what], now)  # type: ignore[union-attr]


def _patient(stream: str, bed: str = "01", **changes: object) -> StreamInfo:
    return info(stream, bed, **({"started": NOW} | changes))  # type: ignore[arg-type]


def _client(hub: Hub, *streams: str, leads: tuple[str, ...] = ("II",), **limits: int) -> WaveClient:
    client = WaveClient(**limits)
    hub.join(client)
    hub.subscribe(client, dict.fromkeys(streams, leads), NOW)
    return client


def _frames(client: WaveClient) -> list[Frame]:
    return read_frames(client.take(NOW)[1])


def _of(frames: list[Frame], kind: int) -> list[Frame]:
    return [f for f in frames if f.kind == kind]


def _samples(of: StreamInfo, first: int, n: int = 50) -> Message:
    return chunk(of, first, np.zeros(n), now=NOW)


def test_a_subscriber_gets_the_buffered_seconds_then_what_comes() -> None:
    hub, p = Hub(), _patient("s1")
    _tell(hub, p, _samples(p, 0), _samples(p, 50))
    client = _client(hub, "s1")
    _tell(hub, _samples(p, 100))
    waves = _of(_frames(client), WAVE)
    assert [f.n for f in waves] == [100, 50]
    assert [(f.first, f.buffered) for f in waves] == [(0, True), (100, False)]
    assert _frames(client) == []


def test_nobody_gets_what_he_did_not_subscribe() -> None:
    hub, a, b = Hub(), _patient("a", "01", leads=("II", "V1")), _patient("b", "02")
    _tell(hub, a, b)
    client = _client(hub, "a", leads=("V1",))
    _tell(hub, _samples(a, 0), _samples(b, 0))
    [wave] = _of(_frames(client), WAVE)
    assert wave.stream == hub.live["a"].index
    assert list(wave.leads) == [1]  # type: ignore[call-overload]


def test_streams_and_leads_that_do_not_exist_are_waited_for() -> None:
    hub, p = Hub(), _patient("s1")
    client = _client(hub, "s1", "never", leads=("II", "aVR"))
    _tell(hub, p, _samples(p, 0))
    [wave] = _of(_frames(client), WAVE)
    assert list(wave.leads) == [0]  # type: ignore[call-overload]
    more = _patient("s1", leads=("aVR", "II"))
    _tell(hub, _samples(more, 50))
    [*_, wave] = _of(_frames(client), WAVE)
    assert (wave.first, list(wave.leads)) == (50, [0, 1])  # type: ignore[call-overload]


def test_a_subscription_replaces_the_one_before() -> None:
    hub, a, b = Hub(), _patient("a", "01"), _patient("b", "02")
    _tell(hub, a, b)
    client = _client(hub, "a")
    hub.subscribe(client, {"b": ("II",)}, NOW)
    _tell(hub, _samples(a, 0), _samples(b, 0))
    assert {f.stream for f in _frames(client)} == {hub.live["b"].index}


@given(
    sizes=st.lists(st.integers(1, 8), max_size=12),
    limit=st.integers(1, 6),
)
def test_a_slow_client_loses_the_oldest_waves_is_told_how_many_and_misses_no_other(
    sizes: list[int], limit: int
) -> None:
    """`sizes`: so many waves come between one send to the client and the next."""
    hub, p = Hub(), _patient("s1")
    _tell(hub, p)
    client = _client(hub, "s1", max_queued=limit)
    first, got, told, total = 0, [], 0, 0
    for size in sizes:
        for _ in range(size):
            _tell(hub, _samples(p, first))
            first += 50
        sent = _frames(client)
        waves = [f.first for f in _of(sent, WAVE)]
        assert waves == list(range(first - 50 * min(size, limit), first, 50))
        got += waves
        for lost in _of(sent, LOST):
            told += int(str(lost.frames))
            total = int(str(lost.total))
    assert told == total == first // 50 - len(got)


def test_the_limit_counts_bytes_too() -> None:
    hub, p = Hub(), _patient("s1")
    _tell(hub, p)
    client = _client(hub, "s1", max_bytes=2500)
    for i in range(10):
        _tell(hub, _samples(p, 500 * i, 500))
    sent = _frames(client)
    assert [f.first for f in _of(sent, WAVE)] == [4000, 4500]
    assert [f.frames for f in _of(sent, LOST)] == [8]


def test_a_slow_client_still_gets_the_newest_state_and_every_beat_since_the_last() -> None:
    hub, p = Hub(), _patient("s1")
    _tell(hub, p)
    client = _client(hub, "s1", max_queued=1)
    for i in range(20):
        _tell(
            hub,
            _samples(p, 50 * i),
            Beat(stream="s1", sample=50 * i, detected=50 * i + 10, symbol="N"),
            HeartRate(stream="s1", sample=50 * i, rate=60.0 + i),
        )
    [state] = _of(_frames(client), STATE)
    assert state.rate == 79.0
    assert [s for s, _ in state.beats] == [50 * i for i in range(20)]  # type: ignore[attr-defined]
    _tell(hub, Beat(stream="s1", sample=2000, detected=2010, symbol="V"))
    [state] = _of(_frames(client), STATE)
    assert state.beats == [(2000, "V")]


def test_two_clients_do_not_take_from_each_other() -> None:
    hub, p = Hub(), _patient("s1")
    _tell(hub, p)
    slow, quick = _client(hub, "s1", max_queued=2), _client(hub, "s1")
    got = []
    for i in range(6):
        _tell(hub, _samples(p, 50 * i))
        got += [f.first for f in _of(_frames(quick), WAVE)]
    assert got == [0, 50, 100, 150, 200, 250]
    assert [f.first for f in _of(_frames(slow), WAVE)] == [200, 250]


def test_a_client_that_left_is_owed_nothing_more() -> None:
    hub, p = Hub(), _patient("s1")
    _tell(hub, p)
    client = _client(hub, "s1")
    _frames(client)
    hub.leave(client)
    _tell(hub, _samples(p, 0))
    assert not client.ready.is_set()


def test_a_new_recording_takes_its_bed_and_the_old_one_leaves() -> None:
    hub = Hub()
    old, new = _patient("old", started=NOW - 100), _patient("new", started=NOW)
    _tell(hub, old, chunk(old, 0, np.zeros(50), now=NOW - 50))
    client = _client(hub, "old")
    client.take(NOW)
    _tell(hub, new)
    assert list(hub.live) == ["new"]
    [text] = client.take(NOW)[0]
    message = json.loads(text)
    assert (message["gone"], [s["stream"] for s in message["streams"]]) == (["old"], ["new"])
    # Its last rows, still on their way, do not bring it back.
    _tell(hub, chunk(old, 50, np.zeros(50), now=NOW - 1))
    assert list(hub.live) == ["new"]


def test_two_devices_that_both_send_for_one_bed_are_both_shown() -> None:
    hub = Hub()
    monitor, holter = _patient("monitor", started=NOW - 100), _patient("holter", started=NOW)
    _tell(hub, monitor, holter)
    _tell(hub, chunk(monitor, 0, np.zeros(50), now=NOW + 1), now=NOW + 1)
    assert set(hub.live) == {"monitor", "holter"}
    _tell(hub, monitor, now=NOW + 2)
    assert set(hub.live) == {"monitor", "holter"}


@given(st.permutations(["a", "b", "c", "d"]))
def test_the_order_in_which_streams_are_read_does_not_decide_who_has_the_bed(order: list[str]) -> None:
    hub = Hub()
    started = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}
    for name in order:
        _tell(hub, _patient(name, started=NOW + started[name]))
    assert list(hub.live) == ["d"]


def test_a_silent_bed_stays_on_the_wall_for_hours_and_an_ended_one_for_minutes() -> None:
    hub = Hub()
    _tell(hub, _patient("silent", "01"), _patient("ended", "02", ended=NOW))
    hub.tidy(NOW + ENDED_S - 1)
    assert set(hub.live) == {"silent", "ended"}
    hub.tidy(NOW + ENDED_S + 1)
    assert set(hub.live) == {"silent"}
    hub.tidy(NOW + SHOWN_S - 1)
    assert set(hub.live) == {"silent"}
    hub.tidy(NOW + SHOWN_S + 1)
    assert not hub.live


def test_samples_of_a_stream_that_nobody_described_are_shown_under_its_id() -> None:
    hub = Hub()
    _tell(hub, _samples(_patient("s1"), 0))
    [view] = hub.streams()
    assert (view.stream, view.bed, view.leads) == ("s1", "s1", ("II",))
    _tell(hub, _patient("s1", "07"))
    assert hub.streams()[0].bed == "07"


def test_a_deleted_stream_leaves_the_wall() -> None:
    hub = Hub()
    _tell(hub, _patient("s1"))
    hub.apply([Arrival("ecg.streams", "s1", 9, None)], NOW)
    assert not hub.live


def test_no_two_streams_on_the_wall_share_a_frame_index() -> None:
    hub = Hub()
    hub._next_index = (1 << 16) - 2
    for i in range(5):
        _tell(hub, _patient(f"s{i}", f"{i}"))
    assert len({s.index for s in hub.live.values()}) == 5
    assert max(s.index for s in hub.live.values()) < 1 << 16
