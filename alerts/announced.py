"""What was announced: the alerts by id, and which condition of a stream belongs to which of them.

All of it can be read again from `ecg.alerts`, and where the streams are taken from `ecg.streams`.
"""

from bisect import bisect_right, insort
from collections.abc import Iterator
from typing import Any

from msgspec import structs

from alerts.kinds import info_of
from alerts.pack_files import Pack
from alerts.rules import Rule
from leadwire.model import Alert, Evidence, StreamInfo, event_id
from leadwire.topics import EVENTS

# Events older than this cannot come again, so ended alerts this old need not be remembered.
FORGET_S = EVENTS.retention_s or 0.0


def found_as(alert: Alert) -> str:
    """The kind by which the detectors said what `alert` announces: the last part of its id."""
    return alert.id.rpartition(":")[2]


class Announced:
    """The last transition of each alert; `infos`: what is known of each stream."""

    def __init__(self) -> None:
        self.infos: dict[str, StreamInfo] = {}
        self._alerts: dict[str, Alert] = {}
        self._onsets: dict[tuple[str, str], list[tuple[int, str]]] = {}
        self._open: dict[tuple[str, str], str] = {}

    def get(self, alert_id: str) -> Alert | None:
        return self._alerts.get(alert_id)

    def active(self) -> Iterator[Alert]:
        """Those that have not ended, in the order they were raised."""
        return (a for a in self._alerts.values() if a.state == "active")

    def open(self, stream: str, kind: str) -> Alert | None:
        """The alert that is active for what the detectors call `kind` on `stream`."""
        found = self._open.get((stream, kind))
        return None if found is None else self._alerts[found]

    def covering(self, stream: str, kind: str, onset: int) -> Alert | None:
        """The ended alert that a condition with this onset was part of."""
        onsets = self._onsets.get((stream, kind), [])
        i = bisect_right(onsets, (onset, "\uffff"))
        if not i:
            return None
        alert = self._alerts[onsets[i - 1][1]]
        covered = alert.end is not None and (onset < alert.end or onset == alert.onset)
        return alert if covered else None

    def take(self, alert: Alert) -> Alert:
        """Remember a transition (an older one than what is known is passed over) and return it."""
        known = self._alerts.get(alert.id)
        if known is not None and known.version >= alert.version:
            return alert
        key = (alert.stream, found_as(alert))
        if known is None:
            insort(self._onsets.setdefault(key, []), (alert.onset, alert.id))
        self._alerts[alert.id] = alert
        if alert.state == "active":
            self._open[key] = alert.id
        elif self._open.get(key) == alert.id:
            del self._open[key]
        return alert

    def raised(
        self,
        stream: str,
        kind: str,
        onset: int,
        rule: Rule,
        pack: Pack,
        evidence: Evidence,
        now: float,
        *,
        end: int | None = None,
        late: bool = False,
    ) -> Alert:
        """A new alert. A silence that began at the same sample before is raised anew, as its next version."""
        alert_id = event_id(stream, onset, kind)
        known = self._alerts.get(alert_id)
        says = rule.says or kind
        alert = Alert(
            id=alert_id,
            version=1 if known is None else known.version + 1,
            stream=stream,
            kind=says,
            priority=rule.priority,
            category=info_of(says).category,
            state="active" if end is None else "ended",
            onset=onset,
            end=None if end is None else max(end, onset),
            raised_at=now,
            changed_at=now,
            evidence=evidence,
            late=late,
            rule=rule.frozen(pack.label),
            **self._where(stream),
        )
        return self.take(alert)

    def moved(self, alert: Alert, now: float, **changes: Any) -> Alert:
        """The next transition of `alert`, with `changes`."""
        where = self._where(alert.stream)
        return self.take(
            structs.replace(alert, version=alert.version + 1, changed_at=now, **where, **changes)
        )

    def ended(self, alert: Alert, end: int, now: float, **changes: Any) -> Alert:
        """The end of `alert` at sample `end`."""
        return self.moved(alert, now, state="ended", end=max(end, alert.onset), **changes)

    def forget(self, now: float) -> None:
        """Drop ended alerts whose events can no longer come again."""
        old = [a for a in self._alerts.values() if a.state == "ended" and now - a.changed_at > FORGET_S]
        for alert in old:
            key = (alert.stream, found_as(alert))
            self._onsets[key].remove((alert.onset, alert.id))
            if not self._onsets[key]:
                del self._onsets[key]
            del self._alerts[alert.id]

    def _where(self, stream: str) -> dict[str, Any]:
        info = self.infos.get(stream)
        if info is None:
            return {}
        return {"clinic": info.clinic, "bed": info.bed, "patient": info.patient, "device": info.device}
