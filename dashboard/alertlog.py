"""The alerts the dashboard knows, in the order of `ecg.alerts`: present states and a tail to resume from.

The sequence number of a transition is its offset on the topic, so every dashboard agrees on it. Nothing
is queued per client: a client is a position in this log (`sockets.py`), and nothing is ever dropped for it;
one that fell behind the kept tail is told so and begins again from the present states.
"""

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass
from itertools import islice

from leadwire.model import Alert

KEPT = 20_000
"""Transitions kept for clients that resume."""

ENDED_SHOWN_S = 600.0
"""An ended alert stays among the present states for so long, in s."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One transition and its sequence number."""

    seq: int
    alert: Alert


class AlertLog:
    """Transitions in order.

    Parameters
    ----------
    kept
        How many transitions stay for resuming.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._tail: deque[Entry] = deque(maxlen=kept)
        self._present: dict[str, Entry] = {}
        self._oldest: int | None = None
        self.next_seq = 0

    @property
    def oldest(self) -> int:
        """The smallest sequence number that a client can still resume from."""
        return self._oldest or 0

    def add(self, seq: int, alert: Alert) -> bool:
        """Take the transition at `seq`; False: it was here already (the bus delivers at least once)."""
        if seq < self.next_seq:
            return False
        self.skip(seq)
        if len(self._tail) == self._tail.maxlen:
            self._oldest = self._tail[0].seq + 1
        entry = Entry(seq, alert)
        self._tail.append(entry)
        known = self._present.get(alert.id)
        # A stage that was killed publishes again what it had published: the newest version counts.
        if known is None or alert.version >= known.alert.version:
            self._present[alert.id] = entry
        return True

    def skip(self, seq: int) -> None:
        """What stands at `seq` is no alert: nobody needs to wait for it."""
        if self._oldest is None:
            self._oldest = seq
        self.next_seq = max(self.next_seq, seq + 1)

    def since(self, seq: int, limit: int) -> list[Entry] | None:
        """Up to `limit` transitions from `seq` on; None: they are no longer kept, or `seq` never was."""
        if seq < self.oldest or seq > self.next_seq:
            return None
        start = bisect_left(self._tail, seq, key=lambda e: e.seq)
        return list(islice(self._tail, start, start + limit))

    def present(self, now: float) -> list[Entry]:
        """The last transition of every alert that is active, or ended less than `ENDED_SHOWN_S` ago."""
        self._forget(now)
        return sorted(self._present.values(), key=lambda e: e.seq)

    def _forget(self, now: float) -> None:
        gone = [
            key
            for key, entry in self._present.items()
            if entry.alert.state == "ended" and now - entry.alert.changed_at > ENDED_SHOWN_S
        ]
        for key in gone:
            del self._present[key]
