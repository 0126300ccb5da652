"""The routes by which what was done is read: the register itself, statistics of it, who is on duty."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Depends, FastAPI, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from dashboard.callers import Caller
from dashboard.desk import Desk, Refused
from dashboard.messages import to_json
from leadwire.clock import Clock
from leadwire.local_time import zone_of
from leadwire.network import DUTY_ROLES
from leadwire.ranges import MAX_TIME
from leadwire.roster import Directory
from storage import Reader
from storage.audit import figures

MAX_LINES = 1000
"""Lines of the register that one answer may hold."""

_Time = Annotated[float | None, Query(ge=0, le=MAX_TIME)]
_By = Literal["clinic", "person", "month", "kind"]


def add_records(
    app: FastAPI,
    desk: Desk,
    reader: Reader | None,
    clock: Clock,
    zone: str,
    caller: Callable[[Request], Caller],
) -> None:
    """Add the routes to `app`; `zone` is the one of the months."""
    who_looks = Annotated[Caller, Depends(caller)]

    def auditor(who: who_looks) -> Caller:
        if not who.is_administrator or who.clinics is not None:
            raise Refused(
                403, "not_allowed", "only an administrator of the hub reads the register as a whole"
            )
        return who

    def archive() -> Reader:
        if reader is None:
            raise Refused(404, "no_archive", "no archive is connected to this dashboard")
        return reader

    @app.get("/api/register", tags=["records"])
    async def get_register(
        who: Annotated[Caller, Depends(auditor)],
        after: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=MAX_LINES)] = 100,
        since: _Time = None,
        until: _Time = None,
    ) -> Response:
        """Lines of the register with their hashes, after number `after`; taking them is a line too."""
        links = await run_in_threadpool(
            lambda: archive().register.page(after=after, limit=limit, since=since, until=until)
        )
        desk.note(who, "export", "", f"register {after}+{len(links)}", 1.0)
        return _json([msgspec.to_builtins(link) for link in links])

    @app.get("/api/statistics", tags=["records"])
    async def get_statistics(
        who: Annotated[Caller, Depends(auditor)], by: _By = "clinic", since: _Time = None, until: _Time = None
    ) -> Response:
        """PPV, alarms a patient-day, times and targets; what `leadwire audit statistics --json` prints."""
        groups = await run_in_threadpool(
            lambda: figures(archive(), by, zone_of(zone), clock.now(), since, until)
        )
        rows = [group.as_dict() for group in groups]
        return _json({"by": by, "from": since, "to": until, "groups": rows})

    @app.get("/api/roster", tags=["network"])
    async def get_roster(who: who_looks, at: _Time = None) -> Response:
        """Who is on which duty, now or at `at`."""
        if not who.user:
            raise Refused(403, "no_users", "the network has no users yet: `leadwire admin load` brings them")
        when = clock.now() if at is None else at
        directory = Directory(desk.cases.network)
        duties: dict[str, Any] = {duty: directory.on_duty(duty, when) for duty in DUTY_ROLES}
        return _json({"at": when, "duties": duties})


def _json(value: object) -> Response:
    return Response(to_json(value), media_type="application/json")
