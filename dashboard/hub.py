"""The hub: everything the dashboard knows now, and who is owed what. Lives on the asyncio loop alone.

The feed (`feed.py`) hands in decoded messages in batches; each waveform client has a bounded queue
(`clients.py`); alert clients read the `AlertLog` at their own pace. Not here: `sockets.py`, and the bus.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dashboard import messages
from dashboard.alertlog import AlertLog, Entry
from dashboard.cases import Cases
from dashboard.clients import Subscription, WaveClient, wave_frame
from dashboard.live import LiveStream
from leadwire.case import NetworkItem, RegisterEntry
from leadwire.messages import Message
from leadwire.model import Alert, SampleChunk, StreamEvent, StreamInfo
from leadwire.topics import ALERTS, NETWORK, STREAMS

SHOWN_S = 12 * 3600.0
"""A stream without a word for so long leaves the wall, in s. One that ended, after `ENDED_S`."""

ENDED_S = 600.0

_MAX_INDEX = 1 << 16


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message from the bus: its topic's name, key and offset; `message` None: deleted, or unreadable."""

    topic: str
    key: str
    offset: int
    message: Message | None


class Hub:
    """Present state and clients.

    Attributes
    ----------
    live
        Streams on the wall: the newest of each bed, until it ends or falls silent for `SHOWN_S`.
    feed_ok
        Whether the feed can read the bus now.
    cases
        What became of the alerts, and the network.
    """

    def __init__(self, archive: bool = False) -> None:
        self.alerts = AlertLog()
        self.cases = Cases()
        self._archive = archive
        self.live: dict[str, LiveStream] = {}
        self.infos: dict[str, StreamInfo] = {}
        self.feed_ok = False
        self._clients: set[WaveClient] = set()
        self._next_index = 0
        self._alert_news: asyncio.Event = asyncio.Event()

    # -- what arrives

    def apply(self, arrivals: Iterable[Arrival], now: float) -> None:
        """Take a batch in order; `now` in s. Clients are owed whatever it changes."""
        dirty: dict[str, None] = {}
        changed: dict[str, None] = {}
        news = False
        for arrival in arrivals:
            message = arrival.message
            if isinstance(message, RegisterEntry):
                self.cases.take_entry(message)
            elif isinstance(message, NetworkItem):
                self.cases.take_item(message)
            elif isinstance(message, Alert):
                news |= self.alerts.add(arrival.offset, message)
            elif isinstance(message, SampleChunk):
                if self._take_chunk(message, now):
                    changed[message.stream] = None
                dirty[message.stream] = None
            elif isinstance(message, StreamInfo):
                self._take_info(message, now, changed)
            elif arrival.topic == STREAMS.name and message is None:
                self.infos.pop(arrival.key, None)
                if self.live.pop(arrival.key, None) is not None:
                    changed[arrival.key] = None
            elif arrival.topic == NETWORK.name and message is None:
                kind, _, name = arrival.key.partition("/")
                gone = NetworkItem(key="gone", kind=kind, id=name, body=None, at=now)
                self.cases.take_item(gone)
            elif arrival.topic == ALERTS.name:
                self.alerts.skip(arrival.offset)
            elif isinstance(message, StreamEvent):
                live = self.live.get(message.stream)
                if live is not None and live.add_event(message):
                    dirty[message.stream] = None
        self._announce(changed)
        for client in self._clients:
            for stream in changed:
                if stream in client.wanted:
                    self._resolve(client, stream, now)
            for stream in dirty:
                if stream in client.subscriptions:
                    client.mark(stream)
        if news:
            self._alert_news.set()
            self._alert_news = asyncio.Event()

    def _take_chunk(self, chunk: SampleChunk, now: float) -> bool:
        live = self.live.get(chunk.stream)
        is_new = live is None
        if live is None:
            info = self.infos.get(chunk.stream)
            if info is not None and not self._belongs(info, chunk.receive_time, now):
                return False
            live = self._open(chunk.stream)
            if info is not None:
                live.describe(info)
        taken, new_leads = live.add_chunk(chunk)
        made: dict[tuple[tuple[int, str], ...], bytes | None] = {}
        for client in self._clients:
            subscription = client.subscriptions.get(chunk.stream)
            if subscription is None:
                continue
            leads = subscription.leads
            if leads not in made:
                made[leads] = wave_frame(live, chunk, leads, taken, now)
            frame = made[leads]
            if frame is not None:
                client.push_wave(chunk.stream, frame)
        return is_new or new_leads

    def _take_info(self, info: StreamInfo, now: float, changed: dict[str, None]) -> None:
        self.infos[info.stream] = info
        changed[info.stream] = None
        known = self.live.get(info.stream)
        if not self._belongs(info, known.spoken() if known else info.started, now):
            self.live.pop(info.stream, None)
            return
        for other in self._same_bed(info):
            if other.spoken() <= info.started:
                del self.live[other.stream]
                changed[other.stream] = None
        (known or self._open(info.stream)).describe(info)

    def _belongs(self, info: StreamInfo, spoken: float, now: float) -> bool:
        """Whether a stream that last spoke at `spoken` is on the wall: no newer one took its bed since."""
        newer = (o.info for o in self._same_bed(info))
        return _is_shown(info, spoken, now) and all(o is None or o.started <= spoken for o in newer)

    def _same_bed(self, info: StreamInfo) -> list[LiveStream]:
        bed = (info.clinic, info.bed)
        others = (s for s in self.live.values() if s.info is not None and s.stream != info.stream)
        return [s for s in others if s.info is not None and (s.info.clinic, s.info.bed) == bed]

    def _open(self, stream: str) -> LiveStream:
        used = {s.index for s in self.live.values()}
        while self._next_index in used:
            self._next_index = (self._next_index + 1) % _MAX_INDEX
        live = self.live[stream] = LiveStream(self._next_index, stream)
        self._next_index = (self._next_index + 1) % _MAX_INDEX
        return live

    def tidy(self, now: float) -> None:
        """Take streams off the wall that ended or fell silent long ago."""
        gone: dict[str, None] = {}
        for name, live in self.live.items():
            if live.info is not None and not _is_shown(live.info, live.spoken(), now):
                gone[name] = None
        for name in gone:
            del self.live[name]
        self._announce(gone)

    # -- who is owed what

    def _announce(self, streams: Iterable[str]) -> None:
        names = list(streams)
        if not names or not self._clients:
            return
        made: dict[frozenset[str] | None, bytes] = {}
        for client in self._clients:
            if client.clinics not in made:
                own = [n for n in names if self._may(client, n)]
                made[client.clinics] = messages.to_json(
                    messages.StreamsMessage(
                        streams=tuple(self.view(n) for n in own if n in self.live),
                        gone=tuple(n for n in own if n not in self.live),
                        archive=self._archive,
                    )
                )
            client.push_text(made[client.clinics])

    def clinic_of(self, stream: str) -> str:
        """The clinic of a stream, empty while it is not known."""
        info = self.infos.get(stream)
        return info.clinic if info is not None else ""

    def _may(self, client: WaveClient, stream: str) -> bool:
        return client.clinics is None or self.clinic_of(stream) in client.clinics

    def view(self, stream: str) -> messages.StreamView:
        """A stream (on the wall) as the pages see it."""
        live = self.live[stream]
        info = live.info
        return messages.StreamView(
            index=live.index,
            stream=stream,
            clinic=info.clinic if info else "",
            bed=info.bed if info else stream,
            patient=info.patient if info else "",
            device=info.device if info else "",
            fs=live.fs,
            leads=tuple(live.leads),
            units=tuple(live.units),
            started=info.started if info else 0.0,
            ended=info.ended if info else None,
        )

    def streams(self, clinics: frozenset[str] | None = None) -> tuple[messages.StreamView, ...]:
        """All streams on the wall of `clinics` (None: of all), by clinic and bed."""
        views = [self.view(name) for name in self.live if clinics is None or self.clinic_of(name) in clinics]
        return tuple(sorted(views, key=lambda v: (v.clinic, v.bed, v.stream)))

    def join(self, client: WaveClient) -> None:
        """A client came: it is owed the list of streams."""
        self._clients.add(client)
        client.push_text(
            messages.to_json(messages.StreamsMessage(self.streams(client.clinics), archive=self._archive))
        )

    def leave(self, client: WaveClient) -> None:
        """A client went."""
        self._clients.discard(client)

    def subscribe(self, client: WaveClient, wanted: Mapping[str, tuple[str, ...]], now: float) -> None:
        """Replace what the client wants; it is owed the last seconds of what is new.

        A stream or lead that does not exist (yet) is waited for.
        """
        client.wanted = dict(wanted)
        client.subscriptions = {n: s for n, s in client.subscriptions.items() if n in wanted}
        for name in wanted:
            self._resolve(client, name, now)

    def _resolve(self, client: WaveClient, name: str, now: float) -> None:
        live = self.live.get(name)
        if live is None or not self._may(client, name):
            client.subscriptions.pop(name, None)
            return
        leads = tuple((live.leads.index(n), n) for n in dict.fromkeys(client.wanted[name]) if n in live.leads)
        old = client.subscriptions.get(name)
        if old is not None and (old.live, old.leads) == (live, leads):
            return
        client.subscriptions[name] = Subscription(live, leads, live.beats_seen - len(live.beats))
        for chunk, taken in live.joined():
            frame = wave_frame(live, chunk, leads, taken, now, buffered=True)
            if frame is not None:
                client.push_wave(name, frame)
        client.mark(name)

    # -- alerts

    def alert_view(self, entry: Entry) -> messages.AlertView:
        """A transition with the place of its patient."""
        info = self.infos.get(entry.alert.stream)
        return messages.AlertView(
            seq=entry.seq,
            alert=entry.alert,
            clinic=info.clinic if info else entry.alert.clinic,
            bed=info.bed if info else entry.alert.bed,
        )

    def alert_news(self) -> asyncio.Event:
        """An event that is set as soon as there are more alerts than now."""
        return self._alert_news


def _is_shown(info: StreamInfo, spoken: float, now: float) -> bool:
    if info.ended is not None:
        return now - info.ended < ENDED_S
    return now - spoken < SHOWN_S
