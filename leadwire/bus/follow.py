"""Following topics from their beginning, beside whatever a stage consumes in its group."""

from collections.abc import Callable, Iterable

from leadwire.bus.abstract import Bus, Record, TopicPartition
from leadwire.bus.compacted import read_all
from leadwire.topics import Topic


class Follower:
    """Hands over every record of `topics` once, those that are there already when it is made.

    Belongs to one thread, and to no consumer group: any number may follow the same topic.

    Parameters
    ----------
    take
        Called with each record, in order per partition.

    Raises
    ------
    BusUnavailable
        The bus is away; make another one later.
    """

    def __init__(self, bus: Bus, topics: Iterable[Topic], take: Callable[[Record], None]) -> None:
        self._take_record = take
        self._next: dict[TopicPartition, int] = {}
        topics = tuple(topics)
        for topic in topics:
            for record in read_all(bus, topic):
                self._take(record)
        self._consumer = bus.consumer(topics, on_assigned=self._assigned)

    def poll(self) -> None:
        """Hand over what has come since; waits for nothing. May raise `BusUnavailable`."""
        for record in self._consumer.poll(0.0):
            if record.offset >= self._next.get(TopicPartition(record.topic, record.partition), 0):
                self._take(record)

    def close(self) -> None:
        """Let go of the bus."""
        self._consumer.close()

    def _take(self, record: Record) -> None:
        self._take_record(record)
        self._next[TopicPartition(record.topic, record.partition)] = record.offset + 1

    def _assigned(self, partitions: frozenset[TopicPartition]) -> None:
        for partition in partitions & self._next.keys():
            self._consumer.seek(partition, self._next[partition])
