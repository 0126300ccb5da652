"""Messages as rows of their tables."""

import hashlib
from typing import Any

import msgspec

from leadwire import codec
from leadwire.messages import Message
from leadwire.model import Alert, Quarantined


def as_json(message: Message) -> str:
    return msgspec.json.encode(message).decode()


def alert_row(alert: Alert) -> dict[str, Any]:
    names = ("id", "version", "stream", "kind", "priority", "state", "onset", "raised_at")
    return {name: getattr(alert, name) for name in names} | {"data": as_json(alert)}


def quarantine_row(held: Quarantined) -> dict[str, Any]:
    return {
        "digest": hashlib.blake2b(codec.encode(held), digest_size=16).hexdigest(),
        "time": held.time,
        "source": held.source.replace("\0", "\\0"),  # PostgreSQL has no text with NUL
        "reason": held.reason.replace("\0", "\\0"),
        "truncated": held.truncated,
        "data": held.data,
    }
