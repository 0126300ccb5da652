"""The topics: what goes on each, by which key, in how many partitions, kept how long.

One table; adapters create topics from it and both ends check sizes against it. Not here: the
messages' shapes (`model.py`) and their bytes (`codec.py`).
"""

from dataclasses import dataclass

DAY_S = 86_400.0


@dataclass(frozen=True)
class Topic:
    """One row of the table.

    Attributes
    ----------
    name
        The topic's name on the bus.
    key
        What the key is; one key always goes to one partition, so its order is kept.
    partitions
        Upper bound on parallel owners. Changing it moves keys: never on a running system.
    retention_s
        Seconds a message is kept at least; None: for ever (compacted topics).
    compacted
        True: only the last message of each key is sure to be kept; value None deletes the key.
    max_bytes
        Largest value in bytes; more raises `MessageTooLarge` in the producer.
    """

    name: str
    key: str
    partitions: int
    retention_s: float | None
    compacted: bool
    max_bytes: int


CHUNKS = Topic("ecg.chunks", "stream", 12, 7 * DAY_S, False, 1 << 20)
EVENTS = Topic("ecg.events", "stream", 12, 30 * DAY_S, False, 1 << 18)
# One partition: its offsets are the one order of all alerts, which a dashboard resumes from.
ALERTS = Topic("ecg.alerts", "stream", 1, 365 * DAY_S, False, 1 << 18)
# Partitioned as ecg.events is: the owner of a partition of events reads the same one of these.
CONDITIONS = Topic("ecg.conditions", "stream", 12, None, True, 1 << 18)
# Whatever can happen to a case comes here in one order: alerts raised and ended, commands, receipts,
# changes of the network. One partition: one owner decides.
COMMANDS = Topic("ecg.commands", "alert id", 1, 365 * DAY_S, False, 1 << 18)
REGISTER = Topic("ecg.register", "alert id", 1, 3650 * DAY_S, False, 1 << 20)
# Where in ecg.register that begins which the desk still needs.
DESK = Topic("ecg.desk", "desk", 1, None, True, 1 << 16)
NETWORK = Topic("ecg.network", "kind/id", 1, None, True, 1 << 18)
WATCH = Topic("ecg.watch", "process", 1, None, True, 1 << 18)
STREAMS = Topic("ecg.streams", "stream", 1, None, True, 1 << 16)
# Partitioned as ecg.chunks is: the owner of a chunk partition reads the same partition of states.
STATE = Topic("ecg.state", "stream", 12, None, True, 1 << 20)
QUARANTINE = Topic("ecg.quarantine", "where it came from", 1, 90 * DAY_S, False, 1 << 20)

TOPICS: dict[str, Topic] = {
    t.name: t
    for t in (
        CHUNKS,
        EVENTS,
        ALERTS,
        CONDITIONS,
        COMMANDS,
        REGISTER,
        DESK,
        NETWORK,
        WATCH,
        STREAMS,
        STATE,
        QUARANTINE,
    )
}
