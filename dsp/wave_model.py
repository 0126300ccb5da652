"""Boosted decision trees as flat arrays, read from JSON; `waves.py` evaluates them in a microsecond each.

A model file holds the names of its features and, per question, a bias and the nodes of all trees one
after the other; made by `benchmarks/train_vf.py`. The value is the logarithm of the odds.
"""

import json
from functools import cache
from importlib import resources
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Trees(NamedTuple):
    """One question's trees; a leaf has feature -1, and its value in `threshold`."""

    bias: float
    roots: NDArray[np.int32]
    feature: NDArray[np.int32]
    threshold: NDArray[np.float64]
    left: NDArray[np.int32]
    right: NDArray[np.int32]


@cache
def load(name: str, features: tuple[str, ...]) -> dict[str, Trees]:
    """Read `dsp/models/<name>.json`.

    Raises
    ------
    ValueError
        The model was trained on other features.
    """
    text = resources.files("dsp").joinpath("models", f"{name}.json").read_text(encoding="utf-8")
    doc = json.loads(text)
    if tuple(doc["features"]) != features:
        raise ValueError(f"model {name} was trained on {doc['features']}; {features} was expected")
    return {
        question: Trees(
            bias=float(m["bias"]),
            roots=np.array(m["roots"], dtype=np.int32),
            feature=np.array(m["feature"], dtype=np.int32),
            threshold=np.array(m["threshold"], dtype=np.float64),
            left=np.array(m["left"], dtype=np.int32),
            right=np.array(m["right"], dtype=np.int32),
        )
        for question, m in doc["questions"].items()
    }
