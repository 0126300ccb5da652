"""Where people's wishes go, and how their answers come back.

Whatever changes anything is a message on `ecg.commands`; the alerts role decides, and the answer is the entry
that it wrote into the register. Giving a command twice with the same ``Idempotency-Key`` does it once and
answers the same. The routes themselves are in `desk_routes.py`.
"""

import re
from typing import Any
from uuid import uuid4

import msgspec
from starlette.concurrency import run_in_threadpool

from dashboard.callers import Caller
from dashboard.cases import Cases
from leadwire import codec
from leadwire.bus import Producer
from leadwire.case import Command, Line, NetworkItem, RegisterEntry
from leadwire.clock import Clock
from leadwire.topics import COMMANDS, REGISTER

DECIDED_S = 10.0
"""So long a request waits for the decision on its command, in s."""

MAX_BODY = 1 << 16
_KEY = re.compile(r"\A[A-Za-z0-9._-]{1,64}\Z")


class Refused(Exception):
    """An answer that is no success: status, code, text."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Desk:
    """Publishes what callers want done, and waits for the decision.

    Parameters
    ----------
    cases, producer, clock
        Where decisions arrive, where wishes go, the time.
    """

    def __init__(self, cases: Cases, producer: Producer, clock: Clock) -> None:
        self.cases = cases
        self._producer = producer
        self._clock = clock

    async def command(
        self, caller: Caller, alert: str, action: str, data: dict[str, Any], key: str | None
    ) -> RegisterEntry:
        """Have `action` done; return the register's entry.

        Raises
        ------
        Refused
            409 with the refusal's name; 422 for an impossible command; 503 if nobody decided in time.
        """
        try:
            wish = msgspec.convert(
                {
                    "id": f"{caller.user}/{_checked(key)}",
                    "alert": alert,
                    "action": action,
                    "by": caller.user,
                    "at": self._clock.now(),
                    "data": data,
                },
                Command,
            )
        except msgspec.ValidationError as why:
            raise Refused(422, "bad_request", str(why)) from None
        return await self._decided(_key_of(wish), codec.encode(wish), wish.id)

    async def item(
        self, caller: Caller, kind: str, name: str, body: dict[str, Any] | None, key: str | None
    ) -> RegisterEntry:
        """Have a thing of the network changed (`body` None: removed); errors as of `command`."""
        item = NetworkItem(
            key=f"{caller.user}/{_checked(key)}",
            kind=kind,
            id=name,
            body=body,
            by=caller.user,
            at=self._clock.now(),
        )
        return await self._decided(f"{kind}/{name}", codec.encode(item), item.key)

    async def _decided(self, key: str, data: bytes, cause: str) -> RegisterEntry:
        if len(data) > MAX_BODY:
            raise Refused(422, "bad_request", f"{len(data)} bytes came; at most {MAX_BODY} were expected")
        await run_in_threadpool(lambda: self._producer.publish(COMMANDS, key, data).result(DECIDED_S))
        entry = await self.cases.caused_by(cause, DECIDED_S)
        if entry is None:
            raise Refused(503, "undecided", "nobody decided yet; ask again with the same Idempotency-Key")
        for line in entry.lines:
            if line.line == "refused":
                raise Refused(409, line.state, str(line.data.get("detail", line.state)))
        return entry

    def note(self, caller: Caller, state: str, alert: str, subject: str, window_s: float = 600.0) -> None:
        """Write into the register that `caller` saw or took something; once a `window_s` and subject."""
        now = self._clock.now()
        cause = f"{state}/{caller.user}/{subject}/{int(now // window_s)}"[:256]
        entry = RegisterEntry(
            id=f"{cause}@{alert}"[:512],
            alert=alert,
            cause=cause,
            at=now,
            by=caller.user,
            lines=(Line(line="access", state=state, data={"subject": subject}),),
        )
        self._producer.publish(REGISTER, alert or f"access/{caller.user}", codec.encode(entry))

    def say(self, command: Command) -> None:
        """Publish what a page noticed (that it was shown, that it was seen), without waiting for anybody."""
        self._producer.publish(COMMANDS, _key_of(command), codec.encode(command))


def _key_of(command: Command) -> str:
    """The key of a command on the topic."""
    return command.alert or f"user/{command.by}"


def _checked(key: str | None) -> str:
    if key is None:
        return uuid4().hex
    if not _KEY.match(key):
        raise Refused(422, "bad_request", "Idempotency-Key: 1 to 64 of A-Z a-z 0-9 . _ - were expected")
    return key
