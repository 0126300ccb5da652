"""The routes by which people look at cases and act on them: sessions, cases, commands, the network.

Every answer that is no success has the one shape of `messages.error_body`; a command that was refused is a
409 with the refusal's name as its code. Outside the caller's clinics nothing exists: 404.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Depends, FastAPI, Header, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from dashboard.callers import COOKIE, SESSION_S, Caller, Door
from dashboard.case_views import case_summary, case_view
from dashboard.cases import Cases
from dashboard.desk import Desk, Refused
from dashboard.messages import to_json
from leadwire.clock import Clock
from leadwire.network import KINDS
from leadwire.passwords import hash_password
from leadwire.story import Case

MAX_CASES = 500
"""Cases that one answer may hold."""


class Login(BaseModel):
    """A user and the password."""

    model_config = ConfigDict(extra="forbid")
    user: Annotated[str, Field(min_length=1, max_length=64)]
    password: Annotated[str, Field(min_length=1, max_length=256)]


class Wish(BaseModel):
    """A command: its action, and what that action needs besides (`docs/alerts.md` lists them)."""

    model_config = ConfigDict(extra="forbid")
    action: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    data: dict[str, Any] = Field(default_factory=dict, max_length=32)


class DrillWish(BaseModel):
    """The clinic whose chain a test alarm runs through."""

    model_config = ConfigDict(extra="forbid")
    clinic: Annotated[str, Field(min_length=1, max_length=128)]


State = Literal["open", "closed", "all"]
Key = Annotated[str | None, Header(alias="Idempotency-Key", max_length=64)]


def _json(value: object, status: int = 200) -> Response:
    return Response(to_json(value), status, media_type="application/json")


def add_desk(app: FastAPI, desk: Desk, door: Door, clock: Clock, caller: Callable[[Request], Caller]) -> None:
    """Add the routes to `app`; `caller` finds out who asks."""
    cases = desk.cases

    def actor(who: Annotated[Caller, Depends(caller)]) -> Caller:
        if not who.user:
            raise Refused(403, "no_users", "the network has no users yet: `leadwire admin load` brings them")
        return who

    who_looks = Annotated[Caller, Depends(caller)]
    who_acts = Annotated[Caller, Depends(actor)]

    def visible(who: Caller, alert: str) -> Case:
        case = cases.case(alert)
        if case is None or not who.sees(case.clinic):
            raise Refused(404, "not_found", "there is no such case among your clinics'")
        return case

    @app.post("/api/session", tags=["session"])
    async def login(wish: Login, response: Response) -> Response:
        """Log in: the token comes back as a cookie, and in the body for programs."""
        now = clock.now()
        if door.blocked(wish.user, now):
            raise Refused(429, "too_many_tries", "too many wrong passwords; wait a minute")
        token = await run_in_threadpool(door.login, cases.network, wish.user, wish.password, now)
        if token is None:
            desk.note(Caller(), "login_failed", "", wish.user, 1.0)
            raise Refused(401, "wrong_password", "no active user has this name and password")
        user = cases.network.users[wish.user]
        desk.note(Caller(user.id), "login", "", user.id, 1.0)
        answer = _json({"user": user.id, "token": token, "expires": now + SESSION_S})
        answer.set_cookie(COOKIE, token, int(SESSION_S), httponly=True, samesite="strict", path="/")
        return answer

    @app.delete("/api/session", tags=["session"])
    async def logout() -> Response:
        """Forget the session's cookie."""
        answer = _json({})
        answer.delete_cookie(COOKIE, path="/")
        return answer

    @app.get("/api/session", tags=["session"])
    async def session(who: who_looks) -> Response:
        """Who you are, and what you may see."""
        clinics = sorted(c for c in cases.network.clinics if who.sees(c))
        return _json({"user": who.user, "name": who.name, "roles": who.roles, "clinics": clinics})

    @app.get("/api/cases", tags=["cases"])
    async def list_cases(who: who_looks, state: State = "open", clinic: str | None = None) -> Response:
        """Cases of your clinics, the last raised first."""
        found = [
            c
            for c in cases.all()
            if who.sees(c.clinic)
            and (state == "all" or c.closed == (state == "closed"))
            and clinic in (None, c.clinic)
        ]
        return _json([case_summary(c, cases.network) for c in found[::-1][:MAX_CASES]])

    @app.get("/api/cases/{alert:path}", tags=["cases"])
    async def get_case(alert: str, who: who_looks) -> Response:
        """One case with its whole story; looking is written into the register."""
        case = visible(who, alert)
        desk.note(who, "view", alert, f"case {alert}")
        return _json(case_view(case, cases.entries(case.id), cases.network))

    @app.post("/api/cases/{alert:path}/commands", tags=["cases"])
    async def command(alert: str, wish: Wish, who: who_acts, key: Key = None) -> Response:
        """Do something to a case: 200 with what it brought about, 409 with the name of the refusal."""
        visible(who, alert)
        entry = await desk.command(who, alert, wish.action, wish.data, key)
        case = cases.case(alert)
        return _json({"entry": entry, "case": case_summary(case, cases.network) if case else None})

    @app.post("/api/test-alarms", tags=["cases"])
    async def test_alarm(wish: DrillWish, who: who_acts, key: Key = None) -> Response:
        """Raise a test alarm for a clinic: it goes the whole way."""
        if not who.sees(wish.clinic):
            raise Refused(404, "not_found", "there is no such clinic among yours")
        entry = await desk.command(who, "", "test_alarm", {"clinic": wish.clinic}, key)
        return _json({"entry": entry})

    @app.get("/api/network", tags=["network"])
    async def get_network(who: who_acts) -> Response:
        """Clinics, people, shifts. Passwords are never told, addresses only to administrators."""
        return _json(_network(cases, who))

    @app.put("/api/network/{kind}/{name:path}", tags=["network"])
    async def put_item(
        kind: str, name: str, body: dict[str, Any], who: who_acts, key: Key = None
    ) -> Response:
        """Put a clinic, user, shift, substitution ... in, or in the place of the one before.

        A user's `password` comes in plain and is kept as a hash; without one the old one stays.
        """
        _may_change(who, kind)
        if kind == "user":
            body = await run_in_threadpool(_with_password, cases, name, body)
        return _json({"entry": await desk.item(who, kind, name, body, key)})

    @app.delete("/api/network/{kind}/{name:path}", tags=["network"])
    async def delete_item(kind: str, name: str, who: who_acts, key: Key = None) -> Response:
        """Take something of the network out."""
        _may_change(who, kind)
        return _json({"entry": await desk.item(who, kind, name, None, key)})


def _may_change(who: Caller, kind: str) -> None:
    if kind not in KINDS:
        raise Refused(404, "not_found", f"kind {kind[:40]!r} came; one of {', '.join(KINDS)} was expected")
    # People arrange among themselves who stands in for whom; the rest is the administrator's.
    own = {"substitution", "handover"} if {"technician", "cardiologist"} & set(who.roles) else set()
    if not who.is_administrator and kind not in own:
        raise Refused(403, "not_allowed", f"only an administrator changes a {kind}")


def _with_password(cases: Cases, name: str, body: dict[str, Any]) -> dict[str, Any]:
    known = cases.network.users.get(name)
    if "password" not in body:
        return body | ({"password": known.password} if known and known.password else {})
    try:
        return body | {"password": hash_password(str(body["password"]))}
    except ValueError as why:
        raise Refused(422, "bad_request", str(why)) from None


def _network(cases: Cases, who: Caller) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind in KINDS:
        items = {}
        for name, item in cases.network.of(kind).items():
            plain = msgspec.to_builtins(item)
            if kind == "clinic" and not who.sees(name):
                continue
            if kind == "user":
                plain.pop("password", None)
                if not who.is_administrator:
                    plain.pop("addresses", None)
            if kind == "criteria" and not who.is_administrator and who.clinics is not None:
                continue
            items[name] = plain
        found[kind] = items
    return found
