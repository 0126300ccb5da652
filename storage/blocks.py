"""Waveform blocks: samples <-> bytes, stretches that are present, the min/max envelope. Pure.

A block holds one signal's samples with numbers block * BLOCK_SAMPLES <= n < (block + 1) *
BLOCK_SAMPLES. What never came is *absent* and costs nothing; what came as `INVALID_SAMPLE` is
*present and invalid*. Neither is ever interpolated: `Runs` say what is present, a list inside the
bytes says what is invalid, and only the measured samples go through the compressor.

The compressor is pcodec with a fitted linear prediction of order 16 (its "conv1" delta). Measured on
mitdb, 26 records, blocks of 65,536: 3.900 bit/sample, 30 Msample/s in, 50 Msample/s out; pcodec's own
choice (a difference or a look-back) 4.053 bit/sample, 3 times as fast out.
"""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from pcodec import ChunkConfig, DeltaSpec, ModeSpec

from leadwire.errors import BugError
from leadwire.model import INVALID_SAMPLE
from storage.seal import seal, unseal
from storage.squeeze import expand, squeeze
from storage.tables import BLOCK_SAMPLES

Samples = NDArray[np.int16]
Run = tuple[int, int]
"""Sample numbers start <= n < stop."""
Runs = tuple[Run, ...]
"""Ascending stretches that neither touch nor overlap."""

BIN_SAMPLES = 2048
"""Samples a bin of the envelope: 8 s at 250 Hz, 32 bins and 128 bytes a block (0.016 bit/sample)."""

BINS = BLOCK_SAMPLES // BIN_SAMPLES
_PREDICTED, _PLAIN = 1, 2
_ORDER = 16
_CONFIG = ChunkConfig(compression_level=12, mode_spec=ModeSpec.auto(), delta_spec=DeltaSpec.try_conv1(_ORDER))


def block_of(sample: int) -> int:
    """The number of the block that `sample` belongs to."""
    return sample // BLOCK_SAMPLES


def encode(values: Samples) -> bytes:
    """The bytes of `values`, shape (n_samples,), `INVALID_SAMPLE` included; `decode` gives them back."""
    invalid = runs_of(values == INVALID_SAMPLE)
    measured = np.ascontiguousarray(values[values != INVALID_SAMPLE] if invalid else values, dtype="<i2")
    form, packed = _compress(measured)
    flat = [number for run in invalid for number in run]
    return seal(msgspec.msgpack.encode((form, len(values), flat, packed)))


def decode(data: bytes) -> Samples:
    """The samples in `data`, shape (n_samples,).

    Raises
    ------
    BugError
        Not made by `encode`, or damaged.
    """
    body = unseal(data, "waveform block")
    form, n, flat, packed = msgspec.msgpack.decode(body, type=tuple[int, int, list[int], bytes])
    valid = np.ones(n, bool)
    for start, stop in zip(flat[::2], flat[1::2], strict=True):
        valid[start:stop] = False
    values = np.full(n, INVALID_SAMPLE, np.int16)
    values[valid] = _decompress(form, packed, int(valid.sum()))
    return values


def _compress(measured: Samples) -> tuple[int, bytes]:
    """Form and bytes of `measured`."""
    if not len(measured):
        return _PLAIN, zlib.compress(b"")
    # pcodec 1.1 panics on a remainder shorter than the prediction: such lengths get a tail, cut on reading.
    tail = _ORDER - len(measured) % 256 if 0 < len(measured) % 256 < _ORDER else 0
    packed = squeeze(np.concatenate((measured, np.repeat(measured[-1:], tail))), _CONFIG)
    return (_PLAIN, zlib.compress(measured.tobytes())) if packed is None else (_PREDICTED, packed)


def _decompress(form: int, packed: bytes, n: int) -> Samples:
    if form == _PREDICTED:
        return expand(packed)[:n]
    if form == _PLAIN:
        return np.frombuffer(zlib.decompress(packed), "<i2")
    raise BugError(f"a waveform block of form {form} came; {_PREDICTED} or {_PLAIN} was expected")


def runs_of(mask: NDArray[np.bool_], first: int = 0) -> Runs:
    """The stretches where `mask` is true, numbered from `first`."""
    if not mask.any():
        return ()
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    return tuple((int(a) + first, int(b) + first) for a, b in edges.reshape(-1, 2))


def encode_runs(runs: Runs) -> bytes | None:
    """Bytes of `runs`; None for one run, whose ends stand in the row anyway."""
    return None if len(runs) == 1 else msgspec.msgpack.encode(runs)


def decode_runs(data: bytes | None, first: int, end: int) -> Runs:
    """What `encode_runs` was given; `first` and `end` are the row's ends."""
    if data is None:
        return ((first, end),)
    return msgspec.msgpack.decode(data, type=tuple[tuple[int, int], ...])


class Clock(NamedTuple):
    """When a stretch's first sample was, in s since 1970, and its sampling rate in Hz."""

    device_time: float
    receive_time: float
    fs: float


@dataclass(slots=True)
class OpenBlock:
    """One signal's block being put together: every sample's value and whether it is present.

    `device_time` and `receive_time` (s since 1970) belong to the first present sample.
    """

    block: int
    values: Samples
    present: NDArray[np.bool_]
    device_time: float = 0.0
    receive_time: float = 0.0

    @classmethod
    def empty(cls, block: int) -> "OpenBlock":
        return cls(block, np.full(BLOCK_SAMPLES, INVALID_SAMPLE, np.int16), np.zeros(BLOCK_SAMPLES, bool))

    @classmethod
    def from_row(cls, row: Any, with_values: bool = True) -> "OpenBlock":
        """From a row of `waveform_blocks`; without values only what is present is told."""
        self = cls.empty(row.block)
        for start, stop in decode_runs(row.runs, row.first_sample, row.end_sample):
            self.present[start - self.base : stop - self.base] = True
        if with_values:
            self.values[self.present] = decode(row.data)
        self.device_time, self.receive_time = row.device_time, row.receive_time
        return self

    @property
    def base(self) -> int:
        return self.block * BLOCK_SAMPLES

    def put(self, first: int, values: Samples, new: NDArray[np.bool_], clock: "Clock") -> None:
        """Add the samples from number `first` on that `new` marks; `clock` tells when `first` was."""
        if not new.any():
            return
        at = first - self.base
        offset = int(np.argmax(new))
        if not self.present[: at + offset].any():
            self.device_time = clock.device_time + offset / clock.fs
            self.receive_time = clock.receive_time
        self.values[at : at + len(new)][new] = values[new]
        self.present[at : at + len(new)] |= new

    def extremes(self, first: NDArray[np.int64]) -> Samples:
        """Lowest and highest valid sample of stretches of the block.

        Parameters
        ----------
        first
            Where in the block each stretch begins, ascending from 0; each ends where the next begins.

        Returns
        -------
        ndarray of int16, shape (len(first), 2)
            (32767, -32768) where the stretch has no valid sample.
        """
        # Absent samples are INVALID_SAMPLE in `values` too: one test finds both.
        lifted = np.where(self.values == INVALID_SAMPLE, np.int16(32767), self.values)
        low = np.minimum.reduceat(lifted, first)
        # INVALID_SAMPLE is the lowest number there is, so it cannot hide a highest valid one.
        return np.stack([low, np.maximum.reduceat(self.values, first)], axis=1)

    def to_row(self) -> dict[str, Any]:
        """The columns of `waveform_blocks` that depend on the samples."""
        runs = runs_of(self.present, self.base)
        return {
            "block": self.block,
            "n_samples": int(self.present.sum()),
            "first_sample": runs[0][0],
            "end_sample": runs[-1][1],
            "device_time": self.device_time,
            "receive_time": self.receive_time,
            "runs": encode_runs(runs),
            "envelope": self.extremes(np.arange(BINS) * BIN_SAMPLES).tobytes(),
            "data": encode(self.values[self.present]),
        }


def put_parts(
    opened: dict[int, OpenBlock], parts: Iterable[Any], block: int, fs_of: Mapping[int, float]
) -> set[int]:
    """Add rows of `waveform_parts` to the signals of one block; returns the signals that changed.

    A row of samples is taken once, whatever the calibration it comes in: first wins. Reading and
    compacting both go through here, so compaction cannot change what is read.

    Parameters
    ----------
    opened
        The block's signals by id, all that there are; new ones are added.
    parts
        Rows in the order they came.
    fs_of
        Sampling rate of each signal in Hz.
    """
    taken = np.zeros(BLOCK_SAMPLES, bool)
    for signal in opened.values():
        taken |= signal.present
    changed: set[int] = set()
    for part in parts:
        ids = msgspec.json.decode(part.signal_ids, type=list[int])
        samples = np.frombuffer(part.samples, "<i2").reshape(-1, len(ids))
        at = part.first_sample - block * BLOCK_SAMPLES
        if not 0 <= at <= at + len(samples) <= BLOCK_SAMPLES:
            raise BugError(f"a part {part.first_sample}..{part.end_sample} came outside its block {block}")
        new = ~taken[at : at + len(samples)]
        taken[at : at + len(samples)] = True
        if not new.any():
            continue
        for column, signal_id in enumerate(ids):
            if signal_id not in opened:
                opened[signal_id] = OpenBlock.empty(block)
            clock = Clock(part.device_time, part.receive_time, fs_of[signal_id])
            opened[signal_id].put(part.first_sample, samples[:, column], new, clock)
            changed.add(signal_id)
    return changed
