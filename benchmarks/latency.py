"""Sample sent -> beat on the bus -> frame in a websocket client, p50 and p99, of a running Leadwire.

Starts `leadwire up` as a process of its own and plays patients to it through the real device protocol.
A sample counts as sent when the device measures it, which it does block by block just before sending:
the wait for a block to fill is the device's and is not counted.

- event: until a `Beat` that needed the sample (`detected`) is polled from ecg.events by another process;
- frame: until a dashboard client has received the wave frame that holds the sample.
"""

import argparse
import asyncio
import json
import struct
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from websockets.asyncio.client import connect

from benchmarks.child import Child
from benchmarks.frame import Result, record_names
from dashboard import frames
from leadwire import codec
from leadwire.bus import open_bus
from leadwire.model import Beat
from leadwire.topics import EVENTS
from simulators.device import Identity, SimulatedDevice
from simulators.link import run_device
from simulators.records import RecordSource
from simulators.source import Looped, Samples, Source, from_physical

WARM_UP_S = 5.0


class Stamped:
    """A source that remembers when each block was measured."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.fs, self.n_samples = source.fs, source.n_samples
        self.sig_name, self.units = source.sig_name, source.units
        self.adc_gain, self.baseline = source.adc_gain, source.baseline
        self._ends: list[int] = []
        self._times: list[float] = []

    def read(self, start: int, stop: int) -> Samples:
        self._times.append(time.monotonic())
        self._ends.append(stop)
        return self._source.read(start, stop)

    def lead_off(self, sample: int) -> tuple[str, ...]:
        return self._source.lead_off(sample)

    def sent_at(self, sample: int) -> float:
        """When the block with `sample` was measured."""
        return self._times[int(np.searchsorted(self._ends, sample, side="right"))]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--patients", type=int, default=30, help="how many devices stream at once")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to measure")
    parser.add_argument("--chunk", type=float, default=0.2, help="length of a device's blocks in s")
    parser.add_argument("--bus", help="a bus that is already running; default: a new local one")


def run(args: argparse.Namespace) -> Result:
    """Measure; see the module's text."""
    with tempfile.TemporaryDirectory(prefix="leadwire-latency-") as folder:
        settings = {"BUS": args.bus} if args.bus else {}
        with Child(Path(folder), settings) as child:
            bus = args.bus or f"local:{folder}/bus.sqlite"
            return asyncio.run(_measure(args, child, bus))


def _sources(args: argparse.Namespace) -> list[Stamped]:
    if args.data is not None:
        names = record_names(args)
        kept: list[Source] = [Looped(RecordSource(str(Path(args.data) / n))) for n in names]
    else:
        t = np.arange(250 * 60) / 250.0
        phase = (t % 0.8) - 0.4
        beats = 1.2 * np.exp(-((phase / 0.012) ** 2)) + 0.25 * np.exp(-(((phase - 0.25) / 0.05) ** 2))
        kept = [Looped(from_physical(np.column_stack([beats, 0.7 * beats]), 250.0, ("II", "V5")))]
    return [Stamped(kept[i % len(kept)]) for i in range(args.patients)]


async def _measure(args: argparse.Namespace, child: Child, bus: str) -> Result:
    sources = _sources(args)
    started = time.time()
    devices = [
        SimulatedDevice(Identity(f"bench-{i}", "bench", str(i)), s, started, chunk_s=args.chunk)
        for i, s in enumerate(sources)
    ]
    by_stream = {d.stream: s for d, s in zip(devices, sources, strict=True)}
    begin = time.monotonic() + WARM_UP_S
    halt = threading.Event()
    events: list[float] = []
    waves: list[float] = []
    listening = asyncio.create_task(asyncio.to_thread(_listen, bus, by_stream, begin, halt, events))
    watching = asyncio.create_task(_watch(child.addresses["dashboard"], by_stream, begin, waves))
    playing = [asyncio.create_task(run_device(d, child.addresses["gateway"])) for d in devices]
    try:
        await asyncio.sleep(WARM_UP_S)
        cpu = child.cpu_s()
        await asyncio.sleep(args.seconds)
        cpu = (child.cpu_s() - cpu) / args.seconds
    finally:
        halt.set()
        for task in (watching, *playing):
            task.cancel()
        await asyncio.gather(watching, *playing, listening, return_exceptions=True)
    rows = [_row("sample -> event", events), _row("sample -> frame", waves)]
    total = {
        "patients": args.patients,
        "seconds": args.seconds,
        "event_p50_ms": rows[0]["p50_ms"],
        "event_p99_ms": rows[0]["p99_ms"],
        "frame_p50_ms": rows[1]["p50_ms"],
        "frame_p99_ms": rows[1]["p99_ms"],
        "cores": cpu,
    }
    return Result(total, rows)


def _row(name: str, latencies: list[float]) -> dict[str, object]:
    ms = 1e3 * np.array(latencies or [np.nan])
    p50, p99 = np.percentile(ms, [50, 99])
    return {"record": name, "p50_ms": float(p50), "p99_ms": float(p99), "n": len(latencies)}


def _listen(
    address: str, by_stream: dict[str, Stamped], begin: float, halt: threading.Event, found: list[float]
) -> None:
    bus = open_bus(address)
    consumer = bus.consumer([EVENTS], start="latest")
    try:
        while not halt.is_set():
            for record in consumer.poll(0.1):
                now = time.monotonic()
                if now < begin or record.key not in by_stream or record.value is None:
                    continue
                event = codec.decode(record.value)
                if isinstance(event, Beat):
                    found.append(now - by_stream[record.key].sent_at(event.detected))
    finally:
        consumer.close()
        bus.close()


async def _watch(page: str, by_stream: dict[str, Stamped], begin: float, found: list[float]) -> None:
    url = page.replace("http://", "ws://").rstrip("/") + "/ws/waveforms"
    names: dict[int, str] = {}
    async with connect(url, max_size=None, compression=None, proxy=None) as socket:
        async for message in socket:
            now = time.monotonic()
            if isinstance(message, str):
                for view in json.loads(message)["streams"]:
                    names[view["index"]] = view["stream"]
                leads = {n: by_stream[n].sig_name[:1] for n in names.values() if n in by_stream}
                await socket.send(json.dumps({"type": "subscribe", "streams": leads}))
                continue
            at = 0
            while at < len(message) and now >= begin:
                kind, _, index, length = struct.unpack_from("<BBHI", message, at)
                if kind == frames.WAVE:
                    first = struct.unpack_from("<d", message, at + 8)[0]
                    (n,) = struct.unpack_from("<I", message, at + 44)
                    found.append(now - by_stream[names[index]].sent_at(int(first) + n - 1))
                at += length
