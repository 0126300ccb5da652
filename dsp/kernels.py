"""What the compiled detectors share: their compiler, the types of their state, snapshots of it.

A detector's state is a NamedTuple of arrays; its snapshot is a header that tells version, sampling rate
and number of leads, and then these arrays in their order.
"""

import math
import struct
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Ring = NDArray[np.float32]

_F = TypeVar("_F", bound=Callable[..., Any])
_HEADER = struct.Struct("<4sHHd")


def kernel(function: _F) -> _F:
    """Compile a kernel: cached on disk, free of the interpreter lock, no reordering of floats."""
    return cast(_F, njit(cache=True, nogil=True)(function))


def leaf(function: _F) -> _F:
    """Compile a kernel that is made part of its callers: a state with many arrays is slow to hand on."""
    return cast(_F, njit(cache=True, nogil=True, forceinline=True)(function))


@kernel
def unmeasured(x: Floats, t: int) -> bool:
    """Return whether no lead of x (n_samples, n_sig) has a measurement at sample t."""
    for sig in range(x.shape[1]):  # noqa: SIM110 (a generator costs the kernel its speed)
        if math.isfinite(x[t, sig]):
            return False
    return True


def header(what: bytes, version: int, n_sig: int, fs: float) -> bytes:
    """Return how a snapshot begins; `what` are four letters for the detector."""
    return _HEADER.pack(what, version, n_sig, fs)


def save(head: bytes, state: Sequence[NDArray[Any]]) -> bytes:
    """Return the snapshot of a state."""
    return b"".join([head, *(array.tobytes() for array in state)])


def load(snapshot: bytes, head: bytes, state: Sequence[NDArray[Any]]) -> None:
    """Fill the arrays of `state` from a snapshot with the header `head`.

    Raises
    ------
    ValueError
        It is no such snapshot; `state` is left as it was.
    """
    size = len(head) + sum(array.nbytes for array in state)
    if snapshot[: len(head)] != head or len(snapshot) != size:
        _, version, n_sig, fs = _HEADER.unpack(head)
        raise ValueError(
            f"a snapshot of {len(snapshot)} bytes that begins {snapshot[: len(head)]!r} came; "
            f"{size} bytes of version {version} for {n_sig} leads at {fs:g} Hz were expected"
        )
    at = len(head)
    for array in state:
        array[...] = np.frombuffer(snapshot, array.dtype, array.size, at).reshape(array.shape)
        at += array.nbytes
