"""A record of `ecg.network` as the fact that it is."""

from leadwire import codec
from leadwire.bus import Record
from leadwire.case import NetworkItem


def network_fact(record: Record) -> NetworkItem:
    """What `record` says of the network; a deleted key takes its item out (`NetworkItem.body` None).

    Raises
    ------
    MessageRejected
        Not a `NetworkItem`, or a key without a kind.
    """
    if record.value is not None:
        return codec.decode_as(record.value, NetworkItem)
    kind, _, name = record.key.partition("/")
    return NetworkItem(key="deleted", kind=kind, id=name, body=None, at=record.time)
