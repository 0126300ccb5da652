"""A stream as the condition line hears it: seconds of samples, what the detectors say, and a manual clock."""

from typing import Any

import msgspec

from alerts.conditions import ConditionEngine, Refusal
from alerts.pack_files import DEFAULT, Pack, shipped_pack
from leadwire.model import (
    Alert,
    Beat,
    DeviceStatus,
    Evidence,
    HeartRate,
    RhythmEpisode,
    StreamEvent,
    StreamInfo,
)

T0 = 1_700_000_000.0
FS = 100.0
UNITS = {"asystole": "s", "pause": "s", "atrial_fibrillation": "", "noisy": "s"}


def stream_info(stream: str = "a", fs: float = FS) -> StreamInfo:
    return StreamInfo(
        stream=stream,
        device="d1",
        clinic="c1",
        bed="7",
        patient="p1",
        fs=fs,
        sig_name=("II",),
        units=("mV",),
        started=T0,
    )


def pack(**rules: Any) -> Pack:
    """The default pack with rules of kinds replaced: a dict, or a list of them."""
    given = {k: {"rules": v if isinstance(v, list) else [v]} for k, v in rules.items()}
    return shipped_pack(DEFAULT).changed(given, "test")


def said(
    kind: str,
    onset: float,
    value: float = 4.0,
    end: float | None = None,
    detected: float | None = None,
    withheld: str = "",
    stream: str = "a",
) -> RhythmEpisode:
    """What a detector says; times in s."""
    return RhythmEpisode(
        stream=stream,
        kind=kind,
        onset=round(onset * FS),
        detected=round((onset if detected is None else detected) * FS),
        end=None if end is None else round(end * FS),
        evidence=Evidence(rule=kind, value=value, threshold=0.0, unit=UNITS.get(kind, "1/min")),
        withheld=withheld,
    )


class World:
    """One stream "a", heard by an engine whose clock runs with the samples, `behind_s` later."""

    def __init__(self, pack: Pack | None = None, *, known: bool = True) -> None:
        self.pack = pack or shipped_pack(DEFAULT)
        self.engine = self.fresh()
        self.alerts: list[Alert] = []
        self.refusals: list[Refusal] = []
        self.at = 0
        self.behind_s = 0.0
        if known:
            self.engine.on_stream(stream_info())

    def fresh(self) -> ConditionEngine:
        return ConditionEngine(lambda stream, info: self.pack)

    @property
    def now(self) -> float:
        return T0 + self.at + self.behind_s

    def hear(self, *events: StreamEvent) -> list[Alert]:
        """Handle events now; returns the alerts they brought about."""
        out: list[Alert] = []
        for event in events:
            decision = self.engine.on_event(event, self.now)
            out += decision.alerts
            self.refusals += decision.refusals
        self.alerts += out
        return out

    def run(self, until_s: int, rate: float | None = 75.0) -> list[Alert]:
        """Let seconds of samples go by, up to `until_s`."""
        out: list[Alert] = []
        while self.at < until_s:
            self.at += 1
            out += self.hear(HeartRate(stream="a", sample=round(self.at * FS), rate=rate))
        return out

    def beat(self, at_s: float, rr: float) -> None:
        sample = round(at_s * FS)
        self.hear(Beat(stream="a", sample=sample, detected=sample, rr=rr))

    def battery(self, level: float | None) -> list[Alert]:
        return self.hear(DeviceStatus(stream="a", sample=round(self.at * FS), time=self.now, battery=level))

    def wait(self, seconds: float) -> list[Alert]:
        """Time goes by without samples."""
        self.behind_s += seconds
        decision = self.engine.on_time(self.now)
        self.alerts += decision.alerts
        return [a for a in decision.alerts if a.kind != "no_data"]

    def die(self) -> None:
        """Another process goes on from what this one published and wrote."""
        snapshots = list(self.engine.changed())
        alerts = [msgspec.msgpack.decode(msgspec.msgpack.encode(a), type=Alert) for a in self.alerts]
        self.engine = self.fresh()
        self.engine.rebuild(alerts)
        for stream, _, data in snapshots:
            if data is not None:
                self.engine.restore(stream, data)
        self.engine.on_stream(stream_info())

    def reasons(self) -> list[str]:
        return [refusal.reason for refusal in self.refusals]
