"""A patient made here: sharp beats at a rate that changes, and stretches without any."""

import numpy as np

from simulators.source import ArraySource, from_physical

FS = 250.0


def patient(script: list[tuple[float, float]], seed: int = 0) -> ArraySource:
    """Two leads of ECG-like signal.

    Parameters
    ----------
    script
        (seconds, heart rate in 1/min) one after another; rate 0: no beats, only a little noise.
    """
    rng = np.random.default_rng(seed)
    pieces = []
    for seconds, rate in script:
        t = np.arange(round(seconds * FS)) / FS
        if rate:
            phase = (t + 0.2) % (60 / rate) - 0.2
            x = 1.2 * np.exp(-((phase / 0.012) ** 2)) + 0.2 * np.exp(-(((phase - 0.24) / 0.04) ** 2))
        else:
            x = np.zeros_like(t)
        pieces.append(x)
    x = np.concatenate(pieces) + 0.3 * np.sin(2 * np.pi * 0.2 * np.arange(sum(map(len, pieces))) / FS)
    noise = rng.normal(0, 0.004, (len(x), 2))
    return from_physical(np.column_stack([x, 0.6 * x]) + noise, FS, ("II", "V5"))
