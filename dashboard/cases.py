"""The cases as the dashboard knows them: what the register's entries add up to, and who waits for one.

Lives on the asyncio loop. The feed hands in every entry of `ecg.register` and every fact of `ecg.network`
in order; a request that gave a command waits here for the entry that the command caused.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from leadwire.case import NetworkItem, RegisterEntry
from leadwire.network import Network
from leadwire.story import Case, apply

KEPT_CLOSED = 2_000
"""Closed cases that stay in memory; older ones are in the archive."""

KEPT_CAUSES = 20_000
"""Entries remembered by their cause, so that a command given twice is answered twice."""


@dataclass(eq=False, slots=True)
class CaseClient:
    """One page on `/ws/cases`: the cases it has not been told of yet."""

    changed: dict[str, None] = field(default_factory=dict)
    ready: asyncio.Event = field(default_factory=asyncio.Event)


class Cases:
    """Present state of every case, their entries, and the network.

    Attributes
    ----------
    network
        Clinics, users, shifts: the facts on `ecg.network`.
    is_loaded
        Set once the network has been read to its end: before that nobody may be let in.
    """

    def __init__(self) -> None:
        self.network = Network()
        self.is_loaded = asyncio.Event()
        self._cases: OrderedDict[str, Case] = OrderedDict()
        self._case_of: dict[str, str] = {}  # alert -> the case it belongs to
        self._entries: dict[str, list[RegisterEntry]] = {}
        self._closed: deque[str] = deque()
        self._causes: OrderedDict[str, RegisterEntry] = OrderedDict()
        self._waiting: dict[str, list[asyncio.Future[RegisterEntry]]] = {}
        self._clients: set[CaseClient] = set()

    def take_item(self, item: NetworkItem) -> None:
        """A fact of the network; one of a kind that a later program knows is passed over."""
        with suppress(ValueError):
            self.network.apply(item)

    def take_entry(self, entry: RegisterEntry) -> None:
        """The next entry of the register; one that came before changes nothing."""
        if entry.cause in self._causes:
            return
        self._causes[entry.cause] = entry
        if len(self._causes) > KEPT_CAUSES:
            self._causes.popitem(last=False)
        if entry.alert and any(line.line != "access" for line in entry.lines):
            self._take_case(entry)
        for waiting in self._waiting.pop(entry.cause, []):
            if not waiting.done():
                waiting.set_result(entry)

    def _take_case(self, entry: RegisterEntry) -> None:
        known = self._cases.get(entry.alert)
        case = apply(known, entry)
        if case is None:
            return
        self._cases[entry.alert] = case
        self._case_of |= dict.fromkeys(case.members, case.id)
        self._entries.setdefault(entry.alert, []).append(entry)
        if case.closed and not (known is not None and known.closed):
            self._closed.append(entry.alert)
            self._forget()
        for client in self._clients:
            client.changed[entry.alert] = None
            client.ready.set()

    def _forget(self) -> None:
        while len(self._closed) > KEPT_CLOSED:
            gone = self._closed.popleft()
            if gone in self._cases and self._cases[gone].closed:
                for member in self._cases.pop(gone).members:
                    self._case_of.pop(member, None)
                self._entries.pop(gone, None)

    def case(self, alert: str) -> Case | None:
        """The case that the alert `alert` belongs to, None if it is not kept."""
        return self._cases.get(self._case_of.get(alert, alert))

    def entries(self, alert: str) -> tuple[RegisterEntry, ...]:
        """All entries of a case, in order."""
        return tuple(self._entries.get(alert, ()))

    def all(self) -> Iterator[Case]:
        """Every case kept, in the order of raising."""
        return iter(self._cases.values())

    async def caused_by(self, cause: str, within_s: float) -> RegisterEntry | None:
        """The entry of `cause`, waiting for it if need be; None: it did not come within `within_s`."""
        known = self._causes.get(cause)
        if known is not None:
            return known
        future: asyncio.Future[RegisterEntry] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(cause, []).append(future)
        try:
            return await asyncio.wait_for(future, within_s)
        except TimeoutError:
            return None
        finally:
            left = [f for f in self._waiting.get(cause, []) if f is not future]
            if left:
                self._waiting[cause] = left
            else:
                self._waiting.pop(cause, None)

    def join(self) -> CaseClient:
        """A page came; it hears of the open cases, and of every change from now on."""
        client = CaseClient(changed={c.id: None for c in self._cases.values() if not c.closed})
        client.ready.set()
        self._clients.add(client)
        return client

    def leave(self, client: CaseClient) -> None:
        """A page went."""
        self._clients.discard(client)

    def take(self, client: CaseClient) -> Iterable[Case]:
        """What `client` was not told yet, in the order of change."""
        client.ready.clear()
        told, client.changed = client.changed, {}
        return [self._cases[a] for a in told if a in self._cases]
