"""Signed JSON to a system of the hospital's or the clinic's. Its recipe stands in docs/channels.md.

A host without a key in `channels_file` gets nothing: the file is the list of where messages may go.
"""

import hashlib
import hmac
import json

from alerts.channel_secrets import ChannelSecrets
from alerts.channels import channel
from alerts.channels.port import Page, Sent
from alerts.channels.post import Target, post, target_of
from leadwire.errors import PageRejected

SIGNATURE = "Leadwire-Signature"
PAGE = "Leadwire-Page"


def sign(key: str, timestamp: int, body: bytes) -> str:
    """The value of the header `SIGNATURE`: ``t=SECONDS,v1=HEX``.

    HEX is HMAC-SHA256, keyed with `key` (UTF-8), over ``SECONDS.BODY``: the receiver refuses what is
    minutes old or was changed.
    """
    mac = hmac.new(key.encode(), f"{timestamp}.".encode() + body, hashlib.sha256)
    return f"t={timestamp},v1={mac.hexdigest()}"


@channel
class Webhook:
    """2xx: delivered. 408, 425, 429, 5xx or no answer: again later. Anything else: refused."""

    name = "webhook"
    carries_names = True
    to_phone = True
    max_bytes = 1 << 13
    timeout_s = 10.0

    def __init__(self, secrets: ChannelSecrets) -> None:
        self._secrets = secrets

    def gateway(self, to: str) -> str:
        return f"{self.name} {target_of(to).place}"

    def send(self, page: Page, now: float) -> Sent:
        target = target_of(page.to)
        key = self._key(target)
        body = json.dumps(_content(page), ensure_ascii=False).encode()
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            # An id may hold what no header can.
            PAGE: page.id if page.id.isascii() and page.id.isprintable() else "",
            SIGNATURE: sign(key, int(now), body),
        }
        post(target, body, headers, self.timeout_s)
        return Sent("delivered")

    def _key(self, target: Target) -> str:
        key = self._secrets.get(f"webhook:{target.place}")
        if not key:
            raise PageRejected(
                f"no key for webhook:{target.place}; a line of channels_file was expected, "
                "and without it nothing goes there"
            )
        return key


def _content(page: Page) -> dict[str, object]:
    """What the body says; `to` stays out of it, `patient` is in it only where it may be."""
    content: dict[str, object] = {
        "version": 1,
        "page": page.id,
        "cases": list(page.alerts),
        "user": page.user,
        "language": page.language,
        "priority": page.priority,
        "kind": page.kind,
        "level": page.level,
        "clinic": page.clinic,
        "bed": page.bed,
        "since": page.since,
        "title": page.title,
        "text": page.text,
        "link": page.link,
    }
    return content | ({"patient": page.patient} if page.patient else {})
