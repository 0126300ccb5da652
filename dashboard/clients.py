"""What one waveform client is owed: a bounded queue of waves, and the newest state of each of its streams.

Waves are lossy: beyond the limits the oldest go, and the client is told how many. States, beats and JSON
messages are not: there is one state a stream, and it is made when it is sent. Not here: `sockets.py`.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from dashboard import frames
from dashboard.live import LiveStream
from leadwire.model import SampleChunk

MAX_QUEUED = 4096
MAX_QUEUED_BYTES = 8 << 20
"""A waveform client may be behind by so many frames and bytes; then its oldest are left out."""


@dataclass(slots=True)
class Subscription:
    """A stream the client gets: index and name of each lead, its next beat, waves left out and not told."""

    live: LiveStream
    leads: tuple[tuple[int, str], ...]
    next_beat: int
    lost: int = 0
    lost_total: int = 0


@dataclass(slots=True, eq=False)
class WaveClient:
    """What one waveform websocket is owed. `take` empties it; `ready` is set while there is something."""

    clinics: frozenset[str] | None = None
    """Whose streams it may have; None: all."""

    max_queued: int = MAX_QUEUED
    max_bytes: int = MAX_QUEUED_BYTES
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    wanted: dict[str, tuple[str, ...]] = field(default_factory=dict)
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    _waves: deque[tuple[str, bytes]] = field(default_factory=deque)
    _bytes: int = 0
    _dirty: dict[str, None] = field(default_factory=dict)
    _texts: list[bytes] = field(default_factory=list)

    def push_text(self, text: bytes) -> None:
        """Owe a JSON message; these are few (one a change of a stream) and never left out."""
        self._texts.append(text)
        self.ready.set()

    def push_wave(self, stream: str, frame: bytes) -> None:
        """Owe a wave frame, and leave out the oldest ones beyond the limits."""
        self._waves.append((stream, frame))
        self._bytes += len(frame)
        while len(self._waves) > self.max_queued or self._bytes > self.max_bytes:
            victim, lost = self._waves.popleft()
            self._bytes -= len(lost)
            if (subscription := self.subscriptions.get(victim)) is not None:
                subscription.lost += 1
                subscription.lost_total += 1
        self.ready.set()

    def mark(self, stream: str) -> None:
        """Owe the stream's newest state."""
        self._dirty[stream] = None
        self.ready.set()

    def take(self, now: float) -> tuple[list[bytes], bytes]:
        """Everything owed: JSON messages, then one run of frames; both may be empty."""
        self.ready.clear()
        texts, self._texts = self._texts, []
        out: list[bytes] = []
        for subscription in self.subscriptions.values():
            if subscription.lost:
                out.append(frames.lost(subscription.live.index, subscription.lost, subscription.lost_total))
                subscription.lost = 0
        # A stream that left, or is no longer wanted: its frames must not be read as another's.
        out += (frame for stream, frame in self._waves if stream in self.subscriptions)
        self._waves.clear()
        self._bytes = 0
        for stream in self._dirty:
            if (owed := self.subscriptions.get(stream)) is not None:
                out.append(_state_frame(owed.live, owed.next_beat, now))
                owed.next_beat = owed.live.beats_seen
        self._dirty.clear()
        return texts, b"".join(out)


def _state_frame(live: LiveStream, next_beat: int, now: float) -> bytes:
    unseen = min(len(live.beats), live.beats_seen - next_beat)
    beats = list(live.beats)[len(live.beats) - unseen :] if unseen > 0 else []
    return frames.state(
        live.index,
        sample=live.sample,
        sent=now,
        received=live.received,
        heart_rate=live.heart_rate,
        quality=None if live.quality is None else live.quality.score,
        usable=live.quality is not None and live.quality.usable,
        link=live.link,
        battery=live.battery,
        flags=live.flags(),
        beats=beats,
    )


def wave_frame(
    live: LiveStream,
    chunk: SampleChunk,
    leads: tuple[tuple[int, str], ...],
    taken: float,
    now: float,
    buffered: bool = False,
) -> bytes | None:
    """The frame of `leads` (index in the stream, name) of `chunk`; None if it has none of them."""
    columns = [(index, chunk.sig_name.index(name)) for index, name in leads if name in chunk.sig_name]
    if not columns or not chunk.n_samples:
        return None
    return frames.wave(live.index, chunk, columns, taken=taken, sent=now, buffered=buffered)
