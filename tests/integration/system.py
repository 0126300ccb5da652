"""A whole Leadwire of one's own: roles as processes, people in it, devices on its wire, hands on its API."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from msgspec import structs

from benchmarks.child import Child
from leadwire import codec
from leadwire.bus import open_bus
from leadwire.clock import SystemClock
from leadwire.model import RhythmEpisode
from leadwire.network import KIND_OF, Clinic, Hub, Item, User, to_item
from leadwire.topics import EVENTS
from leadwire.wishing import Answer, publish_wishes
from simulators.device import Identity, SimulatedDevice
from simulators.faulty import FaultPlan
from simulators.link import run_device
from simulators.source import Source
from tests.services.hospital import PASSWORD, eventually, give, people

ROLES = ("ingest", "dashboard", "dsp", "alerts", "archive")


class System:
    """Leadwire with the people of `hospital.people`.

    Parameters
    ----------
    folder
        Where everything goes.
    settings
        Further settings, by environment name without ``LEADWIRE_``; with ``BUS`` and ``ARCHIVE`` each role
        is a process of its own, without them one process is all of them.
    more
        Things of the network that replace those of `people`.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, str] | None = None, more: Iterable[Item] = ()
    ) -> None:
        self._folder = folder
        self._settings = dict(settings or {})
        self._more = tuple(more)
        self._running = ExitStack()

    async def __aenter__(self) -> Self:
        commands = [(role,) for role in ROLES] if "BUS" in self._settings else [("up",)]
        children = await asyncio.gather(
            *(asyncio.to_thread(Child, self._folder, self._settings, c) for c in commands)
        )
        for child in children:
            self._running.enter_context(child)
        self.addresses = {k: v for child in children for k, v in child.addresses.items()}
        self.bus = open_bus(self._settings.get("BUS", f"local:{self._folder / 'bus.sqlite'}"))
        self._running.callback(self.bus.close)
        self._producer = self.bus.producer()
        self._running.callback(self._producer.close)
        await asyncio.to_thread(self._admit)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, why: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._running.__exit__, kind, why, trace)

    def _admit(self) -> None:
        """The people come, as wishes; a clinic first without its contacts, who have no accounts yet."""
        now = time.time()
        items = {(KIND_OF[type(i)], i.id): i for i in (*people(now), *self._more)}.values()
        bare = [structs.replace(i, contacts=()) for i in items if isinstance(i, Clinic)]
        accounts = [i for i in items if isinstance(i, Hub | User)]
        rest = [i for i in items if not isinstance(i, Hub | User)]
        wishes = [
            to_item(item, key=f"people/{n}", at=now)
            for n, item in enumerate((*accounts[:1], *bare, *accounts[1:], *rest))
        ]
        refused: list[Answer] = []

        def answered(answer: Answer) -> None:
            if answer.refused:
                refused.append(answer)

        left = publish_wishes(self.bus, wishes, SystemClock(), 60.0, answered)
        assert not left, f"the desk did not answer {len(left)} wishes"
        assert not refused, refused

    def client(self, user: str) -> httpx.Client:
        """An HTTP client, logged in as `user`, once the dashboard knows the people."""
        client = httpx.Client(base_url=self.addresses["dashboard"], timeout=30.0)

        def logged_in() -> bool:
            answer = client.post("/api/session", json={"user": user, "password": PASSWORD})
            return answer.status_code == 200

        eventually(logged_in)
        return client

    def play(
        self, clinic: str, bed: str, source: Source, speed: float, faults: FaultPlan | None = None
    ) -> tuple[SimulatedDevice, "asyncio.Task[None]"]:
        """A device at `clinic` and `bed` plays `source`; it began now."""
        identity = Identity(f"device-{bed}", clinic, bed)
        sim = SimulatedDevice(identity, source, time.time(), speed=speed, faults=faults, patience_s=5.0)
        return sim, asyncio.create_task(run_device(sim, self.addresses["gateway"]))

    def say(self, episode: RhythmEpisode) -> None:
        """Stand in for a detector that does not exist yet: its event, on the bus."""
        self._producer.publish(EVENTS, episode.stream, codec.encode(episode)).result(30)


def case_of(client: httpx.Client, stream: str, kind: str, within_s: float = 120.0) -> dict[str, Any]:
    """The case of `kind` of a stream, once there is one."""
    found: list[dict[str, Any]] = []

    def there() -> bool:
        cases = client.get("/api/cases", params={"state": "all"}).json()
        found[:] = [c for c in cases if c["stream"] == stream and c["kind"] == kind]
        return bool(found)

    eventually(there, within_s)
    return found[0]


def when(client: httpx.Client, case: str, true: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The case as soon as `true` of it."""
    seen: list[dict[str, Any]] = []

    def there() -> bool:
        seen[:] = [client.get(f"/api/cases/{case}").json()]
        return true(seen[0])

    eventually(there, 120.0)
    return seen[0]


def do(client: httpx.Client, case: str, action: str, **data: Any) -> dict[str, Any]:
    """Give a command that must be accepted; return the case."""
    answer = give(client, case, action, **data)
    assert answer.status_code == 200, f"{action}: {answer.text}"
    found: dict[str, Any] = answer.json()["case"]
    return found


def refused(client: httpx.Client, case: str, action: str, **data: Any) -> str:
    """Give a command that must be refused; return the refusal's name."""
    answer = give(client, case, action, **data)
    assert answer.status_code == 409, answer.text
    return str(answer.json()["error"]["code"])
