"""What a rule pack says of an alert, as it travels with the alert (`model.Alert.rule`)."""

from typing import Literal

from msgspec import Struct

from leadwire.ranges import Count, Kind, Label, NotNegative


class AlertRule(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the rule pack wants an alert handled; frozen into it, so that later packs change nothing.

    Attributes
    ----------
    pack
        Name and version, "monitor-adult 1".
    tier
        What the pack's issuer calls it: a critical value, a major positive finding, or neither.
    latching
        Stays on view after its end until somebody has seen it.
    family, rank
        Alerts of one family and patient chain: the higher rank stands for the others.
    reminder_s
        Sounds again so long after it was acknowledged, if it still lasts; 0: never.
    group_s
        What begins within so many seconds after its end belongs to the same case.
    inhibits
        Kinds that are not announced beside it (they are counted, and never forgotten).
    notify
        "siren": sounds and escalates; "task": a line on a list.
    can_be_off
        Whether a person may switch it off.
    """

    pack: Label = ""
    tier: Literal["", "critical", "major"] = ""
    latching: bool = False
    family: Kind = "other"
    rank: Count = 0
    reminder_s: NotNegative = 0.0
    group_s: NotNegative = 0.0
    inhibits: tuple[Kind, ...] = ()
    notify: Literal["siren", "task"] = "siren"
    can_be_off: bool = True
