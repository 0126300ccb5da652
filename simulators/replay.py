"""``leadwire replay``: recordings, or scripts of synthetic patients, played as if from bedside devices."""

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from leadwire.clock import Clock, SystemClock
from leadwire.errors import LeadwireError, SettingError
from simulators.device import MAX_SPEED, Identity, SimulatedDevice, device_id
from simulators.faults import FAULTS, parse_fault
from simulators.faulty import FaultPlan
from simulators.link import gateway_url, run_device
from simulators.records import RecordSource
from simulators.source import Looped, Source
from simulators.synthetic import simulate

DEFAULT_GATEWAY = "ws://127.0.0.1:8071"
_SHOW_EVERY_S = 0.25
_DRAIN_S = 10.0
_MESSAGE_EVERY_S = 0.25
_MAX_CHUNK_S = 2.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``leadwire replay``."""
    parser.add_argument(
        "records", nargs="+", metavar="RECORD", help="a WFDB record, such as mitdb/101, or script:TEXT"
    )
    parser.add_argument(
        "--speed", type=_speed, default=1.0, metavar="N|max", help="times real time (0.1 to 1000), or max"
    )
    parser.add_argument("--loop", action="store_true", help="begin again at the end, on the same stream")
    parser.add_argument(
        "--as", dest="place", default="replay", metavar="CLINIC[/BED]",
        help="where the device stands; further records get further beds",
    )  # fmt: skip
    parser.add_argument("--to", default=DEFAULT_GATEWAY, metavar="ADDRESS", help="the gateway")
    parser.add_argument("--token", default="", help="the device's token")
    parser.add_argument(
        "--stream-prefix", default="replay", metavar="NAME",
        help="how device ids begin; the stream's id is device.TIME",
    )  # fmt: skip
    parser.add_argument(
        "--fault", action="append", default=[], metavar="NAME[:KEY=VALUE,...]",
        help=f"what goes wrong, again and again: {', '.join(FAULTS)}",
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=int, default=0, help="of the faults' randomness, and the scripts' patients"
    )


def run(args: argparse.Namespace) -> int:
    """Play until the records end (0), or are refused (1), or Ctrl-C; what is measured is delivered first."""
    gateway_url(args.to)
    sims = make_devices(args, SystemClock())
    for sim, path in zip(sims, args.records, strict=True):
        print(f"stream {sim.stream} plays {path}", flush=True)
    return asyncio.run(_play_all(sims, args.to))


def make_devices(args: argparse.Namespace, clock: Clock) -> list[SimulatedDevice]:
    """One device a record or script.

    Raises
    ------
    RecordRejected
        A record cannot be played.
    SettingError
        A fault or script cannot be read, or a fault does not fit a record.
    """
    plan = FaultPlan(tuple(parse_fault(text) for text in args.fault), args.seed)
    clinic, _, bed = args.place.rpartition("/") if "/" in args.place else (args.place, "", "")
    sims: list[SimulatedDevice] = []
    for i, path in enumerate(args.records):
        source, folder, name = _source(path, args.seed + i)
        device = device_id(args.stream_prefix, folder, name)
        if any(sim.stream.startswith(device + ".") for sim in sims):
            device = device_id(args.stream_prefix, str(i + 1), name)
        where = (bed if len(args.records) == 1 else f"{bed}-{i + 1}") if bed else name
        who = Identity(device, clinic, where, patient=f"{folder} {name}", token=args.token)
        # Faster than life a recording cannot be of now: it then ends now, and begins in the past.
        seconds = 0.0 if args.loop else (source.n_samples or 0) / source.fs
        ahead = seconds * (1 - 1 / max(args.speed, 1.0))
        try:
            sims.append(
                SimulatedDevice(
                    who,
                    Looped(source) if args.loop else source,
                    clock.now() - ahead,
                    speed=args.speed,
                    chunk_s=min(_MAX_CHUNK_S, _MESSAGE_EVERY_S * max(1.0, args.speed)),
                    faults=plan,
                )
            )
        except ValueError as why:
            raise SettingError(f"{path}: {why}") from None
    return sims


def _source(path: str, seed: int) -> tuple[Source, str, str]:
    """What `path` names, with names for its folder and itself."""
    if path.startswith("script:"):
        return simulate(path.removeprefix("script:"), seed=seed)[0], "synthetic", f"script-{seed}"
    record = RecordSource(path)
    return record, Path(path).resolve().parent.name, record.name


async def _play_all(sims: Sequence[SimulatedDevice], address: str) -> int:
    clock = SystemClock()
    loop = asyncio.get_running_loop()
    playing = [asyncio.create_task(run_device(sim, address, clock)) for sim in sims]

    def stop() -> None:
        for sim in sims:
            sim.end(clock.monotonic(), _DRAIN_S)

    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # no signals in the loop on Windows
            loop.add_signal_handler(number, stop)
    with _Board(sims) as board:
        while pending := [t for t in playing if not t.done()]:
            await asyncio.wait(pending, timeout=_SHOW_EVERY_S)
            board.show()
    errors = [e for e in await asyncio.gather(*playing, return_exceptions=True) if e is not None]
    for error in errors:
        if not isinstance(error, LeadwireError):
            raise error
        print(f"leadwire: {error}", file=sys.stderr)
    return 1 if errors else 0


class _Board:
    """Progress of all devices: bars on a terminal, else a line whenever a link comes or goes."""

    def __init__(self, sims: Sequence[SimulatedDevice]) -> None:
        console = Console(stderr=True)
        self._sims = sims
        self._said = [sim.trouble for sim in sims]
        self._bars = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[at]}"),
            TimeElapsedColumn(), TextColumn("[red]{task.fields[trouble]}"),
            console=console, disable=not console.is_terminal,
        )  # fmt: skip
        self._tasks = [
            self._bars.add_task(sim.stream, total=sim.n_samples, at="", trouble=sim.trouble) for sim in sims
        ]

    def __enter__(self) -> "_Board":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def show(self) -> None:
        for i, sim in enumerate(self._sims):
            at = f"{sim.device.acknowledged / sim.fs:.0f} s"
            self._bars.update(
                self._tasks[i], completed=sim.device.acknowledged, at=at, trouble=escape(sim.trouble)
            )
            if self._bars.disable and sim.trouble != self._said[i]:
                print(f"{sim.stream}: {sim.trouble or 'connected'}", file=sys.stderr, flush=True)
            self._said[i] = sim.trouble


def _speed(text: str) -> float:
    if text == "max":
        return MAX_SPEED
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0.1 <= speed <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} came; 0.1 to 1000, or max, was expected")
    return speed
