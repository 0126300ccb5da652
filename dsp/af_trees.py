"""Small gradient-boosted trees: kept as JSON, evaluated here. Fitting is the benchmarks' business.

The file has "features" (names, in the order of the columns), "labels", "start" (the score of each
label before any tree), "trees" and "about" (what it was fitted on, and how well it does on records
that it was not fitted on). A tree is [label, feature, threshold, left, right, value]: lists with one entry a
node; left and right are numbers of nodes, 0 at a leaf. A value at or below the threshold goes left.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Trees(NamedTuple):
    """Trees as flat arrays; `roots` has (first node, label) of each."""

    features: tuple[str, ...]
    labels: tuple[str, ...]
    start: Floats
    roots: NDArray[np.int64]
    feature: NDArray[np.int64]
    threshold: Floats
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: Floats
    about: dict[str, Any]


def build(model: dict[str, Any]) -> Trees:
    """Return the trees of a decoded file."""
    roots, columns = [], [[], [], [], [], []]  # type: ignore[var-annotated]
    for label, *nodes in model["trees"]:
        at = len(columns[0])
        roots.append((at, label))
        for column, values, shift in zip(columns, nodes, (0, 0, at, at, 0), strict=True):
            column.extend(v + shift if v else 0 for v in values)
    return Trees(
        tuple(model["features"]),
        tuple(model["labels"]),
        np.array(model["start"], np.float64),
        np.array(roots, np.int64).reshape(-1, 2),
        np.array(columns[0], np.int64),
        np.array(columns[1], np.float64),
        np.array(columns[2], np.int64),
        np.array(columns[3], np.int64),
        np.array(columns[4], np.float64),
        model["about"],
    )


@cache
def load(name: str) -> Trees:
    """Return the model ``dsp/models/<name>.json``."""
    return build(json.loads((files("dsp") / "models" / f"{name}.json").read_text(encoding="utf-8")))


def scores(trees: Trees, x: Floats) -> Floats:
    """Return the score of each label before any link function for one row of features."""
    out = trees.start.copy()
    _scores(x, trees.roots, trees.feature, trees.threshold, trees.left, trees.right, trees.value, out)
    return out


def probability(trees: Trees, x: Floats) -> float:
    """Return how likely the one label of a two-class model is, 0..1."""
    return float(1.0 / (1.0 + np.exp(-scores(trees, x)[0])))


@njit(cache=True, nogil=True)
def _scores(x, roots, feature, threshold, left, right, value, out):  # type: ignore[no-untyped-def]
    for root in range(len(roots)):
        node = roots[root, 0]
        while left[node]:
            node = left[node] if x[feature[node]] <= threshold[node] else right[node]
        out[roots[root, 1]] += value[node]
