"""The messages everybody shares: frozen msgspec structs, one per thing said on a topic.

Words and units: `sample` is a sample number of the stream counted from 0; `fs` in Hz; amplitudes
in mV; `rr` in s; heart rate in 1/min; times in seconds since the Unix epoch (UTC). Bytes are made
and read in `codec.py`; which message goes on which topic stands in `topics.py`.

Ranges written as types (`ranges.py`) are checked when bytes are read; what `__post_init__` checks
holds for every message, made here or read.
"""

from functools import lru_cache
from typing import Literal

import numpy as np
from msgspec import Struct, structs
from numpy.typing import NDArray

from leadwire.alert_rule import AlertRule as AlertRule
from leadwire.ranges import (
    MAX_CHUNK_SAMPLES,
    MAX_SAMPLE,
    Count,
    Finite,
    Kind,
    Label,
    NotNegative,
    Percent,
    Positive,
    Sample,
    Score,
    StreamId,
    Time,
    check_calibrated,
    check_labels,
    check_signals,
    check_stream_id,
    check_time,
)

SCHEMA_VERSION = 1
INVALID_SAMPLE = -32768
"""The int16 value that says "no measurement here", as in WFDB format 16."""

UNIT_IN_MV = {"mV": 1.0, "uV": 1e-3, "V": 1e3}
"""The units of ECG leads; a signal in any other unit is another waveform and keeps its unit."""


class BusMessage(Struct, frozen=True, kw_only=True, tag_field="type"):
    """What every message on a topic has: its type, and the version of the schema."""

    v: int = SCHEMA_VERSION


class StreamInfo(BusMessage, frozen=True, kw_only=True, tag="stream"):
    """Who and what a stream is; last one per stream kept on `ecg.streams`.

    `stream` is one recording session of one device; its samples are numbered from 0. `clinic` and
    `bed` say where; `patient` is a label that the clinic chose, never a name by force. `ended` is set
    once the device has said that the recording is over: only then is its silence no alarm.
    """

    stream: str
    device: str
    clinic: str
    bed: str
    patient: str = ""
    fs: float
    sig_name: tuple[str, ...]
    units: tuple[str, ...]
    started: Time
    ended: Time | None = None
    firmware: str = ""

    def __post_init__(self) -> None:
        check_stream_id(self.stream)
        check_signals(self.fs, self.sig_name, self.units)
        check_time(self.started)
        check_labels(self.device, self.clinic, self.bed, self.patient, self.firmware)


_DIGIT = np.dtype("<i2")


@lru_cache(maxsize=4096)
def _calibration(
    units: tuple[str, ...], adc_gain: tuple[float, ...], baseline: tuple[int, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Baseline, and mV (or the signal's own unit) per digit, one per signal; shared, never written to."""
    scale = np.array([UNIT_IN_MV.get(u, 1.0) for u in units]) / np.array(adc_gain)
    return np.array(baseline, dtype=np.float64), scale


class SampleChunk(BusMessage, frozen=True, kw_only=True, tag="chunk"):
    """A stretch of samples of one stream, self-contained.

    Attributes
    ----------
    stream, first_sample
        The stream and the number of the first sample row; the rows follow without a hole. A jump
        of `first_sample` from one chunk to the next is a gap.
    fs
        Sampling frequency in Hz.
    sig_name, units
        One name and unit per signal. Signals in mV, uV or V are ECG leads; others (mmHg, NU ...)
        are pulse or other waveforms.
    adc_gain, baseline
        physical = (digital - baseline) / adc_gain, in `units`.
    samples
        int16, little-endian, row by row: shape (n_samples, n_sig). `INVALID_SAMPLE` marks a
        missing measurement.
    device_time, receive_time
        When the first sample was taken by the device's clock, and when it reached the gateway.
    lead_off
        Signals whose electrode the device reported off during this chunk.
    late
        True for rows delivered after their place was already passed as a gap (store and forward):
        they are archived, and never alarmed as new.
    """

    stream: str
    first_sample: int
    fs: float
    sig_name: tuple[str, ...]
    units: tuple[str, ...]
    adc_gain: tuple[float, ...]
    baseline: tuple[int, ...]
    samples: bytes
    device_time: float
    receive_time: float
    lead_off: tuple[str, ...] = ()
    late: bool = False

    def __post_init__(self) -> None:
        check_stream_id(self.stream)
        check_calibrated(self.fs, self.sig_name, self.units, self.adc_gain, self.baseline)
        n_sig = len(self.sig_name)
        if not 0 <= self.first_sample <= MAX_SAMPLE - MAX_CHUNK_SAMPLES:
            raise ValueError(f"first_sample {self.first_sample} came; 0 to 2**53 was expected")
        if len(self.samples) % (2 * n_sig):
            raise ValueError(
                f"{len(self.samples)} sample bytes came; a multiple of {2 * n_sig} "
                f"(int16 x {n_sig} signals) was expected"
            )
        if self.n_samples > MAX_CHUNK_SAMPLES:
            raise ValueError(f"{self.n_samples} samples came; at most {MAX_CHUNK_SAMPLES} were expected")
        check_time(self.device_time)
        check_time(self.receive_time)
        if not set(self.lead_off).issubset(self.sig_name):
            raise ValueError(
                f"lead_off {self.lead_off[:16]} came; names out of {self.sig_name} were expected"
            )

    @property
    def n_sig(self) -> int:
        return len(self.sig_name)

    @property
    def n_samples(self) -> int:
        return len(self.samples) // (2 * len(self.sig_name))

    @property
    def end_sample(self) -> int:
        """The number one past the last sample."""
        return self.first_sample + self.n_samples

    def d_signal(self) -> NDArray[np.int16]:
        """Digital samples, shape (n_samples, n_sig), a read-only view."""
        return np.frombuffer(self.samples, _DIGIT).reshape(-1, self.n_sig)

    def p_signal(self) -> NDArray[np.float64]:
        """Physical samples, shape (n_samples, n_sig): mV for ECG leads, NaN where invalid."""
        d = self.d_signal()
        baseline, mv_per_digit = _calibration(self.units, self.adc_gain, self.baseline)
        p: NDArray[np.float64] = d - baseline
        p *= mv_per_digit
        if d.min(initial=0) == INVALID_SAMPLE:
            p[d == INVALID_SAMPLE] = np.nan
        return p

    def ecg_leads(self) -> tuple[int, ...]:
        """Indices of the signals that are ECG leads."""
        return tuple(i for i, u in enumerate(self.units) if u in UNIT_IN_MV)

    def rows(self, start: int, stop: int) -> "SampleChunk":
        """The rows with sample numbers `start` <= n < `stop` (both inside this chunk) as a chunk.

        The device time moves with the rows: one sample lasts 1 / fs seconds of the device's clock.
        """
        if not self.first_sample <= start <= stop <= self.end_sample:
            raise ValueError(
                f"rows {start}..{stop} came; inside {self.first_sample}..{self.end_sample} expected"
            )
        width = 2 * self.n_sig
        a, b = (start - self.first_sample) * width, (stop - self.first_sample) * width
        return structs.replace(
            self,
            first_sample=start,
            samples=self.samples[a:b],
            device_time=self.device_time + (start - self.first_sample) / self.fs,
        )


class Beat(BusMessage, frozen=True, kw_only=True, tag="beat"):
    """One QRS complex.

    `sample` is the fiducial point (R peak), `detected` the last sample the decision needed,
    so (detected - sample) / fs is its latency. `symbol` is a WFDB beat code; "Q" until a class is known.
    `quality` 0..1 and `leads` say how sure and from which signals; `amplitude` in mV peak to peak.
    """

    stream: StreamId
    sample: Sample
    detected: Sample
    symbol: str = "Q"
    rr: Positive | None = None
    amplitude: NotNegative = 0.0
    quality: Score = 1.0
    leads: tuple[str, ...] = ()


class HeartRate(BusMessage, frozen=True, kw_only=True, tag="heart_rate"):
    """Heart rate in 1/min as of `sample`; None: it cannot be told (no beats, no usable lead)."""

    stream: StreamId
    sample: Sample
    rate: NotNegative | None


QualityFlag = Literal["lead_off", "flat", "saturated", "noisy", "mains", "wander", "missing"]


class SignalQuality(BusMessage, frozen=True, kw_only=True, tag="quality"):
    """Signal quality of the second that ends before `sample`.

    `flags` has one tuple per signal in `sig_name` order; an empty tuple means nothing is wrong.
    `score` 0..1 is the best any lead offers; `usable` says whether rhythm alarms may rely on it.
    """

    stream: StreamId
    sample: Sample
    sig_name: tuple[str, ...]
    flags: tuple[tuple[QualityFlag, ...], ...]
    score: Score
    usable: bool


class Evidence(Struct, frozen=True, kw_only=True):
    """Why a condition was called: enough to check it by hand.

    `rule` names the rule, `value` what was measured against `threshold`, both in `unit`; `beats`
    are sample numbers; `quality` the score then; `leads` the signals it rests on.
    """

    rule: str
    value: Finite
    threshold: Finite
    unit: str
    beats: tuple[Sample, ...] = ()
    leads: tuple[str, ...] = ()
    quality: Score = 1.0
    detail: str = ""


class RhythmEpisode(BusMessage, frozen=True, kw_only=True, tag="episode"):
    """A condition a detector sees: it begins once, and ends once.

    `kind` is a word of the catalogue (asystole, pause, extreme_tachycardia, lead_off ...). `onset`
    is the first sample of the condition, `detected` the sample at which it was known, `end` None
    while it lasts. (stream, onset, kind) is its identity: the same bytes give the same episode.
    `withheld` says why it must not be announced (bad signal, for example); empty: announce it.
    """

    stream: StreamId
    kind: Kind
    onset: Sample
    detected: Sample
    end: Sample | None = None
    evidence: Evidence
    withheld: str = ""


class LinkEvent(BusMessage, frozen=True, kw_only=True, tag="link"):
    """What the gateway noticed about a stream.

    connected, disconnected (without a word), ended (the device said goodbye: no more samples),
    gap, overlap (a sample number came twice with different content), clock_jump, late data.

    `sample` is where in the stream, `n_samples` how many are concerned, `time` when it was noticed.
    """

    stream: StreamId
    kind: Literal["connected", "disconnected", "ended", "gap", "overlap", "clock_jump", "late"]
    sample: Sample
    n_samples: Count = 0
    time: Time
    detail: str = ""


class DeviceStatus(BusMessage, frozen=True, kw_only=True, tag="device_status"):
    """What a device says of itself: electrodes off, battery in percent (None: on mains)."""

    stream: StreamId
    sample: Sample
    time: Time
    lead_off: tuple[str, ...] = ()
    battery: Percent | None = None


Priority = Literal["high", "medium", "low"]


class Alert(BusMessage, frozen=True, kw_only=True, tag="alert"):
    """One transition of an alert; the last one per `id` is its present state.

    `id` is derived from stream, onset sample and kind. `version` counts the transitions from 1.
    `category` is IEC 60601-1-8's: physiological or technical. `clinic`, `bed`, `patient` and `device` are
    the stream's when the transition was made, empty if nothing was known of it.

    `late`: it was found in data that came long after they were measured. Late and `ended` from the
    first: a line on a list, never a sound. Late and `active`: it still lasted when the data had
    caught up, and sounds as any other.
    """

    id: str
    version: Count
    stream: StreamId
    kind: Kind
    priority: Priority
    category: Literal["physiological", "technical"]
    state: Literal["active", "ended"]
    onset: Sample
    end: Sample | None = None
    raised_at: Time
    changed_at: Time
    evidence: Evidence
    clinic: Label = ""
    bed: Label = ""
    patient: Label = ""
    device: Label = ""
    late: bool = False
    rule: AlertRule = AlertRule()


class State(BusMessage, frozen=True, kw_only=True, tag="state"):
    """A stage's snapshot for one stream on the compacted topic `ecg.state`.

    `next_sample` is the first sample the snapshot has not seen; `snapshot` is opaque to all but
    the stage that wrote it.
    """

    stream: StreamId
    stage: str
    next_sample: Sample
    snapshot: bytes


class Quarantined(BusMessage, frozen=True, kw_only=True, tag="quarantined"):
    """Refused input, kept whole (up to the topic's limit), with the reason."""

    source: str
    reason: str
    time: Time
    data: bytes
    truncated: bool = False


StreamEvent = Beat | HeartRate | SignalQuality | RhythmEpisode | LinkEvent | DeviceStatus
"""What may stand on ecg.events."""


def event_id(stream: str, sample: int, kind: str) -> str:
    """The derived identity of whatever happened: the same bytes give the same id, for ever."""
    return f"{stream}:{sample}:{kind}"
