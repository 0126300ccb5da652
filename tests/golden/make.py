"""Write the golden bytes of a message type that has none yet: ``python -m tests.golden.make``.

A file that is there is never touched: it stands for bytes that are already on somebody's topic. For a
change of schema, raise `SCHEMA_VERSION`, keep reading the old files, and let this write new ones.
"""

from pathlib import Path

from leadwire import codec
from leadwire.case import Command, Line, NetworkItem, RegisterEntry, Watcher, WatchReport
from leadwire.messages import Message
from leadwire.model import (
    SCHEMA_VERSION,
    Alert,
    AlertRule,
    Beat,
    DeviceStatus,
    Evidence,
    HeartRate,
    LinkEvent,
    Quarantined,
    RhythmEpisode,
    SampleChunk,
    SignalQuality,
    State,
    StreamInfo,
)

HERE = Path(__file__).parent

_EVIDENCE = Evidence(
    rule="no_qrs",
    value=4.004,
    threshold=4.0,
    unit="s",
    beats=(74_120, 74_420),
    leads=("MLII", "V1"),
    quality=0.93,
    detail="RR 0.83 s before",
)

MESSAGES: dict[str, Message] = {
    "stream": StreamInfo(
        stream="patch-7.2026-11-21",
        device="patch-7",
        clinic="青山镇卫生院",
        bed="3",
        patient="P-1042",
        fs=360.0,
        sig_name=("MLII", "V1"),
        units=("mV", "mV"),
        started=1_795_300_000.25,
        ended=1_795_303_600.5,
        firmware="2.4.1",
    ),
    "chunk": SampleChunk(
        stream="patch-7.2026-11-21",
        first_sample=2**33 + 7,
        fs=360.0,
        sig_name=("MLII", "PLETH"),
        units=("mV", "NU"),
        adc_gain=(200.0, 1000.5),
        baseline=(1024, -3),
        samples=b"\x00\x80\xff\x7f\x01\x00\xff\xff\x02\x00\xfe\xff",
        device_time=1_795_300_001.5,
        receive_time=1_795_300_002.125,
        lead_off=("MLII",),
        late=True,
    ),
    "beat": Beat(
        stream="patch-7.2026-11-21",
        sample=74_420,
        detected=74_490,
        symbol="V",
        rr=0.8333,
        amplitude=1.25,
        quality=0.875,
        leads=("MLII", "V1"),
    ),
    "heart_rate": HeartRate(stream="patch-7.2026-11-21", sample=74_520, rate=72.5),
    "quality": SignalQuality(
        stream="patch-7.2026-11-21",
        sample=74_520,
        sig_name=("MLII", "V1"),
        flags=((), ("noisy", "mains")),
        score=0.75,
        usable=True,
    ),
    "episode": RhythmEpisode(
        stream="patch-7.2026-11-21",
        kind="asystole",
        onset=74_420,
        detected=75_860,
        end=76_300,
        evidence=_EVIDENCE,
        withheld="noisy",
    ),
    "link": LinkEvent(
        stream="patch-7.2026-11-21",
        kind="gap",
        sample=80_000,
        n_samples=720,
        time=1_795_300_222.0,
        detail="sequence 88 to 90",
    ),
    "device_status": DeviceStatus(
        stream="patch-7.2026-11-21", sample=80_720, time=1_795_300_224.0, lead_off=("V1",), battery=41.5
    ),
    "alert": Alert(
        id="patch-7.2026-11-21:74420:asystole",
        version=2,
        stream="patch-7.2026-11-21",
        kind="asystole",
        priority="high",
        category="physiological",
        state="ended",
        onset=74_420,
        end=76_300,
        raised_at=1_795_300_210.0,
        changed_at=1_795_300_212.0,
        evidence=_EVIDENCE,
        clinic="青山镇卫生院",
        bed="3",
        patient="P-1042",
        device="patch-7",
        late=True,
        rule=AlertRule(
            pack="critical-zhejiang 1",
            tier="critical",
            latching=True,
            family="slow",
            rank=50,
            reminder_s=120.0,
            group_s=300.0,
            inhibits=("pause", "bradycardia"),
            notify="task",
            can_be_off=False,
        ),
    ),
    "state": State(stream="patch-7.2026-11-21", stage="dsp", next_sample=75_860, snapshot=b"\x00\x01\xff"),
    "command": Command(
        id="web-7f3a",
        alert="patch-7.2026-11-21:74420:asystole",
        action="read_back",
        by="li.wei",
        at=1_795_300_280.5,
        data={"words": "停搏 6 秒, 立即送上级医院", "by": "wang.fang", "seconds": 42},
    ),
    "register_entry": RegisterEntry(
        id="web-7f3a@patch-7.2026-11-21:74420:asystole",
        alert="patch-7.2026-11-21:74420:asystole",
        cause="web-7f3a",
        at=1_795_300_280.75,
        by="li.wei",
        lines=(
            Line(line="callback", state="read_back", data={"words": "停搏 6 秒", "by": "wang.fang"}),
            Line(line="signal", state="quiet"),
        ),
    ),
    "network_item": NetworkItem(
        key="admin-12",
        kind="criteria",
        id="P-1042",
        body={"scope": "patient", "target": "P-1042", "pack": "ambulatory", "rules": {}},
        by="li.wei",
        at=1_795_300_100.0,
    ),
    "watch_report": WatchReport(
        process="hub-1:8070",
        at=1_795_300_281.0,
        roles=("dashboard", "alerts"),
        watchers=(Watcher(user="li.wei", clinics=("青山镇卫生院",), visible=True, audio="blocked"),),
        lag={"alerts": 3},
    ),
    "quarantined": Quarantined(
        source="gateway 127.0.0.1",
        reason="12 bytes came; a hello was expected",
        time=1_795_300_300.0,
        data=b"GET / HTTP/1.1",
        truncated=True,
    ),
}
"""One message per `type`, each field away from its default, so that a lost field shows."""


def main() -> None:
    for name, message in MESSAGES.items():
        file = HERE / f"{name}.v{SCHEMA_VERSION}.msgpack"
        if file.exists():
            print(f"{file.name}: kept")
        else:
            file.write_bytes(codec.encode(message))
            print(f"{file.name}: written")


if __name__ == "__main__":
    main()
