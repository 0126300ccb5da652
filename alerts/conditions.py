"""Events in, alert transitions out. Pure: the caller tells the time and keeps what comes out.

An alert's identity is derived from its stream, onset sample and kind, so the same events twice
give the same alerts, once. What is not announced has a named reason (`Refusal`). The engine's
whole state can be rebuilt from its own output (`rebuild`) and the list of running streams (`expect`).

Not here: who is told, and what became of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from alerts.kinds import KINDS
from alerts.pack_files import DEFAULT, shipped_pack
from alerts.rules import Rule
from leadwire.model import Alert, Evidence, LinkEvent, RhythmEpisode, StreamEvent, event_id
from leadwire.topics import EVENTS

NO_DATA_S = 10.0
"""Seconds without new samples of a stream that has not ended until it is an alert."""

# Events older than this cannot come again, so ended alerts this old need not be remembered.
FORGET_S = EVENTS.retention_s or 0.0

State = Literal["active", "ended"]
Reason = Literal["no_rule", "withheld", "known"]


@dataclass(frozen=True)
class Refusal:
    """A condition that was not announced, and why.

    ``no_rule``: the table has no such kind; ``withheld``: the detector said so, `detail` quotes it;
    ``known``: this very transition was announced before (a replay).
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


def _default() -> dict[str, Rule]:
    return {kind: rules[-1] for kind, rules in shipped_pack(DEFAULT).rules.items()}


@dataclass
class _Contact:
    """When a stream's samples last advanced, and to where."""

    heard: float
    sample: int


class ConditionEngine:
    """Turns the events of any number of streams into alerts.

    Parameters
    ----------
    rules
        Kind of condition -> `Rule`.
    """

    def __init__(self, rules: dict[str, Rule] | None = None) -> None:
        self._rules = _default() if rules is None else rules
        self._alerts: dict[str, Alert] = {}
        self._contacts: dict[str, _Contact] = {}
        self._silent: dict[str, str] = {}  # stream -> id of its open no_data alert

    def rebuild(self, transitions: Iterable[Alert]) -> None:
        """Take in alerts published earlier, in their order; nothing is announced again."""
        for alert in transitions:
            known = self._alerts.get(alert.id)
            if known is None or known.version < alert.version:
                self._remember(alert)

    def expect(self, stream: str, now: float) -> None:
        """From now on silence of `stream` counts; any event of it does the same."""
        self._contacts.setdefault(stream, _Contact(now, 0))

    def on_event(self, event: StreamEvent, now: float) -> Decision:
        """Decide on one event of a stream. `now` in s, epoch."""
        sample = event.detected if isinstance(event, RhythmEpisode) else event.sample
        if isinstance(event, LinkEvent) and event.kind == "ended":
            self._contacts.pop(event.stream, None)
            return self._end_silence(event.stream, sample, now)
        # A connection without samples is still silence: only progress is a sign of life.
        contact = self._contacts.setdefault(event.stream, _Contact(now, sample))
        decision = Decision()
        if sample > contact.sample:
            contact.heard, contact.sample = now, sample
            decision = self._end_silence(event.stream, sample, now)
        if isinstance(event, RhythmEpisode):
            decision += self._on_episode(event, now)
        return decision

    def on_time(self, now: float) -> Decision:
        """Raise what time alone brings about: streams that have gone silent."""
        raised: list[Alert] = []
        rule = self._rules.get("no_data")
        for stream, contact in self._contacts.items():
            silence = now - contact.heard
            if rule is None or silence < NO_DATA_S or stream in self._silent:
                continue
            evidence = Evidence(rule="no_data", value=silence, threshold=NO_DATA_S, unit="s")
            onset = contact.sample
            raised.append(self._transition(stream, "no_data", onset, None, rule, evidence, now))
        return Decision(tuple(raised))

    def forget(self, now: float) -> None:
        """Drop ended alerts whose events can no longer come again."""
        old = [i for i, a in self._alerts.items() if a.state == "ended" and now - a.changed_at > FORGET_S]
        for alert_id in old:
            del self._alerts[alert_id]

    def open_alerts(self) -> tuple[Alert, ...]:
        """The alerts that are active, in the order they were raised."""
        return tuple(a for a in self._alerts.values() if a.state == "active")

    def _on_episode(self, episode: RhythmEpisode, now: float) -> Decision:
        alert_id = event_id(episode.stream, episode.onset, episode.kind)
        rule = self._rules.get(episode.kind)
        if rule is None:
            return Decision(refusals=(Refusal(alert_id, "no_rule", episode.kind),))
        known = self._alerts.get(alert_id)
        if known is None and episode.withheld:
            return Decision(refusals=(Refusal(alert_id, "withheld", episode.withheld),))
        if known is not None and (known.state == "ended" or episode.end is None):
            return Decision(refusals=(Refusal(alert_id, "known", f"version {known.version}"),))
        alert = self._transition(
            episode.stream, episode.kind, episode.onset, episode.end, rule, episode.evidence, now
        )
        return Decision(alerts=(alert,))

    def _end_silence(self, stream: str, sample: int, now: float) -> Decision:
        alert_id = self._silent.get(stream)
        if alert_id is None:
            return Decision()
        known = self._alerts[alert_id]
        rule = Rule(priority=known.priority)
        end = max(sample, known.onset)
        return Decision((self._transition(stream, "no_data", known.onset, end, rule, known.evidence, now),))

    def _transition(
        self,
        stream: str,
        kind: str,
        onset: int,
        end: int | None,
        rule: Rule,
        evidence: Evidence,
        now: float,
    ) -> Alert:
        alert_id = event_id(stream, onset, kind)
        known = self._alerts.get(alert_id)
        alert = Alert(
            id=alert_id,
            version=1 if known is None else known.version + 1,
            stream=stream,
            kind=kind,
            priority=rule.priority,
            category=KINDS[kind].category,
            state="active" if end is None else "ended",
            onset=onset,
            end=end,
            # An ended silence at the same sample may begin anew: then it was raised anew.
            raised_at=now if known is None or known.state == "ended" else known.raised_at,
            changed_at=now,
            evidence=evidence,
        )
        self._remember(alert)
        return alert

    def _remember(self, alert: Alert) -> None:
        self._alerts[alert.id] = alert
        if alert.kind == "no_data" and alert.state == "active":
            self._silent[alert.stream] = alert.id
        elif alert.kind == "no_data":
            self._silent.pop(alert.stream, None)
