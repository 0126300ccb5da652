"""`/ws/cases`: the inbox of one page. It gets the newest state of each case, and says that somebody looks.

A case sent to a user whom Leadwire paged is the receipt "delivered"; the page's own word that the case stood
before the user's eyes is "seen". Neither says that anybody has taken it on.
"""

import asyncio
import hashlib
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Literal

from starlette.websockets import WebSocket

from dashboard import messages
from dashboard.callers import Caller
from dashboard.case_views import case_summary
from dashboard.desk import Desk
from dashboard.hub import Hub
from dashboard.messages import CaseMessage, MeMessage, Presence, TimeMessage, to_json
from dashboard.sockets import CLOCK_S, SEND_TIMEOUT_S, Who, both, still, text_of
from dashboard.watching import Watching
from leadwire.case import Command
from leadwire.clock import Clock
from leadwire.story import Case


async def cases(
    socket: WebSocket, hub: Hub, desk: Desk, watching: Watching, clock: Clock, who: Who, caller: Caller
) -> None:
    """Serve one client of `/ws/cases`."""
    await socket.accept()
    page = watching.join(caller)
    client = hub.cases.join()

    async def receive() -> None:
        while True:
            message = messages.read_case_client(await text_of(socket))
            if isinstance(message, Presence):
                page.visible, page.audio = message.visible, message.audio
                continue
            for alert in message.alerts:
                case = hub.cases.case(alert)
                if case is not None and caller.sees(case.clinic):
                    for receipt in _receipts(case, caller, "seen", clock.now()):
                        desk.say(receipt)

    async def say(data: bytes) -> None:
        await asyncio.wait_for(socket.send_text(data.decode()), SEND_TIMEOUT_S)

    async def send() -> None:
        await say(to_json(MeMessage(caller.user, caller.name, caller.roles)))
        next_time = clock.monotonic()
        while True:
            for case in hub.cases.take(client):
                if not caller.sees(case.clinic):
                    continue
                await say(to_json(CaseMessage(case_summary(case, hub.cases.network))))
                for receipt in _receipts(case, caller, "delivered", clock.now()):
                    desk.say(receipt)
            if clock.monotonic() >= next_time:
                next_time = clock.monotonic() + CLOCK_S
                still(who, caller)
                await say(to_json(TimeMessage(now=clock.now(), feed=hub.feed_ok, next=hub.alerts.next_seq)))
            with suppress(TimeoutError):
                await asyncio.wait_for(client.ready.wait(), max(0.01, next_time - clock.monotonic()))

    try:
        await both(socket, receive(), send())
    finally:
        hub.cases.leave(client)
        watching.leave(page)


_BEFORE = {"delivered": ("requested", "sent"), "seen": ("requested", "sent", "delivered")}


def _receipts(
    case: Case, caller: Caller, state: Literal["delivered", "seen"], now: float
) -> Iterator[Command]:
    """That the pages of `caller` which wait for a sign of life are on a screen, or before the eyes."""
    for page in case.pages.values():
        if caller.user and page.user == caller.user and page.state in _BEFORE[state]:
            yield Command(
                id=f"receipt/{_safe(page.id)}/websocket/{state}",
                alert=case.id,
                action="receipt",
                at=now,
                data={"page": page.id, "state": state, "channel": "websocket"},
            )


def _safe(text: str) -> str:
    """`text` as a part of a command's id: itself, or its digest where it does not fit."""
    if len(text) <= 120 and re.fullmatch(r"[A-Za-z0-9._:#/-]+", text):
        return text
    return hashlib.sha256(text.encode()).hexdigest()
