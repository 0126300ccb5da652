"""The bytes of device protocol v1: little-endian packed messages, one a websocket binary message.

`docs/protocol.md` is the specification, byte by byte; this is it in code. Who may say what when
stands in `v1.py` (the gateway's side) and `v1_device.py` (the device's side).
"""

import struct
import zlib
from collections.abc import Callable
from enum import IntEnum

from ingest.protocols.port import (
    TIME_LIMIT,
    Ack,
    Bye,
    Close,
    CloseCode,
    Data,
    FromDevice,
    FromGateway,
    Hello,
    Resend,
    Signal,
    Status,
    Welcome,
    check_sample,
)
from leadwire.errors import ProtocolRejected
from leadwire.ranges import MAX_SIG

VERSION = 1
MAX_BYTES = 65_536
ON_MAINS = 255


class Type(IntEnum):
    """First byte of a message; those of the gateway have the high bit set."""

    HELLO = 0x01
    DATA = 0x02
    STATUS = 0x03
    BYE = 0x04
    WELCOME = 0x81
    ACK = 0x82
    RESEND = 0x83
    CLOSE = 0x84


_HELLO = struct.Struct("<BBHHH64s48s96s64s64s64s32sdQqq")
_SIGNAL = struct.Struct("<32s16sdiI")
_DATA = struct.Struct("<BBHIQQqHH")
_STATUS = struct.Struct("<BBHHBBQq")
_BYE = struct.Struct("<BBHIQQ")
_WELCOME = struct.Struct("<BBHIQqHH")
_ACK = struct.Struct("<BBHIQ")
_CLOSE = struct.Struct("<BBHHH120s")
_CRC = struct.Struct("<I")
TOKEN = slice(8, 72)
"""Where the token stands in a hello."""

DATA_OVERHEAD = _DATA.size + _CRC.size
"""Bytes of a data message besides its samples."""


def encode(message: FromDevice | FromGateway) -> bytes:
    """The bytes of `message`.

    Raises
    ------
    ValueError
        A field does not fit: a text too long, samples that are not whole rows, too many bytes.
    """
    try:
        body = _ENCODERS[type(message)](message)
    except struct.error as why:
        raise ValueError(f"a {type(message).__name__} does not fit: {why}") from None
    data = body + _CRC.pack(zlib.crc32(body))
    if len(data) > MAX_BYTES:
        raise ValueError(f"a message of {len(data)} bytes came; at most {MAX_BYTES} were expected")
    return data


def _encode_hello(m: Hello) -> bytes:
    head = _HELLO.pack(
        Type.HELLO, VERSION, 0, len(m.signals), 0,
        _text(m.token, 64), _text(m.device, 48), _text(m.stream, 96), _text(m.clinic, 64),
        _text(m.bed, 64), _text(m.patient, 64), _text(m.firmware, 32),
        m.fs, m.acknowledged, _us(m.device_time), _us(m.started),
    )  # fmt: skip
    return head + b"".join(
        _SIGNAL.pack(_text(s.name, 32), _text(s.units, 16), s.adc_gain, s.baseline, 0) for s in m.signals
    )


def _encode_data(m: Data) -> bytes:
    n_sig, odd = divmod(len(m.samples), 2 * m.n_samples) if m.n_samples else (0, 1)
    if odd:
        raise ValueError(f"{len(m.samples)} bytes came for {m.n_samples} rows; whole rows were expected")
    head = _DATA.pack(
        Type.DATA, VERSION, 0, m.seq & 0xFFFFFFFF, m.first_sample, m.oldest, _us(m.device_time),
        m.n_samples, n_sig,
    )  # fmt: skip
    return head + m.samples


def _encode_status(m: Status) -> bytes:
    mask = sum(1 << i for i in set(m.lead_off))
    battery = ON_MAINS if m.battery is None else round(m.battery)
    return _STATUS.pack(Type.STATUS, VERSION, 0, mask, battery, 0, m.sample, _us(m.device_time))


def _encode_welcome(m: Welcome) -> bytes:
    return _WELCOME.pack(
        Type.WELCOME, VERSION, 0, m.max_bytes, m.resume, _us(m.server_time), m.idle_timeout_s, 0
    )


def _encode_close(m: Close) -> bytes:
    reason = "".join(c if c.isprintable() else "?" for c in m.reason)
    reason = reason.encode(errors="replace")[:120].decode(errors="ignore")
    return _CLOSE.pack(Type.CLOSE, VERSION, 0, m.code, 0, _text(reason, 120))


_ENCODERS: dict[type, Callable[..., bytes]] = {
    Hello: _encode_hello,
    Data: _encode_data,
    Status: _encode_status,
    Bye: lambda m: _BYE.pack(Type.BYE, VERSION, 0, 0, m.end_sample, m.oldest),
    Welcome: _encode_welcome,
    Ack: lambda m: _ACK.pack(Type.ACK, VERSION, 0, 0, m.sample),
    Resend: lambda m: _ACK.pack(Type.RESEND, VERSION, 0, 0, m.sample),
    Close: _encode_close,
}


def decode(data: bytes) -> FromDevice | FromGateway:
    """The message in `data`.

    Raises
    ------
    ProtocolRejected
        Wrong length, version, check sum or field. The text says what came and what was expected.
    """
    if not 4 + _CRC.size <= len(data) <= MAX_BYTES:
        raise ProtocolRejected(f"{len(data)} bytes came; 8 to {MAX_BYTES} were expected")
    if data[1] != VERSION:
        raise ProtocolRejected(f"protocol version {data[1]} came; {VERSION} was expected")
    if data[0] not in _DECODERS:
        raise ProtocolRejected(f"message type 0x{data[0]:02x} came; a type of protocol 1 was expected")
    kind = Type(data[0])
    body, (crc,) = data[: -_CRC.size], _CRC.unpack(data[-_CRC.size :])
    if crc != zlib.crc32(body):
        raise ProtocolRejected(
            f"{kind.name.lower()} with check sum {crc:08x} came; {zlib.crc32(body):08x} was expected"
        )
    if body[2:4] != b"\0\0":
        raise ProtocolRejected(f"{kind.name.lower()} with flags {body[2:4].hex()} came; 0000 was expected")
    try:
        return _DECODERS[kind](body)
    except ValueError as why:
        raise ProtocolRejected(f"{kind.name.lower()}: {why}") from None


def _fields(layout: struct.Struct, body: bytes) -> tuple[int, ...]:
    if len(body) != layout.size:
        raise ValueError(f"{len(body) + _CRC.size} bytes came; {layout.size + _CRC.size} were expected")
    return layout.unpack(body)[3:]


def _decode_hello(body: bytes) -> Hello:
    if len(body) < _HELLO.size:
        raise ValueError(f"{len(body)} bytes came; at least {_HELLO.size} were expected")
    _, _, _, n_sig, zero, *texts, fs, acked, device_time, started = _HELLO.unpack_from(body)
    expected = _HELLO.size + n_sig * _SIGNAL.size
    if not 1 <= n_sig <= MAX_SIG or len(body) != expected:
        raise ValueError(
            f"{len(body) + _CRC.size} bytes came for {n_sig} signals; 1 to {MAX_SIG} signals and "
            f"{expected + _CRC.size} bytes were expected"
        )
    _zero(zero)
    token, device, stream, clinic, bed, patient, firmware = map(_untext, texts)
    signals = []
    for name, units, gain, baseline, zero in _SIGNAL.iter_unpack(body[_HELLO.size :]):
        _zero(zero)
        signals.append(Signal(_untext(name), _untext(units), gain, baseline))
    return Hello(
        device=device, token=token, stream=stream, clinic=clinic, bed=bed, patient=patient,
        firmware=firmware, fs=fs, signals=tuple(signals), acknowledged=acked,
        device_time=_s(device_time), started=_s(started),
    )  # fmt: skip


def _decode_data(body: bytes) -> Data:
    if len(body) < _DATA.size:
        raise ValueError(f"{len(body)} bytes came; at least {_DATA.size} were expected")
    _, _, _, seq, first, oldest, device_time, n_samples, n_sig = _DATA.unpack_from(body)
    samples = body[_DATA.size :]
    if n_samples < 1 or n_sig < 1 or len(samples) != 2 * n_samples * n_sig:
        raise ValueError(
            f"{len(samples)} sample bytes came for {n_samples} rows of {n_sig} signals; at least one row "
            f"and {2 * n_samples * n_sig} bytes were expected"
        )
    check_sample("end of the block", check_sample("first_sample", first) + n_samples)
    if oldest > first:
        raise ValueError(f"oldest {oldest} came with first_sample {first}; at most that was expected")
    return Data(
        seq=seq, first_sample=first, oldest=oldest, device_time=_s(device_time), samples=samples,
        n_samples=n_samples,
    )  # fmt: skip


def _decode_status(body: bytes) -> Status:
    mask, battery, zero, sample, device_time = _fields(_STATUS, body)
    _zero(zero)
    if battery > 100 and battery != ON_MAINS:
        raise ValueError(f"battery {battery} came; 0 to 100 % or {ON_MAINS} was expected")
    return Status(
        sample=check_sample("sample", sample),
        device_time=_s(device_time),
        lead_off=tuple(i for i in range(MAX_SIG) if mask >> i & 1),
        battery=None if battery == ON_MAINS else float(battery),
    )


def _decode_bye(body: bytes) -> Bye:
    zero, end, oldest = _fields(_BYE, body)
    _zero(zero)
    if oldest > end:
        raise ValueError(f"oldest {oldest} came with end_sample {end}; at most that was expected")
    return Bye(check_sample("end_sample", end), oldest)


def _decode_welcome(body: bytes) -> Welcome:
    max_bytes, resume, server_time, idle_timeout_s, zero = _fields(_WELCOME, body)
    _zero(zero)
    return Welcome(
        resume=check_sample("resume", resume), server_time=_s(server_time),
        idle_timeout_s=idle_timeout_s, max_bytes=max_bytes,
    )  # fmt: skip


def _decode_ack(body: bytes) -> Ack:
    zero, sample = _fields(_ACK, body)
    _zero(zero)
    return Ack(check_sample("sample", sample))


def _decode_resend(body: bytes) -> Resend:
    zero, sample = _fields(_ACK, body)
    _zero(zero)
    return Resend(check_sample("sample", sample))


def _decode_close(body: bytes) -> Close:
    if len(body) != _CLOSE.size:
        raise ValueError(f"{len(body) + _CRC.size} bytes came; {_CLOSE.size + _CRC.size} were expected")
    _, _, _, code, zero, reason = _CLOSE.unpack(body)
    _zero(zero)
    return Close(CloseCode(code), _untext(reason))


_DECODERS: dict[int, Callable[[bytes], FromDevice | FromGateway]] = {
    Type.HELLO: _decode_hello,
    Type.DATA: _decode_data,
    Type.STATUS: _decode_status,
    Type.BYE: _decode_bye,
    Type.WELCOME: _decode_welcome,
    Type.ACK: _decode_ack,
    Type.RESEND: _decode_resend,
    Type.CLOSE: _decode_close,
}


def _text(text: str, size: int) -> bytes:
    if not text.isprintable():
        raise ValueError("a text with control characters came; printable UTF-8 was expected")
    data = text.encode()
    if len(data) > size:
        raise ValueError(f"a text of {len(data)} bytes came; at most {size} were expected")
    return data


def _untext(field: bytes) -> str:
    data, _, rest = field.partition(b"\0")
    if rest.strip(b"\0"):
        raise ValueError("a text field came with bytes after its first zero; zeros were expected")
    text = data.decode()  # UnicodeDecodeError is a ValueError
    if not text.isprintable():
        raise ValueError("a text field came with control characters; printable UTF-8 was expected")
    return text


def _us(seconds: float) -> int:
    return round(seconds * 1e6)


def _s(microseconds: int) -> float:
    if not 0 <= microseconds < TIME_LIMIT * 1e6:
        raise ValueError(f"time {microseconds} us came; 0 to {TIME_LIMIT * 1e6:.0f} us was expected")
    return microseconds / 1e6


def _zero(reserved: int) -> None:
    if reserved:
        raise ValueError(f"{reserved} came in a reserved field; 0 was expected")
