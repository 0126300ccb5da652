"""What a channel is given, and what it answers. Who is told, and when, is decided elsewhere (`outbox.py`)."""

from dataclasses import dataclass
from typing import Literal, Protocol

from alerts.channel_secrets import ChannelSecrets
from leadwire.model import Priority


@dataclass(frozen=True, slots=True)
class Page:
    """One message to one address of one person, ready to be sent.

    Attributes
    ----------
    id
        The same for every attempt: a receiver that has seen it may drop it.
    alerts
        The cases it is about, most urgent first; more than one: a summary.
    user, to
        Whom, and the address on the channel; `to` may be a secret.
    language
        "en" or "zh".
    priority, kind, level
        Of the most urgent case: how urgent, which condition, which step of the escalation.
    clinic, bed, since
        Where, and since when (s, epoch).
    patient
        The patient's label; empty unless channel and address may carry names.
    title, text
        What a person reads; `text` holds at most the channel's `max_bytes` of UTF-8.
    link
        Where the case is shown; empty: not known.
    """

    id: str
    alerts: tuple[str, ...]
    user: str
    to: str
    language: str
    priority: Priority
    kind: str
    level: int
    clinic: str
    bed: str
    since: float
    patient: str
    title: str
    text: str
    link: str


@dataclass(frozen=True, slots=True)
class Sent:
    """The gateway took it. `delivered`: it is where the person's own system reads it."""

    state: Literal["sent", "delivered"] = "sent"
    detail: str = ""


class Channel(Protocol):
    """One way to a person. Made once, used by several threads at the same time.

    Attributes
    ----------
    name
        As addresses of the network name it.
    carries_names
        Whether it may carry a patient's label at all; the address must allow it, too.
    to_phone
        Whether it reaches somebody who looks at no page of Leadwire.
    max_bytes
        The longest text, in bytes of UTF-8.
    timeout_s
        The longest that `send` takes, in s.
    """

    name: str
    carries_names: bool
    to_phone: bool
    max_bytes: int
    timeout_s: float

    def __init__(self, secrets: ChannelSecrets) -> None: ...

    def gateway(self, to: str) -> str:
        """Which gateway takes what goes to `to`: what is slow there must hold up nothing else. No secret."""
        ...

    def send(self, page: Page, now: float) -> Sent:
        """Hand `page` over. `now` in s, epoch.

        Raises
        ------
        GatewayUnavailable
            Not now: try again.
        PageRejected
            Never: a wrong address, a missing secret, a refusal. The text tells no secret of the address.
        """
        ...
