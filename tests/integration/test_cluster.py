"""Every role a process of its own on real Kafka and PostgreSQL, one of them killed on the way."""

import asyncio
import json
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from benchmarks.child import Child
from leadwire.bus import open_bus
from simulators.link import run_device
from storage import open_reader
from tests.integration.whole import LENGTHS, Gated, assert_whole, devices, stories_are_archived, until


@pytest.mark.kafka
@pytest.mark.postgres
@pytest.mark.timeout(900)
def test_roles_on_kafka_and_postgresql_lose_and_double_nothing_when_a_detector_is_killed(
    tmp_path: Path, kafka_address: str, postgres_url: str
) -> None:
    asyncio.run(_story(tmp_path, f"kafka://{kafka_address}", postgres_url))


async def _story(folder: Path, bus_address: str, archive: str) -> None:
    settings = {"BUS": bus_address, "ARCHIVE": archive, "SNAPSHOT_S": "0.5"}
    with ExitStack() as running:

        async def start(role: str) -> Child:
            return running.enter_context(await asyncio.to_thread(Child, folder, settings, (role,)))

        gateway, dashboard, first, second, _, _ = await asyncio.gather(
            *(start(r) for r in ("ingest", "dashboard", "dsp", "dsp", "alerts", "archive"))
        )
        sims = devices("ward", speed=15.0)
        for sim, length in zip(sims, LENGTHS, strict=True):
            sim.gate = round(0.6 * length)
        heard = asyncio.create_task(_listen(dashboard.addresses["dashboard"], sims[0].stream))
        playing = [asyncio.create_task(run_device(d, gateway.addresses["gateway"])) for d in sims]
        await until(lambda: sims[2].device.acknowledged > 0.3 * LENGTHS[2])
        first.kill()
        assert not any(sim.finished for sim in sims), "killed in mid-stream"
        for sim in sims:
            sim.gate = Gated.gate
        await asyncio.wait_for(asyncio.gather(*playing), 200)
        reader = open_reader(archive)
        await until(lambda: stories_are_archived(reader, sims))
        assert await asyncio.wait_for(heard, 120) == ["active", "ended"]
        for child in (second, gateway, dashboard):
            assert await asyncio.to_thread(child.stop) == 0, child.said()
    bus = open_bus(bus_address)
    assert_whole(reader, bus, sims)
    bus.close()
    reader.close()


async def _listen(page: str, stream: str) -> list[str]:
    """The states of the stream's asystole, as a browser hears of them."""
    states: list[str] = []
    url = page.replace("http://", "ws://").rstrip("/") + "/ws/alerts?from=0"
    async with connect(url, proxy=None) as socket:
        async for message in socket:
            said = json.loads(message)
            if said["type"] != "alert":
                continue
            alert = said["view"]["alert"]
            if alert["stream"] == stream and alert["kind"] == "asystole":
                states.append(alert["state"])
                if alert["state"] == "ended":
                    break
    return states
