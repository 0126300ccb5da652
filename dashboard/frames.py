"""Bytes of the waveform websocket: small binary frames that a browser reads with a DataView.

A websocket message holds one or more frames one after another; each begins at a multiple of 8
and all numbers are little-endian. Every frame starts with the same 8 bytes::

    0  u8   kind           1 wave, 2 state, 3 lost, 4 clock; skip kinds you do not know by `length`
    1  u8   version        1
    2  u16  stream         `index` of the stream in the JSON message that announced it
    4  u32  length         bytes of the whole frame, a multiple of 8

Kind 1, wave: a stretch of samples of the subscribed leads, taken without a hole::

    8  f64  first_sample   sample number of the first sample (exact up to 2**53)
   16  f64  taken          when it was taken, in server time: the device's stamp + its estimated offset, s
   24  f64  received       when it reached the gateway, s
   32  f64  sent           when the dashboard made this frame, s
   40  f32  fs             Hz
   44  u32  n_samples
   48  u8   n_leads
   49  u8   flags          bit 0 late (store and forward), bit 1 from the buffer (sent on subscription)
   50  u16  0
   52  u32  0
   56  n_leads x 16 bytes: u8 lead (index into the stream's `leads`), u8 off (1: electrode off), u16 0,
       f32 gain (digits per mV), f64 baseline (digits)
    .  n_leads x n_samples i16, lead after lead; -32768: no measurement. Zero bytes up to `length`.

    value in mV = (digit - baseline) / gain

Kind 2, state: what is known of the stream now; each one replaces the one before, beats add up::

    8  f64  sample         the newest sample number that anything below speaks of
   16  f64  sent
   24  f64  received       when data of this stream last came, s; NaN: none yet
   32  f32  heart_rate     1/min; NaN: cannot be told
   36  f32  quality        0..1; NaN: not known
   40  u8   usable         1: rhythm alarms may rely on the signal
   41  u8   link           0 not known, 1 connected, 2 disconnected, 3 ended
   42  u8   battery        percent; 255: not known or on mains
   43  u8   n_leads
   44  u32  n_beats
   48  n_beats x 16 bytes: f64 sample, f32 amplitude (mV), u8 symbol (ASCII), 3 zero bytes
    .  n_leads x u16 quality flags: bits in the order of `FLAGS`. Zero bytes up to `length`.

Kind 3, lost: this client was too slow; the oldest waves of the stream were left out for it::

    8  u32  frames         since the last such frame
   12  u32  total          of this stream, since the client connected

Kind 4, clock (once a second, `stream` 0): silence means that the connection is gone::

    8  f64  now            server time, s
   16  u8   feed           1: the dashboard reads the bus; 0: it cannot
   17  7 x 0

Not here: which frames go to whom (`hub.py`), and the JSON messages of the same websocket (`messages.py`).
"""

import struct
from collections.abc import Sequence
from typing import Final, get_args

import numpy as np

from leadwire.model import UNIT_IN_MV, Beat, QualityFlag, SampleChunk

VERSION: Final = 1
WAVE, STATE, LOST, CLOCK = 1, 2, 3, 4
LATE, BUFFERED = 1, 2
FLAGS: Final[tuple[str, ...]] = get_args(QualityFlag)
LINKS: Final = {"": 0, "connected": 1, "disconnected": 2, "ended": 3}
NO_BATTERY: Final = 255

_HEAD = struct.Struct("<BBHI")
_WAVE = struct.Struct("<ddddfIBBHI")
_LEAD = struct.Struct("<BBHfd")
_STATE = struct.Struct("<dddffBBBBI")
_BEAT = struct.Struct("<dfB3x")
_LOST = struct.Struct("<II")
_CLOCK = struct.Struct("<dB7x")


def _frame(kind: int, stream: int, body: bytes) -> bytes:
    padding = -len(body) % 8
    return _HEAD.pack(kind, VERSION, stream, 8 + len(body) + padding) + body + bytes(padding)


def wave(
    index: int,
    chunk: SampleChunk,
    leads: Sequence[tuple[int, int]],
    *,
    taken: float,
    sent: float,
    buffered: bool = False,
) -> bytes:
    """A wave frame of some leads of `chunk`.

    Parameters
    ----------
    index
        The stream's number on this server.
    leads
        Per lead: its index in the stream's `leads`, and its column in `chunk`.
    taken, sent
        Server times in s: of the first sample, and now.
    buffered
        The frame repeats older data for a new subscriber.
    """
    flags = (LATE if chunk.late else 0) | (BUFFERED if buffered else 0)
    parts = [
        _WAVE.pack(
            chunk.first_sample,
            taken,
            chunk.receive_time,
            sent,
            chunk.fs,
            chunk.n_samples,
            len(leads),
            flags,
            0,
            0,
        )
    ]
    for lead, column in leads:
        gain = chunk.adc_gain[column] / UNIT_IN_MV.get(chunk.units[column], 1.0)
        off = chunk.sig_name[column] in chunk.lead_off
        parts.append(_LEAD.pack(lead, off, 0, gain, chunk.baseline[column]))
    columns = [column for _, column in leads]
    parts.append(np.ascontiguousarray(chunk.d_signal()[:, columns].T).tobytes())
    return _frame(WAVE, index, b"".join(parts))


def state(
    index: int,
    *,
    sample: int,
    sent: float,
    received: float,
    heart_rate: float | None,
    quality: float | None,
    usable: bool,
    link: str,
    battery: float | None,
    flags: Sequence[Sequence[str]],
    beats: Sequence[Beat],
) -> bytes:
    """A state frame; `flags` has the quality flags of each of the stream's leads."""
    nan = float("nan")
    parts = [
        _STATE.pack(
            sample,
            sent,
            received,
            nan if heart_rate is None else heart_rate,
            nan if quality is None else quality,
            usable,
            LINKS.get(link, 0),
            NO_BATTERY if battery is None else min(100, max(0, round(battery))),
            len(flags),
            len(beats),
        )
    ]
    parts += (_BEAT.pack(b.sample, b.amplitude, ord(b.symbol[:1] or "Q") & 0x7F) for b in beats)
    for of_lead in flags:
        bits = sum(1 << FLAGS.index(flag) for flag in of_lead)
        parts.append(bits.to_bytes(2, "little"))
    return _frame(STATE, index, b"".join(parts))


def lost(index: int, frames: int, total: int) -> bytes:
    """Tell that `frames` waves of stream `index` were left out, `total` since the client connected."""
    return _frame(LOST, index, _LOST.pack(frames, total))


def clock(now: float, feed: bool) -> bytes:
    """The server's time, and whether it can read the bus."""
    return _frame(CLOCK, 0, _CLOCK.pack(now, feed))
