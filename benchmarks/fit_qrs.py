"""Fits the weights of the QRS detector's discriminant: ``python -m benchmarks.fit_qrs DATA``.

Every candidate that the detector judges on the tuned records (first lead, second lead, both, and with
noise of nstdb added for two minutes in four) is labelled by the reference: the strongest one
within 150 ms of a beat is a QRS complex, all others are not. A ridge logistic regression on constant,
features, and their products gives the weights. Decisions change what the detector sees next, so
candidates are gathered again with the new weights and fitted together with the last ones.
Held-out records of `benchmarks.qrs` are never read. T waves taller than the complex, which those records
do not have, are drawn (`simulators.monitor`). The first candidates are judged by `START`, not by the
weights that ship: the same records give the same weights. Writes ``dsp/qrs_weights.py``.
"""

import argparse
import math
from collections.abc import Iterator
from itertools import chain, product
from pathlib import Path

import numpy as np
import wfdb
from numpy.typing import NDArray

from benchmarks import ec57
from benchmarks.qrs import HELD_OUT, Record, read
from dsp import qrs
from dsp import qrs_state as q
from simulators import monitor

Floats = NDArray[np.float64]
ROUNDS = 2
START = {"strength": 3.0, "template match": 3.0}
RIDGE = 30.0
OUT = Path(qrs.__file__).with_name("qrs_weights.py")
HEAD = '''"""Weights of the QRS detector's discriminant, fitted by ``python -m benchmarks.fit_qrs DATA``.

Constant, linear terms, then products of two (upper triangle, row by row) of the features that
`qrs_judge.features` measures, in its order; positive sums mean "QRS".
"""

from typing import Final

WEIGHTS: Final[tuple[float, ...]] = (
'''
LONGEST_S = 3600.0
"""Of the day-long records only so much is read: the rest repeats it."""


def main() -> None:
    """Gather, fit, repeat, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("data", type=Path, help="folder that has mitdb, nstdb, nsrdb and qtdb")
    records = [
        (Record(one.name, one.fs, one.x.astype(np.float32), one.ref), weight)
        for one, weight in chain(material(parser.parse_args().data), drawn())
    ]
    qrs._WEIGHTS = np.zeros(1 + q.N_PHI + q.N_PHI * (q.N_PHI + 1) // 2)
    for name, weight in START.items():
        qrs._WEIGHTS[1 + q.FEATURES.index(name)] = weight
    last: tuple[Floats, Floats, Floats] | None = None
    for number in range(ROUNDS):
        parts = [gather(record, weight) for record, weight in records]
        now = tuple(np.concatenate(some) for some in zip(*parts, strict=True))
        both = now if last is None else tuple(np.concatenate(p) for p in zip(last, now, strict=True))
        weights = fit(*both)
        qrs._WEIGHTS = weights
        last = (now[0], now[1], now[2])
        print(f"# round {number + 1}: {len(now[0])} candidates")
    OUT.write_text(text(weights), encoding="utf-8")


def material(data: Path) -> Iterator[tuple[Record, float]]:
    """Yield the records to learn from, and how much each of their candidates counts."""
    names = sorted(p.stem for p in (data / "mitdb").glob("*.hea") if p.stem not in HELD_OUT)
    noises = {kind: wfdb.rdrecord(str(data / "nstdb" / kind)).p_signal for kind in ("em", "ma")}
    for number, name in enumerate(names):
        record = read(data / "mitdb" / name)
        if record is None:
            continue
        yield leads(record, slice(0, 1)), 1.0
        yield record, 1.0
        if name not in ("203", "207"):  # much of their second lead shows no complexes
            yield leads(record, slice(1, 2)), 0.5
        for snr, kind in ((12, "em"), (3, "em")) if number % 2 else ((6, "em"), (6, "ma")):
            yield noisy(leads(record, slice(0, 1)), noises[kind], snr, number), 0.5
        if number % 3 == 0:
            for snr in (6, 0):
                yield noisy(record, noises["em"], snr, number), 0.5
    for database, some in (("nsrdb", slice(0, 3)), ("qtdb", slice(0, None, 2))):
        for path in sorted((data / database).glob("*.hea"))[some]:
            record = read(path.with_suffix(""))
            if record is not None and not path.stem.startswith("sel1"):
                first = leads(record, slice(0, 1))
                yield Record(first.name, first.fs, first.x[: int(LONGEST_S * first.fs)], first.ref), 1.0


def text(weights: Floats) -> str:
    """Return the module with these weights."""
    return HEAD + "".join(f"    {value:.6g},\n" for value in weights) + ")\n"


def drawn() -> Iterator[tuple[Record, float]]:
    """Yield the standards' waveforms with T waves from flat to taller than the complex, and bigeminies."""
    seconds, fs = 60.0, 250.0
    for number, (rate, t_mv, width) in enumerate(
        product((30.0, 40.0, 55.0, 80.0, 100.0, 130.0), (0.1, 0.5, 1.0, 1.2), (0.07, 0.1))
    ):
        yield draw(f"T{number}", monitor.rhythm(rate, 0.4, seconds), seconds, fs, width, t_mv, number), 0.5
    for number, name in enumerate(monitor.BIGEMINY_RATE):
        yield draw(name, monitor.bigeminy(name, seconds), seconds, fs, 0.08, 0.2, number), 0.5


def draw(
    name: str, beats: list[monitor.Beat], seconds: float, fs: float, width: float, t_mv: float, seed: int
) -> Record:
    """Draw beats with a little noise."""
    x = monitor.draw(beats, seconds, fs, width=width, t_mv=t_mv, noise_mv=0.01, seed=seed)
    return Record(name, fs, x, ec57.Reference(np.array([round(b.at * fs) for b in beats]), ()))


def leads(record: Record, some: slice) -> Record:
    """Return the record with some of its leads."""
    return Record(record.name, record.fs, np.ascontiguousarray(record.x[:, some]), record.ref)


def noisy(record: Record, noise: Floats, snr: float, number: int) -> Record:
    """Add noise (360 Hz) from 1:00 for two minutes in four; signal power is that of a QRS (nstdb's rule)."""
    x = record.x.copy()
    shifted = np.roll(noise, 7777 * number, axis=0)[: len(x), : x.shape[1]]
    second, segment = int(record.fs), int(120 * record.fs)
    swing = np.median([np.ptp(x[i : i + second, 0]) for i in range(0, len(x) - second, 5 * second)])
    power = np.mean((shifted - shifted.mean(axis=0)) ** 2)
    gain = math.sqrt(swing**2 / 8 / power / 10 ** (snr / 10))
    for start in range(segment // 2, len(x), 2 * segment):
        x[start : start + segment] += gain * shifted[start : start + segment]
    return Record(record.name, record.fs, x, record.ref)


def gather(record: Record, weight: float) -> tuple[Floats, Floats, Floats]:
    """Return features (n, N_PHI), labels and weights of the candidates judged on a record."""
    trace = np.zeros((20 * len(record.ref.beats) + 5000, q.TRACE_COLUMNS))
    qrs.QrsDetector(record.fs, record.x.shape[1]).find(record.x, trace)
    rows = trace[1 : int(trace[0, 0]) + 1]
    outside = np.ones(len(rows), bool)
    for start, end in record.ref.excluded:
        outside &= (rows[:, 0] < start) | (rows[:, 0] > end)
    back = rows[:, 2] > 0
    label = np.zeros(len(rows))
    window = ec57.WINDOW_S * record.fs
    for beat in record.ref.beats[record.ref.beats < len(record.x)]:
        near = np.flatnonzero(np.abs(rows[:, 0] - beat) <= window)
        label[near[back[near]]] = 1
        near = near[~back[near]]
        if len(near):
            label[near[np.argmax(rows[near, 3])]] = 1
    return rows[outside, 3:], label[outside], np.full(int(outside.sum()), weight)


def fit(phi: Floats, label: Floats, weight: Floats) -> Floats:
    """Return the weights of `qrs_judge.discriminant` by Newton's method on standardized columns."""
    n = phi.shape[1]
    columns = [np.ones(len(phi)), *phi.T]
    columns += [phi[:, i] * phi[:, j] for i in range(n) for j in range(i, n)]
    z = np.stack(columns, axis=1)
    mean, sd = z.mean(axis=0), z.std(axis=0) + 1e-9
    mean[0], sd[0] = 0.0, 1.0
    z = (z - mean) / sd
    ridge = np.full(z.shape[1], RIDGE)
    ridge[0] = 1e-6
    b = np.zeros(z.shape[1])
    for _ in range(30):
        p = 1.0 / (1.0 + np.exp(-np.clip(z @ b, -30, 30)))
        hessian = (z * (weight * p * (1 - p))[:, None]).T @ z + np.diag(ridge)
        change = np.linalg.solve(hessian, z.T @ (weight * (p - label)) + ridge * b)
        b -= change
        if np.abs(change).max() < 1e-4:
            break
    b /= sd
    b[0] -= b[1:] @ mean[1:]
    return np.asarray(b)


if __name__ == "__main__":
    main()
