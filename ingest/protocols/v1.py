"""Leadwire device protocol v1 over websocket: the gateway's side, and the registration.

`docs/protocol.md` is the specification. The bytes stand in `v1_wire.py`, the device's side in
`v1_device.py`.
"""

from enum import Enum

from ingest.protocols import device_protocol
from ingest.protocols.port import (
    Ack,
    Bye,
    Close,
    CloseCode,
    Data,
    DeviceSide,
    FromDevice,
    FromGateway,
    GatewaySide,
    Hello,
    Resend,
    Status,
    Welcome,
)
from ingest.protocols.v1_device import Device
from ingest.protocols.v1_wire import MAX_BYTES, TOKEN, Type, decode, encode
from leadwire.errors import BugError, ProtocolRejected


class State(Enum):
    """Where a connection stands; the table in `docs/protocol.md` has the same names."""

    HELLO = "waiting for hello"
    WELCOME = "waiting for the gateway's welcome"
    OPEN = "open"
    ENDED = "ended by bye"
    CLOSED = "closed"


class GatewayConnection:
    """The gateway's end of one v1 connection; see `GatewaySide`."""

    def __init__(self) -> None:
        self.state = State.HELLO
        self._n_sig = 0
        self._out: list[bytes] = []
        self._acknowledged = 0

    def receive_data(self, data: bytes) -> list[FromDevice]:
        event = decode(data)
        expected = {State.HELLO: (Hello,), State.OPEN: (Data, Status, Bye)}.get(self.state, ())
        if not isinstance(event, expected):
            names = " or ".join(k.__name__.lower() for k in expected) or "nothing"
            raise ProtocolRejected(
                f"{type(event).__name__.lower()} came while {self.state.value}; {names} was expected"
            )
        if isinstance(event, Hello):
            self.state = State.WELCOME
            self._n_sig = len(event.signals)
        elif isinstance(event, Data) and len(event.samples) != 2 * event.n_samples * self._n_sig:
            n_sig = len(event.samples) // (2 * event.n_samples)
            raise ProtocolRejected(f"data of {n_sig} signals came; {self._n_sig} were expected")
        elif isinstance(event, Status) and any(i >= self._n_sig for i in event.lead_off):
            raise ProtocolRejected(
                f"status with lead {max(event.lead_off)} off came; 0 to {self._n_sig - 1} was expected"
            )
        elif isinstance(event, Bye):
            self.state = State.ENDED
        assert not isinstance(event, FromGateway)
        return [event]

    def welcome(self, resume: int, server_time: float, idle_timeout_s: int) -> None:
        if self.state is not State.WELCOME:
            raise BugError(f"welcome while {self.state.value}; it follows a hello")
        self.state = State.OPEN
        self._acknowledged = resume
        self._send(
            Welcome(
                resume=resume, server_time=server_time, idle_timeout_s=idle_timeout_s, max_bytes=MAX_BYTES
            )
        )

    def acknowledge(self, sample: int) -> None:
        if self.state in (State.OPEN, State.ENDED) and sample > self._acknowledged:
            self._acknowledged = sample
            self._send(Ack(sample))

    def resend(self, sample: int) -> None:
        if self.state is State.OPEN:
            self._send(Resend(sample))

    def close(self, code: CloseCode, reason: str) -> None:
        if self.state is not State.CLOSED:
            self.state = State.CLOSED
            self._send(Close(code, reason))

    def data_to_send(self) -> list[bytes]:
        out, self._out = self._out, []
        return out

    def redact(self, data: bytes) -> bytes:
        if data[:1] != bytes([Type.HELLO]):
            return data
        return data[: TOKEN.start] + bytes(len(data[TOKEN])) + data[TOKEN.stop :]

    def _send(self, message: FromGateway) -> None:
        self._out.append(encode(message))


@device_protocol
class V1:
    """Leadwire device protocol v1."""

    name = "v1"
    path = "/v1/device"
    max_bytes = MAX_BYTES

    @staticmethod
    def gateway_side() -> GatewaySide:
        return GatewayConnection()

    @staticmethod
    def device_side(hello: Hello) -> DeviceSide:
        return Device(hello)
