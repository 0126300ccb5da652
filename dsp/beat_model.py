"""The trained part of the beat classifier: two small sets of decision trees, read from `models/beats.json`.

`benchmarks/train_beats.py` fits them. Each tree adds its leaf to the logarithm of the odds that a beat is V
(or S); every feature may push it only in the direction that physiology says.
"""

import json
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np

from dsp import beat_state as b
from dsp.kernels import Floats, kernel

DEPTH = 3  # of every tree: no branch depends on the beat, so the processor works on several at a time
SPLITS = 2**DEPTH - 1
THRESHOLDS, LEAVES, ROW = SPLITS, 2 * SPLITS, 3 * SPLITS + 1

Model = Floats
"""(n, ROW). In the first row: the rows at which the trees of V and of S end, and the bias of both. Then one
tree a row: the features of its splits, their thresholds, its leaves; below split k lie 2k + 1 (less or equal)
and 2k + 2 (more).
"""


def flatten(document: dict[str, Any]) -> Model:
    """Make the array from what the model file holds.

    Raises
    ------
    ValueError
        It was fitted to a feature that there is none of, or a tree is deeper than `DEPTH`.
    """
    rows = [np.zeros(ROW)]
    for which, name in enumerate(("V", "S")):
        part = document[name]
        features = [b.FEATURES.index(feature) for feature in part["features"]]
        rows += [_complete(tree, features) for tree in part["trees"]]
        rows[0][which], rows[0][2 + which] = len(rows), part["bias"]
    return np.array(rows)


def _complete(tree: list[list[float]], features: list[int]) -> Floats:
    """Return a tree as a row of the array; what ends early ends in equal leaves."""
    row = np.zeros(ROW)

    def fill(node: list[float], at: int) -> None:
        if at >= SPLITS:
            if len(node) > 1:
                raise ValueError(
                    f"a tree with {len(tree)} nodes came; at most {DEPTH} splits deep were expected"
                )
            row[LEAVES + at - SPLITS] = node[0]
            return
        low = high = node
        if len(node) > 1:
            row[at], row[THRESHOLDS + at] = features[int(node[0])], node[1]
            low, high = tree[int(node[2])], tree[int(node[3])]
        fill(low, 2 * at + 1)
        fill(high, 2 * at + 2)

    fill(tree[0], 0)
    return row


@lru_cache(maxsize=1)
def load() -> Model:
    """The model that ships."""
    return flatten(json.loads(files("dsp").joinpath("models/beats.json").read_text(encoding="utf-8")))


@kernel
def odds(model: Model, which: int, phi: Floats) -> float:
    """Return the logarithm of the odds for V (0) or S (1)."""
    total = model[0, 2 + which]
    for tree in range(1 if which == 0 else int(model[0, 0]), int(model[0, which])):
        at = 0
        for _ in range(DEPTH):
            at = 2 * at + 1 + (phi[int(model[tree, at])] > model[tree, THRESHOLDS + at])
        total += model[tree, LEAVES + at - SPLITS]
    return total  # type: ignore[no-any-return]
