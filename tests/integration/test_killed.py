"""SIGKILL in mid-stream: what was acknowledged is in the archive, and nothing is missing or doubled."""

import asyncio
import contextlib
import random
import socket
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.child import Child
from leadwire.bus import open_bus
from leadwire.errors import RetryError
from simulators.device import MAX_SPEED
from simulators.link import run_device
from storage import open_reader
from tests.integration.patient import patient
from tests.integration.whole import (
    LENGTHS,
    SCRIPTS,
    Gated,
    archived,
    assert_whole,
    devices,
    stories_are_archived,
    until,
)


def free_port() -> int:
    """One that no outgoing connection is given: the devices' own, while nobody listens, are so many."""
    for number in random.sample(range(20_000, 32_000), 50):
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", number))
            return number
    raise AssertionError("no free port was found")


@pytest.mark.timeout(600)
def test_killed_at_any_moment_nothing_is_missing_or_doubled(tmp_path: Path) -> None:
    asyncio.run(_killed_and_back(tmp_path))


async def _killed_and_back(folder: Path) -> None:
    port = free_port()
    settings = {"GATEWAY_PORT": str(port), "SNAPSHOT_S": "0.3"}
    sims = devices("bed", speed=25.0)
    playing = [asyncio.create_task(run_device(d, f"127.0.0.1:{port}")) for d in sims]
    try:
        for part, gate in ((0.15, 0.3), (0.35, 0.5), (0.6, 0.75)):
            for sim, length in zip(sims, LENGTHS, strict=True):
                sim.gate = round(gate * length)
            child = await asyncio.to_thread(Child, folder, settings)
            await until(lambda p=part: sims[2].device.acknowledged > p * LENGTHS[2])  # type: ignore[misc]
            child.kill()
            assert not any(sim.finished for sim in sims), "killed in mid-stream"
        for sim in sims:
            sim.gate = Gated.gate
        with await asyncio.to_thread(Child, folder, settings) as child:
            await asyncio.wait_for(asyncio.gather(*playing), 200)
            reader = open_reader(f"sqlite:///{folder}/archive.sqlite")
            await until(lambda: stories_are_archived(reader, sims))
            assert await asyncio.to_thread(child.stop) == 0, child.said()
    finally:
        for task in playing:
            task.cancel()
        await asyncio.gather(*playing, return_exceptions=True)
    bus = open_bus(f"local:{folder}/bus.sqlite")
    assert_whole(reader, bus, sims)
    bus.close()
    reader.close()


@pytest.mark.timeout(600)
def test_what_was_acknowledged_is_archived_even_if_the_device_never_comes_back(tmp_path: Path) -> None:
    asyncio.run(_killed_for_good(tmp_path))


async def _killed_for_good(folder: Path) -> None:
    sims = devices("bed", speed=MAX_SPEED)
    child = await asyncio.to_thread(Child, folder)
    playing = [asyncio.create_task(run_device(d, child.addresses["gateway"])) for d in sims]
    await until(lambda: all(d.device.acknowledged > 5000 for d in sims))
    child.kill()
    for sim in sims:
        sim.end(time.monotonic(), drain_s=0.0)
    results = await asyncio.gather(*playing, return_exceptions=True)
    assert all(r is None or isinstance(r, RetryError) for r in results)

    with await asyncio.to_thread(Child, folder):
        reader = open_reader(f"sqlite:///{folder}/archive.sqlite")
        await until(lambda: all(len(archived(reader, d.stream)) >= d.device.acknowledged for d in sims))
        for i, sim in enumerate(sims):
            samples = archived(reader, sim.stream)
            np.testing.assert_array_equal(samples, patient(SCRIPTS[i], seed=i).read(0, len(samples)))
        reader.close()
