"""The dashboard as a running server: what it refuses, what its answers look like, how it starts and stops."""

import asyncio
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from dashboard.service import DashboardService
from leadwire.errors import SettingError
from leadwire.settings import Settings
from storage import open_archive, open_reader
from tests.services.dashboard_client import WAIT_S, close_of, next_messages, run, ws_url
from tests.services.ward import Ward, alert

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
        async with connect(ws_url(ward, path)) as c:
            await c.send(data)
            received = await close_of(c)
        assert received.code == code
        assert code == 1009 or "came" in received.reason

    run(work)


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

    run(work)


@pytest.mark.parametrize("start", ["-1", "x", "1e3", "٣", "9" * 30])
def test_a_sequence_number_that_is_none_is_refused(ward: Ward, start: str) -> None:
    async def work() -> None:
        with pytest.raises(InvalidStatus):
            await connect(ws_url(ward, f"/ws/alerts?from={start}"))

    run(work)


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
        async with connect(ws_url(ward, "/ws/alerts")) as a, connect(ws_url(ward, "/ws/waveforms")) as w:
            await next_messages(a, "snapshot", 1)
            await asyncio.wait_for(w.recv(), WAIT_S)
            await asyncio.to_thread(ward.restart)
            for c in (a, w):
                assert (await close_of(c)).code == 1012
        async with connect(ws_url(ward, "/ws/alerts")) as a:
            await next_messages(a, "snapshot", 1)

    run(work)


def test_a_port_that_is_taken_is_the_operators_mistake(ward: Ward) -> None:
    port = int(ward.address.rstrip("/").rpartition(":")[2])
    settings = Settings(dashboard_port=port, session_secret_file=ward.secret)
    with pytest.raises(SettingError, match=str(port)):
        DashboardService(ward.bus, None, settings).start()


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
