"""The roles of a running Leadwire, and how a process starts, watches and stops any set of them.

``leadwire up`` runs them all in one process; each may run alone on a machine of its own. This file
and `cli.py` alone may import every package, and do so only for the roles that are asked for.
"""

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import structlog
from prometheus_client import start_http_server

from leadwire.bus import Bus, open_bus
from leadwire.errors import RetryError, SettingError
from leadwire.runner import Runner, Stage
from leadwire.settings import Settings
from leadwire.topics import TOPICS

log = structlog.get_logger(__name__)

ROLES = ("dashboard", "archive", "alerts", "dsp", "ingest")
"""In the order of starting: whoever is upstream starts last and stops first."""


@dataclass(frozen=True)
class Addresses:
    """Where a running process can be reached; empty: that role does not run here."""

    gateway: str = ""
    dashboard: str = ""


Alongside = Callable[[Addresses], Awaitable[None]]
"""Something to do while the roles run, such as playing patients; cancelled at the stop."""


def run_roles(settings: Settings, roles: Iterable[str], alongside: Alongside | None = None) -> int:
    """Run `roles` until SIGINT or SIGTERM (status 0), or until one of them fails (status 1).

    Stopping is clean: the gateway acknowledges what the bus has and says goodbye, each stage
    makes its work durable and commits.
    """
    return asyncio.run(_run(settings, tuple(roles), alongside))


async def _run(settings: Settings, roles: tuple[str, ...], alongside: Alongside | None) -> int:
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[None] = loop.create_future()

    def finish(error: BaseException | None = None) -> None:
        if not stop.done():
            stop.set_exception(error) if error else stop.set_result(None)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, finish)

    async with AsyncExitStack() as running:
        bus = await _open_bus(settings, stop)
        if bus is None:
            return 0
        running.callback(bus.close)
        _start_metrics(settings, running)
        gateway = dashboard = ""
        for role in sorted(roles, key=ROLES.index):
            if role == "dashboard":
                dashboard = await _start_dashboard(settings, bus, running)
            elif role == "ingest":
                gateway = await _start_gateway(settings, bus, running)
            else:
                await _start_stage(_stage(role, settings, bus), bus, running, finish)
        addresses = Addresses(gateway, dashboard)
        # The lines that scripts and tests wait for.
        for name, address in (("gateway", gateway), ("dashboard", dashboard)):
            if address:
                print(f"{name} {address}", flush=True)
        print(f"running {' '.join(roles)}", flush=True)
        if alongside is not None:
            company = asyncio.ensure_future(alongside(addresses))
            company.add_done_callback(lambda t: finish(None if t.cancelled() else t.exception()))
            running.push_async_callback(_cancel, company)
        try:
            await stop
        except Exception:
            log.exception("a role failed; the process stops")
            return 1
        log.info("stopping")
    return 0


async def _open_bus(settings: Settings, stop: "asyncio.Future[None]") -> Bus | None:
    """The bus with its topics, waiting for it as long as it takes; None if stopped before."""
    wait_s = 0.2
    while not stop.done():
        try:
            bus = await asyncio.to_thread(open_bus, settings.bus)
            await asyncio.to_thread(bus.create_topics, TOPICS.values())
            return bus
        except RetryError as why:
            log.warning("waiting for the bus", why=str(why), wait_s=wait_s)
            await asyncio.wait([stop], timeout=wait_s)
            wait_s = min(2 * wait_s, 10.0)
    return None


def _start_metrics(settings: Settings, running: AsyncExitStack) -> None:
    if settings.metrics_port == 0:
        return
    try:
        server, _ = start_http_server(settings.metrics_port, settings.metrics_host)
    except OSError as why:
        raise SettingError(
            f"metrics_port {settings.metrics_port} on {settings.metrics_host} came: {why}"
        ) from None
    running.callback(server.shutdown)


def _stage(role: str, settings: Settings, bus: Bus) -> Stage:
    if role == "dsp":
        from dsp.service import DspStage

        return DspStage(bus, settings.limits, settings.snapshot_s)
    if role == "alerts":
        from alerts.service import AlertsStage

        return AlertsStage(bus)
    if role == "archive":
        from storage.service import ArchiveStage

        return ArchiveStage(settings.archive)
    raise ValueError(f"role {role!r} came; one of {', '.join(ROLES)} was expected")


async def _start_stage(
    stage: Stage, bus: Bus, running: AsyncExitStack, finish: Callable[[BaseException | None], None]
) -> None:
    loop = asyncio.get_running_loop()
    halt = threading.Event()

    def body() -> None:
        try:
            Runner(bus, stage).run(halt)
        except BaseException as error:
            loop.call_soon_threadsafe(finish, error)

    thread = threading.Thread(target=body, name=stage.name, daemon=True)

    async def end() -> None:
        halt.set()
        await asyncio.to_thread(thread.join, 30.0)

    running.push_async_callback(end)
    thread.start()


async def _start_gateway(settings: Settings, bus: Bus, running: AsyncExitStack) -> str:
    raise NotImplementedError


async def _start_dashboard(settings: Settings, bus: Bus, running: AsyncExitStack) -> str:
    raise NotImplementedError


async def _cancel(task: "asyncio.Future[None]") -> None:
    task.cancel()
    await asyncio.wait([task])
