"""Reading a topic from its beginning to its end: every message, or the last value of each key."""

import time
from collections.abc import Collection, Iterator, Mapping

from leadwire.bus.abstract import Bus, Record, TopicPartition
from leadwire.errors import BusUnavailable
from leadwire.topics import Topic

MAX_RECORDS = 500
SILENT_S = 30.0
"""The longest silence of the bus before the end is given up, in s."""


def read_all(
    bus: Bus,
    topic: Topic,
    partitions: Collection[int] | None = None,
    start: Mapping[int, int] | None = None,
) -> Iterator[Record]:
    """Yield every message kept, up to the end that `topic` had at the call, in order per partition.

    Parameters
    ----------
    partitions
        Only these partitions; None: all.
    start
        Partition -> the first offset that is wanted; from the oldest where it says nothing.

    Raises
    ------
    BusUnavailable
        The bus is away, or went silent for `SILENT_S` before the end.
    """
    return (record for record, inside in _read(bus, topic, partitions, start or {}) if inside)


def _read(
    bus: Bus, topic: Topic, partitions: Collection[int] | None, begins: Mapping[int, int]
) -> Iterator[tuple[Record, bool]]:
    """Each record, and whether it was there at the call; those that came since only as far as polled."""
    ends = {
        TopicPartition(topic.name, number): end
        for number, end in bus.end_offsets(topic).items()
        if end > begins.get(number, 0) and (partitions is None or number in partitions)
    }
    if not ends:
        return

    def assigned(gained: frozenset[TopicPartition]) -> None:
        everything = bus.end_offsets(topic)
        for tp in gained - ends.keys():
            consumer.seek(tp, everything[tp.partition])  # nothing of it is wanted
        for tp in gained & ends.keys():
            if tp.partition in begins:
                consumer.seek(tp, begins[tp.partition])

    consumer = bus.consumer([topic], on_assigned=assigned)
    try:
        heard = time.monotonic()
        while True:
            records = consumer.poll(1.0, MAX_RECORDS)
            for record in records:
                heard = time.monotonic()
                tp = TopicPartition(record.topic, record.partition)
                if tp in ends:
                    yield record, record.offset < ends[tp]
            there = consumer.assignment() and all(consumer.position(tp) >= end for tp, end in ends.items())
            if there and len(records) < MAX_RECORDS:
                return
            if time.monotonic() - heard > SILENT_S:
                raise BusUnavailable(f"{topic.name} went silent before its end was read")
    finally:
        consumer.close()


def read_compacted(bus: Bus, topic: Topic, partitions: Collection[int] | None = None) -> dict[str, bytes]:
    """Return the last value of each key, in the order of publishing per partition, without deleted keys.

    A value that replaces another one while this reads is taken: the other may be gone by then.
    Parameters and errors are those of `read_all`.
    """
    latest: dict[str, bytes] = {}
    for record, _ in _read(bus, topic, partitions, {}):
        latest.pop(record.key, None)
        if record.value is not None:
            latest[record.key] = record.value
    return latest
