"""JSON of the two websockets and of errors: shapes, and the limits on what a client may send.

`/ws/waveforms`, from the client: ``{"type": "subscribe", "streams": {"STREAM": ["LEAD", ...], ...}}``, which
replaces the subscription before it, and now and then ``{"type": "ack", "bytes": N}``: so many bytes of binary
messages were worked on since it connected. From the first ack on, the server keeps no more than
`sockets.WINDOW` bytes under way to it: system buffers between them may hold many seconds. To the client, as
text: `StreamsMessage` first and whenever a stream comes, changes or goes; all else is binary (`frames.py`).

`/ws/cases`: from the client a `Presence` first and whenever it changes, and `Seen`. To the client: first a
`MeMessage`, then every case of its clinics that is open or changes, newest state only, and a `TimeMessage` a
second.

`/ws/alerts?from=N`: nothing is expected from the client. To the client: a `SnapshotMessage` first (not when
it resumes and N is still kept), then every `AlertMessage` in order, and a `TimeMessage` a second.
"""

from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from leadwire.errors import RejectError
from leadwire.model import Alert
from leadwire.ranges import MAX_SIG, Count, StreamId

MAX_CLIENT_MESSAGE = 1 << 16
"""Bytes of the longest message a client may send."""

MAX_SUBSCRIBED = 512

M = TypeVar("M")


_Lead = Annotated[str, Meta(min_length=1, max_length=32)]


class Subscribe(Struct, frozen=True, tag_field="type", tag="subscribe", forbid_unknown_fields=True):
    """Which streams, and which leads of each, the client wants to see from now on."""

    streams: Annotated[
        dict[StreamId, Annotated[tuple[_Lead, ...], Meta(max_length=MAX_SIG)]],
        Meta(max_length=MAX_SUBSCRIBED),
    ]


class Ack(Struct, frozen=True, tag_field="type", tag="ack", forbid_unknown_fields=True):
    """The client has worked on so many bytes of binary messages since it connected."""

    bytes: Count


class Presence(Struct, frozen=True, tag_field="type", tag="presence", forbid_unknown_fields=True):
    """Whether the page can be seen, and whether it can sound."""

    visible: bool
    audio: Literal["on", "paused", "blocked"]


class Seen(Struct, frozen=True, tag_field="type", tag="seen", forbid_unknown_fields=True):
    """These cases stood before the user's eyes."""

    alerts: Annotated[tuple[Annotated[str, Meta(max_length=192)], ...], Meta(max_length=100)]


class StreamView(Struct, frozen=True):
    """A stream as the pages see it; `index` is its number in binary frames."""

    index: int
    stream: str
    clinic: str
    bed: str
    patient: str
    device: str
    fs: float
    leads: tuple[str, ...]
    units: tuple[str, ...]
    started: float
    ended: float | None


class StreamsMessage(Struct, frozen=True, tag_field="type", tag="streams"):
    """Streams that are new or changed, ids of those that went, and whether `/api/history` has an archive."""

    streams: tuple[StreamView, ...]
    gone: tuple[str, ...] = ()
    archive: bool = False


class AlertView(Struct, frozen=True):
    """One transition of an alert, its sequence number, and where the patient is."""

    seq: int
    alert: Alert
    clinic: str
    bed: str


class AlertMessage(Struct, frozen=True, tag_field="type", tag="alert"):
    """The next transition; the client resumes with ``from = seq + 1``."""

    view: AlertView


class SnapshotMessage(Struct, frozen=True, tag_field="type", tag="snapshot"):
    """Present states of all alerts, complete up to (not with) `next`.

    `reason` "start": the client asked for no sequence number; "too_old" or "unknown": it `asked` for one
    before `oldest`, or after the end; transitions between may never reach it, these states replace them.
    """

    next: int
    oldest: int
    alerts: tuple[AlertView, ...]
    reason: Literal["start", "too_old", "unknown"] = "start"
    asked: int | None = None


class MeMessage(Struct, frozen=True, tag_field="type", tag="me"):
    """Who the server takes the client for; `user` empty: the network has no users yet."""

    user: str
    name: str
    roles: tuple[str, ...]


class CaseMessage(Struct, frozen=True, tag_field="type", tag="case"):
    """The present state of a case (`case_views.case_summary`)."""

    case: dict[str, Any]


class TimeMessage(Struct, frozen=True, tag_field="type", tag="time"):
    """Server time in s; `feed` false: the dashboard cannot read the bus. `next` is the next `seq`."""

    now: float
    feed: bool
    next: int


_encoder = msgspec.json.Encoder()
_wave_client = msgspec.json.Decoder(Subscribe | Ack)
_case_client = msgspec.json.Decoder(Presence | Seen)


def read_client(text: str) -> Subscribe | Ack:
    """Read a message of a waveform client.

    Raises
    ------
    RejectError
        It is too long or neither; the text says what came.
    """
    message: Subscribe | Ack = _read(text, _wave_client, "neither subscribe nor ack")
    return message


def read_case_client(text: str) -> Presence | Seen:
    """Read a message of a client of `/ws/cases`; errors as of `read_client`."""
    message: Presence | Seen = _read(text, _case_client, "neither presence nor seen")
    return message


def _read(text: str, decoder: msgspec.json.Decoder[M], otherwise: str) -> M:
    if len(text) > MAX_CLIENT_MESSAGE:
        raise RejectError(f"{len(text)} characters came; at most {MAX_CLIENT_MESSAGE} were expected")
    try:
        return decoder.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as why:
        raise RejectError(f"{otherwise} came: {why}") from None


def to_json(message: object) -> bytes:
    """JSON bytes of anything above."""
    return _encoder.encode(message)


def error_body(code: str, message: str) -> bytes:
    """The one shape of every HTTP error: ``{"error": {"code": ..., "message": ...}}``."""
    return _encoder.encode({"error": {"code": code, "message": message}})
