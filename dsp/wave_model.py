"""Boosted decision trees of depth three as one flat array, read from JSON; `waves.py` asks them.

A model file holds the names of its features and, per question, its trees, one a row; made by
`benchmarks/train_vf.py`. All trees are complete (a leaf that came early is repeated below), so that to ask
one takes three comparisons and no guess of the processor's. The value is the logarithm of the odds.
"""

import json
from functools import cache
from importlib import resources

import numpy as np
from numba import njit
from numpy.typing import NDArray

QUESTIONS = ("vf", "vt", "slow")
INNER, LEAVES = 7, 8
"""Of a tree: nodes (the root, its two children, their four) and leaves."""


@cache
def load(name: str, features: tuple[str, ...]) -> NDArray[np.float64]:
    """Read `dsp/models/<name>.json`: shape (questions, trees, 2 `INNER` + `LEAVES`).

    A row is the features that the nodes ask, their thresholds (right if greater), and the leaves' values.

    Raises
    ------
    ValueError
        The model was trained on other features.
    """
    text = resources.files("dsp").joinpath("models", f"{name}.json").read_text(encoding="utf-8")
    doc = json.loads(text)
    if tuple(doc["features"]) != features:
        raise ValueError(f"model {name} was trained on {doc['features']}; {features} was expected")
    trees = np.array([doc["questions"][question] for question in QUESTIONS], dtype=np.float64)
    trees.setflags(write=False)
    return trees


@njit(cache=True, nogil=True)
def ask(x, trees):  # type: ignore[no-untyped-def]
    """Return the log-odds of the features `x` by one question's trees."""
    total = 0.0
    for k in range(trees.shape[0]):
        t = trees[k]
        node = 1 if x[int(t[0])] <= t[INNER] else 2
        node = 2 * node + (1 if x[int(t[node])] <= t[INNER + node] else 2)
        node = 2 * node + (1 if x[int(t[node])] <= t[INNER + node] else 2)
        total += t[INNER + node]
    return total
