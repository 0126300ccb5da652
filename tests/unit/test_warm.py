"""After the warm-up no patient waits for the compiler."""

import importlib
import pkgutil

import numpy as np
import pytest
from numba.core.registry import CPUDispatcher

import dsp
from dsp.pipeline import StreamAnalyzer
from dsp.warm import warm_up
from leadwire.model import SampleChunk
from leadwire.settings import Limits


def compiled() -> dict[str, int]:
    """How many signatures of each kernel of dsp/ are compiled in this process."""
    found = {}
    for module in pkgutil.iter_modules(dsp.__path__, "dsp."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, CPUDispatcher):
                found[f"{module.name}.{name}"] = len(value.signatures)
    return found


@pytest.mark.parametrize(("n_sig", "fs"), [(1, 250.0), (3, 360.0), (12, 500.0)])
def test_nothing_is_compiled_after_the_warm_up(n_sig, fs):
    warm_up()
    before = compiled()
    assert before
    analyzer = StreamAnalyzer(Limits())
    rng = np.random.default_rng(1)
    first = 0
    for length in (1, 700, 0, 3000, 250):
        x = rng.normal(0, 5, (length, n_sig))
        x[:: round(fs)] += 300
        analyzer.process(
            SampleChunk(
                stream="s",
                first_sample=first,
                fs=fs,
                sig_name=tuple(f"L{i}" for i in range(n_sig)),
                units=("mV",) * n_sig,
                adc_gain=(200.0,) * n_sig,
                baseline=(0,) * n_sig,
                samples=x.astype("<i2").tobytes(),
                device_time=0.0,
                receive_time=0.0,
            )
        )
        first += length
    assert compiled() == before
