"""Train the model of `dsp/waves.py` (not a benchmark; run ``python -m benchmarks.train_vf --data ROOT``).

Windows of each lead of vfdb, cudb, mitdb, nsrdb, nstdb and cinc2015 (alarms other than VF and VT), without
the persons in `vf_reference.HELD_OUT`, answer three questions:

vf   fibrillation or flutter against everything but ventricular tachycardia
vt   ventricular tachycardia against everything but fibrillation and flutter
slow ventricular tachycardia against fibrillation and flutter

Regular tachycardias of 140 to 230 a minute are rare in these databases: drawn ones (`simulators.synthetic`)
are added, narrow ones as records of sinus rhythm, so that speed alone is no reason, wide ones as VT.

Each record weighs at most `RECORD_WINDOWS` windows of either answer, so that no person makes the rule.
Gradient-boosted trees (scikit-learn, fixed seed), written as flat arrays to dsp/models/ventricular.json.
"""

import argparse
import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import wfdb
from numpy.typing import NDArray

from benchmarks.vf_reference import VF, VT, part, per_second, segments
from dsp.wave_features import NAMES, WINDOW_S
from dsp.waves import LEAST_MV, REST, WaveMeter

FOLDERS = ("vfdb", "cudb", "mitdb", "nsrdb", "nstdb", "cinc2015")
RECORD_WINDOWS = 300
DRAWN_FS, DRAWN_S = 250.0, 30
QUESTIONS = (("vf", VF, "no", VT), ("vt", VT, "no", VF), ("slow", VT, VF, "any"))
TREES, DEPTH, RATE, LEAST_WINDOWS, SHRINK = 80, 3, 0.12, 100, 5.0
MODEL = Path(__file__).parent.parent / "dsp" / "models" / "ventricular.json"


@dataclass(frozen=True)
class Windows:
    """A record's windows: `features` (n_seconds, n_leads, n_features), `valid` and a word each."""

    folder: str
    name: str
    features: NDArray[np.float64]
    valid: NDArray[np.bool_]
    words: NDArray[np.str_]

    @property
    def person(self) -> str:
        """Records with the same text are of the same person."""
        if self.folder in ("mitdb", "nstdb") and self.name[:3] in ("118", "119"):
            return "118"
        return {"202": "201"}.get(self.name, f"{self.folder}/{self.name}")


def windows(folder: Path, name: str) -> Windows:
    """Measure one record."""
    record = wfdb.rdrecord(str(folder / name))
    ecg = [i for i, unit in enumerate(record.units) if unit.lower() in ("mv", "uv", "v")]
    x = np.ascontiguousarray(record.p_signal[:, ecg])
    fs, n = float(record.fs), int(len(x) / record.fs)
    features, valid = measured(x, fs)
    parts = segments(folder / name, n, fs) if folder.name != "cinc2015" else [(0.0, float(n), "N")]
    return Windows(folder.name, name, features, valid, per_second(parts, n, int(WINDOW_S)))


def measured(x: NDArray[np.float64], fs: float) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
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


def records(root: Path) -> Iterator[tuple[Path, str]]:
    """All training records under `root`."""
    for folder in FOLDERS:
        for name in sorted(path.stem for path in (root / folder).glob("*.hea")):
            if part(folder, name) == "tuned" and not (folder == "cinc2015" and _ventricular(root, name)):
                yield root / folder, name


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


def table(
    found: list[Windows], yes: str, no: str, without: str
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64], list[str]]:
    """Rows, answers, weights and persons of the question "`yes` or `no`?", leaving out `without`.

    `no` may be "no", anything but `yes` that is clear; `without` "any" leaves out all the rest.
    """
    rows, answers, weights, persons = [], [], [], []
    for w in found:
        clear = w.valid & (w.features[:, :, 0] > np.log(LEAST_MV)) & (w.features[:, :, 5] >= REST)
        against = w.words == no if no != "no" else (w.words != "?") & (w.words != yes) & (w.words != without)
        for answer, which in ((1, w.words == yes), (0, against)):
            x = w.features[clear & which[:, None]]
            rows.append(x)
            answers.append(np.full(len(x), answer, np.int64))
            weights.append(np.full(len(x), min(1.0, RECORD_WINDOWS / max(1, len(x)))))
            persons += [w.person] * len(x)
    return np.concatenate(rows), np.concatenate(answers), np.concatenate(weights), persons


def fit(x: NDArray[np.float64], y: NDArray[np.int64], weight: NDArray[np.float64]) -> Any:
    """Fit the trees."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    trees = HistGradientBoostingClassifier(
        max_iter=TREES, max_depth=DEPTH, learning_rate=RATE, min_samples_leaf=LEAST_WINDOWS,
        l2_regularization=SHRINK, early_stopping=False, random_state=0,
    )  # fmt: skip
    return trees.fit(x, y, sample_weight=weight)


def flat(model: Any) -> dict[str, Any]:
    """The trees as flat lists."""
    out: dict[str, Any] = {"roots": [], "feature": [], "threshold": [], "left": [], "right": []}
    for (tree,) in model._predictors:
        base = len(out["feature"])
        out["roots"].append(base)
        for node in tree.nodes:
            leaf = bool(node["is_leaf"])
            out["feature"].append(-1 if leaf else int(node["feature_idx"]))
            out["threshold"].append(float(f"{node['value'] if leaf else node['num_threshold']:.5g}"))
            out["left"].append(0 if leaf else base + int(node["left"]))
            out["right"].append(0 if leaf else base + int(node["right"]))
    return {"bias": round(float(model._baseline_prediction.item()), 5), **out}


def main() -> None:
    """Measure, fit, write."""
    parser = argparse.ArgumentParser(description="train dsp/models/ventricular.json")
    parser.add_argument("--data", type=Path, required=True, help="folder with vfdb, cudb, mitdb ...")
    args = parser.parse_args()
    found = [*(windows(folder, name) for folder, name in records(args.data)), *drawn()]
    doc: dict[str, Any] = {"features": NAMES, "questions": {}}
    for question, *said in QUESTIONS:
        x, y, weight, _ = table(found, *said)
        doc["questions"][question] = flat(fit(x, y, weight))
        print(f"{question}: {len(y)} windows, {y.sum()} yes")
    MODEL.write_text(json.dumps(doc, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
