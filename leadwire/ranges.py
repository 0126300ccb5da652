"""What a message may contain: ranges as types, and checks between the values of a signal.

Types are checked by msgspec when bytes are read. NaN and infinity lie outside every range. The
checks raise ValueError with what came and what was expected; msgspec turns it into a decode error.
"""

import re
from functools import lru_cache
from typing import Annotated

from msgspec import Meta

MIN_FS, MAX_FS = 100.0, 1000.0
"""What the detectors work on, in Hz: a device with another rate is told so when it says hello."""
MAX_SIG = 16
MAX_CHUNK_SAMPLES = 100_000
MAX_SAMPLE = 2**53 - 1
"""The largest sample number: every language reads it exactly, and no sum of two overflows int64."""
MAX_TIME = 253_402_300_799.0
"""The last second of the year 9999; times lie within +- this, so that a date can be made of each."""

_MAX_LABEL = 128
_MAX_SIG_NAME = 32
_MIN_GAIN, _MAX_GAIN = 1e-6, 1e9
_STREAM_ID = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,95}\Z")

StreamId = Annotated[str, Meta(pattern=_STREAM_ID.pattern)]
Kind = Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9_]{0,63}\Z")]
Label = Annotated[str, Meta(max_length=_MAX_LABEL)]
Sample = Annotated[int, Meta(ge=0, le=MAX_SAMPLE)]
Count = Annotated[int, Meta(ge=0, le=MAX_SAMPLE)]
Time = Annotated[float, Meta(ge=-MAX_TIME, le=MAX_TIME)]
Percent = Annotated[float, Meta(ge=0, le=100)]
Score = Annotated[float, Meta(ge=0, le=1)]
Finite = Annotated[float, Meta(ge=-1e300, le=1e300)]
Positive = Annotated[float, Meta(gt=0, le=1e300)]
NotNegative = Annotated[float, Meta(ge=0, le=1e300)]


def check_stream_id(stream: str) -> str:
    """Return `stream` if it is a valid id (1-96 of A-Z a-z 0-9 . _ -), else raise ValueError."""
    if not _STREAM_ID.match(stream):
        raise ValueError(
            f"stream id {stream[:100]!r} came; 1 to 96 characters of A-Z a-z 0-9 . _ -, beginning "
            "with a letter or digit, were expected"
        )
    return stream


def check_labels(*labels: str) -> None:
    """Raise ValueError unless each label is short enough; never says what stood in it."""
    for label in labels:
        if len(label) > _MAX_LABEL:
            raise ValueError(f"a label of {len(label)} characters came; at most {_MAX_LABEL} were expected")


def check_time(time: float) -> None:
    """Raise ValueError unless `time` (s, epoch) is a number of which a date can be made."""
    if not -MAX_TIME <= time <= MAX_TIME:  # NaN fails too
        raise ValueError(f"time {time} s came; at most {MAX_TIME:g} s from 1970 were expected")


def check_signals(fs: float, sig_name: tuple[str, ...], units: tuple[str, ...]) -> None:
    """Raise ValueError unless the sampling rate, lead names and units are usable."""
    if not MIN_FS <= fs <= MAX_FS:  # NaN fails too
        raise ValueError(f"fs {fs} Hz came; {MIN_FS:g} to {MAX_FS:g} Hz was expected")
    if not 1 <= len(sig_name) <= MAX_SIG:
        raise ValueError(f"{len(sig_name)} signals came; 1 to {MAX_SIG} were expected")
    if len(set(sig_name)) != len(sig_name) or not all(0 < len(n) <= _MAX_SIG_NAME for n in sig_name):
        raise ValueError(
            f"signal names came empty, longer than {_MAX_SIG_NAME} or twice; distinct names were expected"
        )
    if len(units) != len(sig_name):
        raise ValueError(f"{len(units)} units came for {len(sig_name)} signals; one each was expected")
    if not all(0 < len(u) <= _MAX_SIG_NAME for u in units):
        raise ValueError(f"a unit came empty or longer than {_MAX_SIG_NAME}; mV, uV, mmHg ... was expected")


@lru_cache(maxsize=4096)  # all chunks of a stream say the same
def check_calibrated(
    fs: float,
    sig_name: tuple[str, ...],
    units: tuple[str, ...],
    adc_gain: tuple[float, ...],
    baseline: tuple[int, ...],
) -> None:
    """`check_signals`, and one usable gain (digits per unit) and baseline (digits) for each."""
    check_signals(fs, sig_name, units)
    n_sig = len(sig_name)
    if len(adc_gain) != n_sig or len(baseline) != n_sig:
        raise ValueError(
            f"{len(adc_gain)} gains and {len(baseline)} baselines came for {n_sig} signals; "
            "one each was expected"
        )
    if not all(_MIN_GAIN <= g <= _MAX_GAIN for g in adc_gain):  # NaN fails too
        raise ValueError(f"adc_gain {adc_gain} came; {_MIN_GAIN:g} to {_MAX_GAIN:g} per unit was expected")
    if not all(-(2**31) <= b < 2**31 for b in baseline):
        raise ValueError(f"baseline {baseline} came; 32-bit integers were expected")
