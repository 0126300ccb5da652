"""What every device protocol speaks of: the events of a connection, and its two sides as ports.

A protocol turns bytes into these events and back; it owns no socket, thread or clock. Not here:
the bytes themselves (one file per protocol beside this one) and what the events mean for a
stream (`ingest/session.py`).
"""

import re
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

from leadwire.ranges import check_calibrated, check_stream_id

SAMPLE_LIMIT = 1 << 52
"""Sample numbers stay below this; a stream at 1 kHz takes 140,000 years to get there."""

TIME_LIMIT = 1e10
"""Device times are 0 <= t < this, in s since the Unix epoch by the device's clock."""

_DEVICE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,47}\Z")


class CloseCode(IntEnum):
    """Why a gateway ends a connection. `retry_allowed` says what a device may do about it."""

    FINISHED = 0
    MALFORMED = 1
    REFUSED = 2
    SUPERSEDED = 3
    TIMEOUT = 4
    STOPPING = 5
    BUSY = 6
    CONFLICT = 7

    @property
    def retry_allowed(self) -> bool:
        """True: connect again after a pause. False: never again with the same stream and token."""
        return self in (CloseCode.MALFORMED, CloseCode.TIMEOUT, CloseCode.STOPPING, CloseCode.BUSY)


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal of a stream: physical = (digital - baseline) / adc_gain, in `units`."""

    name: str
    units: str
    adc_gain: float
    baseline: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """A device introduces itself and the stream it is about to send.

    Attributes
    ----------
    token
        The shared secret of this device; never shown in a repr.
    device
        1-48 of A-Z a-z 0-9 _ -, beginning with a letter or digit.
    stream
        The recording session: the device id, a dot, and a name never used before by the device.
    fs
        In Hz.
    acknowledged
        The device's own record of the last acknowledgement: every sample below was acknowledged.
    device_time, started
        The device's clock now and at sample 0, in s since the Unix epoch.

    Raises
    ------
    ValueError
        A field is impossible; the text says what came and what was expected.
    """

    device: str
    token: str = field(repr=False)
    stream: str
    clinic: str
    bed: str
    patient: str = ""
    firmware: str = ""
    fs: float
    signals: tuple[Signal, ...]
    acknowledged: int = 0
    device_time: float
    started: float

    def __post_init__(self) -> None:
        if not _DEVICE_ID.match(self.device):
            raise ValueError(
                f"device id {self.device[:60]!r} came; 1 to 48 characters of A-Z a-z 0-9 _ -, "
                "beginning with a letter or digit, were expected"
            )
        check_stream_id(self.stream)
        if not self.stream.startswith(self.device + ".") or self.stream == self.device + ".":
            raise ValueError(
                f"stream id {self.stream!r} came from device {self.device!r}; "
                f"'{self.device}.' and a name were expected"
            )
        check_calibrated(
            self.fs,
            tuple(s.name for s in self.signals),
            tuple(s.units for s in self.signals),
            tuple(s.adc_gain for s in self.signals),
            tuple(s.baseline for s in self.signals),
        )
        check_sample("acknowledged", self.acknowledged)
        check_time("device_time", self.device_time)
        check_time("started", self.started)


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """A block of samples.

    Attributes
    ----------
    seq
        Counts the data messages of one connection from 0.
    first_sample
        Number of the block's first sample row.
    oldest
        The oldest sample the device still holds: what is older and was not received never comes.
    device_time
        When the first row was taken, by the device's clock, in s since the Unix epoch.
    samples
        int16 little-endian, row by row, (n_samples, n_sig).
    n_samples
        Number of rows, at least 1.
    """

    seq: int
    first_sample: int
    oldest: int
    device_time: float
    samples: bytes = field(repr=False)
    n_samples: int

    @property
    def end_sample(self) -> int:
        return self.first_sample + self.n_samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """From `sample` on the signals with these indices are off; battery in percent, None: on mains."""

    sample: int
    device_time: float
    lead_off: tuple[int, ...] = ()
    battery: float | None = None


@dataclass(frozen=True, slots=True)
class Bye:
    """All samples were sent, the last is `end_sample` - 1; `oldest` as in `Data`."""

    end_sample: int
    oldest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """The gateway accepts the stream and asks for its samples from `resume` on.

    `server_time` is the gateway's clock in s since the Unix epoch; a device silent for
    `idle_timeout_s` is closed; `max_bytes` limits one message.
    """

    resume: int
    server_time: float
    idle_timeout_s: int
    max_bytes: int


@dataclass(frozen=True, slots=True)
class Ack:
    """Every sample below `sample` is durable, or can never come: the device may forget it."""

    sample: int


@dataclass(frozen=True, slots=True)
class Resend:
    """Samples from `sample` on did not arrive: send again what is held from there on."""

    sample: int


@dataclass(frozen=True, slots=True)
class Close:
    """The gateway ends the connection, or refuses it."""

    code: CloseCode
    reason: str


FromDevice = Hello | Data | Status | Bye
FromGateway = Welcome | Ack | Resend | Close


class GatewaySide(Protocol):
    """The gateway's end of one connection, sans-I/O."""

    def receive_data(self, data: bytes) -> list[FromDevice]:
        """The events in one websocket message.

        Raises
        ------
        ProtocolRejected
            Malformed, out of turn or over a limit. The connection is then good only for `close`.
        """
        ...

    def welcome(self, resume: int, server_time: float, idle_timeout_s: int) -> None:
        """Accept the stream of the hello just received."""
        ...

    def acknowledge(self, sample: int) -> None:
        """Tell the device that every sample below `sample` is durable. Never goes back."""
        ...

    def resend(self, sample: int) -> None:
        """Ask for the samples from `sample` on again: a gap the device may still fill."""
        ...

    def close(self, code: CloseCode, reason: str) -> None:
        """Say why the connection ends; nothing can be sent afterwards."""
        ...

    def data_to_send(self) -> list[bytes]:
        """Messages to send now, in order; each is given out once."""
        ...

    def redact(self, data: bytes) -> bytes:
        """`data` of a refused message without any secret, for the quarantine."""
        ...


class DeviceSide(Protocol):
    """A device, sans-I/O: its store of unacknowledged samples and its end of each connection.

    Attributes
    ----------
    next_sample
        The number that the next added row gets.
    acknowledged
        Every sample below it was acknowledged.
    closed
        The gateway's last word on this connection, None while it is open.
    done
        The gateway confirmed the end of the stream.
    """

    next_sample: int
    acknowledged: int
    closed: Close | None

    @property
    def done(self) -> bool: ...

    def connect(self, device_time: float) -> None:
        """A new connection is open: introduce yourself. Everything of the last one is void."""
        ...

    def add(self, samples: bytes, device_time: float) -> None:
        """Take and keep the next rows, int16 little-endian (n_samples, n_sig)."""
        ...

    def status(
        self, device_time: float, lead_off: tuple[int, ...] = (), battery: float | None = None
    ) -> None:
        """Report electrodes that are off from the next sample on, and the battery."""
        ...

    def finish(self) -> None:
        """No more samples come: say bye once everything is sent."""
        ...

    def receive_data(self, data: bytes) -> list[FromGateway]:
        """The events in one message of the gateway; raises ProtocolRejected as the gateway's side."""
        ...

    def data_to_send(self, limit: int | None = None) -> list[bytes]:
        """At most `limit` messages to send now, in order."""
        ...


def check_sample(name: str, sample: int) -> int:
    """Return `sample` if it can be a sample number, else raise ValueError."""
    if not 0 <= sample < SAMPLE_LIMIT:
        raise ValueError(f"{name} {sample} came; 0 to {SAMPLE_LIMIT - 1} was expected")
    return sample


def check_time(name: str, time: float) -> float:
    """Return `time` if it can be a device time in s, else raise ValueError."""
    if not 0 <= time < TIME_LIMIT:  # NaN fails too
        raise ValueError(f"{name} {time} s came; 0 to {TIME_LIMIT:g} s since the Unix epoch was expected")
    return time
