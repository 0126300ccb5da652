"""A simulated device, sans-I/O: it measures a source at its pace and speaks the real protocol.

`SimulatedDevice` is told the time (s on a clock that never steps) and the gateway's messages, and says
what to send, when to connect or hang up and when to be woken. The store and the wire are those of
`ingest.protocols`; here are pace, patience, reconnects and faults. The socket is in `link.py`.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from ingest.protocols.port import Ack, Close, CloseCode, Hello, Signal, Welcome
from ingest.protocols.v1_device import Device
from ingest.protocols.v1_wire import encode
from simulators.faulty import FaultPlan
from simulators.source import Source

MAX_SPEED = float("inf")
"""Speed of a device that measures as fast as it is acknowledged."""

MAX_BACKOFF_S = 10.0
MAX_PATIENCE_S = 120.0
STATUS_EVERY_S = 30.0
WINDOW_BYTES = 512 << 10
_FAULT_POLL_S = 0.1


@dataclass(frozen=True)
class Identity:
    """Who a device says it is; see `ingest.protocols.port.Hello`."""

    device: str
    clinic: str
    bed: str
    patient: str = ""
    token: str = ""
    firmware: str = "simulator"

    def stream(self, started: float) -> str:
        """The id of the recording session that begins at `started` (s, epoch)."""
        at = datetime.fromtimestamp(started, UTC)
        return f"{self.device}.{at:%Y%m%dT%H%M%S}{at.microsecond // 1000:03d}Z"


def device_id(*parts: str) -> str:
    """A device id of the letters, digits, _ and - in `parts`."""
    text = "-".join(re.sub(r"[^A-Za-z0-9_-]+", "-", p).strip("-_") for p in parts)
    return re.sub(r"-{2,}", "-", text).strip("-_")[:48] or "device"


class SimulatedDevice:
    """One device at one source.

    Parameters
    ----------
    identity, source
        Who it is and what it measures.
    started
        The device's clock at sample 0, s since the Unix epoch.
    speed
        Times real time; `MAX_SPEED`: as fast as acknowledged, at most `WINDOW_BYTES` ahead.
    chunk_s
        Length of a data message in s of signal.
    faults
        What goes wrong.
    battery
        Percent at the start, falling by 4 % an hour; None: on mains.
    patience_s
        How long sent samples may stay unacknowledged before it hangs up and sends them again. Doubles
        (up to `MAX_PATIENCE_S`) until an acknowledgement comes.
    max_held_bytes
        Size of the store; when it is full the oldest samples are lost.
    stream
        The stream's id; by default device and `started`.

    Raises
    ------
    ValueError
        The identity or the signals do not fit the protocol.
    SettingError
        A fault does not fit the source.

    Attributes
    ----------
    stream, fs, n_samples
        The stream's id, its sampling frequency in Hz, its length if it has one.
    device
        The protocol's side of it: `next_sample`, `acknowledged`, `lost`.
    connections
        How often it was connected.
    refused
        The gateway's last word if it must not be asked again, else None.
    trouble
        Why there is no connection; empty while there is one.
    """

    def __init__(
        self,
        identity: Identity,
        source: Source,
        started: float,
        *,
        speed: float = 1.0,
        chunk_s: float = 0.5,
        faults: FaultPlan | None = None,
        battery: float | None = None,
        patience_s: float = 10.0,
        max_held_bytes: int = 64 << 20,
        stream: str | None = None,
    ) -> None:
        self._faults = faults or FaultPlan()
        self._source = self._faults.source(source)
        self._started = started
        self._speed = speed
        self._chunk = max(1, round(chunk_s * source.fs))
        self._window = max(2 * self._chunk, WINDOW_BYTES // (2 * len(source.sig_name)))
        self._battery = battery
        self._patience_s = self._patience = patience_s
        self._link = self._faults.link()
        self._rng = np.random.default_rng([self._faults.seed, 0xBAC0FF])
        signals = zip(source.sig_name, source.units, source.adc_gain, source.baseline, strict=True)
        hello = Hello(
            token=identity.token,
            device=identity.device,
            stream=stream or identity.stream(started),
            clinic=identity.clinic,
            bed=identity.bed,
            patient=identity.patient,
            firmware=identity.firmware,
            fs=source.fs,
            signals=tuple(Signal(*s) for s in signals),
            device_time=started,
            started=started,
        )
        encode(hello)  # a text that does not fit is told here, not at the first connection
        self.stream = hello.stream
        self.fs = source.fs
        self.n_samples = source.n_samples
        self.device = Device(hello, max_held_bytes)
        self.connections = 0
        self.refused: Close | None = None
        self._start: float | None = None  # when sample 0 was measured
        self.trouble = "not connected yet"
        self._ending = False
        self._deadline = float("inf")
        self._linked = self._welcomed = False
        self._retry_at = 0.0
        self._backoff = 0.1
        self._progress_at = 0.0  # when an acknowledgement was last due or came
        self._status_at = float("-inf")
        self._status_every = STATUS_EVERY_S
        self._last_off: tuple[str, ...] | None = None

    @property
    def finished(self) -> bool:
        """Everything was sent and acknowledged, and the goodbye answered."""
        return self.device.done

    def end(self, now: float, drain_s: float = 10.0) -> None:
        """Measure no more; take leave once everything is acknowledged, or after `drain_s` give up."""
        self._ending = True
        self._deadline = min(self._deadline, now + drain_s)

    def over(self, now: float) -> bool:
        """Whether there is nothing left to do: finished, refused or given up."""
        return self.finished or self.refused is not None or now >= self._deadline

    def wants_link(self, now: float) -> bool:
        """Whether to connect now."""
        return not self._linked and now >= self._retry_at and not self._link.down(now)

    def linked(self, now: float) -> None:
        """A connection is open."""
        self.connections += 1
        self._linked, self._welcomed = True, False
        self.trouble = ""
        self._progress_at = now
        self._link.connected(now)
        self.device.connect(self._time_of(self.device.next_sample))

    def unlinked(self, now: float, why: str) -> None:
        """The connection is gone, or could not be made: `why`."""
        closed = self.device.closed
        self.trouble = "" if self.finished else closed.reason if closed is not None else why
        if self._out_of_patience(now):
            self._patience = min(2 * self._patience, MAX_PATIENCE_S)
        self._backoff = 0.1 if self._welcomed else min(2 * self._backoff, MAX_BACKOFF_S)
        self._retry_at = now + self._backoff * (0.5 + self._rng.random())
        self._linked = self._welcomed = False

    def hang_up(self, now: float) -> bool:
        """Whether to end this connection: a fault, no acknowledgement for too long, or told to."""
        return (
            self.device.closed is not None
            or now >= self._deadline
            or self._link.breaks(now)
            or self._out_of_patience(now)
        )

    def receive(self, data: bytes, now: float) -> None:
        """Take a message of the gateway.

        Raises
        ------
        ProtocolRejected
            It is malformed, out of turn, or asks for what never was.
        """
        acknowledged = self.device.acknowledged
        for event in self.device.receive_data(data):
            if isinstance(event, Welcome):
                self._welcomed = True
                self._progress_at = now
                self._status_every = min(STATUS_EVERY_S, event.idle_timeout_s / 3)
            elif isinstance(event, Ack) and self.device.acknowledged > acknowledged:
                self._progress_at, self._patience = now, self._patience_s
            elif isinstance(event, Close) and not event.code.retry_allowed:
                self.refused = None if event.code is CloseCode.FINISHED else event

    def poll(self, now: float) -> list[bytes]:
        """Measure what is due, and return what arrives at the gateway if it is sent now."""
        if self._start is None:
            self._start = self._progress_at = now
        if self._welcomed and not self._ending and self.device.acknowledged == self.device.next_sample:
            self._progress_at = now  # nothing is owed
        while not self._ending and (n := self._due(now)):
            self._measure(n, now)
        if self._ending and self.device.acknowledged == self.device.next_sample:
            # Only now: goodbye tells the gateway not to wait for what is missing.
            self.device.finish()
        if not self._linked:
            return []
        if now - self._status_at >= self._status_every:
            self._report(now)
        return [arriving for m in self.device.data_to_send() for arriving in self._link.carry(m)]

    def wake_at(self, now: float) -> float:
        """The time at which `poll` may have something to do even if nothing is received."""
        wait = _FAULT_POLL_S if self._link.has_faults else 1.0
        if not self._linked:
            wait = min(wait, max(0.01, self._retry_at - now))
        if self._ending or self._speed == MAX_SPEED or self._start is None:
            return now + wait
        due = self._start + (self.device.next_sample + self._chunk) / (self._source.fs * self._pace)
        return max(now, min(due, now + wait))

    def _out_of_patience(self, now: float) -> bool:
        # What is lost at the very end leaves no hole for the gateway to ask about.
        patience = self._patience * (0.3 if self._ending else 1.0)
        return self._linked and now - self._progress_at >= patience

    @property
    def _pace(self) -> float:
        return self._speed * self._faults.pace

    def _due(self, now: float) -> int:
        """How many rows to measure now."""
        fs, at = self._source.fs, self.device.next_sample
        n = self._chunk
        left = None if self._source.n_samples is None else self._source.n_samples - at
        if left is not None:
            n = min(n, left)
            self._ending = left == 0
        if self._speed == MAX_SPEED:
            return n if self._welcomed and at + n - self.device.acknowledged <= self._window else 0
        assert self._start is not None
        return n if at + n <= (now - self._start) * fs * self._pace else 0

    def _measure(self, n: int, now: float) -> None:
        at = self.device.next_sample
        if self._source.lead_off(at) != self._last_off:
            self._report(now)
        samples = self._source.read(at, at + n).astype("<i2", copy=False)
        self.device.add(samples.tobytes(), self._time_of(at))

    def _report(self, now: float) -> None:
        at = self.device.next_sample
        self._last_off = self._source.lead_off(at)
        self._status_at = now
        battery = None
        if self._battery is not None:
            battery = max(0.0, self._battery - at / self._source.fs / 900)
        off = tuple(self._source.sig_name.index(name) for name in self._last_off)
        self.device.status(self._time_of(at), off, battery)

    def _time_of(self, sample: int) -> float:
        """When `sample` is measured, by the device's clock."""
        elapsed = sample / self._source.fs
        return self._started + elapsed + self._faults.clock_offset(elapsed)
