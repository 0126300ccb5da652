"""Events in, alert transitions out: the condition line of all streams. Pure: the caller tells the time.

A condition is announced when a rule of the stream's pack holds, has held for the rule's delay, and the
stream is not catching up; its end when it has been gone for the rule's clear time. An alert's
identity is derived from stream, onset sample and kind, so the same events twice give the same alerts,
once. What is not announced has a named reason (`Refusal`).

The state is what was announced (`rebuild`, from its own output), what is held back per stream (`changed`,
`restore`) and the list of running streams (`expect`, `on_stream`).

Not here: when a rule holds (`tracks.py`), who is told, and what became of it (the desk).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from msgspec import structs

from alerts import tracks
from alerts.announced import FORGET_S, Announced
from alerts.condition_line import HOLD_S, look
from alerts.decisions import Decision, Reason, Refusal
from alerts.held import Held
from alerts.pack_files import DEFAULT, Pack, shipped_pack
from leadwire.model import (
    Alert,
    Beat,
    DeviceStatus,
    Evidence,
    HeartRate,
    LinkEvent,
    RhythmEpisode,
    StreamEvent,
    StreamInfo,
    event_id,
)

__all__ = ["FORGET_S", "HOLD_S", "NO_DATA_S", "ConditionEngine", "Decision", "Reason", "Refusal"]

NO_DATA_S = 10.0
"""Seconds without new samples of a stream until it is an alert, by the default pack."""
BATTERY_LOW = 20.0
"""A battery is low at so many percent, if the pack does not say."""
BATTERY_BACK = 5.0
"""A battery is no longer low so many percent above the limit."""
GONE_S = 86_400.0
"""A stream on which nothing is held back and nothing has come for so long is forgotten."""

PackOf = Callable[[str, StreamInfo | None], Pack]


@dataclass
class _Contact:
    """When a stream's samples last advanced, and to where."""

    heard: float
    sample: int


def default_pack(stream: str, info: StreamInfo | None) -> Pack:
    """The same pack for every stream."""
    return shipped_pack(DEFAULT)


class ConditionEngine:
    """Turns the events of any number of streams into alerts.

    Parameters
    ----------
    pack_of
        The pack that holds for a stream now; asked anew whenever it matters.
    """

    def __init__(self, pack_of: PackOf = default_pack) -> None:
        self._pack_of = pack_of
        self._announced = Announced()
        self._contacts: dict[str, _Contact] = {}
        self._held: dict[str, Held] = {}
        self._dropped: list[str] = []

    def rebuild(self, transitions: Iterable[Alert]) -> None:
        """Take in alerts published earlier, in their order; nothing is announced again."""
        for alert in transitions:
            self._announced.take(alert)

    def expect(self, stream: str, now: float) -> None:
        """From now on silence of `stream` counts; any event of it does the same."""
        self._contacts.setdefault(stream, _Contact(now, 0))

    def on_stream(self, info: StreamInfo) -> None:
        """What a stream is; without it nothing of it is delayed or late, and its alerts name no bed."""
        self._announced.infos[info.stream] = info
        self._of(info.stream).moment.fs = info.fs

    def knows(self, stream: str) -> bool:
        """Whether `on_stream` told of it."""
        return stream in self._announced.infos

    def restore(self, stream: str, data: bytes) -> None:
        """Go on from what `changed` said of a stream; rubbish raises `MessageRejected`."""
        self._held[stream] = Held.read(data)

    def changed(self) -> Iterable[tuple[str, int, bytes | None]]:
        """Per stream that has changed since the last call: name, sample, snapshot (None: nothing is held)."""
        for stream, held in self._held.items():
            data = held.written()
            if data is not None:
                yield stream, max(0, held.moment.at), data
        dropped, self._dropped = self._dropped, []
        for stream in dropped:
            yield stream, 0, None

    def on_event(self, event: StreamEvent, now: float) -> Decision:
        """Decide on one event of a stream. `now` in s, epoch."""
        sample = event.detected if isinstance(event, RhythmEpisode) else event.sample
        if isinstance(event, LinkEvent) and event.kind == "ended":
            self._contacts.pop(event.stream, None)
            return self._end_silence(event.stream, sample, now)
        # A connection without samples is still silence: only progress is a sign of life.
        contact = self._contacts.setdefault(event.stream, _Contact(now, sample))
        decision = Decision()
        if sample > contact.sample:
            contact.heard, contact.sample = now, sample
            decision = self._end_silence(event.stream, sample, now)
        held = self._of(event.stream)
        if isinstance(event, RhythmEpisode):
            decision += self._on_episode(held, event, now)
        elif isinstance(event, HeartRate) and sample > held.moment.at:
            held.tick(event, now)
            decision += self._advance(event.stream, held, now, event.rate)
        elif isinstance(event, Beat) and sample > held.moment.last_beat:
            held.beat(event)
        elif isinstance(event, DeviceStatus):
            decision += self._on_battery(held, event, now)
        return decision

    def on_time(self, now: float) -> Decision:
        """Raise what time alone brings about: streams that have gone silent, what was held long enough."""
        decision = Decision()
        for stream, contact in list(self._contacts.items()):
            silence = now - contact.heard
            if silence < 1.0 or self._announced.open(stream, "no_data") is not None:
                continue
            pack = self._pack(stream)
            rule = pack.rules["no_data"][-1]
            if silence >= rule.delay_s:
                evidence = Evidence(rule="no_data", value=silence, threshold=rule.delay_s, unit="s")
                alert = self._announced.raised(stream, "no_data", contact.sample, rule, pack, evidence, now)
                decision += Decision((alert,))
        for stream, held in self._held.items():
            if held.waiting(now):
                decision += self._advance(stream, held, now)
        return decision

    def forget(self, now: float) -> None:
        """Drop what can no longer come again."""
        self._announced.forget(now)
        for stream, held in list(self._held.items()):
            if held.silent_s(now) > GONE_S and not held.tracks and stream not in self._contacts:
                del self._held[stream]
                self._dropped.append(stream)

    def open_alerts(self) -> tuple[Alert, ...]:
        """The alerts that are active, in the order they were raised."""
        return tuple(self._announced.active())

    def _of(self, stream: str) -> Held:
        held = self._held.get(stream)
        if held is None:
            held = self._held[stream] = Held()
        return held

    def _pack(self, stream: str) -> Pack:
        return self._pack_of(stream, self._announced.infos.get(stream))

    def _advance(self, stream: str, held: Held, now: float, rate: float | None = None) -> Decision:
        """Look again at everything that has begun on a stream."""
        if not held.tracks:
            return Decision()
        pack = self._pack(stream)
        decision = Decision()
        for known in list(held.tracks):
            if known in held.tracks:
                tracks.follow(held.tracks[known], held.moment, rate)
                decision += look(held, known, self._announced, pack, now, rate)
        return decision

    def _on_episode(self, held: Held, episode: RhythmEpisode, now: float) -> Decision:
        known = event_id(episode.stream, episode.onset, episode.kind)
        held.moment.at = max(held.moment.at, episode.detected)
        track = held.tracks.get(known)
        refusal = self._seen_before(held, episode, known)
        if refusal is not None:
            return Decision(refusals=(refusal,))
        if track is None:
            held.tracks[known] = tracks.begin(episode)
        else:
            track.episode = episode
        return look(held, known, self._announced, self._pack(episode.stream), now)

    def _seen_before(self, held: Held, episode: RhythmEpisode, known: str) -> Refusal | None:
        """Why this word of a detector says nothing new; None: it does."""
        track = held.tracks.get(known)
        if track is not None:
            if track.episode.end is not None:
                return Refusal(known, "known", "it has ended before")
            freed = track.episode.withheld and not episode.withheld
            return None if freed or episode.end is not None else Refusal(known, "known", "it has begun")
        if known in held.done or held.too_old(episode):
            return Refusal(known, "known", "it was decided before")
        alert = self._announced.get(known)
        if alert is None:
            alert = self._announced.covering(episode.stream, episode.kind, episode.onset)
        if alert is None or alert.state == "active":
            return None
        return Refusal(known, "known", f"version {alert.version} of {alert.id}")

    def _on_battery(self, held: Held, status: DeviceStatus, now: float) -> Decision:
        """A battery is a condition like others: it begins at the pack's limit and ends above it."""
        rules = self._pack(status.stream).rules.get("battery_low", ())
        limit = max((rule.at_most for rule in rules if rule.at_most is not None), default=BATTERY_LOW)
        level = status.battery
        open_ = [t.episode for t in held.tracks.values() if t.episode.kind == "battery_low"]
        if open_ and status.sample > open_[0].onset and (level is None or level > limit + BATTERY_BACK):
            return self._on_episode(held, structs.replace(open_[0], end=status.sample), now)
        if open_ or level is None or level > limit:
            return Decision()
        episode = RhythmEpisode(
            stream=status.stream,
            kind="battery_low",
            onset=status.sample,
            detected=status.sample,
            evidence=Evidence(rule="battery", value=level, threshold=limit, unit="%"),
        )
        return self._on_episode(held, episode, now)

    def _end_silence(self, stream: str, sample: int, now: float) -> Decision:
        alert = self._announced.open(stream, "no_data")
        return Decision() if alert is None else Decision((self._announced.ended(alert, sample, now),))
