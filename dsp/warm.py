"""Compiles the kernels before a patient waits for them: 90 s of work when new, then below 1 s."""

import numpy as np

from dsp.pipeline import StreamAnalyzer
from leadwire.model import SampleChunk
from leadwire.settings import Limits

_FS = 250


def warm_up() -> None:
    """Analyze ten seconds of spikes, two leads, the second with a hole; what it finds is thrown away."""
    analyzer = StreamAnalyzer(Limits())
    second = np.zeros((_FS, 2), "<i2")
    second[100:110] = np.array([40, 90, 150, 210, 150, 90, 40, -30, -60, -30])[:, None]
    for number in range(10):
        second[200:210, 1] = -32768
        analyzer.process(
            SampleChunk(
                stream="warm-up",
                first_sample=number * _FS,
                fs=float(_FS),
                sig_name=("a", "b"),
                units=("mV", "mV"),
                adc_gain=(200.0, 200.0),
                baseline=(0, 0),
                samples=second.tobytes(),
                device_time=0.0,
                receive_time=0.0,
            )
        )
    analyzer.restore(analyzer.snapshot())
