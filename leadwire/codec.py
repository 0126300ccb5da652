"""Bytes <-> messages. msgpack maps with `type` (which message) and `v` (schema version).

A reader of any language needs only msgpack; field names are those of `model.py`. Fields may be
added with a default without a new version (readers ignore what they do not know); any other
change needs one. `tests/golden/` holds bytes of every message that must stay readable for ever.
"""

import re
from typing import TypeVar, get_args

import msgspec

from leadwire.errors import MessageRejected
from leadwire.messages import Message
from leadwire.model import SCHEMA_VERSION

M = TypeVar("M")


class _Header(msgspec.Struct):
    type: str
    v: int


TYPES: dict[str, type[msgspec.Struct]] = {str(kind.__struct_config__.tag): kind for kind in get_args(Message)}
"""Each value of `type`, and its class."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Message)
_header_decoder = msgspec.msgpack.Decoder(_Header)
# What msgspec raises for bytes that are no message; a ValueError of `__post_init__` comes as the first.
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def encode(message: Message) -> bytes:
    """Return the bytes of `message`."""
    return _encoder.encode(message)


def decode(data: bytes) -> Message:
    """Return the message in `data`.

    Raises
    ------
    MessageRejected
        Not msgpack, an unknown type or version, a missing or impossible field. The text says
        what came and what was expected, and shows no text from inside the message.
    """
    try:
        header = _header_decoder.decode(data)
    except _UNREADABLE as why:
        raise MessageRejected(f"{len(data)} bytes without a readable type and version came: {why}") from None
    if header.v != SCHEMA_VERSION or header.type not in TYPES:
        raise MessageRejected(
            f"{_name(header)} came; version {SCHEMA_VERSION} of {', '.join(TYPES)} was expected"
        )
    try:
        message: Message = _decoder.decode(data)
    except _UNREADABLE as why:
        raise MessageRejected(f"{_name(header)} came: {why}{_at(str(why), data)}") from None
    return message


def decode_as(data: bytes, kind: type[M]) -> M:
    """`decode`, and a `MessageRejected` unless the message is a `kind`."""
    message = decode(data)
    if not isinstance(message, kind):
        raise MessageRejected(f"a {type(message).__name__} came; a {kind.__name__} was expected")
    return message


def _name(header: _Header) -> str:
    return f"a message of type {header.type[:40]!r}, version {header.v},"


def _at(why: str, data: bytes) -> str:
    """What stands at the place that msgspec names (``... - at `$.evidence.value` ``); text stays unseen."""
    place = re.search(r"at `\$((?:\.\w+)+)`$", why)
    if place is None:
        return ""
    try:
        value: object = msgspec.msgpack.decode(data)
        for name in place[1].split(".")[1:]:
            value = value[name]  # type: ignore[index]
    except (*_UNREADABLE, ValueError, TypeError, KeyError):
        return ""
    shown = repr(value) if value is None or isinstance(value, bool | int | float) else type(value).__name__
    return f" ({shown} came)"
