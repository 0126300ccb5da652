"""The messages everybody shares: frozen msgspec structs, one per thing said on a topic.

Words and units: `sample` is a sample number of the stream counted from 0; `fs` in Hz; amplitudes
in mV; `rr` in s; heart rate in 1/min; times in seconds since the Unix epoch (UTC). Bytes are made
and read in `codec.py`; which message goes on which topic stands in `topics.py`.
"""

import re
from typing import Literal

import numpy as np
from msgspec import Struct, structs
from numpy.typing import NDArray

SCHEMA_VERSION = 1

MIN_FS, MAX_FS = 50.0, 2000.0
MAX_SIG = 16
MAX_CHUNK_SAMPLES = 100_000
INVALID_SAMPLE = -32768
"""The int16 value that says "no measurement here", as in WFDB format 16."""

_STREAM_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}\Z")
_ECG_UNITS = frozenset({"mV", "uV", "V"})
_UNIT_IN_MV = {"mV": 1.0, "uV": 1e-3, "V": 1e3}


def check_stream_id(stream: str) -> str:
    """Return `stream` if it is a valid id (1-96 of A-Z a-z 0-9 . _ -), else raise ValueError."""
    if not _STREAM_ID.match(stream):
        raise ValueError(
            f"stream id {stream[:100]!r} came; 1 to 96 characters of A-Z a-z 0-9 . _ -, beginning "
            "with a letter or digit, were expected"
        )
    return stream


class _Message(Struct, frozen=True, kw_only=True, tag_field="type"):
    v: int = SCHEMA_VERSION


class StreamInfo(_Message, frozen=True, kw_only=True, tag="stream"):
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
    started: float
    ended: float | None = None
    firmware: str = ""

    def __post_init__(self) -> None:
        check_stream_id(self.stream)
        check_signals(self.fs, self.sig_name, self.units)


def check_signals(fs: float, sig_name: tuple[str, ...], units: tuple[str, ...]) -> None:
    """Raise ValueError unless the sampling rate, lead names and units are usable."""
    if not MIN_FS <= fs <= MAX_FS:  # NaN fails too
        raise ValueError(f"fs {fs} Hz came; {MIN_FS:g} to {MAX_FS:g} Hz was expected")
    if not 1 <= len(sig_name) <= MAX_SIG:
        raise ValueError(f"{len(sig_name)} signals came; 1 to {MAX_SIG} were expected")
    if len(set(sig_name)) != len(sig_name) or not all(0 < len(n) <= 32 for n in sig_name):
        raise ValueError("signal names came empty, longer than 32 or twice; distinct names were expected")
    if len(units) != len(sig_name):
        raise ValueError(f"{len(units)} units came for {len(sig_name)} signals; one each was expected")


class SampleChunk(_Message, frozen=True, kw_only=True, tag="chunk"):
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
        check_signals(self.fs, self.sig_name, self.units)
        n_sig = len(self.sig_name)
        if len(self.adc_gain) != n_sig or len(self.baseline) != n_sig:
            raise ValueError(
                f"{len(self.adc_gain)} gains and {len(self.baseline)} baselines came for {n_sig} signals; "
                "one each was expected"
            )
        if not all(0 < g < 1e9 for g in self.adc_gain):
            raise ValueError("an adc_gain came that is not a positive finite number")
        if self.first_sample < 0:
            raise ValueError(f"first_sample {self.first_sample} came; 0 or more was expected")
        if len(self.samples) % (2 * n_sig):
            raise ValueError(
                f"{len(self.samples)} sample bytes came; a multiple of {2 * n_sig} "
                f"(int16 x {n_sig} signals) was expected"
            )
        if self.n_samples > MAX_CHUNK_SAMPLES:
            raise ValueError(f"{self.n_samples} samples came; at most {MAX_CHUNK_SAMPLES} were expected")
        if not (self.device_time == self.device_time and self.receive_time == self.receive_time):
            raise ValueError("a time came that is not a number")

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
        return np.frombuffer(self.samples, dtype="<i2").reshape(-1, self.n_sig)

    def p_signal(self) -> NDArray[np.float64]:
        """Physical samples, shape (n_samples, n_sig): mV for ECG leads, NaN where invalid."""
        d = self.d_signal()
        scale = np.array([_UNIT_IN_MV.get(u, 1.0) for u in self.units]) / np.array(self.adc_gain)
        p: NDArray[np.float64] = (d - np.array(self.baseline, dtype=np.float64)) * scale
        p[d == INVALID_SAMPLE] = np.nan
        return p

    def ecg_leads(self) -> tuple[int, ...]:
        """Indices of the signals that are ECG leads."""
        return tuple(i for i, u in enumerate(self.units) if u in _ECG_UNITS)

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


class Beat(_Message, frozen=True, kw_only=True, tag="beat"):
    """One QRS complex.

    `sample` is the fiducial point (R peak), `detected` the last sample the decision needed,
    so (detected - sample) / fs is its latency. `symbol` is a WFDB beat code; "Q" until a class is known.
    `quality` 0..1 and `leads` say how sure and from which signals; `amplitude` in mV peak to peak.
    """

    stream: str
    sample: int
    detected: int
    symbol: str = "Q"
    rr: float | None = None
    amplitude: float = 0.0
    quality: float = 1.0
    leads: tuple[str, ...] = ()


class HeartRate(_Message, frozen=True, kw_only=True, tag="heart_rate"):
    """Heart rate in 1/min as of `sample`; None: it cannot be told (no beats, no usable lead)."""

    stream: str
    sample: int
    rate: float | None


QualityFlag = Literal["lead_off", "flat", "saturated", "noisy", "mains", "wander", "missing"]


class SignalQuality(_Message, frozen=True, kw_only=True, tag="quality"):
    """Signal quality of the second that ends before `sample`.

    `flags` has one tuple per signal in `sig_name` order; an empty tuple means nothing is wrong.
    `score` 0..1 is the best any lead offers; `usable` says whether rhythm alarms may rely on it.
    """

    stream: str
    sample: int
    sig_name: tuple[str, ...]
    flags: tuple[tuple[QualityFlag, ...], ...]
    score: float
    usable: bool


class Evidence(Struct, frozen=True, kw_only=True):
    """Why a condition was called: enough to check it by hand.

    `rule` names the rule, `value` what was measured against `threshold`, both in `unit`; `beats`
    are sample numbers; `quality` the score then; `leads` the signals it rests on.
    """

    rule: str
    value: float
    threshold: float
    unit: str
    beats: tuple[int, ...] = ()
    leads: tuple[str, ...] = ()
    quality: float = 1.0
    detail: str = ""


class RhythmEpisode(_Message, frozen=True, kw_only=True, tag="episode"):
    """A condition a detector sees: it begins once, and ends once.

    `kind` is a word of the catalogue (asystole, pause, extreme_tachycardia, lead_off ...). `onset`
    is the first sample of the condition, `detected` the sample at which it was known, `end` None
    while it lasts. (stream, onset, kind) is its identity: the same bytes give the same episode.
    `withheld` says why it must not be announced (bad signal, for example); empty: announce it.
    """

    stream: str
    kind: str
    onset: int
    detected: int
    end: int | None = None
    evidence: Evidence
    withheld: str = ""


class LinkEvent(_Message, frozen=True, kw_only=True, tag="link"):
    """What the gateway noticed about a stream.

    connected, disconnected (without a word), ended (the device said goodbye: no more samples),
    gap, overlap (a sample number came twice with different content), clock_jump, late data.

    `sample` is where in the stream, `n_samples` how many are concerned, `time` when it was noticed.
    """

    stream: str
    kind: Literal["connected", "disconnected", "ended", "gap", "overlap", "clock_jump", "late"]
    sample: int
    n_samples: int = 0
    time: float
    detail: str = ""


class DeviceStatus(_Message, frozen=True, kw_only=True, tag="device_status"):
    """What a device says of itself: electrodes off, battery in percent (None: on mains)."""

    stream: str
    sample: int
    time: float
    lead_off: tuple[str, ...] = ()
    battery: float | None = None


Priority = Literal["high", "medium", "low"]


class Alert(_Message, frozen=True, kw_only=True, tag="alert"):
    """One transition of an alert; the last one per `id` is its present state.

    `id` is derived from stream, onset sample and kind. `version` counts the transitions from 1.
    `category` is IEC 60601-1-8's: physiological or technical.
    """

    id: str
    version: int
    stream: str
    kind: str
    priority: Priority
    category: Literal["physiological", "technical"]
    state: Literal["active", "ended"]
    onset: int
    end: int | None = None
    raised_at: float
    changed_at: float
    evidence: Evidence


class State(_Message, frozen=True, kw_only=True, tag="state"):
    """A stage's snapshot for one stream on the compacted topic `ecg.state`.

    `next_sample` is the first sample the snapshot has not seen; `snapshot` is opaque to all but
    the stage that wrote it.
    """

    stream: str
    stage: str
    next_sample: int
    snapshot: bytes


class Quarantined(_Message, frozen=True, kw_only=True, tag="quarantined"):
    """Refused input, kept whole (up to the topic's limit), with the reason."""

    source: str
    reason: str
    time: float
    data: bytes
    truncated: bool = False


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
)
"""Everything that may stand on a topic."""

StreamEvent = Beat | HeartRate | SignalQuality | RhythmEpisode | LinkEvent | DeviceStatus
"""What may stand on ecg.events."""


def event_id(stream: str, sample: int, kind: str) -> str:
    """The derived identity of whatever happened: the same bytes give the same id, for ever."""
    return f"{stream}:{sample}:{kind}"
