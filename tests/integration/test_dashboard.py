"""The dashboard as a running server on a real bus: what travels on its two websockets and over HTTP."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Close

from dashboard.frames import CLOCK, LOST, STATE, WAVE
from dashboard.hub import MAX_QUEUED_BYTES
from dashboard.service import DashboardService
from dashboard.sockets import WINDOW
from leadwire.errors import SettingError
from leadwire.settings import Settings
from leadwire.topics import ALERTS
from storage import open_archive, open_reader
from tests.services.ward import Ward, alert
from tests.services.wave_frames import Frame, read_frames

WAIT_S = 10.0


def _run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(60):
            await work()

    asyncio.run(limited())


def _ws(ward: Ward, path: str) -> str:
    return ward.address.replace("http", "ws").rstrip("/") + path


async def _messages(connection: ClientConnection, kind: str, n: int) -> list[dict[str, Any]]:
    """The next `n` JSON messages of `kind`."""
    found: list[dict[str, Any]] = []
    while len(found) < n:
        message = json.loads(await asyncio.wait_for(connection.recv(), WAIT_S))
        if message["type"] == kind:
            found.append(message)
    return found


async def _close_of(connection: ClientConnection) -> Close:
    """How the server closed, after everything it sent before."""
    with suppress(ConnectionClosed):
        while True:
            await asyncio.wait_for(connection.recv(), WAIT_S)
    assert connection.protocol.close_rcvd is not None
    return connection.protocol.close_rcvd


async def _frames(connection: ClientConnection) -> AsyncIterator[Frame]:
    while True:
        data = await asyncio.wait_for(connection.recv(), WAIT_S)
        if isinstance(data, bytes):
            for frame in read_frames(data):
                yield frame


def _subscribe(**streams: list[str]) -> str:
    return json.dumps({"type": "subscribe", "streams": streams})


# -- alerts


def test_an_alert_reaches_a_client_within_a_second_with_its_bed(ward: Ward) -> None:
    async def work() -> None:
        ward.admit("s1", bed="07")
        async with connect(_ws(ward, "/ws/alerts")) as c:
            await _messages(c, "snapshot", 1)
            sent = asyncio.get_running_loop().time()
            await asyncio.to_thread(ward.alert, "s1")
            [message] = await _messages(c, "alert", 1)
            assert asyncio.get_running_loop().time() - sent < 1.0
        view = message["view"]
        assert (view["bed"], view["clinic"], view["alert"]["kind"]) == ("07", "Linxi", "asystole")

    _run(work)


def test_a_client_cut_off_again_and_again_gets_every_alert_once_and_in_order(ward: Ward) -> None:
    """The server is restarted on the way, too: sequence numbers are the topic's, not the process's."""

    async def work() -> None:
        ward.admit("s1")
        got: list[int] = []
        seqs: list[int] = []
        at: int | None = None
        for round_ in range(6):
            for onset in range(round_ * 10, round_ * 10 + 10):
                await asyncio.to_thread(ward.alert, "s1", onset=onset)
            if round_ == 3:
                await asyncio.to_thread(ward.restart)
            path = "/ws/alerts?from=0" if at is None else f"/ws/alerts?from={at}"
            async with connect(_ws(ward, path)) as c:
                # Cut in the middle of the stream: what was not read is lost with the connection.
                for message in await _messages(c, "alert", 7 if round_ < 5 else 60 - len(got)):
                    got.append(message["view"]["alert"]["onset"])
                    seqs.append(message["view"]["seq"])
                    at = seqs[-1] + 1
                c.transport.abort()
        assert got == list(range(60))
        assert seqs == sorted(set(seqs))

    _run(work)


def test_a_new_client_gets_the_present_states_and_then_the_transitions(ward: Ward) -> None:
    async def work() -> None:
        ward.admit("s1")
        first = ward.alert("s1", kind="pause", priority="medium")
        ward.alert("s1", kind="pause", priority="medium", version=2, state="ended", end=50)
        ward.alert("s1")
        async with connect(_ws(ward, "/ws/alerts")) as c:
            [snapshot] = await _messages(c, "snapshot", 1)
            states = {v["alert"]["kind"]: v["alert"]["state"] for v in snapshot["alerts"]}
            # Which of the three the feed had read by then does not matter: nothing is missed between.
            while states != {"pause": "ended", "asystole": "active"}:
                [message] = await _messages(c, "alert", 1)
                states[message["view"]["alert"]["kind"]] = message["view"]["alert"]["state"]
        assert first.kind == "pause"

    _run(work)


def test_a_sequence_number_from_another_bus_is_told_and_answered_with_the_present(ward: Ward) -> None:
    async def work() -> None:
        ward.admit("s1")
        async with connect(_ws(ward, "/ws/alerts?from=999999")) as c:
            [snapshot] = await _messages(c, "snapshot", 1)
        assert (snapshot["reason"], snapshot["asked"]) == ("unknown", 999999)

    _run(work)


def test_a_rubbish_alert_on_the_topic_stops_nothing(ward: Ward) -> None:
    async def work() -> None:
        ward.admit("s1")
        async with connect(_ws(ward, "/ws/alerts?from=0")) as c:
            producer = ward.bus.producer()
            producer.publish(ALERTS, "s1", b"\xff rubbish").result(10)
            producer.close()
            await asyncio.to_thread(ward.alert, "s1")
            [message] = await _messages(c, "alert", 1)
        assert message["view"]["seq"] == 1

    _run(work)


# -- waveforms


def test_samples_reach_a_subscriber_in_order_and_a_gap_stays_a_gap(ward: Ward) -> None:
    async def work() -> None:
        ward.admit("s1", leads=("II", "V1"))
        async with connect(_ws(ward, "/ws/waveforms")) as c:
            await c.send(_subscribe(s1=["V1"]))
            mv = np.stack([np.zeros(50), np.linspace(-1, 1, 50)], axis=1)
            await asyncio.to_thread(ward.send, "s1", mv)
            await asyncio.to_thread(ward.send, "s1", mv)
            ward.skip("s1", 25)
            await asyncio.to_thread(ward.send, "s1", mv)
            waves: list[Frame] = []
            async for frame in _frames(c):
                if frame.kind == WAVE:
                    waves.append(frame)
                    np.testing.assert_allclose(frame.leads[1], mv[:, 1], atol=0.003)  # type: ignore[index]
                if len(waves) == 3:
                    break
        assert [w.first for w in waves] == [0, 50, 125]

    _run(work)


def test_rate_quality_and_beats_reach_a_subscriber(ward: Ward) -> None:
    async def work() -> None:
        ward.admit("s1")
        async with connect(_ws(ward, "/ws/waveforms")) as c:
            await c.send(_subscribe(s1=["II"]))
            await asyncio.to_thread(ward.beat, "s1", 100, "V")
            await asyncio.to_thread(ward.rate, "s1", 72.0)
            beats: list[object] = []
            async for frame in _frames(c):
                if frame.kind == STATE:
                    beats += frame.beats  # type: ignore[operator]
                    if frame.rate == 72.0 and frame.usable and beats:
                        break
        assert beats == [(100, "V")]

    _run(work)


def test_the_server_gives_a_sign_of_life_every_second_even_with_no_data(ward: Ward) -> None:
    async def work() -> None:
        async with connect(_ws(ward, "/ws/waveforms")) as c:
            stamps: list[float] = []
            async for frame in _frames(c):
                assert frame.kind == CLOCK
                stamps.append(float(str(frame.now)))
                if len(stamps) == 3:
                    break
        assert 1.0 < stamps[-1] - stamps[0] < 4.0

    _run(work)


def test_a_client_that_does_not_read_is_told_how_many_waves_it_lost_and_gets_the_newest(ward: Ward) -> None:
    async def work() -> None:
        leads = tuple(f"L{i}" for i in range(12))
        ward.admit("s1", leads=leads)
        # Small buffers on both sides, so that the server notices soon.
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        host, port = ward.address.removeprefix("http://").rstrip("/").split(":")
        raw.connect((host, int(port)))
        async with connect(_ws(ward, "/ws/waveforms"), sock=raw, max_size=None, max_queue=1) as c:
            await c.send(_subscribe(s1=list(leads)))
            await asyncio.wait_for(c.recv(), WAIT_S)
            noise = np.random.default_rng(1).normal(size=(2000, 12))
            sent = 300  # 48 kB each: far beyond the queue's 4 MiB and all socket buffers

            def flood() -> None:
                for _ in range(sent):
                    ward.send("s1", noise)

            await asyncio.to_thread(flood)
            seen: list[int] = []
            lost = 0
            async for frame in _frames(c):
                if frame.kind == LOST:
                    lost += int(str(frame.frames))
                if frame.kind == WAVE:
                    seen.append(int(str(frame.first)))
                    if frame.first == 2000 * (sent - 1):
                        break
        assert lost > 0
        assert lost + len(seen) == sent
        assert seen == sorted(seen)

    _run(work)


def test_a_client_that_acknowledges_never_has_more_than_the_window_under_way(ward: Ward) -> None:
    """However much the buffers between would hold: what it has not worked on is not sent."""

    async def work() -> None:
        leads = tuple(f"L{i}" for i in range(12))
        ward.admit("s1", leads=leads)
        async with connect(_ws(ward, "/ws/waveforms"), max_size=None, max_queue=None) as c:
            await c.send(json.dumps({"type": "ack", "bytes": 0}))
            await c.send(_subscribe(s1=list(leads)))
            noise = np.random.default_rng(1).normal(size=(2000, 12))

            def flood() -> None:
                for _ in range(200):
                    ward.send("s1", noise, wait=False)
                ward.send("s1", noise)

            await asyncio.to_thread(flood)
            received, lost, newest = 0, 0, -1
            with suppress(TimeoutError):  # it stops by itself
                while True:
                    data = await asyncio.wait_for(c.recv(), 1.5)
                    received += len(data) if isinstance(data, bytes) else 0
            assert WINDOW <= received < WINDOW + MAX_QUEUED_BYTES
            await c.send(json.dumps({"type": "ack", "bytes": received}))
            async for frame in _frames(c):
                lost += int(str(frame.frames)) if frame.kind == LOST else 0
                if frame.kind == WAVE:
                    newest = int(str(frame.first))
                if newest == 2000 * 200:
                    break
            assert lost > 0

    _run(work)


# -- refusals


@pytest.mark.parametrize(
    ("path", "data", "code"),
    [
        ("/ws/waveforms", "rubbish", 1003),
        ("/ws/waveforms", b"\x00\x01", 1003),
        ("/ws/waveforms", '{"type": "subscribe", "streams": {"..": []}}', 1003),
        ("/ws/waveforms", "x" * 70_000, 1009),
        ("/ws/alerts", "{}", 1003),
    ],
)
def test_a_client_that_sends_what_it_may_not_is_closed_with_the_reason(
    ward: Ward, path: str, data: str | bytes, code: int
) -> None:
    async def work() -> None:
        async with connect(_ws(ward, path)) as c:
            await c.send(data)
            received = await _close_of(c)
        assert received.code == code
        assert code == 1009 or "came" in received.reason

    _run(work)


@pytest.mark.parametrize("path", ["/ws/alerts", "/ws/waveforms"])
@pytest.mark.parametrize(
    ("origin", "host"), [("http://evil.example", ""), ("null", ""), (None, "rebound.evil.example")]
)
def test_a_foreign_page_cannot_open_a_websocket(ward: Ward, path: str, origin: str | None, host: str) -> None:
    port = int(ward.address.rstrip("/").rpartition(":")[2])

    async def work() -> None:
        url = f"ws://{host or '127.0.0.1'}:{port}{path}"
        with pytest.raises(InvalidStatus) as refused:
            await connect(url, origin=origin, host="127.0.0.1", port=port)  # type: ignore[arg-type]
        assert refused.value.response.status_code == 403

    _run(work)


@pytest.mark.parametrize("start", ["-1", "x", "1e3", "٣", "9" * 30])
def test_a_sequence_number_that_is_none_is_refused(ward: Ward, start: str) -> None:
    async def work() -> None:
        with pytest.raises(InvalidStatus):
            await connect(_ws(ward, f"/ws/alerts?from={start}"))

    _run(work)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/nothing", 404),
        ("GET", "/static/../app.py", 404),
        ("GET", "/static/%2e%2e/app.py", 404),
        ("POST", "/api/streams", 405),
        ("GET", "/api/history/samples?stream=s1&start=x&stop=2&lead=II", 422),
        ("GET", "/api/history/samples?stream=s1&start=0&stop=99999999999999999999&lead=II", 422),
        ("GET", "/api/history/envelope?stream=s1&start=0&stop=5&lead=II&columns=0", 422),
        ("GET", "/api/history/alerts?stream=s1", 404),
        ("GET", "/docs", 404),
    ],
)
def test_every_error_has_one_shape_and_every_answer_the_security_headers(
    ward: Ward, method: str, path: str, status: int
) -> None:
    answer = httpx.request(method, ward.address.rstrip("/") + path)
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}
    assert set(answer.json()["error"]) == {"code", "message"}
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_request_for_another_host_is_refused(ward: Ward) -> None:
    answer = httpx.get(ward.address, headers={"Host": "rebound.evil.example"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "wrong_host")


def test_pages_and_their_parts_are_served_and_name_nothing_outside(ward: Ward) -> None:
    for path in (
        "",
        "patient?stream=s1",
        "static/wall.js",
        "static/style.css",
        "api/catalogue",
        "api/streams",
    ):
        answer = httpx.get(ward.address + path)
        assert answer.status_code == 200
        assert "//cdn" not in answer.text
        assert "https://" not in answer.text
    assert httpx.get(ward.address + "api/streams").headers["cache-control"] == "no-store"


# -- life


def test_the_dashboard_stops_while_clients_are_connected_and_can_start_again(ward: Ward) -> None:
    async def work() -> None:
        async with connect(_ws(ward, "/ws/alerts")) as a, connect(_ws(ward, "/ws/waveforms")) as w:
            await _messages(a, "snapshot", 1)
            await asyncio.wait_for(w.recv(), WAIT_S)
            await asyncio.to_thread(ward.restart)
            for c in (a, w):
                assert (await _close_of(c)).code == 1012
        async with connect(_ws(ward, "/ws/alerts")) as a:
            await _messages(a, "snapshot", 1)

    _run(work)


def test_a_port_that_is_taken_is_the_operators_mistake(ward: Ward) -> None:
    port = int(ward.address.rstrip("/").rpartition(":")[2])
    with pytest.raises(SettingError, match=str(port)):
        DashboardService(ward.bus, None, Settings(dashboard_port=port)).start()


def test_the_patient_page_gets_history_of_a_stream_that_ended(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/archive.sqlite"
    archive, reader = open_archive(url), open_reader(url)
    ward = Ward(tmp_path, reader)
    try:
        patient = ward.admit("s1", ended=1.0)
        archive.add(patient)
        archive.add(alert(patient))
        archive.flush(1000.0)
        query = {"stream": "s1"}
        found = httpx.get(ward.address + "api/history/stream", params=query)
        assert (found.status_code, found.json()["bed"]) == (200, "01")
        assert [a["kind"] for a in httpx.get(ward.address + "api/history/alerts", params=query).json()] == [
            "asystole"
        ]
        missing = httpx.get(ward.address + "api/history/stream", params={"stream": "s2"})
        assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")
    finally:
        ward.close()
        reader.close()
        archive.close()
