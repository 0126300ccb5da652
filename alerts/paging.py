"""From the register to messages, and from their outcomes to receipts. Pure.

`Paging` follows the register: a page that was requested becomes one delivery for each address of its
person; the outbox says when each leaves. Outcomes become `receipt` commands, which come back as lines of
the register: what was requested and has no outcome there is still to be done, so nothing else is saved.

Receipts here: for each delivery ``sent`` (and ``delivered``, where the gateway is the person's own system),
or ``not_sent`` with its reason; ``failed`` if it was the last hope of its page. That a person saw or accepted
a page is said by the pages and by them.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo

import msgspec

from alerts.case_facts import PHONE_KINDS, CaseFacts
from alerts.channels.port import Channel, Page, Sent
from alerts.outbox import Delivery, Dispatch, Outbox, OutboxLimits, Unsent
from alerts.page_text import Subject, compose
from alerts.receipts import digest, receipt
from leadwire.case import AlertId, Command, Line, RegisterEntry, UserId
from leadwire.errors import PageRejected
from leadwire.model import Priority
from leadwire.network import Network, User

SCREEN = "websocket"
UNKNOWN_S = 5.0
"""The network may follow the register: so long a person who is not known is waited for, in s."""


class _Request(msgspec.Struct, frozen=True):
    """A page as requested in the register; `kind` is why."""

    page: str
    user: UserId
    priority: Priority
    level: int = 0
    kind: str = "alarm"


@dataclass(slots=True)
class _Asked:
    """A page, from its request until its outcomes are old."""

    alert: AlertId
    request: _Request
    at: float
    seen_at: float | None = None
    resolved: bool = False
    arrived: bool = False
    settled: set[tuple[str, int]] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Job:
    """A message to hand over: report the outcome to `Paging` by `dispatch`."""

    dispatch: Dispatch
    channel: str
    page: Page


@dataclass(frozen=True, slots=True)
class Step:
    """What an input brought about: messages to hand over, receipts to publish, what was not sent."""

    jobs: tuple[Job, ...] = ()
    receipts: tuple[Command, ...] = ()
    unsent: tuple[Unsent, ...] = ()
    held: tuple[Delivery, ...] = ()


class Paging:
    """See the module.

    Parameters
    ----------
    channels
        What each channel can carry; nothing is sent through them here.
    network
        Followed by the caller.
    public_url, zone
        For links and for times that people read.
    """

    def __init__(
        self,
        channels: Mapping[str, Channel],
        network: Network,
        limits: OutboxLimits | None = None,
        public_url: str = "",
        zone: tzinfo = UTC,
    ) -> None:
        self._channels = channels
        self._network = network
        self._url = public_url
        self._zone = zone
        self._outbox = Outbox(limits)
        self._keep_s = 2 * self._outbox.limits.expire_s
        self._asked: OrderedDict[str, _Asked] = OrderedDict()
        self._unresolved: dict[str, _Asked] = {}
        self._facts = CaseFacts()

    @property
    def waiting(self) -> int:
        """Deliveries still to be made."""
        return len(self._outbox)

    def on_entry(self, entry: RegisterEntry) -> tuple[Unsent, ...]:
        """Take one entry of the register; what was cancelled by it is returned."""
        gone: list[Unsent] = []
        for line in entry.lines:
            if line.line == "condition":
                self._facts.take(entry, line)
            elif line.line == "page" and line.state == "requested":
                self._request(entry, line)
            elif line.line == "page" and (asked := self._asked.get(str(line.data.get("page")))):
                gone += self._outcome(asked, line, entry.at)
        self._forget(entry.at)
        return tuple(gone)

    def on_time(self, now: float) -> Step:
        """What is to be done at `now` (s since 1970, of a clock that does not step)."""
        unsent = [gone for asked in list(self._unresolved.values()) for gone in self._resolve(asked, now)]
        self._unresolved = {page: a for page, a in self._unresolved.items() if not a.resolved}
        turn = self._outbox.on_time(now)
        unsent += turn.unsent
        jobs = []
        for dispatch in turn.send:
            try:
                jobs.append(self._job(dispatch))
            except PageRejected as why:  # the address went while the message waited
                unsent += self._outbox.refused(dispatch.id, str(why))
        self._forget(now)
        return Step(tuple(jobs), self._failed(unsent, now), tuple(unsent), turn.held)

    def on_sent(self, job: Job, sent: Sent, now: float) -> Step:
        """The gateway took it."""
        made = self._outbox.taken(job.dispatch.id)
        detail = f"storm_limited: one message for {len(made)} pages" if len(made) > 1 else sent.detail
        states = ("sent", "delivered") if sent.state == "delivered" else ("sent",)
        for delivery in made:
            if (asked := self._asked.get(delivery.page)) is not None:
                asked.arrived = True
        return Step(receipts=tuple(receipt(d, s, now, detail) for d in made for s in states))

    def on_failed(self, job: Job, why: str, now: float, after_s: float = 0.0) -> Step:
        """The gateway did not take it now."""
        gone = self._outbox.failed(job.dispatch.id, job.dispatch.attempt, why, now, after_s)
        return Step(receipts=self._failed(gone, now), unsent=gone)

    def on_rejected(self, job: Job, why: str, now: float) -> Step:
        """The gateway, or its channel, will never take it."""
        gone = self._outbox.refused(job.dispatch.id, why)
        return Step(receipts=self._failed(gone, now), unsent=gone)

    def _request(self, entry: RegisterEntry, line: Line) -> None:
        request = msgspec.convert(line.data, _Request)
        if request.page not in self._asked:
            self._asked[request.page] = _Asked(entry.alert, request, entry.at)
            self._unresolved[request.page] = self._asked[request.page]

    def _outcome(self, asked: _Asked, line: Line, at: float) -> tuple[Unsent, ...]:
        page = asked.request.page
        if line.state == "cancelled":
            asked.resolved = True
            self._unresolved.pop(page, None)
            return self._outbox.cancel(page)
        asked.arrived |= line.state in ("sent", "delivered", "seen")
        if line.state in ("sent", "delivered", "failed", "not_sent"):
            channel, _, number = str(line.data.get("channel", "")).partition("#")
            place = (channel, int(number) if number.isdecimal() else 1)
            asked.settled.add(place)
            self._outbox.settle((page, *place))
            if asked.arrived and channel != SCREEN:
                self._outbox.note_sent(asked.request.user, self._subject(asked).clinic, page, at)
        return ()

    def _forget(self, now: float) -> None:
        """Drop what is old. A page without any outcome stays unresolved, to be given up with its name."""
        while self._asked:
            page, asked = next(iter(self._asked.items()))
            if asked.at >= now - self._keep_s:
                return
            del self._asked[page]
            if asked.settled:
                self._unresolved.pop(page, None)

    def _resolve(self, asked: _Asked, now: float) -> list[Unsent]:
        """Find the addresses of a page's person; the page is unsent if there is none."""
        request = asked.request
        if now - asked.at > self._keep_s:
            asked.resolved = True
            return [] if asked.settled else [Unsent(self._delivery(asked, "", 1, ""), "expired")]
        user = self._network.users.get(request.user)
        if user is None or not user.active:
            asked.seen_at = now if asked.seen_at is None else asked.seen_at
            if now - asked.seen_at < UNKNOWN_S:
                return []
            return self._unaddressed(asked, "no such person" if user is None else "the account is closed")
        places = _places(user, self._channels)
        if self._subject(asked).kind in PHONE_KINDS:
            places = {key: place for key, place in places.items() if self._channels[key[0]].to_phone}
            if not places:
                return self._unaddressed(asked, "no address off the pages")
        asked.resolved = True
        for (channel, number), place in places.items():
            if (channel, number) not in asked.settled:
                self._outbox.want(self._delivery(asked, channel, number, place.to))
        return []

    def _unaddressed(self, asked: _Asked, why: str) -> list[Unsent]:
        asked.resolved = True
        if asked.settled:
            return []
        return [Unsent(self._delivery(asked, "", 1, ""), "no_address", why)]

    def _delivery(self, asked: _Asked, channel: str, number: int, to: str) -> Delivery:
        try:
            gateway = self._channels[channel].gateway(to) if channel else ""
        except PageRejected:
            gateway = channel  # `send` says why it is refused
        request = asked.request
        return Delivery(
            page=request.page,
            alert=asked.alert,
            channel=channel,
            number=number,
            user=request.user,
            clinic=self._subject(asked).clinic,
            priority=request.priority,
            gateway=gateway,
            asked_at=asked.at,
            limited=channel != SCREEN,
        )

    def _subject(self, asked: _Asked) -> Subject:
        """What the page is about; of a case whose beginning is not known, what its id tells."""
        request = asked.request
        facts = self._facts.of(asked.alert, asked.at)
        return Subject(
            alert=asked.alert,
            kind=facts.kind,
            why=request.kind,
            priority=request.priority,
            clinic=facts.clinic,
            bed=facts.bed,
            since=facts.since,
            patient=facts.patient,
        )

    def _job(self, dispatch: Dispatch) -> Job:
        first = dispatch.deliveries[0]
        channel = self._channels[first.channel]
        user = self._network.users.get(first.user)
        # It may have changed since the page was requested.
        place = _places(user, self._channels).get((first.channel, first.number)) if user else None
        if user is None or not user.active or place is None:
            raise PageRejected("the address was taken away while the message waited")
        asked = [self._asked[d.page] for d in dispatch.deliveries]
        several = len(asked) > 1
        page = compose(
            [self._subject(a) for a in asked],
            name=f"summary/{digest(*(d.page for d in dispatch.deliveries))}" if several else first.page,
            level=asked[0].request.level,
            user=user,
            to=place.to,
            names=channel.carries_names and place.names_allowed,
            max_bytes=channel.max_bytes,
            public_url=self._url,
            zone=self._zone,
        )
        return Job(dispatch, first.channel, page)

    def _failed(self, unsent: Iterable[Unsent], now: float) -> tuple[Command, ...]:
        """Receipts of what was given up; of what was cancelled the register knows already."""
        made = []
        for gone in unsent:
            if gone.reason != "cancelled":
                asked = self._asked.get(gone.delivery.page)
                hope = (asked is not None and asked.arrived) or self._outbox.has(gone.delivery.page)
                detail = f"{gone.reason}: {gone.detail}" if gone.detail else gone.reason
                made.append(receipt(gone.delivery, "not_sent" if hope else "failed", now, detail))
        return tuple(made)


@dataclass(frozen=True, slots=True)
class _Place:
    to: str = ""
    names_allowed: bool = False


def _places(user: User, channels: Mapping[str, Channel]) -> dict[tuple[str, int], _Place]:
    """The addresses of `user` by channel and number, in their order; the pages, if there are none."""
    found: dict[tuple[str, int], _Place] = {}
    for address in user.addresses:
        if address.channel in channels:
            number = 1 + sum(channel == address.channel for channel, _ in found)
            found[address.channel, number] = _Place(address.to, address.names_allowed)
    return found or {(SCREEN, 1): _Place()}
