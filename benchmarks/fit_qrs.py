"""Fits the net of the QRS detector's decision: ``python -m benchmarks.fit_qrs DATA``.

Every candidate that the detector judges on the tuned records (first lead, second lead, both, with noise of
nstdb added for two minutes in four, and with other faults) is labelled by the reference: the strongest
one within 150 ms of a beat is a QRS complex, all others are not. Three nets of one layer are fitted
by gradient descent (Kingma & Ba 2015, Adam; a cosine for the rate) with fixed seeds; their mean ships.
Decisions change what the detector sees next, so candidates are gathered again with the new weights and
fitted together with the last ones. Most are easy: of those that a first net is sure of and right about, one
in twelve is kept and counts for twelve.

Held-out records of `benchmarks.qrs` are never read. T waves taller than the complex and smooth ventricular
tachycardia, which the records hardly have, are drawn (`simulators.monitor`). The first candidates are judged
by `START`, not by the weights that ship: the same records give the same weights. Writes
``dsp/models/qrs.json``.
"""

import argparse
import json
import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain, product
from pathlib import Path

import numpy as np
import wfdb
from numpy.typing import NDArray
from scipy import signal

from benchmarks import ec57
from benchmarks.qrs import HELD_OUT, Record, read
from dsp import qrs
from dsp import qrs_state as q
from simulators import monitor

Floats = NDArray[np.float64]
ROUNDS = 3
START = {"strength": 3.0, "template match": 3.0}
NETS, HIDDEN, EPOCHS, BATCH, RATE, RIDGE = 3, 14, 18, 512, 0.004, 3e-4
SURE, KEPT = 5.0, 12
OUT = Path(qrs.__file__).with_name("models") / "qrs.json"
LONGEST_S = 3600.0
"""Of the day-long records only so much is read: the rest repeats it."""
ONE_LEAD = frozenset({"203", "207"})
"""Much of their second lead shows no complexes."""


def main() -> None:
    """Gather, fit, repeat, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument(
        "data", type=Path, help="folder that has mitdb, nstdb, nsrdb, qtdb, cpsc2021 and cudb"
    )
    parser.add_argument("--out", type=Path, default=OUT, help="where to write the weights")
    parser.add_argument("--without", default="", metavar="A,B", help="leave these records out as well")
    args = parser.parse_args()
    records = [
        (Record(one.name, one.fs, one.x.astype(np.float32), one.ref), weight)
        for one, weight in chain(material(args.data, HELD_OUT | set(args.without.split(","))), drawn())
    ]
    qrs._WEIGHTS = np.zeros((2 + q.N_PHI, 1))
    qrs._WEIGHTS[-1] = 1.0
    for name, weight in START.items():
        qrs._WEIGHTS[1 + q.FEATURES.index(name)] = weight
    last: tuple[Floats, Floats, Floats] | None = None
    for number in range(ROUNDS):
        parts = [gather(record, weight) for record, weight in records]
        now = tuple(np.concatenate(some) for some in zip(*parts, strict=True))
        both = now if last is None else tuple(np.concatenate(p) for p in zip(last, now, strict=True))
        some = thin(*both)
        weights = together([fit(*some, seed) for seed in range(NETS)])
        qrs._WEIGHTS = weights
        last = (now[0], now[1], now[2])
        print(f"# round {number + 1}: {len(now[0])} candidates", flush=True)
    args.out.write_text(text(weights, sorted({record.name for record, _ in records})), encoding="utf-8")


def material(data: Path, never: frozenset[str] | set[str]) -> Iterator[tuple[Record, float]]:
    """Yield the records to learn from, and how much each of their candidates counts."""
    names = sorted(p.stem for p in (data / "mitdb").glob("*.hea") if p.stem not in never)
    noises = {kind: wfdb.rdrecord(str(data / "nstdb" / kind)).p_signal for kind in ("em", "ma")}
    for number, name in enumerate(names):
        record = read(data / "mitdb" / name)
        if record is None:
            continue
        first = leads(record, slice(0, 1))
        yield first, 1.0
        yield record, 1.0
        if name not in ONE_LEAD:
            yield leads(record, slice(1, 2)), 0.5
        for snr, kind in ((0, "em"), (6, "em"), (3, "em") if number % 2 else (6, "ma")):
            yield noisy(first, noises[kind], snr, number), 0.8
        if number % 3 == 1:
            yield faulty(first, number), 1.0
        if number % 3 == 0:
            for snr in (6, 0):
                yield noisy(record, noises["em"], snr, number), 0.5
    others = [
        p for folder in ("nsrdb", "qtdb", "cpsc2021", "cudb") for p in sorted((data / folder).glob("*.hea"))
    ]
    for number, path in enumerate(path for path in others if not path.stem.startswith("sel1")):
        record = read(path.with_suffix(""))
        if record is None or path.stem in never or path.stem.startswith("sel2"):
            continue
        record = Record(record.name, record.fs, record.x[: int(LONGEST_S * record.fs)], record.ref)
        first = leads(record, slice(0, 1))
        yield first, 1.0
        if path.parent.name not in ("nsrdb", "cudb"):
            yield record, 0.5
        if number % 3 == 0 and path.parent.name != "cudb":
            yield noisy(first, noises["em"], 6, number), 0.5


def text(weights: Floats, names: list[str]) -> str:
    """Return the file of these weights."""
    sums = ",\n  ".join(json.dumps([float(f"{value:.5g}") for value in column]) for column in weights.T)
    about = json.dumps("python -m benchmarks.fit_qrs; records " + " ".join(names))
    return f'{{"about": {about},\n "features": {json.dumps(q.FEATURES)},\n "sums": [\n  {sums}]}}\n'


def drawn() -> Iterator[tuple[Record, float]]:
    """Yield the standards' waveforms: T waves up to taller than the complex, bigeminies, early beats."""
    seconds, fs = 60.0, 250.0
    for number, (rate, t_mv, width) in enumerate(
        product((27.0, 30.0, 34.0, 40.0, 55.0, 80.0, 100.0, 130.0), (0.1, 0.5, 1.0, 1.2), (0.07, 0.1))
    ):
        yield draw(f"T{number}", monitor.rhythm(rate, 0.4, seconds), seconds, fs, width, t_mv, number), 2.0
    for number, name in enumerate(monitor.BIGEMINY_RATE):
        yield draw(name, monitor.bigeminy(name, seconds), seconds, fs, 0.08, 0.2, number), 0.5
    for name, gain, before in product(monitor.VT_RATE, (0.5, 0.7, 1.0, 1.5, 2.0), (0.0, 10.0, 20.0)):
        yield tachycardia(name, gain, before, seconds, fs), 1.0
    for number, (rate, gain, width) in enumerate(
        product((55.0, 75.0, 95.0), (0.6, 0.8, 1.0, 1.6), (0.07, 0.1))
    ):
        yield ectopic(rate, gain, width, seconds, fs, number), 1.0


def ectopic(rate: float, gain: float, width: float, seconds: float, fs: float, seed: int) -> Record:
    """Draw a rhythm that wide early beats break, smooth and of a new shape: one, two, and short fast runs."""
    rng = np.random.default_rng(seed)
    usual, at = 60.0 / rate, 0.4
    normal, wide = [], []
    while at < seconds - 4.0:
        for _ in range(rng.integers(3, 9)):
            normal.append(monitor.Beat(at))
            at += usual * rng.uniform(0.97, 1.03)
        at, kind = normal[-1].at + rng.uniform(0.37, max(0.4, 0.7 * usual)), rng.choice(["V", "v"])
        for _ in range(rng.choice([1, 1, 1, 2, 3, 5])):
            wide.append(monitor.Beat(at, kind))
            at += rng.uniform(0.28, 0.5)
        at = wide[-1].at + usual * rng.uniform(1.0, 1.4)
    x = monitor.draw(normal, seconds, fs, width=width, noise_mv=0.01, seed=seed)
    x += gain * monitor.draw(wide, seconds, fs, noise_mv=0.0)
    beats = np.array(sorted(beat.at for beat in (*normal, *wide)))
    return Record(f"E{seed}", fs, x, ec57.Reference(np.round(beats * fs).astype(np.int64), ()))


def tachycardia(name: str, gain: float, before: float, seconds: float, fs: float) -> Record:
    """Draw the standards' ventricular tachycardia: wide waves without a quiet line, suddenly."""
    x = monitor.ventricular_tachycardia(name, gain, before, seconds, fs)
    normal = [beat.at for beat in monitor.rhythm(80.0, 0.4, before)]
    first = (normal[-1] if normal else 0.0) + 0.45
    beats = np.array([*normal, *np.arange(first, seconds, 60.0 / monitor.VT_RATE[name])])
    x = x + np.random.default_rng(int(10 * gain + before)).normal(0.0, 0.01, x.shape)
    return Record(name, fs, x, ec57.Reference(np.round(beats * fs).astype(np.int64), ()))


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
    if record.fs != 360.0:
        to = Fraction(int(record.fs), 360)
        noise = signal.resample_poly(noise, to.numerator, to.denominator, axis=0)
    noise = np.tile(noise, (-(-len(x) // len(noise)), 1))
    shifted = np.roll(noise, 7777 * number, axis=0)[: len(x), : x.shape[1]]
    second, segment = int(record.fs), int(120 * record.fs)
    swing = np.median([np.ptp(x[i : i + second, 0]) for i in range(0, len(x) - second, 5 * second)])
    power = np.mean((shifted - shifted.mean(axis=0)) ** 2)
    gain = math.sqrt(swing**2 / 8 / power / 10 ** (snr / 10))
    for start in range(segment // 2, len(x), 2 * segment):
        x[start : start + segment] += gain * shifted[start : start + segment]
    return Record(record.name, record.fs, x, record.ref)


def faulty(record: Record, seed: int) -> Record:
    """Spoil 20 s of every minute: noise of 20 uV, an end stop, a gap, a fifth and five times the gain.

    Beats that cannot be seen are no longer in the reference.
    """
    x, rng = record.x.copy(), np.random.default_rng(seed)
    beats, fs = record.ref.beats, record.fs
    for number, start in enumerate(range(int(30 * fs), len(x), int(60 * fs))):
        part = x[start : start + int(20 * fs)]
        kind = number % 8
        if kind < 4:
            part[:] = 0.02 * rng.standard_normal(part.shape)
        elif kind < 6:
            part *= (0.2, 5.0)[kind - 4]
        else:
            part[:] = (10.0, np.nan)[kind - 6]
        if kind not in (4, 5):
            beats = beats[(beats < start) | (beats >= start + len(part))]
    return Record(record.name, record.fs, x, ec57.Reference(beats, record.ref.excluded))


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
            label[near[np.argmax(rows[near, 4])]] = 1
    return rows[outside, 4:], label[outside], np.full(int(outside.sum()), weight)


def thin(phi: Floats, label: Floats, weight: Floats) -> tuple[Floats, Floats, Floats]:
    """Leave out most of the easy candidates, let the rest of them count for those."""
    some = slice(0, None, KEPT)
    z = odds(fit(phi[some], label[some], weight[some], 0), phi)
    easy = np.where(label > 0, z, -z) > SURE
    kept = ~easy | (np.random.default_rng(0).random(len(z)) < 1.0 / KEPT)
    return phi[kept], label[kept], (weight * np.where(easy, float(KEPT), 1.0))[kept]


def odds(weights: Floats, phi: Floats) -> Floats:
    """Return `qrs_judge.discriminant` of many candidates."""
    total = phi @ weights[1:-1] + weights[0]
    total[:, 1:] = np.maximum(total[:, 1:], 0.0)
    return np.asarray(total @ weights[-1])


def together(nets: list[Floats]) -> Floats:
    """Return the mean of nets as one: they err in different places."""
    linear = np.mean([np.append(net[:-1, 0], 1.0) for net in nets], axis=0)
    layers = [net[:, 1:].copy() for net in nets]
    for layer in layers:
        layer[-1] /= len(nets)
    return np.ascontiguousarray(np.concatenate([linear[:, None], *layers], axis=1))


def fit(phi: Floats, label: Floats, weight: Floats, seed: int) -> Floats:
    """Return the weights of `qrs_judge.discriminant`, fitted on standardized columns."""
    rng = np.random.default_rng(seed)
    mean, sd = phi.mean(axis=0), phi.std(axis=0) + 1e-6
    n, width = phi.shape
    share = weight / weight.mean()
    inner = rng.normal(0.0, 1.0 / math.sqrt(width), (width, HIDDEN))
    values = [inner, np.zeros(HIDDEN), rng.normal(0.0, 0.3, HIDDEN), np.zeros(1), np.zeros(width)]
    first = [np.zeros_like(value) for value in values]
    second = [np.zeros_like(value) for value in values]
    steps, k = EPOCHS * (n // BATCH), 0
    for _ in range(EPOCHS):
        order = rng.permutation(n)
        for start in range(0, n - BATCH + 1, BATCH):
            some = order[start : start + BATCH]
            x = (phi[some] - mean) / sd
            hidden = np.maximum(x @ values[0] + values[1], 0.0)
            z = hidden @ values[2] + values[3] + x @ values[4]
            error = (1.0 / (1.0 + np.exp(-np.clip(z, -30, 30))) - label[some]) * share[some] / BATCH
            back = np.outer(error, values[2]) * (hidden > 0.0)
            slopes = [x.T @ back, back.sum(axis=0), hidden.T @ error, error.sum(keepdims=True), x.T @ error]
            slopes = [
                slope + (RIDGE * v if v.ndim == 2 else 0.0) for slope, v in zip(slopes, values, strict=True)
            ]
            slopes[2] += RIDGE * values[2]
            k += 1
            rate = RATE * 0.5 * (1.0 + math.cos(math.pi * k / steps))
            for i, slope in enumerate(slopes):
                first[i] = 0.9 * first[i] + 0.1 * slope
                second[i] = 0.999 * second[i] + 0.001 * slope**2
                values[i] -= rate * first[i] / (1 - 0.9**k) / (np.sqrt(second[i] / (1 - 0.999**k)) + 1e-8)
    columns = np.concatenate([values[4][:, None], values[0]], axis=1) / sd[:, None]
    constant = np.concatenate([values[3], values[1]]) - mean @ columns
    factor = np.concatenate([np.ones(1), values[2]])
    return np.concatenate([constant[None], columns, factor[None]])


if __name__ == "__main__":
    main()
