"""The archive role: everything on the topics becomes durable before its offset is committed."""

from collections.abc import Iterable

from leadwire import codec
from leadwire.bus import Record, TopicPartition
from leadwire.runner import Outgoing
from leadwire.topics import ALERTS, CHUNKS, EVENTS, NETWORK, QUARANTINE, REGISTER, STREAMS, Topic
from storage.archive import MAX_BUFFER_BYTES, Archive

COMPACT_EVERY_S = 5.0
EXPIRE_EVERY_S = 3600.0
COMPACT_AT_ONCE = 8


class ArchiveStage:
    """A `leadwire.runner.Stage` that feeds an `Archive`.

    Parameters
    ----------
    archive
        From `storage.open_archive`; the caller closes it.
    commit_every_s
        What was published this long ago can be read from the archive, in s.
    """

    name = "archive"
    topics: tuple[Topic, ...] = (CHUNKS, EVENTS, ALERTS, REGISTER, NETWORK, STREAMS, QUARANTINE)

    def __init__(self, archive: Archive, commit_every_s: float = 2.0) -> None:
        self.commit_every_s = commit_every_s
        self._archive = archive
        self._now = 0.0
        self._next_compaction = 0.0
        self._next_expiry = 0.0

    def assigned(self, partitions: frozenset[TopicPartition]) -> None:
        """Nothing to load: the archive remembers by asking its tables."""

    def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        """Forget what was not flushed: whoever owns the partitions next reads it again."""
        self._archive.discard()

    def process(self, record: Record, now: float) -> Iterable[Outgoing]:
        """Buffer one message; a large buffer is written at once. See `Stage.process`."""
        self._now = now
        if record.value is not None:  # a deleted stream stays in the archive
            self._archive.add(codec.decode(record.value))
            if self._archive.buffered_bytes >= MAX_BUFFER_BYTES:
                self._archive.flush(now)
        elif record.topic == NETWORK.name:
            self._archive.take_out(record.key)
        return ()

    def idle(self, now: float) -> Iterable[Outgoing]:
        """Upkeep, a little at a time: settled blocks are compacted, what is too old is deleted."""
        self._now = now
        if now >= self._next_compaction:
            full = self._archive.compact(now, limit=COMPACT_AT_ONCE) == COMPACT_AT_ONCE
            self._next_compaction = now if full else now + COMPACT_EVERY_S
        if now >= self._next_expiry:
            self._archive.expire(now)
            self._next_expiry = now + EXPIRE_EVERY_S
        return ()

    def checkpoint(self) -> Iterable[Outgoing]:
        """Write everything taken so far."""
        self._archive.flush(self._now)
        return ()
