"""Everything that may stand on a topic: one union, which `codec.py` reads and writes."""

from leadwire.case import Command, NetworkItem, RegisterEntry, WatchReport
from leadwire.model import (
    Alert,
    Beat,
    DeviceStatus,
    HeartRate,
    LinkEvent,
    Quarantined,
    RhythmEpisode,
    SampleChunk,
    SignalQuality,
    State,
    StreamInfo,
)

Message = (
    StreamInfo
    | SampleChunk
    | Beat
    | HeartRate
    | SignalQuality
    | RhythmEpisode
    | LinkEvent
    | DeviceStatus
    | Alert
    | State
    | Quarantined
    | Command
    | RegisterEntry
    | NetworkItem
    | WatchReport
)
