"""What is known of one stream right now: its last seconds of samples, heart rate, quality, link, battery.

Plain state fed by messages; no sockets, no clock. Nothing here is durable.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import isnan

from msgspec import structs

from leadwire.model import (
    Beat,
    DeviceStatus,
    HeartRate,
    LinkEvent,
    SampleChunk,
    SignalQuality,
    StreamEvent,
    StreamInfo,
)

BUFFER_S = 12.0
"""Seconds of samples (and beats) kept for a client that subscribes."""

OFFSET_WINDOW_S = 120.0
"""The device's clock offset is the smallest seen in the last one or two of these, in s."""

_BEATS = 64


@dataclass(slots=True)
class Offset:
    """Estimate of server time - device time: the smallest of (receive - device) of late.

    The chunk that travelled fastest is the least delayed, so the smallest difference is nearest to
    the clock offset alone (as in NTP's minimum filter). It is too large by the shortest delay of the window.
    """

    best: float = float("inf")
    coming: float = float("inf")
    since: float = float("-inf")

    def update(self, device: float, receive: float) -> float:
        """Take one pair of stamps of the same moment; return the offset in s."""
        if receive - self.since > OFFSET_WINDOW_S or receive < self.since:
            self.best, self.coming, self.since = self.coming, float("inf"), receive
        self.coming = min(self.coming, receive - device)
        self.best = min(self.best, self.coming)
        return self.best


class LiveStream:
    """One stream as the pages show it.

    Attributes
    ----------
    index
        Its number in the binary frames of this server.
    leads
        Names of its signals; a signal that first appears later is appended, so an index stays valid.
    """

    def __init__(self, index: int, stream: str) -> None:
        self.index = index
        self.stream = stream
        self.info: StreamInfo | None = None
        self.leads: list[str] = []
        self.units: list[str] = []
        self.chunks: deque[tuple[SampleChunk, float]] = deque()
        self.end_sample = 0
        self.fs = 0.0
        self.received = float("nan")
        self.sample = 0
        self.heart_rate: float | None = None
        self.quality: SignalQuality | None = None
        self.link = ""
        self.battery: float | None = None
        self.beats: deque[Beat] = deque(maxlen=_BEATS)
        self.beats_seen = 0
        self._offset = Offset()

    def describe(self, info: StreamInfo) -> None:
        """Take who and what the stream is."""
        self.info = info
        self.fs = self.fs or info.fs
        self._learn_leads(info.sig_name, info.units)
        if info.ended is not None:
            self.link = "ended"

    def add_chunk(self, chunk: SampleChunk) -> tuple[float, bool]:
        """Take samples; return when the first was taken (server time, s) and whether leads are new."""
        new = self._learn_leads(chunk.sig_name, chunk.units)
        length_s = chunk.n_samples / chunk.fs
        if chunk.late:
            taken = chunk.device_time + (0.0 if self._offset.best == float("inf") else self._offset.best)
        else:
            # A chunk cannot arrive before its last sample was taken: compare with that moment.
            taken = chunk.device_time + self._offset.update(chunk.device_time + length_s, chunk.receive_time)
        self.fs = chunk.fs
        self.received = chunk.receive_time
        self.end_sample = max(self.end_sample, chunk.end_sample)
        if self.link != "ended":
            self.link = "connected"
        if not chunk.late:
            self.chunks.append((chunk, taken))
            while self.chunks and self.chunks[0][0].end_sample < self.end_sample - BUFFER_S * self.fs:
                self.chunks.popleft()
        return taken, new

    def add_event(self, event: StreamEvent) -> bool:
        """Take an event; False: it is none that a state frame shows."""
        if isinstance(event, Beat):
            self.beats.append(event)
            self.beats_seen += 1
            self.sample = max(self.sample, event.detected)
        elif isinstance(event, HeartRate):
            self.heart_rate = event.rate
            self.sample = max(self.sample, event.sample)
        elif isinstance(event, SignalQuality):
            self.quality = event
            self.sample = max(self.sample, event.sample)
        elif isinstance(event, LinkEvent):
            if event.kind not in ("connected", "disconnected", "ended"):
                return False
            self.link = event.kind
        elif isinstance(event, DeviceStatus):
            self.battery = event.battery
        else:
            return False
        return True

    def joined(self) -> Iterator[tuple[SampleChunk, float]]:
        """The buffered chunks, those that follow one another as one: a new client gets few large frames."""
        for _, run in groupby(self._numbered(), key=lambda item: item[0]):
            chunks = [(chunk, taken) for _, chunk, taken in run]
            first, taken = chunks[0]
            yield structs.replace(first, samples=b"".join(chunk.samples for chunk, _ in chunks)), taken

    def _numbered(self) -> Iterator[tuple[int, SampleChunk, float]]:
        number, before = 0, None
        for chunk, taken in self.chunks:
            number += before is None or before.end_sample != chunk.first_sample or not _alike(before, chunk)
            before = chunk
            yield number, chunk, taken

    def spoken(self) -> float:
        """When it last gave a sign of itself: data, or its beginning. In s; 0: never."""
        started = 0.0 if self.info is None else self.info.started
        return started if isnan(self.received) else max(started, self.received)

    def flags(self) -> list[Sequence[str]]:
        """Quality flags of each of `leads`."""
        if self.quality is None:
            return [()] * len(self.leads)
        by_name = dict(zip(self.quality.sig_name, self.quality.flags, strict=False))
        return [by_name.get(name, ()) for name in self.leads]

    def _learn_leads(self, names: Sequence[str], units: Sequence[str]) -> bool:
        fresh = [(n, u) for n, u in zip(names, units, strict=True) if n not in self.leads]
        self.leads += (n for n, _ in fresh)
        self.units += (u for _, u in fresh)
        return bool(fresh)


def _alike(a: SampleChunk, b: SampleChunk) -> bool:
    return (a.fs, a.sig_name, a.units, a.adc_gain, a.baseline, a.lead_off) == (
        b.fs,
        b.sig_name,
        b.units,
        b.adc_gain,
        b.baseline,
        b.lead_off,
    )
