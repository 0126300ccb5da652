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
    """Trees as flat arrays; `roots` has (first node, label) of each.

    `nodes` has feature, threshold, left, right and value of each node, all as floats: one array is handed
    to a kernel faster than five.
    """

    features: tuple[str, ...]
    labels: tuple[str, ...]
    start: Floats
    roots: NDArray[np.int64]
    nodes: Floats
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
        np.ascontiguousarray(np.array(columns, np.float64).T),
        model["about"],
    )


@cache
def load(name: str) -> Trees:
    """Return the model ``dsp/models/<name>.json``."""
    return build(json.loads((files("dsp") / "models" / f"{name}.json").read_text(encoding="utf-8")))


def scores(trees: Trees, x: Floats) -> Floats:
    """Return the score of each label before any link function for one row of features."""
    out = trees.start.copy()
    _scores(x, trees.roots, trees.nodes, out)
    return out


def probability(trees: Trees, x: Floats) -> float:
    """Return how likely the one label of a two-class model is, 0..1."""
    return float(1.0 / (1.0 + np.exp(-scores(trees, x)[0])))


@njit(cache=True, nogil=True)
def _leaf(x, node, nodes):  # type: ignore[no-untyped-def]
    while nodes[node, 2] > 0:
        left = x[int(nodes[node, 0])] <= nodes[node, 1]
        node = int(nodes[node, 2] if left else nodes[node, 3])
    return nodes[node, 4]


@njit(cache=True, nogil=True)
def _scores(x, roots, nodes, out):  # type: ignore[no-untyped-def]
    for root in range(len(roots)):
        out[roots[root, 1]] += _leaf(x, roots[root, 0], nodes)


@njit(cache=True, nogil=True)
def descend(x, roots, nodes):  # type: ignore[no-untyped-def]
    """Return what all trees of a two-class model say of the features `x`, without the model's start."""
    total = 0.0
    for root in range(len(roots)):
        total += _leaf(x, roots[root, 0], nodes)
    return total
