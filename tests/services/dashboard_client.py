"""What a program needs to be a client of the dashboard's websockets."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import Close

from tests.services.ward import Ward
from tests.services.wave_frames import Frame, read_frames

WAIT_S = 60.0


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run `work` to its end, four minutes at most."""

    async def limited() -> None:
        async with asyncio.timeout(240):
            await work()

    asyncio.run(limited())


def ws_url(ward: Ward, path: str) -> str:
    """The websocket's address."""
    return ward.address.replace("http", "ws").rstrip("/") + path


async def next_messages(connection: ClientConnection, kind: str, n: int) -> list[dict[str, Any]]:
    """The next `n` JSON messages of `kind`."""
    found: list[dict[str, Any]] = []
    while len(found) < n:
        data = await asyncio.wait_for(connection.recv(), WAIT_S)
        message = json.loads(data) if isinstance(data, str) else {"type": "frames"}
        if message["type"] == kind:
            found.append(message)
    return found


async def listed(connection: ClientConnection, stream: str) -> None:
    """Wait until the server knows `stream`: what comes of it on other topics may overtake its description."""
    known: set[str] = set()
    while stream not in known:
        [message] = await next_messages(connection, "streams", 1)
        known |= {view["stream"] for view in message["streams"]}


async def close_of(connection: ClientConnection) -> Close:
    """How the server closed, after everything it sent before."""
    with suppress(ConnectionClosed):
        while True:
            await asyncio.wait_for(connection.recv(), WAIT_S)
    assert connection.protocol.close_rcvd is not None
    return connection.protocol.close_rcvd


async def frames_of(connection: ClientConnection) -> AsyncIterator[Frame]:
    """Every frame that comes."""
    while True:
        data = await asyncio.wait_for(connection.recv(), WAIT_S)
        if isinstance(data, bytes):
            for frame in read_frames(data):
                yield frame


def subscribe(**streams: list[str]) -> str:
    """The message that asks for leads of streams."""
    return json.dumps({"type": "subscribe", "streams": streams})
