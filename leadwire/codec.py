"""Bytes <-> messages. msgpack maps with `type` (which message) and `v` (schema version).

A reader of any language needs only msgpack; field names are those of `model.py`. Fields may be
added with a default without a new version (readers ignore what they do not know); any other
change needs one. `tests/golden/` holds bytes of every message that must stay readable for ever.
"""

from typing import TypeVar

import msgspec

from leadwire.errors import MessageRejected
from leadwire.model import SCHEMA_VERSION, Message

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Message)

M = TypeVar("M")


class _Header(msgspec.Struct):
    type: str
    v: int


_header_decoder = msgspec.msgpack.Decoder(_Header)


def encode(message: Message) -> bytes:
    """Return the bytes of `message`."""
    return _encoder.encode(message)


def decode(data: bytes) -> Message:
    """Return the message in `data`.

    Raises
    ------
    MessageRejected
        Not msgpack, an unknown type or version, a missing or impossible field. The text says
        what came and what was expected.
    """
    try:
        message: Message = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as why:
        raise MessageRejected(f"{_describe(data)} came: {why}") from None
    if message.v != SCHEMA_VERSION:
        raise MessageRejected(f"schema version {message.v} came; {SCHEMA_VERSION} was expected")
    return message


def decode_as(data: bytes, kind: type[M]) -> M:
    """`decode`, and a `MessageRejected` unless the message is a `kind`."""
    message = decode(data)
    if not isinstance(message, kind):
        raise MessageRejected(f"a {type(message).__name__} came; a {kind.__name__} was expected")
    return message


def _describe(data: bytes) -> str:
    try:
        header = _header_decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return f"{len(data)} bytes without a readable type and version"
    return f"a message of type {header.type[:40]!r}, version {header.v}"
