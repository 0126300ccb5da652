"""The network on the bus, from outside: read its facts, publish wishes, wait for what the desk says."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from leadwire import codec
from leadwire.bus import Bus, TopicPartition
from leadwire.bus.compacted import read_compacted
from leadwire.case import NetworkItem, RegisterEntry
from leadwire.clock import Clock
from leadwire.network import Network
from leadwire.topics import COMMANDS, NETWORK, REGISTER

Facts = dict[tuple[str, str], NetworkItem]


@dataclass(frozen=True)
class Answer:
    """What the desk made of a wish; `refused` says why it did not do it, empty: it did."""

    item: NetworkItem
    refused: str = ""


def read_facts(bus: Bus) -> Facts:
    """Everything on `ecg.network`, by kind and id."""
    found = (codec.decode_as(value, NetworkItem) for value in read_compacted(bus, NETWORK).values())
    return {(fact.kind, fact.id): fact for fact in found}


def network_of(facts: Facts) -> Network:
    """The network that `facts` make."""
    there = Network()
    for fact in facts.values():
        there.apply(fact)
    return there


def publish_wishes(
    bus: Bus,
    items: Iterable[NetworkItem],
    clock: Clock,
    wait_s: float,
    answered: Callable[[Answer], None] = lambda _: None,
) -> list[NetworkItem]:
    """Publish `items` for the desk, and wait up to `wait_s` for its answers.

    Parameters
    ----------
    wait_s
        0: do not wait.
    answered
        Called with each answer as it comes.

    Returns
    -------
    list of NetworkItem
        Those without an answer yet. They stand on the bus: the desk takes them when it runs.
    """
    waiting = {item.key: item for item in items}
    ends = bus.end_offsets(REGISTER)
    producer = bus.producer()
    try:
        for item in waiting.values():
            producer.publish(COMMANDS, f"{item.kind}/{item.id}", codec.encode(item))
        producer.flush()
    finally:
        producer.close()
    if wait_s <= 0 or not waiting:
        return list(waiting.values())

    def assigned(partitions: frozenset[TopicPartition]) -> None:
        for partition in partitions:
            consumer.seek(partition, ends.get(partition.partition, 0))

    consumer = bus.consumer([REGISTER], on_assigned=assigned)
    give_up = clock.monotonic() + wait_s
    try:
        while waiting and clock.monotonic() < give_up:
            for record in consumer.poll(0.5):
                entry = codec.decode_as(record.value or b"", RegisterEntry)
                if entry.cause in waiting:
                    answered(Answer(waiting.pop(entry.cause), _refusal(entry)))
    finally:
        consumer.close()
    return list(waiting.values())


def _refusal(entry: RegisterEntry) -> str:
    for line in entry.lines:
        if line.line == "refused":
            return f"{line.state}: {line.data.get('detail', '')}"
    return ""
