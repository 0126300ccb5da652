"""Records as live streams: the real analyzer over a WFDB record in 1-s chunks, pulse waveforms and all."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from dsp.pipeline import StreamAnalyzer
from leadwire.model import SampleChunk, StreamEvent
from leadwire.settings import Limits
from simulators.records import RecordSource


def chunks(path: Path, stop_s: float | None = None) -> Iterator[SampleChunk]:
    """Yield the record's rows before `stop_s` (default: all) as a device would send them, a second each."""
    source = RecordSource(path)
    n = source.n_samples or 0
    if stop_s is not None:
        n = min(n, round(stop_s * source.fs))
    second = round(source.fs)
    for start in range(0, n, second):
        yield SampleChunk(
            stream=path.name,
            first_sample=start,
            fs=source.fs,
            sig_name=source.sig_name,
            units=source.units,
            adc_gain=source.adc_gain,
            baseline=source.baseline,
            samples=np.ascontiguousarray(source.read(start, min(start + second, n)), "<i2").tobytes(),
            device_time=start / source.fs,
            receive_time=start / source.fs,
        )


def analyze(
    path: Path,
    limits: Limits,
    stop_s: float | None = None,
    change: Callable[[Iterable[SampleChunk]], Iterable[SampleChunk]] = iter,
) -> tuple[list[StreamEvent], float, int]:
    """Run the analyzer over a record, or over what `change` makes of its chunks.

    Returns
    -------
    events, fs, n_samples
        All that it said, the rate in Hz, and how many samples it saw.
    """
    analyzer = StreamAnalyzer(limits)
    events: list[StreamEvent] = []
    fs, n = 0.0, 0
    for chunk in change(chunks(path, stop_s)):
        events += analyzer.process(chunk)
        fs, n = chunk.fs, chunk.end_sample
    return events, fs, n
