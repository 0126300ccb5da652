"""SIGKILL in mid-stream: what was acknowledged is in the archive, and nothing is missing or doubled."""

import asyncio
import socket
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.child import Child
from dsp.pipeline import StreamAnalyzer
from leadwire import codec
from leadwire.bus import open_bus
from leadwire.bus.compacted import read_all
from leadwire.errors import RetryError
from leadwire.model import Alert, Beat, RhythmEpisode, SampleChunk, StreamEvent
from leadwire.settings import Limits
from leadwire.topics import ALERTS
from simulators.device import MAX_SPEED, Identity, SimulatedDevice
from simulators.link import run_device
from simulators.source import ArraySource
from storage.reader import Reader, open_reader
from tests.integration.patient import FS, patient

SCRIPTS = [
    [(60.0, 72), (8.0, 0), (90.0, 65), (40.0, 190), (60.0, 80)],
    [(45.0, 60), (6.0, 0), (60.0, 75), (7.0, 0), (40.0, 28), (80.0, 90)],
    [(240.0, 82)],
]


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def devices(started: float, speed: float) -> list[SimulatedDevice]:
    return [
        SimulatedDevice(
            Identity(f"bed{i}", "clinic", str(i)),
            patient(script, seed=i),
            started,
            speed=speed,
            patience_s=2.0,
        )
        for i, script in enumerate(SCRIPTS)
    ]


def expected_events(stream: str, source: ArraySource, started: float) -> list[StreamEvent]:
    """What the detectors say of the whole recording at once."""
    assert source.n_samples is not None
    chunk = SampleChunk(
        stream=stream,
        first_sample=0,
        fs=source.fs,
        sig_name=source.sig_name,
        units=source.units,
        adc_gain=source.adc_gain,
        baseline=source.baseline,
        samples=source.read(0, source.n_samples).tobytes(),
        device_time=started,
        receive_time=started,
    )
    return StreamAnalyzer(Limits()).process(chunk)


async def until(true: object, timeout_s: float = 60.0) -> None:
    """Wait until `true()`."""
    deadline = time.monotonic() + timeout_s
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(0.05)


def archived(reader: Reader, stream: str, stop: int) -> tuple[int, np.ndarray]:
    """How many samples of the stream are archived without a hole, and they."""
    segments = reader.read_waveform(stream, 0, stop)
    if not segments or segments[0].first_sample != 0:
        return 0, np.empty((0, 2), np.int16)
    return len(segments[0].d_signal), segments[0].d_signal


@pytest.mark.timeout(240)
def test_killed_at_any_moment_nothing_is_missing_or_doubled(tmp_path: Path) -> None:
    asyncio.run(_killed_and_back(tmp_path))


async def _killed_and_back(folder: Path) -> None:
    started = 1_700_000_000.0
    port = free_port()
    settings = {"GATEWAY_PORT": str(port), "SNAPSHOT_S": "0.3"}
    sims = devices(started, speed=25.0)
    lengths = [round(sum(s for s, _ in script) * FS) for script in SCRIPTS]
    playing = [asyncio.create_task(run_device(d, f"127.0.0.1:{port}")) for d in sims]
    try:
        for part in (0.15, 0.35, 0.6):
            child = await asyncio.to_thread(Child, folder, settings)
            await until(lambda p=part: sims[2].device.acknowledged > p * lengths[2])
            child.kill()
        with await asyncio.to_thread(Child, folder, settings) as child:
            await asyncio.wait_for(asyncio.gather(*playing), 60)
            reader = open_reader(f"sqlite:///{folder}/archive.sqlite")
            expected = [
                expected_events(d.stream, patient(s, seed=i), started)
                for i, (d, s) in enumerate(zip(sims, SCRIPTS, strict=True))
            ]
            last = [[e for e in ev if isinstance(e, Beat)][-1].sample for ev in expected]
            await until(
                lambda: all(
                    archived(reader, d.stream, n)[0] == n and reader.beats(d.stream, start=b)
                    for d, n, b in zip(sims, lengths, last, strict=True)
                )
            )
            assert await asyncio.to_thread(child.stop) == 0, child.said()
    finally:
        for task in playing:
            task.cancel()
        await asyncio.gather(*playing, return_exceptions=True)

    published: list[Alert] = []
    bus = open_bus(f"local:{folder}/bus.sqlite")
    for record in read_all(bus, ALERTS):
        published.append(codec.decode_as(record.value or b"", Alert))
    bus.close()
    assert len({(a.id, a.version) for a in published}) == len(published)

    for i, (sim, script) in enumerate(zip(sims, SCRIPTS, strict=True)):
        source = patient(script, seed=i)
        n, samples = archived(reader, sim.stream, lengths[i])
        assert n == lengths[i]
        np.testing.assert_array_equal(samples, source.read(0, n))
        beats = [e for e in expected[i] if isinstance(e, Beat)]
        assert reader.beats(sim.stream) == beats
        # An episode is said twice, when it begins and when it ends; the archive keeps the last word.
        episodes = {(e.onset, e.kind): e for e in expected[i] if isinstance(e, RhythmEpisode)}
        found = {(e.onset, e.kind): e for e in reader.episodes(sim.stream)}
        assert found == episodes
        announced = {f"{sim.stream}:{e.onset}:{e.kind}" for e in episodes.values() if not e.withheld}
        own = [a for a in published if a.stream == sim.stream and a.kind != "no_data"]
        assert {a.id for a in own} == announced
        for alert_id in announced:
            states = [a.state for a in own if a.id == alert_id]
            assert states in (["active"], ["active", "ended"])
    kinds = {a.kind for a in published}
    assert {"asystole", "extreme_tachycardia", "extreme_bradycardia"} <= kinds
    reader.close()


@pytest.mark.timeout(120)
def test_what_was_acknowledged_is_archived_even_if_the_device_never_comes_back(tmp_path: Path) -> None:
    asyncio.run(_killed_for_good(tmp_path))


async def _killed_for_good(folder: Path) -> None:
    sims = devices(1_700_000_000.0, speed=MAX_SPEED)
    child = await asyncio.to_thread(Child, folder)
    playing = [asyncio.create_task(run_device(d, child.addresses["gateway"])) for d in sims]
    await until(lambda: all(d.device.acknowledged > 5000 for d in sims))
    child.kill()
    for sim in sims:
        sim.end(time.monotonic(), drain_s=0.0)
    results = await asyncio.gather(*playing, return_exceptions=True)
    assert all(r is None or isinstance(r, RetryError) for r in results)

    child = await asyncio.to_thread(Child, folder)
    with child:
        reader = open_reader(f"sqlite:///{folder}/archive.sqlite")
        await until(lambda: all(archived(reader, d.stream, 10**9)[0] >= d.device.acknowledged for d in sims))
        for i, sim in enumerate(sims):
            n, samples = archived(reader, sim.stream, 10**9)
            np.testing.assert_array_equal(samples, patient(SCRIPTS[i], seed=i).read(0, n))
        reader.close()
