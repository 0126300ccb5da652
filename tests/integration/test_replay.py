"""`leadwire replay` and the ward against the real gateway on a real (local) bus, over real sockets."""

import argparse
import asyncio
import contextlib
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wfdb
from numpy.typing import NDArray

from ingest.gateway import Gateway
from leadwire import codec
from leadwire.bus import Bus, open_bus
from leadwire.errors import RecordRejected, SettingError
from leadwire.model import LinkEvent, SampleChunk, StreamInfo
from leadwire.topics import CHUNKS, EVENTS, STREAMS, TOPICS
from simulators import replay, ward
from simulators.device import Identity, SimulatedDevice
from simulators.faults import Disconnect
from simulators.faulty import FaultPlan
from simulators.link import gateway_url, run_device
from simulators.source import ArraySource, Looped, Source
from simulators.synthetic import simulate

FS = 250


class Running:
    """A gateway on its own thread, and what came to its bus."""

    def __init__(self, bus: Bus, tokens: Path | None = None) -> None:
        self.bus = bus
        self._tokens = tokens
        self._stop = threading.Event()
        self._ready = threading.Event()
        self.address = ""
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()
        assert self._ready.wait(30)

    async def _run(self) -> None:
        gateway = Gateway(self.bus, tokens=self._tokens, reorder_s=0.3)
        host, port = await gateway.start()
        self.address = f"ws://{host}:{port}"
        self._ready.set()
        while not self._stop.is_set():
            await asyncio.sleep(0.02)
        await gateway.stop()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()

    def messages(self) -> list[object]:
        """Everything on the bus at the moment of asking."""
        topics = (CHUNKS, EVENTS, STREAMS)
        left = sum(sum(self.bus.end_offsets(t).values()) for t in topics)
        consumer = self.bus.consumer(topics)
        out: list[object] = []
        try:
            while left > 0 and (records := consumer.poll(1.0)):
                left -= len(records)
                out += [codec.decode(r.value) for r in records if r.value is not None]
        finally:
            consumer.close()
        return out

    def samples(self, stream: str) -> NDArray[np.int16]:
        """All samples of `stream`, each of which must have come exactly once."""
        chunks = [m for m in self.messages() if isinstance(m, SampleChunk) and m.stream == stream]
        chunks.sort(key=lambda c: c.first_sample)
        end = 0
        for chunk in chunks:
            assert chunk.first_sample == end
            end = chunk.end_sample
        return np.concatenate([c.d_signal() for c in chunks])

    def infos(self) -> dict[str, StreamInfo]:
        return {m.stream: m for m in self.messages() if isinstance(m, StreamInfo)}


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Running]:
    bus = open_bus(f"local:{tmp_path / 'bus.sqlite'}")
    bus.create_topics(TOPICS.values())
    running = Running(bus)
    yield running
    running.stop()
    bus.close()


@pytest.fixture
def record(tmp_path: Path) -> Path:
    d = np.random.default_rng(1).integers(-2000, 2000, (20 * FS, 2))
    wfdb.wrsamp(
        "r1", fs=FS, units=["mV"] * 2, sig_name=["MLII", "V1"], d_signal=d, fmt=["212"] * 2,
        adc_gain=[200.0] * 2, baseline=[0] * 2, write_dir=str(tmp_path),
    )  # fmt: skip
    return tmp_path / "r1"


def arguments(*words: object) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    replay.add_arguments(parser)
    return parser.parse_args([str(w) for w in words])


def played(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line.split()[1] for line in capsys.readouterr().out.splitlines() if line.startswith("stream ")]


def test_a_record_arrives_as_it_is_and_its_stream_ends(
    gateway: Running, record: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay.run(arguments(record, "--speed", "max", "--as", "Shiqiao/7", "--to", gateway.address)) == 0
    (stream,) = played(capsys)
    np.testing.assert_array_equal(
        gateway.samples(stream), wfdb.rdrecord(str(record), physical=False).d_signal
    )
    info = gateway.infos()[stream]
    assert (info.clinic, info.bed, info.fs, info.sig_name) == ("Shiqiao", "7", FS, ("MLII", "V1"))
    assert info.ended is not None
    # A recording played faster than life ends about now: nothing of it lies in the future.
    assert -240 < info.started + 20 - time.time() < 1


def test_whatever_the_link_does_every_sample_arrives_once(
    gateway: Running, record: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faults = ["loss:p=0.1", "duplicate:p=0.2", "reorder:p=0.2", "corrupt:p=0.02", "storm:for=3,every=0.3"]
    words = [w for f in faults for w in ("--fault", f)]
    assert replay.run(arguments(record, "--speed", 10, "--to", gateway.address, *words)) == 0
    (stream,) = played(capsys)
    np.testing.assert_array_equal(
        gateway.samples(stream), wfdb.rdrecord(str(record), physical=False).d_signal
    )
    assert sum(isinstance(m, LinkEvent) and m.kind == "connected" for m in gateway.messages()) > 2


def test_two_records_play_at_once_on_beds_of_their_own(
    gateway: Running, record: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        replay.run(arguments(record, record, "--speed", "max", "--as", "Qingxi/A", "--to", gateway.address))
        == 0
    )
    streams = played(capsys)
    assert len(set(streams)) == 2
    assert sorted(i.bed for i in gateway.infos().values()) == ["A-1", "A-2"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_delivers_what_was_measured_and_says_goodbye(
    gateway: Running, record: Path, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    def press() -> None:
        until(lambda: any(isinstance(m, SampleChunk) for m in gateway.messages()))
        os.kill(os.getpid(), number)

    threading.Thread(target=press, daemon=True).start()
    assert replay.run(arguments(record, "--loop", "--speed", 10, "--to", gateway.address)) == 0
    (stream,) = played(capsys)
    one = wfdb.rdrecord(str(record), physical=False).d_signal
    got = gateway.samples(stream)
    np.testing.assert_array_equal(got, np.tile(one, (len(got) // len(one) + 1, 1))[: len(got)])
    assert gateway.infos()[stream].ended is not None


def test_a_wrong_token_is_told_and_not_tried_again(
    tmp_path: Path, record: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bus = open_bus(f"local:{tmp_path / 'bus.sqlite'}")
    bus.create_topics(TOPICS.values())
    (tmp_path / "tokens").write_text("somebody-else 0123456789\n")
    running = Running(bus, tmp_path / "tokens")
    try:
        words = (record, "--token", "wrong-token", "--to", running.address)
        assert replay.run(arguments(*words)) == 1
        assert "the gateway refuses" in capsys.readouterr().err
    finally:
        running.stop()
        bus.close()


def test_without_a_gateway_it_says_so_and_gives_up_when_told(
    record: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "_DRAIN_S", 0.3)

    async def tried_in_vain(sim: SimulatedDevice, *rest: Any) -> None:
        at_first = sim.trouble

        async def press() -> None:
            while sim.trouble == at_first:
                await asyncio.sleep(0.02)
            os.kill(os.getpid(), signal.SIGINT)

        pressing = asyncio.create_task(press())
        await run_device(sim, *rest)
        await pressing

    monkeypatch.setattr(replay, "run_device", tried_in_vain)
    assert replay.run(arguments(record, "--to", "ws://127.0.0.1:1")) == 1
    said = capsys.readouterr().err
    assert "onnect" in said
    assert "samples of replay-" in said
    assert "stay unacknowledged" in said


def test_what_cannot_be_played_is_refused_before_anything_is_sent(record: Path) -> None:
    for words, error, says in [
        ((record.parent / "r2",), RecordRejected, "r2.hea is missing"),
        (("script:5 s sleep",), SettingError, "column 5: 'sleep' came"),
        ((record, "--fault", "rain"), SettingError, "'rain' came"),
        ((record, "--fault", "flat:leads=V9"), SettingError, "V9 came"),
        ((record, "--to", "http://127.0.0.1"), SettingError, "ws://HOST:PORT was expected"),
        ((record, "--as", "x" * 70), SettingError, "a text of 70 bytes came"),
    ]:
        with pytest.raises(error, match=says):
            replay.run(arguments(*words))
    with pytest.raises(SystemExit):
        arguments(record, "--speed", "0")


def test_a_script_plays_like_a_record(gateway: Running, capsys: pytest.CaptureFixture[str]) -> None:
    script = "3 s sinus 72; 2 s asystole"
    assert (
        replay.run(arguments(f"script:{script}", "--speed", "max", "--seed", 4, "--to", gateway.address)) == 0
    )
    (stream,) = played(capsys)
    np.testing.assert_array_equal(gateway.samples(stream), simulate(script, seed=4)[0].read(0, 5 * FS))


def test_addresses_of_a_gateway() -> None:
    assert gateway_url("127.0.0.1:8071") == "ws://127.0.0.1:8071/v1/device"
    assert gateway_url("wss://hub.example/") == "wss://hub.example/v1/device"
    for wrong in ("", "ws://", "http://x", "ws://x:0", "ws://x:99999", "ws://[x"):
        with pytest.raises(SettingError, match="was expected"):
            gateway_url(wrong)


def ramp(n: int = 20 * FS) -> ArraySource:
    x = np.arange(n, dtype=np.int16)[:, None]
    return ArraySource(x, float(FS), ("II",), ("mV",), (200.0,), (0,))


def test_a_gateway_that_comes_back_gets_what_it_missed(gateway: Running) -> None:
    async def play() -> SimulatedDevice:
        who = Identity(device="dev", clinic="c", bed="b")
        plan = FaultPlan((Disconnect(at_s=0.3, for_s=2.0),))
        sim = SimulatedDevice(who, ramp(), time.time(), speed=10.0, faults=plan)
        await asyncio.wait_for(run_device(sim, gateway.address), 120)
        return sim

    sim = asyncio.run(play())
    assert sim.connections >= 2
    np.testing.assert_array_equal(gateway.samples(sim.stream)[:, 0], np.arange(20 * FS))


def test_the_ward_plays_every_bed_leaves_out_the_broken_and_says_goodbye(gateway: Running) -> None:
    def broken() -> Source:
        raise RecordRejected("no such record")

    beds = [ward.Bed(Identity(f"d{i}", "c", str(i)), lambda: Looped(ramp(FS))) for i in range(3)]
    beds.insert(1, ward.Bed(Identity("broken", "c", "9"), broken))

    def half_a_second_of_each() -> bool:
        came = Counter[str]()
        for m in gateway.messages():
            if isinstance(m, SampleChunk):
                came[m.stream] += m.n_samples
        return len(came) == 3 and min(came.values()) >= FS // 2

    async def play() -> None:
        task = asyncio.create_task(ward.run_ward(beds, gateway.address))
        await asyncio.to_thread(until, half_a_second_of_each)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(play())
    infos = gateway.infos()
    assert sorted(i.bed for i in infos.values()) == ["0", "1", "2"]
    for stream, info in infos.items():
        assert info.ended is not None
        assert len(gateway.samples(stream)) >= FS // 2


def until(condition: Callable[[], bool], limit_s: float = 120.0) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.05)
