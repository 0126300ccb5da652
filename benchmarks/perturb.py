"""The same record a little different: what a rule that fits one record does not survive.

A robust rule says the same of a record that began later, lacks a lead or the pulse, is upside down, half
as high, or noisier. `PERTURBATIONS` names what can be done to a stream; ``leadwire bench alarms --perturb
NAME`` (or ``all``) measures the alarms under it, and ``alarms`` says what such a figure is good for.

later       the record begins `LATER_S` later: other beats are learned, other counts are full
without-1   the first ECG lead is missing, without-2 the second
no-pulse    all that is not ECG is missing
inverted    every ECG lead is upside down
half        every ECG lead is half as high, double twice
noise       electrode motion (nstdb ``em``) at `SNR_DB` on every ECG lead, as `nst` of WFDB adds it: the
            power of the noise against an eighth of the squared median swing of a second
muscle      the same with muscle noise (``ma``)
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import wfdb
from msgspec import structs
from numpy.typing import NDArray

from leadwire.model import INVALID_SAMPLE, UNIT_IN_MV, SampleChunk

LATER_S = 150.0
SNR_DB = 15.0
PERTURBATIONS = (
    "later",
    "without-1",
    "without-2",
    "no-pulse",
    "inverted",
    "half",
    "double",
    "noise",
    "muscle",
)
_NOISES = {"noise": "em", "muscle": "ma"}


def perturbed(chunks: Iterable[SampleChunk], how: str, noises: Path) -> Iterator[SampleChunk]:
    """Yield a stream's chunks as `how` changes them.

    Parameters
    ----------
    chunks
        Of one record, from its beginning, all with the same leads.
    how
        One of `PERTURBATIONS`, or empty: unchanged.
    noises
        The folder of nstdb, for the two that need it.
    """
    if how in _NOISES:
        yield from _noisy(list(chunks), noises / _NOISES[how])
        return
    for chunk in chunks:
        ecg = [i for i, unit in enumerate(chunk.units) if unit in UNIT_IN_MV]
        if how == "later":
            if chunk.first_sample >= LATER_S * chunk.fs:
                yield chunk
        elif how in ("without-1", "without-2"):
            gone = ecg[int(how[-1]) - 1 :][:1] if len(ecg) > 1 else []
            yield _only(chunk, [i for i in range(len(chunk.units)) if i not in gone])
        elif how == "no-pulse":
            yield _only(chunk, ecg)
        elif how == "inverted":
            d = chunk.d_signal().astype(np.int64)
            turned = np.clip(2 * np.array(chunk.baseline) - d, -32767, 32767)
            d[:, ecg] = np.where(d == INVALID_SAMPLE, d, turned)[:, ecg]
            yield structs.replace(chunk, samples=_bytes(d))
        elif how in ("half", "double"):
            by = 2.0 if how == "half" else 0.5
            gain = tuple(g * by if i in ecg else g for i, g in enumerate(chunk.adc_gain))
            yield structs.replace(chunk, adc_gain=gain)
        else:
            yield chunk


def _only(chunk: SampleChunk, kept: list[int]) -> SampleChunk:
    """The chunk with the signals `kept` alone."""
    return structs.replace(
        chunk,
        sig_name=tuple(chunk.sig_name[i] for i in kept),
        units=tuple(chunk.units[i] for i in kept),
        adc_gain=tuple(chunk.adc_gain[i] for i in kept),
        baseline=tuple(chunk.baseline[i] for i in kept),
        samples=_bytes(chunk.d_signal()[:, kept]),
    )


def _noisy(chunks: list[SampleChunk], noise: Path) -> Iterator[SampleChunk]:
    """Yield the chunks with the first channels of the record `noise` added to their ECG leads."""
    first = chunks[0]
    fs = first.fs
    record = wfdb.rdrecord(str(noise))
    t = np.arange(chunks[-1].end_sample - first.first_sample) / fs
    own = np.arange(record.sig_len) / record.fs
    added = np.column_stack([np.interp(t % own[-1], own, lead) for lead in record.p_signal.T])
    added -= added.mean(axis=0)
    added /= added.std(axis=0)
    d = np.concatenate([c.d_signal() for c in chunks]).astype(np.int64)
    second = round(fs)
    for k, i in enumerate(i for i, unit in enumerate(first.units) if unit in UNIT_IN_MV):
        lead = d[: len(d) // second * second, i].reshape(-1, second)
        swing = float(np.median(np.ptp(lead, axis=1)))
        rms = swing / np.sqrt(8) * 10 ** (-SNR_DB / 20)
        more = np.clip(d[:, i] + np.round(rms * added[:, k % added.shape[1]]), -32767, 32767)
        d[:, i] = np.where(d[:, i] == INVALID_SAMPLE, d[:, i], more)
    for c in chunks:
        yield structs.replace(
            c, samples=_bytes(d[c.first_sample - first.first_sample : c.end_sample - first.first_sample])
        )


def _bytes(d: NDArray[np.int64] | NDArray[np.int16]) -> bytes:
    return np.ascontiguousarray(d, "<i2").tobytes()
