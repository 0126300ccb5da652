"""Hellos, samples and hypothesis strategies that the ingest tests share."""

import numpy as np
from hypothesis import strategies as st

from ingest.protocols.port import (
    SAMPLE_LIMIT,
    TIME_LIMIT,
    Ack,
    Bye,
    Close,
    CloseCode,
    Data,
    Hello,
    Resend,
    Signal,
    Status,
    Welcome,
)
from leadwire.ranges import MAX_FS, MIN_FS

STARTED = 1_700_000_000.0


def hello(
    n_sig: int = 2, fs: float = 250.0, acknowledged: int = 0, device: str = "bed-7", name: str = "1"
) -> Hello:
    """A device with `n_sig` ECG leads."""
    return Hello(
        device=device,
        token="a secret of bed 7",
        stream=f"{device}.{name}",
        clinic="青山镇卫生院",
        bed="7",
        patient="P-1",
        firmware="1.4.2",
        fs=fs,
        signals=tuple(Signal(f"L{i}", "mV", 200.0, 0) for i in range(n_sig)),
        acknowledged=acknowledged,
        device_time=STARTED + 60,
        started=STARTED,
    )


def samples(first: int, end: int, n_sig: int = 2) -> bytes:
    """Rows whose content tells their number."""
    rows = np.arange(first, end)[:, None] * 7 + np.arange(n_sig)
    return (rows % 30_000).astype("<i2").tobytes()


texts = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=10)
times = st.integers(0, int(TIME_LIMIT) - 1).map(float)
numbers = st.integers(0, SAMPLE_LIMIT - 1)
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,20}", fullmatch=True)
signals = st.builds(
    Signal,
    name=texts.filter(bool),
    units=st.sampled_from(["mV", "uV", "mmHg"]),
    adc_gain=st.floats(1e-6, 1e9),
    baseline=st.integers(-(2**31), 2**31 - 1),
)


@st.composite
def hellos(draw: st.DrawFn) -> Hello:
    device = draw(names)
    return Hello(
        device=device,
        token=draw(texts),
        stream=f"{device}.{draw(names)}",
        clinic=draw(texts),
        bed=draw(texts),
        patient=draw(texts),
        firmware=draw(texts),
        fs=draw(st.floats(MIN_FS, MAX_FS)),
        signals=tuple(draw(st.lists(signals, min_size=1, max_size=16, unique_by=lambda s: s.name))),
        acknowledged=draw(numbers),
        device_time=draw(times),
        started=draw(times),
    )


@st.composite
def blocks(draw: st.DrawFn) -> Data:
    n_samples = draw(st.integers(1, 20))
    width = 2 * n_samples * draw(st.integers(1, 16))
    first = draw(st.integers(0, SAMPLE_LIMIT - 100))
    return Data(
        seq=draw(st.integers(0, 2**32 - 1)),
        first_sample=first,
        oldest=draw(st.integers(0, first)),
        device_time=draw(times),
        samples=draw(st.binary(min_size=width, max_size=width)),
        n_samples=n_samples,
    )


@st.composite
def byes(draw: st.DrawFn) -> Bye:
    end = draw(numbers)
    return Bye(end, draw(st.integers(0, end)))


statuses = st.builds(
    Status,
    sample=numbers,
    device_time=times,
    lead_off=st.lists(st.integers(0, 15), unique=True).map(lambda i: tuple(sorted(i))),
    battery=st.none() | st.integers(0, 100).map(float),
)
from_device = hellos() | blocks() | statuses | byes()
from_gateway = st.one_of(
    st.builds(
        Welcome,
        resume=numbers,
        server_time=times,
        idle_timeout_s=st.integers(0, 65535),
        max_bytes=st.integers(0, 2**32 - 1),
    ),
    st.builds(Ack, numbers),
    st.builds(Resend, numbers),
    st.builds(Close, st.sampled_from(CloseCode), texts),
)
