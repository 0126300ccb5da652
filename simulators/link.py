"""The socket of a simulated device: a websocket client that does what `SimulatedDevice` says."""

import asyncio
import contextlib
import os
from ipaddress import ip_address
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from ingest.protocols.v1 import V1
from leadwire.clock import Clock, SystemClock
from leadwire.errors import ProtocolRejected, RetryError, SettingError
from simulators.device import SimulatedDevice

OPEN_TIMEOUT_S = 5.0


def gateway_url(address: str) -> str:
    """The websocket address of the gateway at `address` (``ws://HOST:PORT`` or ``HOST:PORT``).

    Raises
    ------
    SettingError
        It is no such address.
    """
    text = address if "://" in address else f"ws://{address}"
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise SettingError(f"gateway {address!r} came; ws://HOST:PORT was expected")
    return text.rstrip("/") + V1.path if parts.path in ("", "/") else text


async def run_device(sim: SimulatedDevice, address: str, clock: Clock | None = None) -> None:
    """Play `sim` to the gateway at `address` until it is finished; `sim.end` ends it early.

    Connection trouble is waited out for as long as it takes.

    Raises
    ------
    ProtocolRejected
        The gateway refuses this device for good, or does not speak the protocol.
    RetryError
        After `sim.end` something stayed unacknowledged for too long.
    """
    clock = clock or SystemClock()
    url = gateway_url(address)
    while not sim.over(now := clock.monotonic()):
        if not sim.wants_link(now):
            sim.poll(now)  # it goes on measuring while it is cut off
            await asyncio.sleep(sim.wake_at(now) - now)
            continue
        why = "the connection ended"
        try:
            async with connect(
                url,
                open_timeout=OPEN_TIMEOUT_S,
                close_timeout=1.0,
                max_size=V1.max_bytes,
                compression=None,
                proxy=None if _is_loopback(url) else True,
            ) as socket:
                sim.linked(clock.monotonic())
                await _converse(sim, socket, clock)
        except (OSError, WebSocketException) as error:
            number = getattr(error, "errno", None)
            why = os.strerror(number) if number else str(error) or type(error).__name__
        finally:
            sim.unlinked(clock.monotonic(), why)
    if sim.refused is not None:
        code, reason = sim.refused.code.name.lower(), sim.refused.reason
        raise ProtocolRejected(f"the gateway refuses {sim.stream}: {code}: {reason}")
    if not sim.finished:
        missing = sim.device.next_sample - sim.device.acknowledged
        raise RetryError(f"{missing} samples of {sim.stream} stay unacknowledged: {sim.trouble}")


async def _converse(sim: SimulatedDevice, socket: ClientConnection, clock: Clock) -> None:
    heard = asyncio.Event()

    async def hear() -> None:
        try:
            async for message in socket:
                if isinstance(message, str):
                    raise ProtocolRejected("a text message came from the gateway; binary was expected")
                sim.receive(message, clock.monotonic())
                heard.set()
        finally:
            heard.set()

    hearing = asyncio.create_task(hear())
    try:
        while True:
            heard.clear()
            now = clock.monotonic()
            for message in sim.poll(now):
                await socket.send(message)
            if hearing.done() or sim.finished or sim.hang_up(now):
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(heard.wait(), sim.wake_at(now) - now)
    finally:
        hearing.cancel()
        with contextlib.suppress(asyncio.CancelledError, WebSocketException, OSError):
            await hearing


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
