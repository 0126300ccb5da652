"""The dashboard as a running server on a real bus: what travels on its two websockets."""

import asyncio
import json
import socket
from contextlib import suppress

import numpy as np
from websockets.asyncio.client import connect

from dashboard.clients import MAX_QUEUED_BYTES
from dashboard.frames import CLOCK, LOST, STATE, WAVE
from dashboard.sockets import WINDOW
from leadwire.topics import ALERTS
from tests.services.dashboard_client import WAIT_S, frames_of, listed, next_messages, run, subscribe, ws_url
from tests.services.ward import Ward
from tests.services.wave_frames import Frame

# -- alerts


def test_an_alert_reaches_a_client_before_the_second_sign_of_life_with_its_bed(ward: Ward) -> None:
    """The signs come once a second, from the same loop: counted against them, no machine is too slow."""

    async def work() -> None:
        ward.admit("s1", bed="07")
        signs = []
        async with connect(ws_url(ward, "/ws/alerts")) as c:
            await next_messages(c, "snapshot", 1)
            for onset in range(5):
                await next_messages(c, "time", 1)
                await asyncio.to_thread(ward.alert, "s1", onset=onset)
                kinds = []
                while not kinds or kinds[-1] != "alert":
                    message = json.loads(await asyncio.wait_for(c.recv(), WAIT_S))
                    kinds.append(message["type"])
                signs.append(kinds.count("time"))
        assert min(signs) <= 1
        view = message["view"]
        assert (view["bed"], view["clinic"], view["alert"]["kind"]) == ("07", "Linxi", "asystole")

    run(work)


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
            async with connect(ws_url(ward, path)) as c:
                # Cut in the middle of the stream: what was not read is lost with the connection.
                for message in await next_messages(c, "alert", 7 if round_ < 5 else 60 - len(got)):
                    got.append(message["view"]["alert"]["onset"])
                    seqs.append(message["view"]["seq"])
                    at = seqs[-1] + 1
                c.transport.abort()
        assert got == list(range(60))
        assert seqs == sorted(set(seqs))

    run(work)


def test_a_new_client_gets_the_present_states_and_then_the_transitions(ward: Ward) -> None:
    async def work() -> None:
        ward.admit("s1")
        first = ward.alert("s1", kind="pause", priority="medium")
        ward.alert("s1", kind="pause", priority="medium", version=2, state="ended", end=50)
        ward.alert("s1")
        async with connect(ws_url(ward, "/ws/alerts")) as c:
            [snapshot] = await next_messages(c, "snapshot", 1)
            states = {v["alert"]["kind"]: v["alert"]["state"] for v in snapshot["alerts"]}
            # Which of the three the feed had read by then does not matter: nothing is missed between.
            while states != {"pause": "ended", "asystole": "active"}:
                [message] = await next_messages(c, "alert", 1)
                states[message["view"]["alert"]["kind"]] = message["view"]["alert"]["state"]
        assert first.kind == "pause"

    run(work)


def test_a_sequence_number_from_another_bus_is_told_and_answered_with_the_present(ward: Ward) -> None:
    async def work() -> None:
        ward.admit("s1")
        async with connect(ws_url(ward, "/ws/alerts?from=999999")) as c:
            [snapshot] = await next_messages(c, "snapshot", 1)
        assert (snapshot["reason"], snapshot["asked"]) == ("unknown", 999999)

    run(work)


def test_a_rubbish_alert_on_the_topic_stops_nothing(ward: Ward) -> None:
    async def work() -> None:
        ward.admit("s1")
        async with connect(ws_url(ward, "/ws/alerts?from=0")) as c:
            producer = ward.bus.producer()
            producer.publish(ALERTS, "s1", b"\xff rubbish").result(10)
            producer.close()
            await asyncio.to_thread(ward.alert, "s1")
            [message] = await next_messages(c, "alert", 1)
        assert message["view"]["seq"] == 1

    run(work)


# -- waveforms


def test_samples_reach_a_subscriber_in_order_and_a_gap_stays_a_gap(ward: Ward) -> None:
    async def work() -> None:
        ward.admit("s1", leads=("II", "V1"))
        async with connect(ws_url(ward, "/ws/waveforms")) as c:
            await c.send(subscribe(s1=["V1"]))
            mv = np.stack([np.zeros(50), np.linspace(-1, 1, 50)], axis=1)
            await asyncio.to_thread(ward.send, "s1", mv)
            await asyncio.to_thread(ward.send, "s1", mv)
            ward.skip("s1", 25)
            await asyncio.to_thread(ward.send, "s1", mv)
            waves: list[Frame] = []
            async for frame in frames_of(c):
                if frame.kind == WAVE:
                    waves.append(frame)
                    np.testing.assert_allclose(frame.leads[1], mv[:, 1], atol=0.003)  # type: ignore[index]
                if len(waves) == 3:
                    break
        assert [w.first for w in waves] == [0, 50, 125]

    run(work)


def test_rate_quality_and_beats_reach_a_subscriber(ward: Ward) -> None:
    async def work() -> None:
        ward.admit("s1")
        async with connect(ws_url(ward, "/ws/waveforms")) as c:
            await listed(c, "s1")
            await c.send(subscribe(s1=["II"]))
            await asyncio.to_thread(ward.beat, "s1", 100, "V")
            await asyncio.to_thread(ward.rate, "s1", 72.0)
            beats: list[object] = []
            async for frame in frames_of(c):
                if frame.kind == STATE:
                    beats += frame.beats  # type: ignore[operator]
                    if frame.rate == 72.0 and frame.usable and beats:
                        break
        assert beats == [(100, "V")]

    run(work)


def test_the_server_gives_a_sign_of_life_every_second_even_with_no_data(ward: Ward) -> None:
    async def work() -> None:
        async with connect(ws_url(ward, "/ws/waveforms")) as c:
            stamps: list[float] = []
            async for frame in frames_of(c):
                assert frame.kind == CLOCK
                stamps.append(float(str(frame.now)))
                if len(stamps) == 4:
                    break
        # The quickest of three: a busy machine is no failure.
        assert 0.9 < np.diff(stamps).min() < 2.0

    run(work)


def test_a_client_that_does_not_read_is_told_how_many_waves_it_lost_and_gets_the_newest(ward: Ward) -> None:
    async def work() -> None:
        leads = tuple(f"L{i}" for i in range(12))
        ward.admit("s1", leads=leads)
        # Small buffers on both sides, so that the server notices soon.
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        host, port = ward.address.removeprefix("http://").rstrip("/").split(":")
        raw.connect((host, int(port)))
        async with connect(ws_url(ward, "/ws/waveforms"), sock=raw, max_size=None, max_queue=1) as c:
            await c.send(subscribe(s1=list(leads)))
            await asyncio.wait_for(c.recv(), WAIT_S)
            noise = np.random.default_rng(1).normal(size=(2000, 12))
            sent = 300  # 48 kB each: far beyond the queue's 4 MiB and all socket buffers

            def flood() -> None:
                for _ in range(sent):
                    ward.send("s1", noise)

            await asyncio.to_thread(flood)
            seen: list[int] = []
            lost = 0
            async for frame in frames_of(c):
                if frame.kind == LOST:
                    lost += int(str(frame.frames))
                if frame.kind == WAVE:
                    seen.append(int(str(frame.first)))
                    if frame.first == 2000 * (sent - 1):
                        break
        assert lost > 0
        assert lost + len(seen) == sent
        assert seen == sorted(seen)

    run(work)


def test_a_client_that_acknowledges_never_has_more_than_the_window_under_way(ward: Ward) -> None:
    """However much the buffers between would hold: what it has not worked on is not sent."""

    async def work() -> None:
        leads = tuple(f"L{i}" for i in range(12))
        ward.admit("s1", leads=leads)
        async with connect(ws_url(ward, "/ws/waveforms"), max_size=None, max_queue=None) as c:
            await c.send(json.dumps({"type": "ack", "bytes": 0}))
            await c.send(subscribe(s1=list(leads)))
            noise = np.random.default_rng(1).normal(size=(2000, 12))

            def flood() -> None:
                for _ in range(300):
                    ward.send("s1", noise, wait=False)
                ward.send("s1", noise)

            await asyncio.to_thread(flood)
            received, lost, newest = 0, 0, -1
            with suppress(TimeoutError):  # it stops by itself
                while True:
                    patience = WAIT_S if received < WINDOW else 1.5
                    data = await asyncio.wait_for(c.recv(), patience)
                    received += len(data) if isinstance(data, bytes) else 0
            assert WINDOW <= received < WINDOW + MAX_QUEUED_BYTES
            await c.send(json.dumps({"type": "ack", "bytes": received}))
            async for frame in frames_of(c):
                lost += int(str(frame.frames)) if frame.kind == LOST else 0
                if frame.kind == WAVE:
                    newest = int(str(frame.first))
                if newest == 2000 * 300:
                    break
            assert lost > 0

    run(work)
