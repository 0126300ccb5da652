"""The trained part of the beat classifier: two small sets of decision trees, read from `models/beats.json`.

`benchmarks/train_beats.py` fits them. Each tree adds its leaf to the logarithm of the odds that a beat is V
(or S); every feature may push it only in the direction that physiology says.
"""

import json
from functools import lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np

from dsp import beat_state as b
from dsp.kernels import Floats, Ints, kernel

LEAF = -1.0
FEATURE, THRESHOLD, LOW, HIGH = range(4)


class Model(NamedTuple):
    """Trees of V, then of S. A row of `nodes` is feature, threshold, rows for less or equal and for more;
    a leaf is `LEAF` and its value. `ends` are the numbers of trees up to the end of V and of S.
    """

    nodes: Floats
    roots: Ints
    ends: Ints
    bias: Floats


def flatten(document: dict[str, Any]) -> Model:
    """Make the arrays from what the model file holds.

    Raises
    ------
    ValueError
        It was fitted to a feature that there is none of.
    """
    nodes: list[tuple[float, float, float, float]] = []
    roots, ends, bias = [], [], []
    for name in ("V", "S"):
        part = document[name]
        features = [b.FEATURES.index(feature) for feature in part["features"]]
        bias.append(part["bias"])
        for tree in part["trees"]:
            first = len(nodes)
            roots.append(first)
            for node in tree:
                if len(node) == 1:
                    nodes.append((LEAF, node[0], 0.0, 0.0))
                else:
                    nodes.append((features[node[0]], node[1], first + node[2], first + node[3]))
        ends.append(len(roots))
    return Model(
        np.array(nodes, np.float64).reshape(-1, 4),
        np.array(roots, np.int64),
        np.array(ends, np.int64),
        np.array(bias, np.float64),
    )


@lru_cache(maxsize=1)
def load() -> Model:
    """The model that ships."""
    return flatten(json.loads(files("dsp").joinpath("models/beats.json").read_text(encoding="utf-8")))


@kernel
def odds(model: Model, which: int, phi: Floats) -> float:
    """Return the logarithm of the odds for V (0) or S (1)."""
    total = model.bias[which]
    for t in range(0 if which == 0 else model.ends[0], model.ends[which]):
        at = model.roots[t]
        while model.nodes[at, FEATURE] >= 0.0:
            less = phi[int(model.nodes[at, FEATURE])] <= model.nodes[at, THRESHOLD]
            at = int(model.nodes[at, LOW if less else HIGH])
        total += model.nodes[at, THRESHOLD]
    return total  # type: ignore[no-any-return]
