"""The net that decides what is a QRS complex, read from `models/qrs.json`.

``python -m benchmarks.fit_qrs DATA`` fits it. The file has "features" (names, in the order of the columns),
"sums" (the columns that `qrs_judge.discriminant` takes) and "about" (what it was fitted on).
"""

import json
from functools import cache
from importlib.resources import files

import numpy as np

from dsp import qrs_state as q
from dsp.kernels import Floats


@cache
def load() -> Floats:
    """Return the weights that ship, (2 + N_PHI, n_sums).

    Raises
    ------
    ValueError
        The file is of other features than `qrs_state.FEATURES`.
    """
    model = json.loads(files("dsp").joinpath("models/qrs.json").read_text(encoding="utf-8"))
    if tuple(model["features"]) != q.FEATURES:
        raise ValueError(
            "models/qrs.json is of other features than the detector's: run python -m benchmarks.fit_qrs"
        )
    return np.ascontiguousarray(np.array(model["sums"], np.float64).T)
