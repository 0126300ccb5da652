"""A ward on a real local bus with a real dashboard on it: what gateway and stages publish, on request."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
from numpy.typing import NDArray

from dashboard.service import DashboardService
from leadwire import codec
from leadwire.bus.local import LocalBus
from leadwire.messages import Message
from leadwire.model import Alert, Beat, Evidence, HeartRate, SampleChunk, SignalQuality, StreamInfo, event_id
from leadwire.settings import Settings
from leadwire.topics import ALERTS, CHUNKS, EVENTS, STREAMS, TOPICS, Topic
from storage import Reader

GAIN = 200.0


def info(stream: str, bed: str = "01", leads: tuple[str, ...] = ("II",), **changes: object) -> StreamInfo:
    """A stream at 250 Hz in mV that began now."""
    values: dict[str, object] = {
        "stream": stream,
        "device": f"device-{bed}",
        "clinic": "Linxi",
        "bed": bed,
        "fs": 250.0,
        "sig_name": leads,
        "units": ("mV",) * len(leads),
        "started": time.time(),
    }
    return StreamInfo(**(values | changes))  # type: ignore[arg-type]


def chunk(
    of: StreamInfo, first: int, mv: NDArray[np.float64], now: float | None = None, **changes: object
) -> SampleChunk:
    """Samples in mV that arrive now, (n_samples,) for all leads alike or (n_samples, n_sig); NaN: invalid."""
    now = time.time() if now is None else now
    rows = mv if mv.ndim == 2 else np.repeat(mv[:, None], len(of.sig_name), axis=1)
    digits = np.where(np.isnan(rows), -32768, np.round(np.nan_to_num(rows) * GAIN)).astype("<i2")
    values: dict[str, object] = {
        "stream": of.stream,
        "first_sample": first,
        "fs": of.fs,
        "sig_name": of.sig_name,
        "units": of.units,
        "adc_gain": (GAIN,) * len(of.sig_name),
        "baseline": (0,) * len(of.sig_name),
        "samples": digits.tobytes(),
        "device_time": now - len(rows) / of.fs,
        "receive_time": now,
    }
    return SampleChunk(**(values | changes))  # type: ignore[arg-type]


def alert(
    of: StreamInfo,
    kind: str = "asystole",
    priority: str = "high",
    version: int = 1,
    onset: int = 0,
    **changes: object,
) -> Alert:
    """An active alert, raised now."""
    technical = kind in {"lead_off", "flat", "saturated", "noisy", "missing"}
    values: dict[str, object] = {
        "id": event_id(of.stream, onset, kind),
        "version": version,
        "stream": of.stream,
        "kind": kind,
        "priority": priority,
        "category": "technical" if technical else "physiological",
        "state": "active",
        "onset": onset,
        "raised_at": time.time(),
        "changed_at": time.time(),
        "evidence": Evidence(rule=kind, value=4.1, threshold=4.0, unit="s"),
    }
    return Alert(**(values | changes))  # type: ignore[arg-type]


class Ward:
    """A local bus, a dashboard, and patients whose every sample the test decides."""

    def __init__(self, folder: Path, reader: Reader | None = None) -> None:
        self.bus = LocalBus(str(folder / "bus.sqlite"))
        self.bus.create_topics(TOPICS.values())
        self._producer = self.bus.producer()
        self.reader = reader
        self.secret = str(folder / "session.key")
        self.service = self._dashboard(0)
        self.address = self.service.start()
        self._settle()
        self.patients: dict[str, StreamInfo] = {}
        self._next: dict[str, int] = {}

    def _dashboard(self, port: int) -> DashboardService:
        settings = Settings(dashboard_port=port, session_secret_file=self.secret)
        return DashboardService(self.bus, self.reader, settings)

    def close(self) -> None:
        self.service.stop()
        self._producer.close()
        self.bus.close()

    def restart(self) -> None:
        """Stop the dashboard and start another on the same port, as after a crash."""
        port = int(self.address.rstrip("/").rpartition(":")[2])
        self.service.stop()
        self.service = self._dashboard(port)
        self.service.start()
        self._settle()

    def _settle(self) -> None:
        """Wait until the dashboard has read who may see what: before that it answers 503."""
        end = time.monotonic() + 60.0
        while httpx.get(self.address + "api/session").status_code == 503:
            assert time.monotonic() < end, "the dashboard did not read the bus"
            time.sleep(0.02)

    def publish(self, topic: Topic, key: str, message: Message) -> None:
        """Publish and wait until it is durable."""
        self._producer.publish(topic, key, codec.encode(message)).result(60)

    def admit(self, stream: str, **changes: object) -> StreamInfo:
        patient = info(stream, **changes)  # type: ignore[arg-type]
        self.patients[stream] = patient
        self._next[stream] = 0
        self.publish(STREAMS, stream, patient)
        return patient

    def send(self, stream: str, mv: NDArray[np.float64], wait: bool = True, **changes: object) -> None:
        """The next samples of `stream`; `wait` until they are durable."""
        first = self._next[stream]
        self._next[stream] = first + len(mv)
        message = chunk(self.patients[stream], first, mv, **changes)  # type: ignore[arg-type]
        future = self._producer.publish(CHUNKS, stream, codec.encode(message))
        if wait:
            future.result(60)

    def skip(self, stream: str, n_samples: int) -> None:
        """These samples never arrive."""
        self._next[stream] += n_samples

    @contextmanager
    def playing(
        self,
        *streams: str,
        wave: Callable[[NDArray[np.float64]], NDArray[np.float64]],
        chunk_s: float = 0.2,
    ) -> Iterator[None]:
        """Send `wave` (mV of the time in s from sample 0) on `streams` in real time while the block lasts."""
        stop = threading.Event()

        def play() -> None:
            began = time.monotonic()
            sent = 0
            while not stop.wait(max(0.0, began + (sent + 1) * chunk_s - time.monotonic())):
                sent += 1
                for stream in streams:
                    fs, first = self.patients[stream].fs, self._next[stream]
                    mv = wave((first + np.arange(round(chunk_s * fs))) / fs)
                    self.send(stream, mv, wait=False)

        player = threading.Thread(target=play, daemon=True)
        player.start()
        try:
            yield
        finally:
            stop.set()
            player.join()

    def rate(self, stream: str, rate: float | None) -> None:
        at = self._next[stream]
        self.publish(EVENTS, stream, HeartRate(stream=stream, sample=at, rate=rate))
        names = self.patients[stream].sig_name
        self.publish(
            EVENTS,
            stream,
            SignalQuality(
                stream=stream, sample=at, sig_name=names, flags=((),) * len(names), score=0.9, usable=True
            ),
        )

    def beat(self, stream: str, sample: int, symbol: str = "N") -> None:
        self.publish(
            EVENTS, stream, Beat(stream=stream, sample=sample, detected=sample, symbol=symbol, amplitude=1.0)
        )

    def alert(self, stream: str, **changes: object) -> Alert:
        message = alert(self.patients[stream], **changes)  # type: ignore[arg-type]
        self.publish(ALERTS, stream, message)
        return message
