"""StreamAnalyzer: the samples of one stream in, beats, heart rate, quality and rhythm episodes out.

Two rhythms drive it. Beats come out as soon as the QRS detector is sure. Everything else happens once
a second of samples, at sample round(k fs): quality is closed, the heart rate told, and each
condition of `dsp/rhythm/` looks at the second. Both are functions of sample numbers alone, so the
cut into chunks leaves no trace; events come in the order of the sample at which they became known.

Sample bookkeeping is done here and nowhere else: rows seen before are passed over, late
(back-filled) chunks are ignored, a short gap is fed as missing samples, a long one is missing samples
for `GAP_FED_S` and then a jump. A new rate or other leads close what is open and begin anew.

Not here: the bus, clocks, and what becomes of the events.
"""

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from dsp.abstract import Condition, analyzer, conditions
from dsp.episodes import end
from dsp.stream import Layout, Running, RunningState
from leadwire.errors import BugError, MessageRejected
from leadwire.model import RhythmEpisode, SampleChunk, StreamEvent
from leadwire.settings import Limits

SNAPSHOT_VERSION = 2
GAP_FED_S = 6.0
"""Of a gap so much is fed as missing samples: enough for every condition to begin, end or give up."""


class _Envelope(Struct):
    """What stays readable when the body's version changes: where we are, and what is open."""

    version: int
    stream: str
    next_sample: int
    open: list[RhythmEpisode]
    body: msgspec.Raw


class _Body(Struct):
    layout: Layout
    state: RunningState


_encoder = msgspec.msgpack.Encoder()
_envelopes = msgspec.msgpack.Decoder(_Envelope)
_bodies = msgspec.msgpack.Decoder(_Body)


@analyzer
class StreamAnalyzer:
    """Streaming analysis of one stream; configures itself from the first chunk.

    Parameters
    ----------
    limits
        Limits of the rhythm conditions.
    only
        Names of the conditions to run; all that are registered by default.

    Examples
    --------
    >>> analyzer = StreamAnalyzer(Limits())
    >>> for chunk in chunks:
    ...     for event in analyzer.process(chunk): print(event)
    """

    def __init__(self, limits: Limits, only: Iterable[str] | None = None) -> None:
        self._limits = limits
        self._factories = {n: f for n, f in conditions().items() if only is None or n in set(only)}
        self._running: Running | None = None
        self._stream = ""
        self._inherited: list[RhythmEpisode] = []
        self.next_sample: int | None = None
        """The first sample not seen yet; None before the first chunk."""

    @property
    def delay_s(self) -> float:
        """Longest time from an R peak to its `Beat`, in s; conditions take up to one second more."""
        return self._running.delay_s if self._running is not None else float("nan")

    def process(self, chunk: SampleChunk) -> list[StreamEvent]:
        """Take the next samples; return what became known, in the order it did.

        Parameters
        ----------
        chunk
            Rows already seen are passed over, also when it is a replay from long ago.

        Raises
        ------
        BugError
            A chunk of another stream.
        """
        if self._stream != chunk.stream:
            if self._stream:
                raise BugError(f"a chunk of {chunk.stream} came to the analyzer of {self._stream}")
            self._stream = chunk.stream
        first, n = chunk.first_sample, chunk.n_samples
        if chunk.late or n == 0:
            return []
        at = first if self.next_sample is None else self.next_sample
        if first + n <= at:
            return []
        out: list[StreamEvent] = []
        running = self._running
        if running is None or not running.layout.fits(chunk):
            configured = self._configure(Layout.of(chunk), max(at, first))
            out.extend(end(e, at) for e in self.open())
            self._inherited = []
            running, at = configured, max(at, first)
            self._running = running
        running.calibrate(chunk)
        if first > at:
            fed = min(first - at, int(GAP_FED_S * chunk.fs))
            running.missing(fed, out)
            running.jump(first - at - fed)
        running.feed(chunk, max(at - first, 0), out)
        self.next_sample = first + n
        return out

    def open(self) -> list[RhythmEpisode]:
        """The episodes that have begun and not ended."""
        return self._inherited if self._running is None else self._running.open()

    def snapshot(self) -> bytes:
        """Everything known, as bytes; restored elsewhere it goes on equal, bit for bit."""
        body = b"\xc0"
        if self._running is not None:
            body = _encoder.encode(_Body(self._running.layout, self._running.state()))
        next_sample = -1 if self.next_sample is None else self.next_sample
        return _encoder.encode(
            _Envelope(SNAPSHOT_VERSION, self._stream, next_sample, self.open(), msgspec.Raw(body))
        )

    def restore(self, data: bytes) -> None:
        """Go on from a snapshot.

        Raises
        ------
        MessageRejected
            Not a snapshot, or of another version. In the latter case the analyzer still knows where
            it was and what was open: it goes on from there, learning anew, and ends those episodes.
        """
        try:
            envelope = _envelopes.decode(data)
        except (msgspec.DecodeError, RecursionError) as why:
            raise MessageRejected(f"a snapshot of {len(data)} bytes came: {why}") from None
        self._stream = envelope.stream
        self.next_sample = None if envelope.next_sample < 0 else envelope.next_sample
        self._running, self._inherited = None, envelope.open
        if envelope.version != SNAPSHOT_VERSION:
            raise MessageRejected(
                f"a snapshot of version {envelope.version} came; {SNAPSHOT_VERSION} was expected"
            )
        if bytes(envelope.body) == b"\xc0":
            return
        try:
            body = _bodies.decode(envelope.body)
            running = self._configure(body.layout, body.state.origin)
            running.load(body.state)
        except (msgspec.DecodeError, ValueError, RecursionError) as why:
            raise MessageRejected(f"a snapshot's body of {len(data)} bytes came: {why}") from None
        self._running, self._inherited = running, []

    def _configure(self, layout: Layout, origin: int) -> Running:
        made: dict[str, Condition] = {n: f(self._limits) for n, f in self._factories.items()}
        return Running(layout, self._stream, origin, made)
