"""A case as it stands at one moment. How it came so: `story.py`; its parts: `story_parts.py`."""

from typing import Literal

from msgspec import Struct

from leadwire.case import AlertId, Step, UserId
from leadwire.model import Alert, Priority
from leadwire.story_parts import OPEN_PAGES, RISING, CallBack, Member, Page

Condition = Literal["active", "latched", "ended"]
Signal = Literal["sounding", "audio_paused", "acknowledged", "reminder", "alarm_paused", "alarm_off", "quiet"]
Responsibility = Literal["raised", "escalated", "accepted", "exhausted", "released"]
Verdict = Literal["", "artefact", "duplicate", "true_not_actionable", "true_actionable"]


class Case(Struct, frozen=True, kw_only=True):
    """One episode of one patient, from the first alert to the outcome. All times in s, epoch.

    Attributes
    ----------
    id, opened_at, changed_at, entries
        Id of the first alert; when it was raised and last changed; how many entries it has.
    kind, priority
        The worst so far. `now_kind`, `now_priority`: the worst of what is active (or was last).
    members
        Alert id -> `Member`: all alerts of the episode, in the order they came.
    task, late
        To be dealt with, not sounded (AF found on a patch; what ended before its data came).
    condition, inhibited_by, hides, hidden_priority
        The condition line; the case that hides this one; the cases that this one hides, and the
        highest priority among them, which it takes over.
    signal, signal_until, signal_reason, signal_by
        The signal line.
    responsibility, owner, round, chain, step, level, declined, chain_at, step_at
        The hub's side. `chain` as frozen at the last raising (`round` counts them); `step` is the index of
        the step reached, -1 before the first; `level` its level. `chain_at`: time of that raising.
    clinic_side, clinic_step, clinic_by, clinic_at
        The referring clinic's side: "", told, seen, with_patient, overdue; the index of its step reached.
    clinical, verdict, grade, of
        The clinical line ("untriaged", a verdict, "confirmed", "closed"), and what was decided.
    call_back, clock
        The call-back as a whole; STEMI marks -> time.
    pages, paged
        Page id -> `Page`; how many there were.
    timers
        What becomes due when.
    first, last
        "line/state" -> when it happened first, last: what the statistics are made of.
    """

    id: AlertId
    opened_at: float
    changed_at: float
    entries: int = 0

    kind: str
    priority: Priority
    now_kind: str
    now_priority: Priority
    category: str
    stream: str
    onset: int
    clinic: str = ""
    bed: str = ""
    patient: str = ""
    device: str = ""
    family: str = ""
    pack: str = ""
    latching: bool = False
    late: bool = False
    task: bool = False
    can_be_off: bool = True
    alert: Alert
    members: dict[str, Member] = {}

    condition: Condition = "active"
    ended_at: float | None = None
    inhibited_by: str = ""
    hides: tuple[AlertId, ...] = ()
    hidden_priority: Priority | None = None

    signal: Signal = "quiet"
    signal_until: float | None = None
    signal_reason: str = ""
    signal_by: UserId = ""

    responsibility: Responsibility = "raised"
    owner: UserId = ""
    round: int = 0
    chain: tuple[Step, ...] = ()
    chain_at: float = 0.0
    step: int = -1
    level: int = 0
    step_at: float = 0.0
    declined: tuple[UserId, ...] = ()
    clinic_side: Literal["", "told", "seen", "with_patient", "overdue"] = ""
    clinic_step: int = -1
    clinic_by: UserId = ""
    clinic_at: float | None = None

    clinical: str = "untriaged"
    verdict: Verdict = ""
    grade: str = ""
    of: str = ""
    triaged_by: UserId = ""
    confirmed_by: UserId = ""
    closed_by: UserId = ""
    closed_at: float | None = None
    close_reason: str = ""
    reopened: int = 0

    call_back: CallBack = CallBack()
    clock: dict[str, float] = {}
    pages: dict[str, Page] = {}
    paged: int = 0
    timers: dict[str, float] = {}
    first: dict[str, float] = {}
    last: dict[str, float] = {}

    @property
    def closed(self) -> bool:
        return self.clinical == "closed"

    @property
    def active(self) -> bool:
        """Whether the condition lasts."""
        return self.condition == "active"

    @property
    def actionable(self) -> bool:
        """Whether somebody decided that the clinic must act: then it cannot be closed without read-back."""
        return self.verdict == "true_actionable"

    @property
    def audible(self) -> bool:
        """Whether a page that shows this case should sound for it."""
        return self.signal in ("sounding", "reminder") and not self.inhibited_by

    @property
    def shown_priority(self) -> Priority:
        """Priority to show it with: the highest of its own and of what it hides."""
        hidden = self.hidden_priority
        return hidden if hidden is not None and RISING[hidden] > RISING[self.priority] else self.priority

    @property
    def next_escalation(self) -> float | None:
        """When the next step is taken unless somebody accepts."""
        return self.timers.get("escalate")

    @property
    def lease_until(self) -> float | None:
        """Until when its owner has it; a clinical step prolongs it."""
        return self.timers.get("lease") if self.owner else None

    def open_pages(self, side: str | None = None) -> tuple[Page, ...]:
        """Pages that may still be on their way or wait for an answer."""
        return tuple(p for p in self.pages.values() if p.state in OPEN_PAGES and side in (None, p.side))
