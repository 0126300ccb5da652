"""What becomes of an alert: commands in, entries of the register out.

One id joins everything, from the sample to the outcome: the alert's. What people, channels and Leadwire
itself want done comes as a `Command` on `ecg.commands`; what was done stands as a `RegisterEntry` on
`ecg.register`, which is append only: whatever is known of a case is what its lines add up to.

One input makes one entry, so a process that dies leaves either all lines of it or none, and the same
input again (`RegisterEntry.cause`) is recognised.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from leadwire.model import BusMessage
from leadwire.ranges import Count, Kind, Label, NotNegative, Time

CommandId = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._:#/-]{0,159}\Z")]
"""Chosen by whoever gives the command: giving it twice does it once."""

UserId = Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9._-]{0,63}\Z|\A\Z")]
"""A user of the network; empty: Leadwire itself."""

AlertId = Annotated[str, Meta(max_length=192)]
"""`model.event_id` of the alert that opened the case; empty where no alert is concerned."""


class Command(BusMessage, frozen=True, kw_only=True, tag="command"):
    """Something that somebody wants done to a case.

    `action` is a word of the engine's table of commands, `data` what that action needs besides;
    `by` is the user who asked (checked by whoever published it), `at` when.
    """

    id: CommandId
    alert: AlertId
    action: Kind
    by: UserId = ""
    at: Time
    data: dict[str, Any] = field(default_factory=dict)


class Step(Struct, frozen=True, kw_only=True):
    """One step of an escalation chain, as frozen into an alert when it was raised.

    `after_s` counts from the raising. `users` were looked up then; empty: nobody was on duty.
    """

    level: Count
    side: Literal["hub", "clinic"]
    duty: Kind
    after_s: NotNegative
    users: tuple[UserId, ...] = ()


LineName = Literal[
    "condition",
    "signal",
    "responsibility",
    "clinical",
    "callback",
    "clock",
    "page",
    "refused",
    "access",
    "network",
]


class Line(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that happened: which of the lines moved, to which state, and what belongs to it."""

    line: LineName
    state: Kind
    data: dict[str, Any] = field(default_factory=dict)


class RegisterEntry(BusMessage, frozen=True, kw_only=True, tag="register_entry"):
    """What one input brought about in one case; never edited.

    Attributes
    ----------
    id
        f"{cause}@{alert}": the same input gives the same entry, once.
    alert
        The case (id of the alert that opened it); empty: no case (a login, a change of the network).
    cause
        The command's id, or f"{alert id}#{version}" of an alert's transition, or "time@..." of a timer.
    at, by
        When, by the engine's clock, and who; empty: Leadwire itself.
    lines
        In the order they happened; a refusal is a line too, with its reason.
    """

    id: Annotated[str, Meta(max_length=512)]
    alert: AlertId
    cause: Annotated[str, Meta(max_length=256)]
    at: Time
    by: UserId = ""
    lines: tuple[Line, ...]


class NetworkItem(BusMessage, frozen=True, kw_only=True, tag="network_item"):
    """One thing of the network: a clinic, a user, a shift ... (`network.py` has their shapes).

    On `ecg.commands` it is a wish, on the compacted `ecg.network` (key `kind/id`) a fact.
    `body` None removes it.
    """

    key: CommandId
    kind: Kind
    id: Label
    body: dict[str, Any] | None
    by: UserId = ""
    at: Time


class Watcher(Struct, frozen=True, kw_only=True):
    """One open page of a dashboard: who looks, whether they can see it, and whether it can sound."""

    user: UserId
    clinics: tuple[str, ...] = ()
    visible: bool
    audio: Literal["on", "paused", "blocked"]


class WatchReport(BusMessage, frozen=True, kw_only=True, tag="watch_report"):
    """What one process of Leadwire says of itself every few seconds: its open pages, its queues.

    On the compacted topic `ecg.watch`, keyed by `process`; deleted when it stops in good order. `lag` is, by
    stage, how old the oldest message is that waits for it, in s (0: none waits).
    """

    process: Label
    at: Time
    roles: tuple[str, ...] = ()
    watchers: tuple[Watcher, ...] = ()
    lag: dict[str, Count] = field(default_factory=dict)
