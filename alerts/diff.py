"""Two rule packs over the same night: which alarms one has that the other has not. Pure.

The same events go through a condition line for each pack. Two alerts are the same if they announce the
same kind on the same stream and overlap in time; what then differs in priority, tier or siren is a change.

The detectors must find whatever either pack asks for (`wide_limits`); a pack that leaves a limit to them
means the one they are set to, so that is written into it (`spelled_out`). Silences (`no_data`) depend on a
clock and on the network, and are not compared.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

from msgspec import structs

from alerts.conditions import ConditionEngine
from alerts.kinds import KINDS
from alerts.pack_files import Pack
from alerts.rules import Rule, RuleProblem, check_found
from leadwire.model import Alert, HeartRate, StreamEvent, StreamInfo
from leadwire.settings import Limits

DAY_S = 86_400.0


def wide_limits(limits: Limits, packs: Iterable[Pack]) -> Limits:
    """`limits`, opened as far as the packs need to find what they announce."""
    for pack in packs:
        for kind, rules in pack.rules.items():
            for number, rule in enumerate(rules):
                try:
                    check_found(kind, number, rule, limits)
                except RuleProblem as why:
                    setting = KINDS[kind].setting.removeprefix("limits.")
                    limits = structs.replace(limits, **{setting: getattr(rule, why.field)})
    return limits


def spelled_out(pack: Pack, limits: Limits) -> Pack:
    """The pack with the limit written into each rule that leaves it to detectors set to `limits`."""
    return replace(
        pack, rules={k: tuple(_spelled(k, rule, limits) for rule in r) for k, r in pack.rules.items()}
    )


def _spelled(kind: str, rule: Rule, limits: Limits) -> Rule:
    info = KINDS[kind]
    side = "at_most" if info.slow else "at_least"
    if not info.setting or getattr(rule, side) is not None:
        return rule
    value = float(getattr(limits, info.setting.removeprefix("limits.")))
    return structs.replace(rule, **{side: value, "unit": info.unit})


@dataclass(frozen=True)
class Alarm:
    """One alert from its raising to its end, in s since 1970; `end` None: it still lasted."""

    stream: str
    clinic: str
    patient: str
    kind: str
    priority: str
    tier: str
    notify: str
    onset: float
    raised: float
    end: float | None
    value: float
    unit: str

    @classmethod
    def of(cls, alert: Alert, started: float, fs: float) -> "Alarm":
        return cls(
            stream=alert.stream,
            clinic=alert.clinic,
            patient=alert.patient,
            kind=alert.kind,
            priority=alert.priority,
            tier=alert.rule.tier,
            notify=alert.rule.notify,
            onset=started + alert.onset / fs,
            raised=alert.raised_at,
            end=None if alert.end is None else started + alert.end / fs,
            value=alert.evidence.value,
            unit=alert.evidence.unit,
        )

    def same(self, other: "Alarm") -> bool:
        """Whether both announce the same."""
        if (self.stream, self.kind) != (other.stream, other.kind):
            return False
        return (other.end is None or self.onset <= other.end) and (
            self.end is None or other.onset <= self.end
        )

    @property
    def manner(self) -> tuple[str, str, str]:
        return self.priority, self.tier, self.notify


def announced(info: StreamInfo, events: Iterable[StreamEvent], packs: Sequence[Pack]) -> list[list[Alarm]]:
    """What each of `packs` announces of one stream.

    The clock goes with the samples: sample 0 is at `info.started`, and nothing is late.
    """
    engines = [ConditionEngine(lambda stream, info, pack=pack: pack) for pack in packs]  # type: ignore[misc]
    alerts: list[dict[str, Alert]] = [{} for _ in packs]
    for engine in engines:
        engine.on_stream(info)
    now = info.started
    for event in events:
        if isinstance(event, HeartRate):
            now = max(now, info.started + event.sample / info.fs)
        for engine, found in zip(engines, alerts, strict=True):
            for alert in engine.on_event(event, now).alerts:
                found[alert.id] = alert
    return [[Alarm.of(a, info.started, info.fs) for a in found.values()] for found in alerts]


@dataclass
class Difference:
    """What came of one or many streams; `a` and `b` are the packs' labels."""

    a: str
    b: str
    seconds: float = 0.0
    streams: int = 0
    only_a: list[Alarm] = field(default_factory=list)
    only_b: list[Alarm] = field(default_factory=list)
    changed: list[tuple[Alarm, Alarm]] = field(default_factory=list)
    all_a: list[Alarm] = field(default_factory=list)
    all_b: list[Alarm] = field(default_factory=list)

    def add(self, a: Iterable[Alarm], b: Iterable[Alarm], seconds: float) -> None:
        """Take in what both packs announced of one stream in `seconds` of it."""
        left, right = list(a), list(b)
        self.streams += 1
        self.seconds += seconds
        self.all_a += left
        self.all_b += right
        self.only_a += [x for x in left if not any(x.same(y) for y in right)]
        self.only_b += [y for y in right if not any(y.same(x) for x in left)]
        for x in left:
            twin = next((y for y in right if x.same(y)), None)
            if twin is not None and x.manner != twin.manner:
                self.changed.append((x, twin))

    @property
    def patient_days(self) -> float:
        return self.seconds / DAY_S

    def table(self) -> list[dict[str, Any]]:
        """Per kind, and for all under kind "": how many, a patient-day, lost, gained, changed, s to alarm."""
        kinds = sorted({alarm.kind for alarm in self.all_a + self.all_b})
        return [self._row(kind) for kind in [*kinds, ""]]

    def _row(self, kind: str) -> dict[str, Any]:
        def of(alarms: list[Alarm]) -> list[Alarm]:
            return [alarm for alarm in alarms if kind in ("", alarm.kind)]

        a, b = of(self.all_a), of(self.all_b)
        days = self.patient_days
        return {
            "kind": kind,
            "a": len(a),
            "b": len(b),
            "a_per_patient_day": len(a) / days if days else None,
            "b_per_patient_day": len(b) / days if days else None,
            "a_sirens": _sirens(a),
            "b_sirens": _sirens(b),
            "lost": len(of(self.only_a)),
            "gained": len(of(self.only_b)),
            "changed": sum(1 for x, _ in self.changed if kind in ("", x.kind)),
            "a_seconds_to_alarm": _seconds(a),
            "b_seconds_to_alarm": _seconds(b),
        }


def _sirens(alarms: list[Alarm]) -> dict[str, int]:
    """By priority, how many of them sound."""
    return dict(sorted(Counter(a.priority for a in alarms if a.notify == "siren").items()))


def _seconds(alarms: list[Alarm]) -> float | None:
    """Median from onset to alarm."""
    return round(median(a.raised - a.onset for a in alarms), 2) if alarms else None
