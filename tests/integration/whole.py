"""Patients whose whole story is known, and the check that a system under test tells all of it, once."""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dsp.pipeline import StreamAnalyzer
from leadwire import codec
from leadwire.bus import Bus
from leadwire.bus.compacted import read_all
from leadwire.model import Alert, Beat, RhythmEpisode, SampleChunk, StreamEvent, event_id
from leadwire.settings import Limits
from leadwire.topics import ALERTS
from simulators.device import Identity, SimulatedDevice
from storage import Reader
from tests.integration.patient import FS, patient

STARTED = 1_700_000_000.0
SCRIPTS = [
    [(60.0, 72), (8.0, 0), (90.0, 65), (40.0, 190), (60.0, 80)],
    [(45.0, 60), (6.0, 0), (60.0, 75), (7.0, 0), (40.0, 28), (80.0, 90)],
    [(240.0, 82)],
]
LENGTHS = [round(sum(s for s, _ in script) * FS) for script in SCRIPTS]


class Gated(SimulatedDevice):
    """Measures no sample from `gate` on; who raises it lets it go on. No machine is too fast for that."""

    gate = 10**9

    def _due(self, now: float) -> int:
        n = super()._due(now)
        return n if self.device.next_sample + n <= self.gate else 0

    def wake_at(self, now: float) -> float:
        return max(now + 0.02, super().wake_at(now))  # what is due may not be measured


def devices(prefix: str, speed: float) -> list[Gated]:
    """One device per script, playing `speed` times as fast as real."""
    return [
        Gated(
            Identity(f"{prefix}{i}", "clinic", str(i)),
            patient(script, seed=i),
            STARTED,
            speed=speed,
            patience_s=2.0,
        )
        for i, script in enumerate(SCRIPTS)
    ]


@lru_cache
def expected_events(stream: str, number: int) -> list[StreamEvent]:
    """What the detectors say of the whole recording of script `number` at once."""
    source = patient(SCRIPTS[number], seed=number)
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
        device_time=STARTED,
        receive_time=STARTED,
    )
    return StreamAnalyzer(Limits()).process(chunk)


def expected_beats(stream: str, number: int) -> list[Beat]:
    """A beat is said twice, at once and with its class; the last word of each, ascending."""
    said = {e.sample: e for e in expected_events(stream, number) if isinstance(e, Beat)}
    return [said[sample] for sample in sorted(said)]


async def until(true: Callable[[], bool], timeout_s: float = 200.0) -> None:
    """Wait until `true()`."""
    deadline = time.monotonic() + timeout_s
    while not await asyncio.to_thread(true):
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(0.1)


def archived(reader: Reader, stream: str, stop: int = 10**9) -> NDArray[np.int16]:
    """The archived samples of `stream` from 0 to the first hole."""
    segments = reader.read_waveform(stream, 0, stop)
    if not segments or segments[0].first_sample != 0:
        return np.empty((0, 2), np.int16)
    return segments[0].d_signal


def stories_are_archived(reader: Reader, sims: Sequence[SimulatedDevice]) -> bool:
    """Whether the end of every story has reached the archive: samples, beats and their classes."""
    for i, sim in enumerate(sims):
        last = expected_beats(sim.stream, i)[-1]
        if len(archived(reader, sim.stream)) < LENGTHS[i] or reader.beats(sim.stream, last.sample) != [last]:
            return False
    return True


def assert_whole(reader: Reader, bus: Bus, sims: Sequence[SimulatedDevice]) -> None:
    """Samples, beats, episodes and alerts are those of the recordings, each once."""
    streams = {sim.stream for sim in sims}
    published = [codec.decode_as(r.value or b"", Alert) for r in read_all(bus, ALERTS) if r.key in streams]
    assert len({(a.id, a.version) for a in published}) == len(published)
    for i, sim in enumerate(sims):
        source = patient(SCRIPTS[i], seed=i)
        np.testing.assert_array_equal(archived(reader, sim.stream), source.read(0, LENGTHS[i]))
        expected = expected_events(sim.stream, i)
        assert reader.beats(sim.stream) == expected_beats(sim.stream, i)
        # An episode is said twice, when it begins and when it ends; the archive keeps the last word.
        episodes = {(e.onset, e.kind): e for e in expected if isinstance(e, RhythmEpisode)}
        assert {(e.onset, e.kind): e for e in reader.episodes(sim.stream)} == episodes
        announced = {event_id(sim.stream, e.onset, e.kind) for e in episodes.values() if not e.withheld}
        own = [a for a in published if a.stream == sim.stream and a.kind != "no_data"]
        assert {a.id for a in own} == announced
        for alert_id in announced:
            states = [a.state for a in own if a.id == alert_id]
            assert states in (["active"], ["active", "ended"])
        assert {a.id: a.version for a in reader.alerts(sim.stream) if a.kind != "no_data"} == {
            alert_id: max(a.version for a in own if a.id == alert_id) for alert_id in announced
        }
    assert {"asystole", "extreme_tachycardia", "extreme_bradycardia"} <= {a.kind for a in published}
