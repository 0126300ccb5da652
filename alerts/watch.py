"""Who is watching? Pure: reports of processes, running streams and the time in, alerts out.

A clinic whose patients nobody sees and hears, a part of Leadwire of which nothing is heard, a queue that is
worked off late: each is an alert as any other, with an id of its own derived from its beginning, on a
stream that no device has (`STREAM`). The notifier sends it to phones (`case_facts.PHONE_KINDS`).

Whether this very part is alive it cannot tell: that is for a probe elsewhere (docs/channels.md).
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from msgspec import structs

from leadwire.case import Watcher, WatchReport
from leadwire.model import Alert, AlertRule, Evidence, Priority, StreamInfo, event_id

STREAM = "leadwire.watch."
"""What the stream of each of these alerts begins with."""

NO_DATA = "no_data"

WatchKind = Literal["unwatched", "role_silent", "queue_lag"]
Rules = Callable[[str], tuple[Priority, AlertRule]]
"""Kind -> how the rule pack wants it announced."""

_SAFE = re.compile(r"\A[A-Za-z0-9._-]{1,48}\Z")
_PLACE: dict[WatchKind, str] = {"unwatched": "clinic", "role_silent": "role", "queue_lag": "queue"}


@dataclass(frozen=True, slots=True)
class WatchLimits:
    """In s: nobody watches; no word of a role; age of what waits in a queue, and how long it may be so.

    `gone_s`: a stream that has sent nothing for so long need not be watched: there is nothing to see, and
    its silence is an alert of its own. A device that was switched off without a word never says goodbye.
    """

    watch_s: float = 30.0
    gone_s: float = 3600.0
    silent_s: float = 30.0
    lag_s: float = 15.0
    lagging_s: float = 30.0


@dataclass(slots=True)
class _Process:
    report: WatchReport
    heard: float


@dataclass(slots=True)
class _Trouble:
    """Something that is not as it should be: since when, and the alert it became."""

    since: float
    alert: Alert | None = None


def covers(watcher: Watcher, clinic: str) -> bool:
    """Whether this open page lets a person see and hear the patients of `clinic`.

    A pause of the sound (120 s at most) is somebody's act, so somebody is there; sound that the
    browser blocks has never been heard by anybody.
    """
    in_scope = not watcher.clinics or clinic in watcher.clinics
    return bool(watcher.user) and watcher.visible and watcher.audio != "blocked" and in_scope


@dataclass(slots=True)
class Watch:
    """See the module. All times in s since 1970, of a clock that does not step.

    Parameters
    ----------
    limits, rules
        When it becomes an alert, and how urgent that is.
    has_people
        Whether the network has users: without, there is nobody who could watch. Kept by the caller.
    """

    limits: WatchLimits
    rules: Rules
    has_people: bool = False
    _processes: dict[str, _Process] = field(default_factory=dict)
    _roles: dict[str, float] = field(default_factory=dict)
    _streams: dict[str, str] = field(default_factory=dict)
    _without_data: dict[str, float] = field(default_factory=dict)
    _troubles: dict[tuple[WatchKind, str], _Trouble] = field(default_factory=dict)

    def take_over(self, alerts: Iterable[Alert], reports: Mapping[str, WatchReport], now: float) -> None:
        """Go on from what was published (in its order) and from the last report of each process.

        A role counts as heard just then, unless its silence is an alert already: whoever is gone will be
        silent soon. People who watched a process that is silent are not taken for watching.
        """
        for alert in alerts:
            if alert.kind in _PLACE and alert.stream.startswith(STREAM):
                key = (alert.kind, alert.evidence.detail)
                if alert.state == "active":
                    self._troubles[key] = _Trouble(now, alert)
                else:
                    self._troubles.pop(key, None)
        for process, report in reports.items():
            old = now - report.at > self.limits.silent_s
            self.on_report(process, structs.replace(report, watchers=()) if old else report, now)
        for (kind, role), trouble in self._troubles.items():
            if kind == "role_silent" and trouble.alert is not None:
                self._roles[role] = min(trouble.alert.raised_at, now) - self.limits.silent_s - 1

    def on_stream(self, info: StreamInfo) -> None:
        """A stream runs, or has ended."""
        if info.ended is None:
            self._streams[info.stream] = info.clinic
        else:
            self._streams.pop(info.stream, None)
            self._without_data.pop(info.stream, None)

    def forget_stream(self, stream: str) -> None:
        """Nothing is known of a stream any more."""
        self._streams.pop(stream, None)

    def on_alert(self, alert: Alert) -> None:
        """An alert of a device's stream: that it sends nothing, or sends again, matters here."""
        if alert.kind == NO_DATA and alert.state == "active":
            self._without_data[alert.stream] = alert.raised_at
        elif alert.kind == NO_DATA:
            self._without_data.pop(alert.stream, None)

    def on_report(self, process: str, report: WatchReport | None, now: float) -> None:
        """A process says how it is; None: it says goodbye, so its silence is no alarm."""
        if report is not None:
            self._processes[process] = _Process(report, now)
            self._roles |= dict.fromkeys(report.roles, now)
            return
        gone = self._processes.pop(process, None)
        for role in gone.report.roles if gone else ():
            if not any(role in p.report.roles for p in self._fresh(now)):
                self._roles.pop(role, None)

    def on_time(self, now: float) -> tuple[Alert, ...]:
        """What begins to be an alert now, and what ends."""
        wrong = dict(self._wrong(now))
        made: list[Alert] = []
        for key in [k for k in self._troubles if k not in wrong]:
            known = self._troubles.pop(key).alert
            if known is not None:
                made.append(self._ended(known, now))
        for key, (since, limit) in wrong.items():
            trouble = self._troubles.setdefault(key, _Trouble(since))
            if trouble.alert is None and now - trouble.since >= limit:
                trouble.alert = self._raised(*key, trouble.since, limit, now)
                made.append(trouble.alert)
        return tuple(made)

    def forgettable(self, now: float) -> tuple[str, ...]:
        """Processes that are silent and not missed, for others do their work; they are dropped."""
        there = {role for p in self._fresh(now) for role in p.report.roles}
        old = tuple(
            name
            for name, p in self._processes.items()
            if now - p.heard > self.limits.silent_s
            and all(role in there or role not in self._roles for role in p.report.roles)
        )
        for name in old:
            del self._processes[name]
        return old

    def _fresh(self, now: float) -> list[_Process]:
        return [p for p in self._processes.values() if now - p.heard <= self.limits.silent_s]

    def _wrong(self, now: float) -> Iterable[tuple[tuple[WatchKind, str], tuple[float, float]]]:
        """What is not as it should be: since when, and how long that may last."""
        fresh = self._fresh(now)
        watchers = [w for p in fresh for w in p.report.watchers]
        gone = {s for s, since in self._without_data.items() if now - since > self.limits.gone_s}
        clinics = {clinic for stream, clinic in self._streams.items() if stream not in gone}
        for clinic in clinics if self.has_people else ():
            if not any(covers(w, clinic) for w in watchers):
                yield ("unwatched", clinic), (now, self.limits.watch_s)
        for role, heard in self._roles.items():
            if now - heard > self.limits.silent_s:
                yield ("role_silent", role), (heard, self.limits.silent_s)
        lags: dict[str, int] = {}
        for process in fresh:
            for stage, age in process.report.lag.items():
                lags[stage] = max(age, lags.get(stage, 0))
        for stage, age in lags.items():
            if age > self.limits.lag_s:
                yield ("queue_lag", stage), (now, self.limits.lagging_s)

    def _raised(self, kind: WatchKind, what: str, since: float, limit: float, now: float) -> Alert:
        priority, rule = self.rules(kind)
        place = what if _SAFE.match(what) else hashlib.sha256(what.encode()).hexdigest()[:16]
        stream, onset = f"{STREAM}{_PLACE[kind]}.{place}", max(0, int(since))
        return Alert(
            id=event_id(stream, onset, kind),
            version=1,
            stream=stream,
            kind=kind,
            priority=priority,
            category="technical",
            state="active",
            onset=onset,
            raised_at=now,
            changed_at=now,
            evidence=Evidence(rule=kind, value=now - since, threshold=limit, unit="s", detail=what),
            clinic=what if kind == "unwatched" else "",
            device="" if kind == "unwatched" else what,
            rule=rule,
        )

    def _ended(self, alert: Alert, now: float) -> Alert:
        return structs.replace(
            alert,
            version=alert.version + 1,
            state="ended",
            end=max(alert.onset, int(now)),
            changed_at=max(now, alert.raised_at),
        )
