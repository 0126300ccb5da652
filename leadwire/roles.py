"""The roles of a running Leadwire, and how a process starts, watches and stops any set of them.

``leadwire up`` runs them all in one process; each may run alone on a machine of its own. This file
and `cli.py` alone may import every package, and do so only for the roles that are asked for.
"""

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, ExitStack, closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from prometheus_client import start_http_server

from leadwire.bus import Bus, open_bus
from leadwire.errors import BugError, LeadwireError, RetryError, SettingError
from leadwire.heartbeat import Heartbeat, Progress
from leadwire.local_time import zone_of
from leadwire.runner import Runner, Stage
from leadwire.settings import Settings
from leadwire.topics import TOPICS

if TYPE_CHECKING:
    from alerts.criteria import Packs

log = structlog.get_logger(__name__)

ROLES = ("dashboard", "archive", "alerts", "dsp", "ingest")
"""In the order of starting: whoever is upstream starts last and stops first."""

STAGES: dict[str, tuple[str, ...]] = {
    "archive": ("archive",),
    "alerts": ("conditions", "desk", "notifier", "watch"),
    "dsp": ("dsp",),
}
"""The stages of each role that works on the bus alone, in the order of starting; `_stage` makes each."""

MAX_WAIT_S = 10.0
WATCH_S = 0.5
STOP_S = 30.0
"""A stage that has not made its work durable by then is left behind: its work is done again, in s."""


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
        _start_metrics(settings, running)
        bus = await _open_bus(settings, stop)
        if bus is None:
            return 0
        running.callback(bus.close)
        heartbeat = Heartbeat(bus, roles)
        heartbeat.start()
        running.push_async_callback(asyncio.to_thread, heartbeat.stop)
        if "dsp" in roles:
            await _prepare_detectors(stop)
            if stop.done():
                return 0
        addresses = Addresses()
        for role in sorted(roles, key=ROLES.index):
            if role == "dashboard":
                dashboard = await _start_dashboard(settings, bus, running, finish, heartbeat)
                addresses = replace(addresses, dashboard=dashboard)
            elif role == "ingest":
                addresses = replace(addresses, gateway=await _start_gateway(settings, bus, running))
            else:
                for name in STAGES[role]:
                    _start_stage(name, settings, bus, running, finish, heartbeat.progress(name))
        _announce(addresses, roles)
        if alongside is not None:
            company = asyncio.ensure_future(alongside(addresses))
            company.add_done_callback(lambda t: finish(None if t.cancelled() else t.exception()))
            running.push_async_callback(_cancel, company)
        try:
            await stop
        except LeadwireError:
            raise
        except Exception:
            log.exception("a role failed; the process stops")
            return 1
        log.info("stopping")
    return 0


def _announce(addresses: Addresses, roles: Iterable[str]) -> None:
    """Print the lines that people, scripts and tests wait for."""
    if addresses.gateway:
        print(f"gateway {addresses.gateway}")
    if addresses.dashboard:
        print(f"dashboard {addresses.dashboard}")
    print(f"running {' '.join(roles)}", flush=True)


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
            wait_s = min(2 * wait_s, MAX_WAIT_S)
    return None


async def _prepare_detectors(stop: "asyncio.Future[None]") -> None:
    """Compile the kernels before any device is let in; a stop need not wait for it."""
    from dsp.warm import warm_up

    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def body() -> None:
        try:
            warm_up()
        except BaseException as error:
            loop.call_soon_threadsafe(ready.set_exception, error)
        else:
            with suppress(RuntimeError):  # stopped meanwhile
                loop.call_soon_threadsafe(ready.set_result, None)

    log.info("preparing the detectors", note="the first start compiles them, one to two minutes")
    threading.Thread(target=body, name="warm-up", daemon=True).start()
    await asyncio.wait([ready, stop], return_when=asyncio.FIRST_COMPLETED)
    if ready.done():
        ready.result()


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


def _packs(settings: Settings) -> "Packs":
    from alerts.criteria import Packs
    from alerts.pack_files import load_pack

    pack = load_pack(settings.rule_pack, settings.pack_folder)
    pack.check_found(settings.limits)
    return Packs(pack, settings.limits, settings.pack_folder)


def _stage(name: str, settings: Settings, bus: Bus, running: ExitStack) -> Stage:
    if name == "dsp":
        from dsp.service import DspStage

        return DspStage(bus, settings.limits, settings.snapshot_s)
    if name == "conditions":
        from alerts.condition_stage import ConditionStage

        return ConditionStage(bus, packs=_packs(settings))
    if name == "desk":
        from alerts.desk_stage import DeskStage

        return DeskStage(bus, packs=_packs(settings))
    if name == "notifier":
        from alerts.channel_secrets import read_secrets
        from alerts.channels import open_channels
        from alerts.notifier import NotifierStage

        channels = open_channels(read_secrets(settings.channels_file))
        try:
            zone = zone_of(settings.time_zone)
        except ValueError as why:
            raise SettingError(f"time_zone: {why}") from None
        return NotifierStage(bus, channels, settings.public_url, zone=zone)
    if name == "watch":
        from alerts.pack_files import load_pack
        from alerts.watch import WatchLimits
        from alerts.watch_stage import WatchStage

        return WatchStage(
            bus, load_pack(settings.rule_pack, settings.pack_folder), WatchLimits(watch_s=settings.watch_s)
        )
    if name == "archive":
        from storage import open_archive
        from storage.service import ArchiveStage

        return ArchiveStage(
            running.enter_context(closing(open_archive(settings.archive, settings.keep_days or None)))
        )
    raise BugError(f"stage {name!r} came; one of {', '.join(sum(STAGES.values(), ()))} was expected")


def _run_stage(name: str, settings: Settings, bus: Bus, halt: threading.Event, progress: Progress) -> None:
    wait_s = 0.2
    while not halt.is_set():
        with ExitStack() as running:
            try:
                stage = _stage(name, settings, bus, running)
            except RetryError as why:
                # The others go on without: an archive that is away must not keep alarms from sounding.
                log.warning("waiting", stage=name, why=str(why), wait_s=wait_s)
                halt.wait(wait_s)
                wait_s = min(2 * wait_s, MAX_WAIT_S)
                continue
            Runner(bus, stage, progress=progress).run(halt)


def _start_stage(
    name: str,
    settings: Settings,
    bus: Bus,
    running: AsyncExitStack,
    finish: Callable[[BaseException], None],
    progress: Progress,
) -> None:
    loop = asyncio.get_running_loop()
    halt = threading.Event()

    def body() -> None:
        try:
            _run_stage(name, settings, bus, halt, progress)
        except BaseException as error:
            loop.call_soon_threadsafe(finish, error)

    thread = threading.Thread(target=body, name=name, daemon=True)

    async def end() -> None:
        halt.set()
        await asyncio.to_thread(thread.join, STOP_S)

    running.push_async_callback(end)
    thread.start()


async def _start_gateway(settings: Settings, bus: Bus, running: AsyncExitStack) -> str:
    from ingest.gateway import Gateway

    gateway = Gateway(
        bus,
        host=settings.gateway_host,
        port=settings.gateway_port,
        tokens=Path(settings.gateway_tokens) if settings.gateway_tokens else None,
        reorder_s=settings.reorder_s,
    )
    host, port = await gateway.start()
    running.push_async_callback(gateway.stop)
    return f"ws://{f'[{host}]' if ':' in host else host}:{port}"


async def _start_dashboard(
    settings: Settings,
    bus: Bus,
    running: AsyncExitStack,
    finish: Callable[[BaseException], None],
    heartbeat: Heartbeat,
) -> str:
    from dashboard.service import DashboardService
    from storage import open_reader

    reader = open_reader(settings.archive)
    running.callback(reader.close)
    service = DashboardService(bus, reader, settings)
    heartbeat.watchers = service.watchers
    address = await asyncio.to_thread(service.start)
    running.push_async_callback(asyncio.to_thread, service.stop)

    async def watch() -> None:
        while service.alive():
            await asyncio.sleep(WATCH_S)
        finish(BugError("the dashboard's server ended by itself; its log says why"))

    running.push_async_callback(_cancel, asyncio.ensure_future(watch()))
    return address


async def _cancel(task: "asyncio.Future[None]") -> None:
    task.cancel()
    await asyncio.wait([task])
