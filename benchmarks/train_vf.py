"""Train the model of `dsp/waves.py` (not a benchmark; run ``python -m benchmarks.train_vf --data ROOT``).

Windows of each lead of vfdb, cudb, mitdb, nsrdb, nstdb and cinc2015 (alarms other than VF and VT), without
the persons in `vf_reference.HELD_OUT`, answer three questions:

vf   fibrillation or flutter against everything but ventricular tachycardia
vt   ventricular tachycardia against everything but fibrillation and flutter
slow ventricular tachycardia against fibrillation and flutter

There are few persons with fibrillation in these databases, so each record is heard again as it would be
(`VARIANTS`): with noise of electrodes and of muscles (nstdb) added, of a size that changes every
`NOISE_STEP_S`, and faster and slower by a fifth. Slowed flutter would be tachycardia and fast tachycardia
flutter: VT is not used when faster, nor VF when slowed below `SLOWED_HZ`. Stretches where the reference
is known to be silent about VF (`vf_reference.DOUBTFUL`) or where its beats are fast answer nothing.

Regular tachycardias of 140 to 230 a minute are rare too: drawn ones (`simulators.synthetic`)
are added, narrow ones as records of sinus rhythm, so that speed alone is no reason, wide ones as VT.

Each record weighs at most `RECORD_WINDOWS` windows of either answer, its variants a third of that, so that
no person makes the rule. Gradient-boosted trees (scikit-learn, fixed seed); what is known of a feature binds
them (`BOUND`: a trace that rests between complexes never speaks for fibrillation). Written as complete trees
of depth 3 to dsp/models/ventricular.json.

With ``--cross N`` nothing is written: persons, held-out ones too, are divided into N parts, each is judged by
the model of the others, and the alarms that follow are counted as in `leadwire bench vf`, a line each.
"""

import argparse
import csv
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import wfdb
from numpy.typing import NDArray

from benchmarks import vf
from benchmarks.vf_reference import DOUBTFUL, FAST, VF, VT, part, per_second, segments
from dsp.abstract import Second
from dsp.rhythm.fibrillation import Fibrillation
from dsp.wave_features import NAMES, SLOPE_REST, SWING, WINDOW_S
from dsp.wave_model import INNER, LEAVES
from dsp.waves import LEAST_MV, REST, WaveMeter, judge
from leadwire.settings import Limits

Floats = NDArray[np.float64]

FOLDERS = ("vfdb", "cudb", "mitdb", "nsrdb", "nstdb", "cinc2015")
RECORD_WINDOWS = 150
DRAWN_FS, DRAWN_S = 250.0, 30
QUESTIONS = {"vf": (VF, "no", VT), "vt": (VT, "no", VF), "slow": (VT, VF, "any")}
TREES, DEPTH, RATE, LEAST_WINDOWS, SHRINK = 80, 3, 0.1, 100, 20.0
BOUND = {"slope_rest": 1, "steady": 1, "peaky": -1, "slope_rest2": 1, "peaky2": -1}
"""The log-odds of `vf` only rise (1) or fall (-1) with these."""
LEFT_OUT = frozenset({"swing"})
"""Few persons have VT or VF: how large theirs was tells the persons apart, not the rhythms."""
NOISE_STEP_S = 20.0
NOISE, NOISE_ON_VF = (0.15, 0.3, 0.6, 1.0, 2.0), (0.1, 0.2, 0.3)
"""Swing of the noise over that of the record; less in records of VF, where more would hide it."""
FASTER, SLOWER, SLOWED_HZ = 1.25, 0.8, 3.3
VARIANTS = ("", "em", "ma", "faster", "slower")
MODEL = Path(__file__).parent.parent / "dsp" / "models" / "ventricular.json"


@dataclass(frozen=True)
class Windows:
    """A record's windows: `features` (n_seconds, n_leads, n_features), `valid` and a word each."""

    folder: str
    name: str
    features: Floats
    valid: NDArray[np.bool_]
    words: NDArray[np.str_]
    variant: str = ""

    @property
    def person(self) -> str:
        """Records with the same text are of the same person."""
        if self.folder in ("mitdb", "nstdb") and self.name[:3] in ("118", "119"):
            return "118"
        return {"202": "201"}.get(self.name, f"{self.folder}/{self.name}")


def read(path: Path) -> tuple[Floats, float]:
    """A record's ECG leads in mV and its rate in Hz."""
    record = wfdb.rdrecord(str(path))
    ecg = [i for i, unit in enumerate(record.units) if unit.lower() in ("mv", "uv", "v")]
    return np.ascontiguousarray(record.p_signal[:, ecg]), float(record.fs)


def windows(folder: Path, name: str, variant: str = "") -> Windows:
    """Measure one record, as it is or as a variant."""
    x, fs = read(folder / name)
    seconds = len(x) / fs
    parts = segments(folder / name, seconds, fs, fast=True) if folder.name != "cinc2015" else []
    parts = parts or [(0.0, seconds, "N")]
    speed = {"faster": FASTER, "slower": SLOWER}.get(variant, 1.0)
    if variant in ("em", "ma"):
        sizes = NOISE_ON_VF if any(word == VF for _, _, word in parts) else NOISE
        x = x + noise(folder.parent / "nstdb" / variant, x, fs, name, sizes)
    features, valid = measured(x, fs * speed)
    parts = [(a / speed, b / speed, word) for a, b, word in parts]
    words = per_second(parts, len(valid), int(WINDOW_S))
    for a, b in DOUBTFUL.get(f"{folder.name}/{name}", ()):
        words[int(a / speed) : int(b / speed + WINDOW_S) + 1] = "?"
    if variant == "faster":
        words[words == VT] = "?"
    if variant == "slower":
        mean_hz = features[:, :, NAMES.index("mean_hz")].max(axis=1)
        words[(words == VF) & (mean_hz < SLOWED_HZ)] = "?"
    return Windows(folder.name, name, features, valid, words, variant)


def noise(path: Path, x: Floats, fs: float, name: str, sizes: tuple[float, ...]) -> Floats:
    """Recorded noise for each lead of `x`, as large as `sizes` say of its swing, each for `NOISE_STEP_S`."""
    recorded, its_fs = read(path)
    start = zlib.crc32(name.encode()) % (len(recorded) // 2) / its_fs
    t = (start + np.arange(len(x)) / fs) % ((len(recorded) - 1) / its_fs)
    out = np.empty_like(x)
    now = np.array(sizes)[(np.arange(len(x)) / fs / NOISE_STEP_S).astype(int) % len(sizes)]
    for lead in range(x.shape[1]):
        column = recorded[:, lead % recorded.shape[1]]
        column = np.interp(t, np.arange(len(recorded)) / its_fs, column - np.median(column))
        out[:, lead] = column * now * swing(x[:, lead], fs) / max(swing(column, fs), 1e-6)
    return out


def swing(v: Floats, fs: float) -> float:
    """Median over the seconds of largest less smallest; 0 if nothing was measured."""
    seconds = v[: len(v) // round(fs) * round(fs)].reshape(-1, round(fs))
    seconds = seconds[np.isfinite(seconds).all(axis=1)]
    return float(np.median(np.ptp(seconds, axis=1))) if len(seconds) else 0.0


def measured(x: Floats, fs: float) -> tuple[Floats, NDArray[np.bool_]]:
    """Features and validity of each second of `x`, (n_samples, n_leads) in mV."""
    n, leads = int(len(x) / fs), x.shape[1]
    meter = WaveMeter(fs, leads)
    features, valid = np.zeros((n, leads, len(NAMES))), np.zeros((n, leads), np.bool_)
    for k in range(n):
        a, b = round(k * fs), round((k + 1) * fs)
        meter.feed(x[a:b])
        meter.measure(b - a)
        features[k], valid[k] = meter.features, meter.valid
    return features, valid


def records(root: Path, every: bool = False) -> Iterator[tuple[Path, str]]:
    """All training records under `root`, with `every` those held out too."""
    for folder in FOLDERS:
        for name in sorted(path.stem for path in (root / folder).glob("*.hea")):
            if folder == "cinc2015" and _ventricular(root, name):
                continue
            if every or part(folder, name) == "tuned":
                yield root / folder, name


def variants(folder: str) -> tuple[str, ...]:
    """How the records of a database are heard."""
    return {"nstdb": VARIANTS[:1], "nsrdb": VARIANTS[:3], "cinc2015": VARIANTS[:3]}.get(folder, VARIANTS)


def drawn() -> Iterator[Windows]:
    """Narrow and ventricular tachycardias as if they were records, twelve leads each."""
    from simulators.synthetic import simulate

    scripts = [("tachycardia", rate, "N") for rate in range(140, 231, 10)]
    scripts += [("vt", rate, VT) for rate in range(140, 231, 10)]
    for seed, (rhythm, rate, word) in enumerate(scripts):
        source, _ = simulate(f"{DRAWN_S} s {rhythm} {rate}", DRAWN_FS, seed)
        d = source.read(0, round(DRAWN_S * DRAWN_FS))
        x = (d - np.array(source.baseline)) / np.array(source.adc_gain)
        features, valid = measured(np.ascontiguousarray(x), DRAWN_FS)
        words = np.where(np.arange(len(valid)) >= WINDOW_S, word, "?").astype("U8")
        yield Windows("drawn", str(seed), features, valid, words)


def _ventricular(root: Path, name: str) -> bool:
    with (root / "cinc2015" / "ALARMS.csv").open(encoding="utf-8") as file:
        return any(row["record"] == name and "Ventricular" in row["alarm"] for row in csv.DictReader(file))


def table(found: list[Windows], yes: str, no: str, without: str) -> tuple[Floats, NDArray[np.int64]]:
    """Rows and answers of the question "`yes` or `no`?", leaving out `without`.

    `no` may be "no", anything but `yes` that is clear; `without` "any" leaves out all the rest.
    """
    rng = np.random.default_rng(0)
    rows, answers = [], []
    for w in found:
        clear = (
            w.valid & (w.features[:, :, SWING] > np.log(LEAST_MV)) & (w.features[:, :, SLOPE_REST] >= REST)
        )
        against = w.words == no if no != "no" else ~np.isin(w.words, ("?", FAST, yes, without))
        for answer, which in ((1, w.words == yes), (0, against)):
            x = w.features[clear & which[:, None]]
            most = RECORD_WINDOWS if not w.variant else RECORD_WINDOWS // 3
            if len(x) > most:
                x = x[rng.choice(len(x), most, replace=False)]
            rows.append(x)
            answers.append(np.full(len(x), answer, np.int64))
    return np.concatenate(rows), np.concatenate(answers)


def fit(x: Floats, y: NDArray[np.int64], bound: bool) -> Floats:
    """Fit the trees; shape (trees, 2 `INNER` + `LEAVES`)."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    used = [i for i, name in enumerate(NAMES) if name not in LEFT_OUT]
    trees = HistGradientBoostingClassifier(
        max_iter=TREES, max_depth=DEPTH, learning_rate=RATE, min_samples_leaf=LEAST_WINDOWS,
        l2_regularization=SHRINK, early_stopping=False, random_state=0,
        monotonic_cst=[BOUND.get(NAMES[i], 0) for i in used] if bound else None,
    )  # fmt: skip
    return flat(trees.fit(x[:, used], y), used)


def flat(model: Any, used: list[int]) -> Floats:
    """The trees of a fitted model as rows for `wave_model.ask`; the bias goes to the first tree's leaves."""
    rows = np.zeros((len(model._predictors), 2 * INNER + LEAVES))
    for row, (tree,) in zip(rows, model._predictors, strict=True):
        at = {0: 0}  # place in the complete tree -> node
        for place in range(INNER):
            node = tree.nodes[at[place]]
            if node["is_leaf"]:
                at[2 * place + 1] = at[2 * place + 2] = at[place]
                continue
            row[place] = used[int(node["feature_idx"])]
            row[INNER + place] = float(f"{node['num_threshold']:.5g}")
            at[2 * place + 1], at[2 * place + 2] = int(node["left"]), int(node["right"])
        row[2 * INNER :] = [float(f"{tree.nodes[at[INNER + k]]['value']:.4g}") for k in range(LEAVES)]
    rows[0, 2 * INNER :] += round(float(model._baseline_prediction.item()), 5)
    return rows


def models(found: list[Windows]) -> dict[str, Floats]:
    """All questions' trees."""
    return {name: fit(*table(found, *said), bound=name == "vf") for name, said in QUESTIONS.items()}


def heard(w: Windows, model: Floats) -> list[tuple[float, float]]:
    """The alarms (from, to) in s that a model's judgement of a record leads to."""
    condition, found = Fibrillation(Limits()), []
    begun = -1.0
    for k in range(len(w.valid)):
        odds, vt, rate = np.full((3, w.valid.shape[1]), np.nan)
        judge(w.features[k], w.valid[k], model, odds, vt, rate)
        now = Second(fs=1.0, leads=("",) * len(odds), start=k, stop=k + 1, wave_vf=odds, wave_vt=vt)
        for e in condition.second(now):
            if e.end is None:
                begun = float(e.detected)
            else:
                found.append((begun, float(e.end)))
    return found + [(begun, float(len(w.valid))) for _ in condition.open()]


def cross(root: Path, found: list[Windows], parts: int) -> None:
    """Print what persons get that no model has seen."""
    total: dict[str, vf.Counts] = {}
    number: Callable[[Windows], int] = lambda w: zlib.crc32(w.person.encode()) % parts  # noqa: E731
    for k in range(parts):
        fitted = models([w for w in found if w.folder == "drawn" or number(w) != k])
        model = np.array([fitted[name] for name in QUESTIONS])
        for w in found:
            if w.folder == "drawn" or w.variant or number(w) != k:
                continue
            path = root / w.folder / w.name
            n, fs = float(len(w.valid)), float(wfdb.rdheader(str(path)).fs)
            reference = segments(path, n, fs, fast=True) if w.folder != "cinc2015" else [(0.0, n, "N")]
            alarms = heard(w, model)
            counts = vf.score(reference, alarms)
            total[w.folder] = total.get(w.folder, vf.Counts()) + counts
            if counts.false or counts.found < counts.episodes:
                found_of = f"{counts.found} of {counts.episodes}, {counts.false} false"
                print(f"  {w.folder}/{w.name}: {found_of}; {alarms}")
    for folder, counts in total.items():
        told = {key: value for key, value in vf.metrics(counts).items() if value is not None}
        print(folder, json.dumps({key: round(value, 2) for key, value in told.items()}))


def main() -> None:
    """Measure, fit, write."""
    parser = argparse.ArgumentParser(description="train dsp/models/ventricular.json")
    parser.add_argument("--data", type=Path, required=True, help="folder with vfdb, cudb, mitdb ...")
    parser.add_argument("--cross", type=int, default=0, help="cross-validate in so many parts, write nothing")
    args = parser.parse_args()
    found = [
        windows(folder, name, variant)
        for folder, name in records(args.data, every=args.cross > 0)
        for variant in variants(folder.name)
    ]
    found += drawn()
    if args.cross:
        cross(args.data, found, args.cross)
        return
    fitted = models(found)
    doc = {"features": NAMES, "questions": {name: trees.tolist() for name, trees in fitted.items()}}
    MODEL.write_text(json.dumps(doc, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
