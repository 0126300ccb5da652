"""What is still to be sent, when, and what is not sent and why. Pure: the caller sends and tells the time.

One `Delivery` is one page over one address of one person. It leaves alone, or, when a person or a clinic
is flooded, with others in a summary. High priority is never held back by anything but its own gateway.

The state need not be saved: what was asked for and neither reported nor cancelled is still to be done.

Not here: which addresses a page goes to, and what it says (`paging.py`, `page_text.py`).
"""

import hashlib
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

from leadwire.case import AlertId, UserId
from leadwire.model import Priority

Reason = Literal["storm_limited", "cancelled", "no_address", "rejected", "expired"]
"""Why a message was not sent. ``storm_limited``: not alone, it came with others in a summary."""

URGENCY: dict[Priority, int] = {"high": 0, "medium": 1, "low": 2}


@dataclass(frozen=True, slots=True)
class OutboxLimits:
    """How often, how long, how many.

    Attributes
    ----------
    per_person, per_clinic, window_s
        Pages that one person gets, or that one clinic gives rise to, in `window_s`; what is more, and not
        of high priority, is held back.
    group_s
        What was held back goes out as one summary so long after the first of it, in s.
    first_s, most_s, most_high_s
        Wait after the first failed attempt; it doubles up to `most_s` (`most_high_s` for high priority).
        Up to a quarter is added, derived from page and attempt, so that not all come back together.
    expire_s
        A page that nobody took in this time is given up: by then the escalation has moved on.
    hang_s
        An attempt of which nothing was heard for so long has failed.
    lanes, lanes_high
        Attempts under way at one gateway at the same time; the last ones are kept for high priority.
    """

    per_person: int = 10
    per_clinic: int = 60
    window_s: float = 600.0
    group_s: float = 60.0
    first_s: float = 1.0
    most_s: float = 60.0
    most_high_s: float = 15.0
    expire_s: float = 900.0
    hang_s: float = 60.0
    lanes: int = 2
    lanes_high: int = 4


@dataclass(frozen=True, slots=True)
class Delivery:
    """One page over one address.

    `number` counts the addresses of one person on one channel from 1. `limited`: storm limits apply to it.
    """

    page: str
    alert: AlertId
    channel: str
    number: int
    user: UserId
    clinic: str
    priority: Priority
    gateway: str
    asked_at: float
    limited: bool = True

    @property
    def key(self) -> tuple[str, str, int]:
        return self.page, self.channel, self.number

    @property
    def address(self) -> tuple[str, str, int]:
        return self.user, self.channel, self.number


@dataclass(frozen=True, slots=True)
class Unsent:
    """A delivery that is given up, and why."""

    delivery: Delivery
    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Dispatch:
    """An attempt to be made now: one delivery, or several of one address as a summary."""

    id: int
    attempt: int
    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True, slots=True)
class Turn:
    """What the time brought about."""

    send: tuple[Dispatch, ...] = ()
    unsent: tuple[Unsent, ...] = ()
    held: tuple[Delivery, ...] = ()
    """Newly held back by a storm limit; they go out in a summary."""


@dataclass(slots=True)
class _Job:
    id: int
    deliveries: list[Delivery]
    next_at: float
    attempt: int = 0
    flying_since: float | None = None
    why: str = ""
    dropped: set[tuple[str, str, int]] = field(default_factory=set)

    @property
    def order(self) -> tuple[int, float, int]:
        return min(URGENCY[d.priority] for d in self.deliveries), self.deliveries[0].asked_at, self.id

    @property
    def high(self) -> bool:
        return any(d.priority == "high" for d in self.deliveries)

    @property
    def gateway(self) -> str:
        return self.deliveries[0].gateway


@dataclass(slots=True)
class _Window:
    """The pages of the last `window_s`; each counts once, over however many channels it goes."""

    times: deque[tuple[float, str]] = field(default_factory=deque)
    pages: Counter[str] = field(default_factory=Counter)

    def full(self, page: str, most: int) -> bool:
        return page not in self.pages and len(self.times) >= most

    def add(self, page: str, at: float) -> None:
        if page not in self.pages:
            self.times.append((at, page))
            self.pages[page] += 1

    def forget(self, before: float) -> bool:
        while self.times and self.times[0][0] < before:
            del self.pages[self.times.popleft()[1]]
        return not self.times


class Outbox:
    """See the module. All times in s since 1970, of a clock that does not step."""

    def __init__(self, limits: OutboxLimits | None = None) -> None:
        self.limits = limits or OutboxLimits()
        self._ids = count(1)
        self._new: dict[tuple[str, str, int], Delivery] = {}
        self._held: dict[tuple[str, str, int], tuple[float, list[Delivery]]] = {}
        self._jobs: dict[int, _Job] = {}
        self._known: dict[tuple[str, str, int], int | None] = {}
        self._people: dict[str, _Window] = {}
        self._clinics: dict[str, _Window] = {}

    def __len__(self) -> int:
        """Deliveries still to be made."""
        return len(self._known)

    def has(self, page: str) -> bool:
        """Whether some delivery of `page` is still to be made."""
        return any(key[0] == page for key in self._known)

    def want(self, delivery: Delivery) -> bool:
        """Take a delivery; False if it is in the outbox already."""
        if delivery.key in self._known:
            return False
        self._known[delivery.key] = None
        self._new[delivery.key] = delivery
        return True

    def settle(self, key: tuple[str, str, int]) -> Delivery | None:
        """This delivery needs nothing more (it was made, given up or cancelled); None: it was not here."""
        if key not in self._known:
            return None
        job_id = self._known.pop(key)
        if key in self._new:
            return self._new.pop(key)
        if job_id is None:
            return self._unhold(key)
        job = self._jobs[job_id]
        delivery = next(d for d in job.deliveries if d.key == key)
        job.deliveries.remove(delivery)
        if not job.deliveries:
            del self._jobs[job_id]
        return delivery

    def cancel(self, page: str) -> tuple[Unsent, ...]:
        """Nobody needs `page` any more; what of it had not left is returned.

        What is under way cannot be called back: its success is still told, its failure is the end of it.
        """
        gone = []
        for key in [k for k in self._known if k[0] == page]:
            job = self._jobs.get(self._known[key] or 0)
            if job is not None and job.flying_since is not None:
                job.dropped.add(key)
            else:
                gone.append(self.settle(key))
        return tuple(Unsent(d, "cancelled") for d in gone if d is not None)

    def note_sent(self, user: UserId, clinic: str, page: str, at: float) -> None:
        """A page was sent before this outbox was made: it counts for the storm limits."""
        self._people.setdefault(user, _Window()).add(page, at)
        self._clinics.setdefault(clinic, _Window()).add(page, at)

    def on_time(self, now: float) -> Turn:
        """What is to be sent now, what is given up, what is held back."""
        unsent = [*self._expire(now), *self._give_up_hung(now)]
        for windows in (self._people, self._clinics):
            for name in [n for n, w in windows.items() if w.forget(now - self.limits.window_s)]:
                del windows[name]
        held = self._admit(now)
        self._release(now)
        return Turn(tuple(self._take_off(now)), tuple(unsent), tuple(held))

    def taken(self, dispatch: int) -> tuple[Delivery, ...]:
        """A gateway took it, however late it says so: its deliveries are made."""
        return self._finish(dispatch)

    def refused(self, dispatch: int, why: str) -> tuple[Unsent, ...]:
        """A gateway refused it for good."""
        return tuple(Unsent(d, "rejected", why) for d in self._finish(dispatch))

    def failed(
        self, dispatch: int, attempt: int, why: str, now: float, after_s: float = 0.0
    ) -> tuple[Unsent, ...]:
        """An attempt failed: it is made again, `after_s` or later, but for what was cancelled meanwhile.

        An attempt that was given up before has nothing to say.
        """
        job = self._jobs.get(dispatch)
        if job is None or job.attempt != attempt or job.flying_since is None:
            return ()
        job.flying_since = None
        job.why = why
        job.next_at = now + max(after_s, self._wait(job))
        gone = [self.settle(key) for key in job.dropped]
        return tuple(Unsent(d, "cancelled", why) for d in gone if d is not None)

    def _wait(self, job: _Job) -> float:
        limits = self.limits
        most = limits.most_high_s if job.high else limits.most_s
        first = job.deliveries[0]
        text = f"{first.page} {first.channel} {first.number} {job.attempt}"
        spread = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) / 2**32
        # 2**30 s is longer than any limit, and no overflow.
        return min(most, limits.first_s * 2.0 ** min(job.attempt - 1, 30)) * (1 + spread / 4)

    def _finish(self, dispatch: int) -> tuple[Delivery, ...]:
        job = self._jobs.pop(dispatch, None)
        if job is None:
            return ()
        for delivery in job.deliveries:
            del self._known[delivery.key]
        return tuple(job.deliveries)

    def _expire(self, now: float) -> list[Unsent]:
        old = now - self.limits.expire_s
        waiting: list[tuple[Delivery, str]] = [(d, "") for d in self._new.values()]
        waiting += [(d, "") for _, group in self._held.values() for d in group]
        waiting += [(d, j.why) for j in self._jobs.values() if j.flying_since is None for d in j.deliveries]
        gone = [(d, why) for d, why in waiting if d.asked_at < old]
        for delivery, _ in gone:
            self.settle(delivery.key)
        return [Unsent(d, "expired", why) for d, why in gone]

    def _give_up_hung(self, now: float) -> list[Unsent]:
        why = f"nothing heard for {self.limits.hang_s:g} s"
        hung = [
            j
            for j in self._jobs.values()
            if j.flying_since is not None and now - j.flying_since > self.limits.hang_s
        ]
        return [gone for job in hung for gone in self.failed(job.id, job.attempt, why, now)]

    def _admit(self, now: float) -> list[Delivery]:
        held = []
        for delivery in sorted(self._new.values(), key=lambda d: (URGENCY[d.priority], d.asked_at)):
            if not delivery.limited:
                self._begin([delivery], now)
                continue
            person = self._people.setdefault(delivery.user, _Window())
            clinic = self._clinics.setdefault(delivery.clinic, _Window())
            over = person.full(delivery.page, self.limits.per_person) or clinic.full(
                delivery.page, self.limits.per_clinic
            )
            if over and delivery.priority != "high":
                self._held.setdefault(delivery.address, (now, []))[1].append(delivery)
                held.append(delivery)
                continue
            person.add(delivery.page, now)
            clinic.add(delivery.page, now)
            self._begin([delivery], now)
        self._new.clear()
        return held

    def _release(self, now: float) -> None:
        for address in [a for a, (since, _) in self._held.items() if now - since >= self.limits.group_s]:
            self._begin(self._held.pop(address)[1], now)

    def _begin(self, deliveries: Iterable[Delivery], now: float) -> None:
        job = _Job(next(self._ids), sorted(deliveries, key=lambda d: (URGENCY[d.priority], d.asked_at)), now)
        self._jobs[job.id] = job
        self._known |= {d.key: job.id for d in job.deliveries}

    def _unhold(self, key: tuple[str, str, int]) -> Delivery:
        for address, (_, group) in self._held.items():
            for delivery in group:
                if delivery.key == key:
                    group.remove(delivery)
                    if not group:
                        del self._held[address]
                    return delivery
        raise KeyError(key)

    def _take_off(self, now: float) -> Iterable[Dispatch]:
        flying = Counter(j.gateway for j in self._jobs.values() if j.flying_since is not None)
        ready = [j for j in self._jobs.values() if j.flying_since is None and j.next_at <= now]
        for job in sorted(ready, key=lambda j: j.order):
            lanes = self.limits.lanes_high if job.high else self.limits.lanes
            if flying[job.gateway] >= lanes:
                continue
            flying[job.gateway] += 1
            job.attempt += 1
            job.flying_since = now
            yield Dispatch(job.id, job.attempt, tuple(job.deliveries))
