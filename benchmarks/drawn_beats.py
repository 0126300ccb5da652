"""Rhythms drawn with a person's own beats: the atrial arrhythmias that the records hold too few of.

Normal beats of a record are cut into P wave and QRS-T, each about the line between its ends, and set down
again at the times of a drawn rhythm. Premature beats get the P wave of another focus (smaller, inverted or
none), the others their own. What such rhythms change is known: when beats come, and the P wave. Shapes,
noise between the beats' own samples, and how people differ, stay real ones.

sick      sinus beats after long pauses, most others atrial and early: runs of 1 to 20 (sick sinus)
single    atrial beats here and there, some coupled, bigeminy for a while
runs      sinus rhythm with runs of 3 to 30 atrial beats
breathing sinus rhythm that breathing makes quicker and slower, and that drifts: no early beat
blocked   sinus rhythm in which single beats are dropped, or every second for a while: no early beat
"""

from collections.abc import Iterator
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from benchmarks import ec57
from benchmarks.beat_score import Record
from dsp import beat_state as b

P_S, Q_S, T_S = -0.26, -0.09, 0.42
"""Begin of the P wave, border to the QRS complex, end of the T wave, in s after R."""
LONG_S = 240.0
PIECES = 60
NOISE_MV = 0.004
REPORTED_S = 0.25
ATRIAL, SINUS = ("sick", "single", "runs"), ("breathing", "blocked")
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Drawn:
    """A record of some kind of rhythm, with its beats as a detector would have reported them."""

    kind: str
    record: Record
    found: Floats


def draw(record: Record) -> Iterator[Drawn]:
    """Yield one record of each kind, or nothing where too few beats are regular; always the same ones."""
    rng = np.random.default_rng(crc32(record.name.encode()))
    pieces, usual = _pieces(record, rng)
    if len(pieces) < PIECES // 2:
        return
    for kind in (*ATRIAL, *SINUS):
        rr, early = _rhythm(kind, usual, rng)
        sample = np.round(np.cumsum(rr) * record.fs).astype(np.int64) + round(record.fs)
        x = rng.normal(0.0, NOISE_MV, (int(sample[-1] + 2 * record.fs), record.x.shape[1]))
        other = rng.uniform(-1.0, 0.8)
        for at, atrial in zip(sample, early, strict=True):
            p, qrs = pieces[rng.integers(len(pieces))]
            begin = at + round(P_S * record.fs)
            # An ectopic P wave lies nearer to the QRS complex or farther from it by a few samples.
            shift = round(rng.uniform(-0.02, 0.02) * record.fs) if atrial else 0
            x[begin + shift : begin + shift + len(p)] += p * (other if atrial else 1.0)
            begin += len(p)
            x[begin : begin + len(qrs)] += qrs
        known = sample + round(REPORTED_S * record.fs)
        found = np.column_stack([sample, known, np.ones((len(sample), 3))])  # `dsp.qrs.COLUMNS`
        symbols = np.where(early, b.SUPRAVENTRICULAR, b.NORMAL)
        yield Drawn(kind, Record(record.name, record.fs, x, ec57.Reference(sample), symbols, False), found)


def _pieces(record: Record, rng: np.random.Generator) -> tuple[list[tuple[Floats, Floats]], float]:
    """Return P wave and QRS-T of normal beats among normal beats, and the usual interval in s."""
    beats, fs = record.ref.beats, record.fs
    rr = np.diff(beats) / fs
    normal = record.symbols == b.NORMAL
    usual = float(np.median(rr[normal[1:] & normal[:-1]])) if (normal[1:] & normal[:-1]).any() else 0.0
    clean = normal[1:-1] & normal[:-2] & normal[2:]
    clean &= (np.abs(rr[:-1] / max(usual, 0.3) - 1.0) < 0.1) & (np.abs(rr[1:] / max(usual, 0.3) - 1.0) < 0.1)
    where = beats[1:-1][clean]
    out = []
    for at in rng.permutation(where)[:PIECES]:
        p, q, t = (at + round(s * fs) for s in (P_S, Q_S, min(T_S, usual + P_S)))
        if p < 0 or t > len(record.x) or not np.isfinite(record.x[p:t]).all():
            continue
        out.append((_level(record.x[p:q]), _level(record.x[q:t])))
    return out, usual


def _level(x: Floats) -> Floats:
    """Return x (n_samples, n_sig) about the line between its ends (the means of five samples)."""
    first, last = x[:5].mean(0), x[-5:].mean(0)
    part = np.linspace(0.0, 1.0, len(x))[:, None]
    return np.asarray(x - first * (1.0 - part) - last * part)


def _rhythm(kind: str, usual: float, rng: np.random.Generator) -> tuple[Floats, NDArray[np.bool_]]:
    """Return intervals in s, and which of the beats that end them are premature."""
    rr: list[float] = []
    early: list[bool] = []
    usual = float(np.clip(usual, 0.55, 1.2))
    swing = rng.uniform(0.1, 0.25) if kind == "breathing" else rng.uniform(0.01, 0.05)
    breath = rng.uniform(3.0, 6.0)
    quick = rng.uniform(0.6, 0.8)  # of the sinus interval, in runs
    length = rng.uniform(2.0, 7.0)  # of runs
    often = rng.uniform(0.03, 0.15)
    pairs = False
    blocks = False
    drift = 0.0
    t = 0.0
    while t < LONG_S:
        drift = 0.98 * drift + rng.normal(0.0, 0.01)
        sinus = usual * np.exp(swing * np.sin(2 * np.pi * t / breath) + drift + rng.normal(0.0, 0.01))
        row: list[tuple[float, bool]] = [(sinus, False)]
        if kind == "sick":
            pause = usual * rng.uniform(1.2, 2.6)
            row = [(pause, False)] * (1 + int(rng.random() < 0.2))
            run = min(20, 1 + int(rng.exponential(length)))
            row += [(usual * (quick + 0.1) * rng.uniform(0.9, 1.1), True) for _ in range(run)]
        elif kind == "single":
            pairs = rng.random() < 0.1 if not pairs else rng.random() < 0.9
            if pairs or rng.random() < often:
                row.append((usual * rng.uniform(0.55, 0.85), True))
                row.append((usual * rng.uniform(1.0, 1.3), False))
        elif kind == "runs" and rng.random() < 0.04:
            run = 3 + int(rng.exponential(2.0 * length))
            row += [(usual * quick * rng.uniform(0.95, 1.05), True) for _ in range(min(run, 30))]
            row.append((usual * rng.uniform(1.0, 1.6), False))
        elif kind == "blocked":
            blocks = rng.random() < 0.1 if not blocks else rng.random() < 0.9
            if blocks or rng.random() < 0.1:
                row[0] = (2.0 * sinus, False)
        for interval, atrial in row:
            rr.append(float(interval))
            early.append(atrial)
            t += float(interval)
    return np.array(rr), np.array(early)
