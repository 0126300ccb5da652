"""What the condition line holds back of one stream: its own snapshot, for `ecg.conditions`."""

import msgspec
from msgspec import Struct, field, structs

from alerts import tracks
from alerts.kinds import info_of
from alerts.timing import Timing
from alerts.tracks import Moment, Track
from leadwire.errors import MessageRejected
from leadwire.model import Beat, HeartRate, RhythmEpisode

REMEMBER_S = 3600.0
"""Conditions that were decided are remembered for so many s of samples, and no older ones are taken."""
MAX_DONE = 2000
REST_S = 60.0
"""A stream on which nothing is held back is written at most this often, in s of samples."""


SILENT_S = 5.0
"""After so long without a tick, in s, no more are counted on."""


class _State(Struct):
    """The snapshot."""

    moment: Moment = field(default_factory=Moment)
    timing: Timing = field(default_factory=Timing)
    tracks: dict[str, Track] = field(default_factory=dict)
    done: dict[str, int] = field(default_factory=dict)


_decoder = msgspec.msgpack.Decoder(_State)
_encoder = msgspec.msgpack.Encoder()


def _follows(track: Track) -> str:
    return info_of(track.episode.kind).follows


class Held:
    """See the module.

    Attributes
    ----------
    moment, timing
        The last tick, and how far the stream is behind.
    tracks
        By `event_id` of the detectors' episode: what has begun and is not done with.
    done
        Likewise, what is done with and was not announced under this very id: the sample then.
    """

    def __init__(self, state: _State | None = None) -> None:
        self._state = state or _State()
        self._written = b""
        self._written_at = -1
        self._heard: float | None = None

    @classmethod
    def read(cls, data: bytes) -> "Held":
        """From a snapshot's bytes; `MessageRejected` if they are none."""
        try:
            return cls(_decoder.decode(data))
        except (msgspec.DecodeError, RecursionError) as why:
            raise MessageRejected(f"a snapshot of {len(data)} bytes came: {why}") from None

    def written(self) -> bytes | None:
        """The snapshot, if what it says has changed since it was written last."""
        s = self._state
        # What every tick changes, the ticks will tell again; a beat that ended a silence comes but once.
        silences = any(_follows(t) == "silence" for t in s.tracks.values())
        lasting = [structs.replace(t, value=0.0) if _follows(t) == "rate" else t for t in s.tracks.values()]
        last_beat = s.moment.last_beat if silences else -1
        content = _encoder.encode((lasting, s.done, s.timing.behind, last_beat))
        rested = s.moment.fs > 0 and s.moment.at - self._written_at < REST_S * s.moment.fs
        if content == self._written and (rested or self._written_at == s.moment.at):
            return None
        self._written, self._written_at = content, s.moment.at
        return _encoder.encode(s)

    @property
    def moment(self) -> Moment:
        return self._state.moment

    @property
    def timing(self) -> Timing:
        return self._state.timing

    @property
    def tracks(self) -> dict[str, Track]:
        return self._state.tracks

    @property
    def done(self) -> dict[str, int]:
        return self._state.done

    def tick(self, rate: HeartRate, now: float) -> None:
        """A second of samples is over."""
        self.moment.at = rate.sample
        self._heard = now
        if self.moment.fs:
            self.timing.observe(rate.sample, self.moment.fs, now)

    def beat(self, beat: Beat) -> None:
        for track in self.tracks.values():
            tracks.interval(track, beat.sample, beat.rr)
        self.moment.last_beat = beat.sample

    def drop(self, known: str, *, joined: bool = False) -> None:
        """A condition is done with; `joined`: another one has taken its alert over.

        What was announced under its id is known anyhow; what was withheld may still turn out to be true.
        """
        track = self.tracks.pop(known)
        if not joined and (track.alert == known or (not track.alert and track.episode.withheld)):
            return
        self.done[known] = self.moment.at
        oldest = self.moment.at - REMEMBER_S * self.moment.fs
        while len(self.done) > MAX_DONE or (self.moment.fs and next(iter(self.done.values())) < oldest):
            del self.done[next(iter(self.done))]

    def too_old(self, episode: RhythmEpisode) -> bool:
        """Whether it would have been forgotten, had it been decided: then it is no news."""
        last = episode.detected if episode.end is None else episode.end
        return self.moment.fs > 0 and last < self.moment.at - REMEMBER_S * self.moment.fs

    def cleared(self, gone: int, clear_s: float, now: float) -> bool:
        """Whether what has been gone since sample `gone` has been so for `clear_s`.

        Counted in samples; where none come any more, by the clock.
        """
        fs = self.moment.fs
        if not clear_s or not fs or self.moment.at - gone >= clear_s * fs:
            return True
        return self.silent_s(now) >= clear_s + SILENT_S

    def waiting(self, now: float) -> bool:
        """Whether time alone may decide something: a late condition held, an end on a silent stream."""
        silent = self.silent_s(now) > SILENT_S
        return any(t.held_at >= 0 or (t.gone >= 0 and silent) for t in self.tracks.values())

    def silent_s(self, now: float) -> float:
        """For how long no tick has come, in s; counted from the first question after a restart."""
        if self._heard is None:
            self._heard = now
        return now - self._heard
