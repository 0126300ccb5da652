"""Faults at work: a plan of them on a device's samples, link and clock. Deterministic by seed.

Sample faults are pure functions of the sample number, so reading again gives the same samples
however they are cut. Link faults draw from one generator, message by message.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.protocols.v1_wire import Type
from leadwire.errors import SettingError
from leadwire.model import INVALID_SAMPLE
from simulators.faults import (
    ClockJump,
    Corrupt,
    Disconnect,
    Duplicate,
    Fault,
    GainStep,
    Invalid,
    LeadOff,
    LinkFault,
    Loss,
    Mains,
    Noise,
    Reorder,
    SampleFault,
    Saturation,
    Skew,
    Storm,
)
from simulators.source import Samples, Source

_NOISE_BLOCK = 4096
_PER_MV = {"mV": 1.0, "uV": 1e3, "V": 1e-3}


@dataclass(frozen=True)
class FaultPlan:
    """The faults of one device."""

    faults: tuple[Fault, ...] = ()
    seed: int = 0

    def source(self, source: Source) -> Source:
        """`source` with the sample faults, applied in their order."""
        for i, fault in enumerate(self.faults):
            if isinstance(fault, SampleFault):
                source = FaultySource(source, fault, (self.seed, i))
        return source

    def link(self) -> "FaultyLink":
        """A fresh link with the link faults."""
        return FaultyLink([f for f in self.faults if isinstance(f, LinkFault)], self.seed)

    @property
    def pace(self) -> float:
        """How fast the device's clock runs against the true one; 1 is right."""
        return 1.0 + sum(f.ppm for f in self.faults if isinstance(f, Skew)) * 1e-6

    def clock_offset(self, at_s: float) -> float:
        """By how many s the device's clock has been set until `at_s` s after sample 0."""
        return sum(f.by for f in self.faults if isinstance(f, ClockJump) and f.at_s <= at_s)


class FaultySource:
    """`source` with one fault; `seed` makes its randomness, if it has any."""

    def __init__(self, source: Source, fault: SampleFault, seed: tuple[int, ...]) -> None:
        unknown = [name for name in fault.leads if name not in source.sig_name]
        if unknown:
            raise SettingError(
                f"{type(fault).__name__}: leads {', '.join(unknown)} came; "
                f"some of {', '.join(source.sig_name)} were expected"
            )
        self._source = source
        self._fault = fault
        self._seed = seed
        self.fs = source.fs
        self.sig_name = source.sig_name
        self.units = source.units
        self.adc_gain = source.adc_gain
        self.baseline = source.baseline
        self.n_samples = source.n_samples
        self._leads = [i for i, n in enumerate(source.sig_name) if not fault.leads or n in fault.leads]
        self._first = round(fault.at_s * source.fs)
        self._end = round((fault.at_s + fault.for_s) * source.fs)

    def read(self, start: int, stop: int) -> Samples:
        x = self._source.read(start, stop)
        first, end = max(start, self._first), min(stop, self._end)
        if first >= end:
            return x
        x = x.copy()
        rows = x[first - start : end - start]
        for i in self._leads:
            rows[:, i] = self._changed(rows[:, i], np.arange(first, end), i)
        return x

    def lead_off(self, sample: int) -> tuple[str, ...]:
        off = set(self._source.lead_off(sample))
        fault = self._fault
        if isinstance(fault, LeadOff) and not fault.silent and self._first <= sample < self._end:
            off.update(self.sig_name[i] for i in self._leads)
        return tuple(name for name in self.sig_name if name in off)

    def _changed(self, d: Samples, n: NDArray[np.int64], i: int) -> Samples:
        fault, missing = self._fault, d == INVALID_SAMPLE
        if isinstance(fault, LeadOff):
            return np.full_like(d, INVALID_SAMPLE)
        if isinstance(fault, Invalid):
            return np.where(self._random(n, i).random < fault.p, INVALID_SAMPLE, d).astype(np.int16)
        gain, zero = self.adc_gain[i] * _PER_MV.get(self.units[i], 1.0), self.baseline[i]
        mv = (d - float(zero)) / gain
        if isinstance(fault, Mains):
            mv = mv + fault.mv * np.sin(2 * np.pi * fault.hz * (n / self.fs))
        elif isinstance(fault, Noise):
            mv = mv + fault.mv * self._random(n, i).normal
        elif isinstance(fault, Saturation):
            mv = np.clip(mv, -fault.mv, fault.mv)
        elif isinstance(fault, GainStep):
            mv = mv * fault.factor
        else:
            mv = np.zeros_like(mv)
        out = np.clip(np.rint(mv * gain + zero), -32767, 32767).astype(np.int16)
        out[missing] = INVALID_SAMPLE
        return out

    def _random(self, n: NDArray[np.int64], i: int) -> "_Draws":
        """Draws that belong to sample numbers, not to the reading of them."""
        first, last = int(n[0]) // _NOISE_BLOCK, int(n[-1]) // _NOISE_BLOCK
        blocks = [_Draws.of((*self._seed, i, block)) for block in range(first, last + 1)]
        a = int(n[0]) - first * _NOISE_BLOCK
        return _Draws(
            np.concatenate([b.random for b in blocks])[a : a + len(n)],
            np.concatenate([b.normal for b in blocks])[a : a + len(n)],
        )


@dataclass(frozen=True)
class _Draws:
    random: NDArray[np.float64]
    normal: NDArray[np.float64]

    @classmethod
    def of(cls, seed: Sequence[int]) -> "_Draws":
        rng = np.random.default_rng(list(seed))
        return cls(rng.random(_NOISE_BLOCK), rng.standard_normal(_NOISE_BLOCK))


class FaultyLink:
    """What a link does to the messages of one device, and when it is down; told the time in s."""

    def __init__(self, faults: Sequence[LinkFault], seed: int = 0) -> None:
        self._faults = faults
        self._rng = np.random.default_rng([seed, 0x1147])
        self._overtaken: list[tuple[int, bytes]] = []
        self._first: float | None = None
        self._connected = 0.0

    @property
    def has_faults(self) -> bool:
        return bool(self._faults)

    def connected(self, now: float) -> None:
        """A new connection begins; what the last one still owed is gone."""
        self._first = now if self._first is None else self._first
        self._connected = now
        self._overtaken.clear()

    def down(self, now: float) -> bool:
        """Whether nothing can be connected at `now`."""
        return any(isinstance(f, Disconnect) and self._within(f, now) for f in self._faults)

    def breaks(self, now: float) -> bool:
        """Whether the connection that is open breaks at `now`."""
        age = now - self._connected
        return self.down(now) or any(
            isinstance(f, Storm) and self._within(f, now) and age >= f.every for f in self._faults
        )

    def _within(self, fault: Disconnect | Storm, now: float) -> bool:
        return self._first is not None and fault.at_s <= now - self._first < fault.at_s + fault.for_s

    def carry(self, message: bytes) -> list[bytes]:
        """What arrives when `message` is sent: nothing, it, it twice, or it with others before it."""
        if message[0] != Type.DATA:
            return [message]
        arriving = [message]
        for f in self._faults:
            if not isinstance(f, Loss | Duplicate | Reorder | Corrupt) or self._rng.random() >= f.p:
                continue
            if isinstance(f, Loss):
                arriving = []
            elif isinstance(f, Duplicate):
                arriving = arriving * 2
            elif isinstance(f, Corrupt):
                arriving = [self._flip(m) for m in arriving]
            else:
                depth = int(self._rng.integers(1, f.depth, endpoint=True))
                # One more, for it is counted down below already for this message.
                self._overtaken += [(depth + 1, m) for m in arriving]
                arriving = []
        self._overtaken = [(n - 1, m) for n, m in self._overtaken]
        arriving += [m for n, m in self._overtaken if n == 0]
        self._overtaken = [(n, m) for n, m in self._overtaken if n > 0]
        return arriving

    def _flip(self, message: bytes) -> bytes:
        changed = bytearray(message)
        changed[int(self._rng.integers(len(changed)))] ^= 1 << int(self._rng.integers(8))
        return bytes(changed)
