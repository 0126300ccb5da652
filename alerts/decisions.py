"""What one input to the condition line brings about: alerts, or the reason why there is none."""

from dataclasses import dataclass
from typing import Literal

from leadwire.model import Alert

Reason = Literal["no_rule", "off", "withheld", "below_criterion", "delayed_and_gone", "known"]


@dataclass(frozen=True)
class Refusal:
    """A condition that was not announced, and why.

    ``no_rule``: the pack has no such kind; ``off``: it, or somebody for this patient, switched the kind off;
    ``withheld``: the detector said so, `detail` quotes it; ``below_criterion``: no rule's limit was reached;
    ``delayed_and_gone``: it was over before the rule's delay; ``known``: this very transition was
    announced, or refused for good, before (a replay).
    """

    id: str
    reason: Reason
    detail: str = ""


@dataclass(frozen=True)
class Decision:
    """What one input brought about."""

    alerts: tuple[Alert, ...] = ()
    refusals: tuple[Refusal, ...] = ()

    def __add__(self, other: "Decision") -> "Decision":
        return Decision(self.alerts + other.alerts, self.refusals + other.refusals)
