"""Fits the weights of `dsp/acceptability.py` to CinC 2011 records and writes the model file.

``python -m benchmarks.train_acceptability --data DIR`` with a folder that has WFDB records and REFERENCE.csv
(record,label: acceptable or unacceptable). Ridge logistic regression by Newton's method: the result depends
on the records alone. The folds of `cross_validated` are drawn with a fixed seed; no record is
judged by weights that saw it. The four features and `FAR_MV` were chosen on the same 160
records, so that even this is a little too good.
"""

import argparse
import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import wfdb
from numpy.typing import NDArray

from dsp.acceptability import FEATURES, MODEL, features, measure
from leadwire.errors import SettingError

RIDGE = 1.0
FOLDS = 10
SEED = 2011


class Weights(NamedTuple):
    """A fitted model of standardised features; positive sums mean unacceptable."""

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    weights: NDArray[np.float64]
    bias: float

    def odds(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Logarithm of the odds of being unacceptable, shape (n_records,)."""
        return np.asarray((x - self.mean) / self.scale @ self.weights + self.bias)


def labels(folder: Path) -> dict[str, bool]:
    """Return record -> whether it is unacceptable, from REFERENCE.csv; empty where there is none.

    RECORDS-acceptable and RECORDS-unacceptable, as PhysioNet has them, serve as well.
    """
    table = folder / "REFERENCE.csv"
    if table.exists():
        with table.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.reader(file) if len(row) >= 2]
        return {row[0]: row[1].strip() == "unacceptable" for row in rows if "acceptable" in row[1]}
    found = {}
    for label in ("acceptable", "unacceptable"):
        path = folder / f"RECORDS-{label}"
        for name in path.read_text(encoding="utf-8").split() if path.exists() else ():
            found[Path(name).name] = label == "unacceptable"
    return found


def read(path: Path) -> tuple[NDArray[np.float64], float, list[str]]:
    """Return signals (n_samples, n_leads) in mV, rate and names of the leads of a WFDB record."""
    record = wfdb.rdrecord(str(path))
    return np.asarray(record.p_signal, np.float64), float(record.fs), list(record.sig_name)


def fit(x: NDArray[np.float64], y: NDArray[np.bool_]) -> Weights:
    """Fit to features of shape (n_records, n_features) and whether each record is unacceptable."""
    mean, scale = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6)
    z = np.column_stack([(x - mean) / scale, np.ones(len(x))])
    ridge = np.append(np.full(x.shape[1], RIDGE), 1e-9)
    w = np.zeros(z.shape[1])
    for _ in range(50):
        p = 1.0 / (1.0 + np.exp(-np.clip(z @ w, -30.0, 30.0)))
        hessian = (z * (p * (1 - p))[:, None]).T @ z + np.diag(ridge)
        w -= np.linalg.solve(hessian, z.T @ (p - y) + ridge * w)
    return Weights(mean, scale, w[:-1], float(w[-1]))


def cross_validated(x: NDArray[np.float64], y: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Verdicts (unacceptable), each by weights fitted to the other folds."""
    order = np.random.default_rng(SEED).permutation(len(y))
    said = np.zeros(len(y), dtype=np.bool_)
    for k in range(FOLDS):
        test = order[k::FOLDS]
        train = np.setdiff1d(order, test)
        said[test] = fit(x[train], y[train]).odds(x[test]) > 0
    return said


def main(argv: Sequence[str] | None = None) -> None:
    """Fit, print the cross-validated accuracy, write the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--out", type=Path, default=MODEL)
    args = parser.parse_args(argv)
    known = labels(args.data)
    if not known:
        raise SettingError(f"--data {args.data}: REFERENCE.csv was expected")
    names = sorted(known)
    x = np.array([features(measure(*read(args.data / name)[:2])) for name in names])
    y = np.array([known[name] for name in names])
    made = fit(x, y)
    print(f"cross-validated accuracy {100 * np.mean(cross_validated(x, y) == y):.1f} %")
    document = {
        "made_by": "benchmarks/train_acceptability.py",
        "records": {"cinc2011": names},
        "features": list(FEATURES),
        "mean": made.mean.round(4).tolist(),
        "scale": made.scale.round(4).tolist(),
        "weights": made.weights.round(4).tolist(),
        "bias": [round(made.bias, 4)],
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
