"""The websockets: thin loops between a client and the hub.

Close codes: 1003 something came that no client may send, 1008 wrong Origin or Host, 1009 a message too long,
1013 an alert client that cannot keep up (it comes back with ``from``), 1012 the server stops, 4401 the
session is over, or its user may see other clinics now (log in, or come back).
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress

from starlette.websockets import WebSocket, WebSocketDisconnect

from dashboard import frames, messages
from dashboard.callers import Caller
from dashboard.clients import WaveClient
from dashboard.hub import Hub
from dashboard.messages import Ack, AlertMessage, SnapshotMessage, TimeMessage, to_json
from leadwire.clock import Clock
from leadwire.errors import RejectError

CLOCK_S = 1.0
SEND_TIMEOUT_S = 10.0
"""An alert client that takes no bytes for so long is closed."""

GATHER_S = 0.02
"""Frames that come within so long travel in one websocket message."""

WINDOW = 1 << 20
"""Bytes that may be under way to a waveform client that acknowledges."""

_BATCH = 200

Who = Callable[[], Caller | None]
"""Who is at the other end now; None: the session is over."""


class SessionOver(Exception):
    """The session ended, or its user's clinics are others now."""


def still(who: Who, caller: Caller) -> None:
    """Raise `SessionOver` unless `caller` is who it was."""
    if who() != caller:
        raise SessionOver


async def waveforms(socket: WebSocket, hub: Hub, clock: Clock, who: Who, caller: Caller) -> None:
    """Serve one client of `/ws/waveforms`."""
    await socket.accept()
    client = WaveClient(clinics=caller.clinics)
    hub.join(client)

    acked: int | None = None
    credit = asyncio.Event()

    async def receive() -> None:
        nonlocal acked
        while True:
            message = messages.read_client(await text_of(socket))
            if isinstance(message, Ack):
                acked = message.bytes
                credit.set()
            else:
                hub.subscribe(client, message.streams, clock.now())

    async def send() -> None:
        sent = 0
        next_clock = clock.monotonic()
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(client.ready.wait(), max(0.0, next_clock - clock.monotonic()))
                await asyncio.sleep(GATHER_S)
            texts, binary = client.take(clock.now())
            if clock.monotonic() >= next_clock:
                next_clock = clock.monotonic() + CLOCK_S
                still(who, caller)
                binary += frames.clock(clock.now(), hub.feed_ok)
            for text in texts:
                await socket.send_text(text.decode())
            if binary:
                # Waits while the client's buffers are full; meanwhile its queue drops the oldest.
                await socket.send_bytes(binary)
                sent += len(binary)
            while acked is not None and sent - acked > WINDOW:
                credit.clear()
                await credit.wait()

    try:
        await both(socket, receive(), send())
    finally:
        hub.leave(client)


async def alerts(
    socket: WebSocket, hub: Hub, clock: Clock, start: int | None, who: Who, caller: Caller
) -> None:
    """Serve one client of `/ws/alerts`; `start` is the sequence number it resumes from."""
    await socket.accept()

    async def receive() -> None:
        text = await text_of(socket)
        raise RejectError(f"{len(text)} characters came; nothing was expected on this websocket")

    async def say(data: bytes) -> None:
        await asyncio.wait_for(socket.send_text(data.decode()), SEND_TIMEOUT_S)

    async def send() -> None:
        log = hub.alerts
        # Before the feed has read the topic to its end, "no alarms" would be a lie.
        while not hub.feed_ok:
            await say(to_json(TimeMessage(now=clock.now(), feed=False, next=log.next_seq)))
            await asyncio.sleep(CLOCK_S / 4)
        at = start
        if at is None or log.since(at, 1) is None:
            reason = "start" if at is None else "too_old" if at < log.oldest else "unknown"
            present = tuple(
                hub.alert_view(e) for e in log.present(clock.now()) if caller.sees(hub.alert_view(e).clinic)
            )
            snapshot = SnapshotMessage(log.next_seq, log.oldest, present, reason, start)  # type: ignore[arg-type]
            at = log.next_seq
            await say(to_json(snapshot))
        next_time = clock.monotonic()
        while True:
            news = hub.alert_news()
            entries = log.since(at, _BATCH)
            if entries is None:
                raise TimeoutError("the client fell behind the kept transitions")
            for entry in entries:
                if caller.sees(hub.alert_view(entry).clinic):
                    await say(to_json(AlertMessage(hub.alert_view(entry))))
                at = entry.seq + 1
            if clock.monotonic() >= next_time:
                next_time = clock.monotonic() + CLOCK_S
                still(who, caller)
                await say(to_json(TimeMessage(now=clock.now(), feed=hub.feed_ok, next=log.next_seq)))
            if not entries:
                with suppress(TimeoutError):
                    await asyncio.wait_for(news.wait(), max(0.01, next_time - clock.monotonic()))

    await both(socket, receive(), send())


async def text_of(socket: WebSocket) -> str:
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    text = message.get("text")
    if not isinstance(text, str):
        raise RejectError("a binary message came; text was expected")
    return text


async def both(socket: WebSocket, *loops: Coroutine[object, object, None]) -> None:
    """Run the loops until one ends, and close with the reason."""
    tasks = [asyncio.ensure_future(loop) for loop in loops]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    except RejectError as why:
        await _close(socket, 1003, str(why))
    except TimeoutError:
        await _close(socket, 1013, "too slow: resume from the last sequence number received")
    except SessionOver:
        await _close(socket, 4401, "the session is over")
    except WebSocketDisconnect:
        pass
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _close(socket: WebSocket, code: int, reason: str) -> None:
    # The client may be gone already; a reason has room for 123 bytes.
    with suppress(RuntimeError, WebSocketDisconnect):
        await socket.close(code, reason.encode()[:120].decode(errors="ignore"))
