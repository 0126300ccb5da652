"""Reads the frames of the waveform websocket, written from the description in dashboard/frames.py alone."""

import struct
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass
class Frame:
    kind: int
    stream: int
    values: dict[str, object] = field(default_factory=dict)

    def __getattr__(self, name: str) -> object:
        try:
            return self.values[name]
        except KeyError:
            raise AttributeError(name) from None


def read_frames(data: bytes) -> list[Frame]:
    """All frames of one websocket message; asserts what every reader relies on."""
    frames = []
    at = 0
    while at < len(data):
        kind, version, stream, length = struct.unpack_from("<BBHI", data, at)
        assert version == 1
        assert length % 8 == 0
        assert 8 <= length <= len(data) - at
        body = data[at : at + length]
        frames.append(Frame(kind, stream, {1: _wave, 2: _state, 3: _lost, 4: _clock}[kind](body)))
        at += length
    return frames


def _wave(b: bytes) -> dict[str, object]:
    first, taken, received, sent, fs, n, n_leads, flags = struct.unpack_from("<ddddfIBB", b, 8)
    leads: dict[int, NDArray[np.float64]] = {}
    off = []
    data = 56 + 16 * n_leads
    for i in range(n_leads):
        lead, is_off, _, gain, baseline = struct.unpack_from("<BBHfd", b, 56 + 16 * i)
        digits = np.frombuffer(b, "<i2", n, data + 2 * n * i).astype(np.float64)
        leads[lead] = np.where(digits == -32768, np.nan, (digits - baseline) / gain)
        if is_off:
            off.append(lead)
    assert not any(b[data + 2 * n * n_leads :])
    return {
        "first": int(first),
        "taken": taken,
        "received": received,
        "sent": sent,
        "fs": fs,
        "n": n,
        "late": bool(flags & 1),
        "buffered": bool(flags & 2),
        "leads": leads,
        "off": off,
    }


def _state(b: bytes) -> dict[str, object]:
    sample, _sent, received, rate, quality, usable, link, battery, n_leads, n_beats = struct.unpack_from(
        "<dddffBBBBI", b, 8
    )
    beats = [struct.unpack_from("<dfB", b, 48 + 16 * i) for i in range(n_beats)]
    flags = struct.unpack_from(f"<{n_leads}H", b, 48 + 16 * n_beats)
    return {
        "sample": int(sample),
        "received": received,
        "rate": rate,
        "quality": quality,
        "usable": bool(usable),
        "link": link,
        "battery": battery,
        "beats": [(int(s), chr(symbol)) for s, _, symbol in beats],
        "flags": flags,
    }


def _lost(b: bytes) -> dict[str, object]:
    frames, total = struct.unpack_from("<II", b, 8)
    return {"frames": frames, "total": total}


def _clock(b: bytes) -> dict[str, object]:
    now, feed = struct.unpack_from("<dB", b, 8)
    return {"now": now, "feed": feed == 1}
