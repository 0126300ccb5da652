"""Receipts: what became of a message, as a command to the desk. The same outcome has the same id."""

import hashlib
from typing import Any

from alerts.outbox import Delivery
from leadwire.case import Command


def receipt(delivery: Delivery, state: str, now: float, detail: str) -> Command:
    """That `delivery` is now `state` (sent, delivered, not_sent, failed); `now` in s since 1970."""
    number = f"#{delivery.number}" if delivery.number > 1 else ""
    data: dict[str, Any] = {
        "page": delivery.page,
        "state": state,
        "channel": f"{delivery.channel}{number}",
        "detail": detail[:500],
    }
    return Command(
        id=f"receipt/{digest(*map(str, (*delivery.key, state)))}",
        alert=delivery.alert,
        action="receipt",
        at=now,
        data={name: value for name, value in data.items() if value},
    )


def digest(*parts: str) -> str:
    """40 hexadecimal digits that stand for `parts`."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]
