"""The message bus: the port, two adapters, and `open_bus` that picks one by address."""

from leadwire.bus.abstract import Bus, Consumer, Position, Producer, Record, TopicPartition, partition_of
from leadwire.errors import SettingError

__all__ = [
    "Bus",
    "Consumer",
    "Position",
    "Producer",
    "Record",
    "TopicPartition",
    "open_bus",
    "partition_of",
]


def open_bus(address: str) -> Bus:
    """Open the bus at `address`: ``local:PATH`` (an SQLite file) or ``kafka://HOST:PORT[,HOST:PORT]``.

    Raises
    ------
    SettingError
        The address has neither form.
    """
    if address.startswith("local:"):
        from leadwire.bus.local import LocalBus

        return LocalBus(address.removeprefix("local:"))
    if address.startswith("kafka://"):
        from leadwire.bus.kafka import KafkaBus

        return KafkaBus(address.removeprefix("kafka://"))
    raise SettingError(f"bus address {address!r} came; local:PATH or kafka://HOST:PORT was expected")
