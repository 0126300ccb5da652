"""The dsp role on the bus: ecg.chunks in, ecg.events out, snapshots on ecg.state.

One `StreamAnalyzer` per stream of the owned partitions. On assignment the partition's states are read;
each is restored when its stream's first chunk comes. Offsets are committed only after the snapshots
of all streams that changed are durable, so a new owner goes on bit for bit; chunks that
a snapshot already contains are passed over by sample number.

A bug met in one stream must not stop the others of its partition: the chunk is quarantined, the episodes
that were open end (a condition nobody watches must not seem to go on), and the stream learns anew
from the next chunk.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from time import perf_counter

import structlog
from prometheus_client import Counter, Histogram

from dsp.episodes import end
from dsp.pipeline import StreamAnalyzer
from leadwire import codec
from leadwire.bus import Bus, Record, TopicPartition, partition_of
from leadwire.bus.compacted import read_compacted
from leadwire.errors import MessageRejected
from leadwire.model import SampleChunk, State, StreamEvent
from leadwire.runner import Outgoing
from leadwire.settings import Limits
from leadwire.topics import CHUNKS, EVENTS, STATE, Topic

log = structlog.get_logger(__name__)

SAMPLES = Counter("leadwire_dsp_samples_total", "Rows of samples analyzed")
RESTARTS = Counter("leadwire_dsp_restarts_total", "Analyzers that had to learn anew", ["why"])
CHUNK_SECONDS = Histogram(
    "leadwire_dsp_chunk_seconds", "Analysis of one chunk", buckets=(5e-5, 1e-4, 3e-4, 1e-3, 1e-2, 0.1, 1.0)
)

FORGET_S = 86_400.0
"""A stream without data for so long is forgotten; it would learn anew."""
SWEEP_S = 60.0


@dataclass
class _Stream:
    """One stream of an owned partition: its analyzer, or the snapshot that it will begin from."""

    partition: int
    saved: State | None = None
    analyzer: StreamAnalyzer | None = None
    heard: float | None = None  # time of the last chunk; None until the first clock reading
    changed: bool = False


class DspStage:
    """See the module.

    Parameters
    ----------
    bus
        Where ecg.state is read on assignment.
    limits
        Limits of the rhythm conditions.
    snapshot_s
        Seconds between snapshots, which is how much a new owner has to read again.
    """

    name = "dsp"
    topics: tuple[Topic, ...] = (CHUNKS,)

    def __init__(self, bus: Bus, limits: Limits, snapshot_s: float) -> None:
        self._bus = bus
        self._limits = limits
        self.commit_every_s = snapshot_s
        self._streams: dict[str, _Stream] = {}
        self._pending: list[Outgoing] = []
        self._swept = 0.0

    def assigned(self, partitions: frozenset[TopicPartition]) -> None:
        numbers = {p.partition for p in partitions}
        for stream, value in read_compacted(self._bus, STATE, numbers).items():
            try:
                saved = codec.decode_as(value, State)
            except MessageRejected as why:
                _tell_restart(stream, "state", str(why))
                continue
            self._streams[stream] = _Stream(partition_of(stream, CHUNKS.partitions), saved)

    def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        numbers = {p.partition for p in partitions}
        self._streams = {n: s for n, s in self._streams.items() if s.partition not in numbers}

    def process(self, record: Record, now: float) -> Iterable[Outgoing]:
        chunk = codec.decode_as(record.value or b"", SampleChunk)
        if chunk.stream != record.key:
            raise MessageRejected(f"a chunk of {chunk.stream} came under the key {record.key[:100]!r}")
        stream = self._streams.get(chunk.stream)
        if stream is None:
            stream = self._streams[chunk.stream] = _Stream(record.partition)
        stream.heard = now
        analyzer = self._analyzer(chunk.stream, stream)
        began = perf_counter()
        try:
            events = analyzer.process(chunk)
        except Exception as bug:
            # What the analyzer knew is no longer to be trusted.
            log.exception("a bug in the analysis", stream=chunk.stream, first_sample=chunk.first_sample)
            _tell_restart(chunk.stream, "bug", repr(bug)[:200])
            self._pending += _out(chunk.stream, [end(e, chunk.first_sample) for e in analyzer.open()])
            stream.analyzer = StreamAnalyzer(self._limits)
            stream.analyzer.next_sample = chunk.end_sample
            stream.changed = True
            raise MessageRejected(f"the analysis failed on it: {type(bug).__name__}") from bug
        CHUNK_SECONDS.observe(perf_counter() - began)
        SAMPLES.inc(chunk.n_samples)
        stream.changed = True
        return _out(chunk.stream, events)

    def idle(self, now: float) -> Iterable[Outgoing]:
        out, self._pending = self._pending, []
        if now - self._swept >= SWEEP_S:
            self._swept = now
            out += self._forget(now)
        return out

    def checkpoint(self) -> Iterable[Outgoing]:
        for name, stream in self._streams.items():
            if stream.changed and stream.analyzer is not None:
                stream.changed = False
                state = State(
                    stream=name,
                    stage=self.name,
                    next_sample=stream.analyzer.next_sample or 0,
                    snapshot=stream.analyzer.snapshot(),
                )
                yield Outgoing(STATE, name, codec.encode(state))

    def _analyzer(self, name: str, stream: _Stream) -> StreamAnalyzer:
        if stream.analyzer is None:
            stream.analyzer = StreamAnalyzer(self._limits)
            if stream.saved is not None:
                try:
                    stream.analyzer.restore(stream.saved.snapshot)
                except MessageRejected as why:
                    _tell_restart(name, "snapshot", str(why))
                    stream.analyzer.next_sample = stream.saved.next_sample
            stream.saved = None
        return stream.analyzer

    def _forget(self, now: float) -> list[Outgoing]:
        out: list[Outgoing] = []
        for name, stream in list(self._streams.items()):
            if stream.heard is None:
                stream.heard = now
            elif now - stream.heard > FORGET_S:
                analyzer = self._analyzer(name, stream)
                out += _out(name, [end(e, analyzer.next_sample or 0) for e in analyzer.open()])
                out.append(Outgoing(STATE, name, None))
                del self._streams[name]
        return out


def _out(stream: str, events: Iterable[StreamEvent]) -> list[Outgoing]:
    return [Outgoing(EVENTS, stream, codec.encode(event)) for event in events]


def _tell_restart(stream: str, what: str, why: str) -> None:
    RESTARTS.labels(what).inc()
    log.warning("learning anew", stream=stream, because_of=what, why=why)
