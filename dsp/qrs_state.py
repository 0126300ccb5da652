"""Parameters, layout of the state and coefficients of the QRS detector; its kernels share them.

All parameters stand here once, in s, Hz and mV (the rest are ratios). "Inner" samples are those
left after decimation to 125 to 300 Hz; `m` counts them, `sig` numbers leads, `c` channels (lead x band).
"""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from dsp.kernels import Floats, Ints, Ring, kernel

# Front end.
INNER_HZ = 200.0  # nearest to this by whole-number decimation
LOW_HZ = 40.0
SLOW_HZ = (5.0, 18.0)
FAST_HZ = (12.0, 28.0)
SMOOTH_S = 0.012  # of each of the envelope's four poles
PULSE_S = 0.002  # the longest pacing pulse; the converter's filter adds three samples to it
JUMP = 0.6  # mV/ms: no complex is so steep
SPIKE_S, SPIKE_MV = 0.016, 0.2  # what is shorter, and so high, is a small pulse
FLANK = 0.15  # where the line moves no more than by this part of a jump's height in a sample, it is quiet
STILL = 0.04  # the same beside a large step: no complex, however large, begins and ends so abruptly
SHARP_S, STEP_FLANK, STILL_MV = 0.006, 0.1, 0.04  # a small step takes no longer, between stiller flanks
RETURNED = 0.5  # a pulse leaves no more than this part of its height
RECOVER_S = 0.3  # so long the amplifier recovers at most
WILD_S = 0.05  # a line that jumps on and on is watched no further until it has been calm for so long
FLAT_S = 0.06  # a line that does not move at all for so long is stuck
GAP_S, RESUME_S = 0.4, 0.1  # what begins so soon after so long a gap has been cut in two and is no beat
RAIL_MV, FARTHEST_MV = 50.0, 1e5  # the filters get no more; nor is more believed
FORGET_S = 10.0  # nothing on any lead for so long: start afresh
MEAN_S = 1.0  # memory of the envelopes' running means

# Candidates: peaks of the detection function.
LOOK_S = 0.15  # a peak must stay the largest for so long
LOOK_LONG_S = 0.18  # one that may be none longer: something larger may come
LOOK_SMALL_S, LOOK_RISING_S = 0.2, 0.25  # one that may be a P wave; the same if its complex seems to come
SMALL, SMALL_MV = -0.6, -0.4  # such are smaller than usual by so much (logs), in the bands and in mV
RISING = 0.3  # what rises again, above so much of the peak, may be the complex
SURE = 3.0  # log odds beyond which nothing needs to be waited for
GROW = 1.2  # what comes after LOOK_S must be larger by this to displace it
RIVAL = 0.7  # what is no larger than that, but so large, is judged as well: the heart may be that fast
BEFORE_S, AFTER_S = 0.08, 0.06  # how far a complex reaches about its middle
UPRIGHT = 0.5  # a wave that rises so much, of the depth of the deepest, is the R wave
SHOWS = 0.2  # a lead of so much of the best lead's weight gives the time of the beat

# Decisions.
REFRACTORY_S = 0.2
T_WAVE_S = 0.36
T_REACH_S = 0.36  # the T wave of a slow heart has its peak no later; an early wide complex comes later
UPSET_S, UPSET = 0.28, 1.3  # a peak so soon after a beat, and so much larger, unmasks a P wave
MIN_AMPLITUDE = 0.15  # IEC 60601-2-27: nothing smaller is a QRS complex
MIN_STRENGTH = 0.05
NOISE_MIN = 0.05  # the noise level is never taken for less, of the QRS level
SNR_POWER = 2.0  # channels weigh by (QRS / noise - 1) to this power
BACK_RR = 1.6  # search-back after so many mean RR
Z_MIN, Z_BACK = 0.0, -1.1  # what the log odds must exceed; in search-back
Z_EARLY, EARLY_RR = -0.6, 0.65  # for what comes before so much of the usual interval,
QUIET_LINE, STANDS_OUT = 0.15, 0.5  # and stands out so much of so quiet a line
TEMPLATE_S = 0.07  # half length
TEMPLATE_MATCH = 0.8

# Start and relearning.
START_S = 2.0
TRY_S = 0.2  # how often
RELEARN_S = 2.2
SPAN_S = 2.5  # which peaks take part
CREST, CREST_LONE, CREST_REGULAR = 0.32, 0.18, 0.48  # mean of the envelope over QRS level: noise has more
REGULAR, SPREAD = 5, 0.15  # so many peaks of like height at like intervals are a (fast) regular rhythm
ALIKE, CREST_ALIKE = 0.85, 0.75  # if each resembles the one before it as much, the line need never be quiet
NOTED, CLEAR = 1.25, 2.0  # a lead's own peak is kept from so many times its mean envelope, and stands out
TRUST, TRUST_MEAN = 0.82, 0.3  # beats that match no template in a signal that is never quiet: noise
RELEARN_RATIO = 0.15  # smaller peaks than this part of the last level are no QRS (for 8 s)
RELEARN_FAST = (
    0.25  # the same for the amplitude (mV) of a fast rhythm: wide complexes have little in the bands
)
SOME = 0.35  # a lone complex must be this much above everything else

KEPT = 10  # samples of the mended line
N_HEIGHTS = 8
N_CANDIDATES = 24
N_FRESH = 16
N_TEMPLATES = 4
LAGS = 4
N_LAGS = 2 * LAGS + 1
BLOCK = 32

FAR, NEVER = -(10**12), 1 << 62

# State.n
IN, PHASE, M, SILENT, STARTED, M_START, TRIED, N_CAND, N_QRS, N_NOISE, N_BEATS = range(11)
LAST, PEAK_M, SEARCHED, LAST_TEMPLATE, ASKED, N_RR, N_REFUSED, LAST_CAND = range(11, 19)
N_INTS = 19
# State.v
D1, D2, PEAK, NOISE, RR, CORRECTION, AMPLITUDE, MATCH = range(8)
MEAN_LONG, REFUSED, REFUSED_MOST, RR_MEDIAN, RR_SPREAD = range(8, 13)
RRS = 13  # the last N_HEIGHTS intervals
N_FLOATS = RRS + N_HEIGHTS
# State.lead: one row per lead
FED, OFFSET, RAW, MISSING, FLAT, STEP, RUN, CALM, BASE, TOP, RECOVERY, SINCE, QUIET_BEFORE = range(13)
RESUMED, HISTORY = 13, 14
FILTERS = HISTORY + KEPT  # 2 + 2 + 2 biquads of two values, 4 + 4 poles
N_LEAD = FILTERS + 20
# State.chan: one row per lead and band
H_QRS, H_NOISE = 0, N_HEIGHTS
QRS, QUIET, GAIN, LAST_ENV, MEAN = range(2 * N_HEIGHTS, 2 * N_HEIGHTS + 5)
N_CHAN = 2 * N_HEIGHTS + 5
# State.track: one row per lead
T_1, T_2, T_PEAK, T_M, T_SLOW, T_FAST, T_COUNT = range(7)
T_AMPLITUDE, T_SLOPE, T_SWING, T_WIDTH = range(7, 11)  # of this lead's usual complexes
N_TRACK = 11
# State.fresh
F_M, F_SLOW, F_FAST, F_R, F_AMPLITUDE, F_RHO, F_CREST, F_STEP = range(8)
N_FRESH_COLUMNS = 8
# State.cands
K_M, K_R, K_AMPLITUDE, K_STATE, K_PRE, K_POST, K_RHO, K_TEMPLATE, K_LAG, K_STEP = range(10)
K_SLOPE, K_SWING, K_PRE_MOST, K_POST_MOST, K_RHO_LOW, K_SCALE, K_WIDTH, K_LEAD, K_RHO_BEST = range(10, 19)
K_ENV = 19
NEW, TAKEN, SHADOWED = 0.0, 1.0, 2.0
# State.uses: one row per template
U_COUNT, U_LAST = range(2)
N_USES = 2

FEATURES = (
    "strength",
    "noise level",
    "mean envelope",
    "envelope before",
    "envelope after",
    "amplitude",
    "fast to slow",
    "template match",
    "RR",
    "fast to last",
    "step",
    "gap",
    "gap to median RR",
    "gap to last RR",
    "gap to RR before last",
    "off beat",
    "RR spread",
    "refused since",
    "refused most",
    "refused rate",
    "mean to long mean",
    "slope",
    "sharpness",
    "swing before",
    "most before",
    "most after",
    "waveform match",
    "scale",
    "template use",
    "running match",
    "beats so far",
    "to last beat",
    "best lead",
    "worst lead",
    "width",
    "since candidate",
    "best waveform match",
)
N_PHI = len(FEATURES)
TRACE_COLUMNS = N_PHI + 4


class Memory(NamedTuple):
    """Everything a detector remembers, in three arrays (each costs time to hand to a kernel).

    Snapshots are these arrays, in this order.
    """

    n: Ints
    floats: Floats
    rings: Ring


class State(NamedTuple):
    """`Memory` with names: views of it."""

    n: Ints
    v: Floats
    lead: Floats
    chan: Floats
    track: Floats
    cands: Floats
    uses: Floats
    fresh: Floats
    low: Ring
    band: Ring
    detection: Ring
    templates: Ring
    waves: Ring


class Config(NamedTuple):
    """What follows from the sampling rate; `delay` are in inner samples, `lag` and what the
    mending needs in input samples; `filters` are the rows of `sections`: low-pass, slow and fast band."""

    fs: float
    rate: float
    step: int
    narrow: int
    sharp: int
    jump: float
    longest: float
    calm: float
    recover: float
    wild: float
    flat: float
    gap: float
    pole: float
    mean_pole: float
    peak_delay: int
    band_delay: int
    lag: int
    filters: Floats


@lru_cache(maxsize=64)
def configuration(fs: float) -> Config:
    """Design the filters for a sampling rate in Hz and measure their delays on a pulse like a QRS."""
    step = max(1, round(fs / INNER_HZ))
    rate = fs / step
    top = 0.4 * rate
    low = signal.butter(4, min(LOW_HZ, top), fs=fs, output="zpk")
    slow, fast = (
        signal.butter(2, (lo, min(hi, top)), btype="bandpass", fs=rate, output="zpk")
        for lo, hi in (SLOW_HZ, FAST_HZ)
    )
    spread = math.ceil(3 + PULSE_S * fs)
    narrow = max(0, min(spread, int(SPIKE_S * fs) - 1, KEPT - 5)) if fs >= 200 else 0
    pole = math.exp(-1.0 / (SMOOTH_S * rate))
    fine, coarse = np.arange(int(fs)) / fs, np.arange(int(rate)) / rate
    smoothed = signal.sosfilt(signal.zpk2sos(*low), np.exp(-0.5 * ((fine - 0.3) / 0.015) ** 2))
    banded = signal.sosfilt(signal.zpk2sos(*slow), np.interp(coarse, fine, smoothed))
    envelope = banded**2
    for _ in range(4):
        envelope = signal.lfilter([1 - pole], [1, -pole], envelope)
    envelope = np.sqrt(envelope)
    peak = fine[np.argmax(smoothed)]
    return Config(
        fs=fs,
        rate=rate,
        step=step,
        narrow=narrow,
        sharp=min(narrow, int(SHARP_S * fs)),
        jump=JUMP * 1000 / fs,
        longest=spread + 1.0,
        calm=2.0 if fs < 600 else 3.0,
        recover=RECOVER_S * fs,
        wild=WILD_S * fs,
        flat=FLAT_S * fs,
        gap=GAP_S * fs,
        pole=pole,
        mean_pole=math.exp(-1.0 / (MEAN_S * rate)),
        peak_delay=round((coarse[np.argmax(envelope)] - peak) * rate),
        band_delay=round((coarse[np.argmax(banded)] - peak) * rate),
        lag=round((peak - 0.3) * fs) + narrow + 2,
        filters=np.stack([sections(low), sections(slow), sections(fast)]),
    )


def sections(filter_: tuple[NDArray[Any], NDArray[Any], float]) -> Floats:
    """Return gain and then a1, a2 of both second-order sections of a Butterworth filter with four poles.

    The numerators need not be told: z^2 + 2 z + 1 in both sections of a low-pass; in the second one of a
    band-pass z^2 - 2 z + 1.
    """
    _, poles, gain = filter_
    upper = sorted((pole for pole in poles if pole.imag > 0), key=abs)
    return np.array([gain, *(c for pole in upper for c in (-2.0 * pole.real, abs(pole) ** 2))])


def packed(config: Config) -> Floats:
    """Return a configuration as one array; `named` gives it its names back."""
    return np.concatenate([config[:-1], config.filters.ravel()])


@kernel
def named(c: Floats) -> Config:
    """Return what `packed` made one array of."""
    step, narrow, sharp = int(c[2]), int(c[3]), int(c[4])
    delays = int(c[14]), int(c[15]), int(c[16])
    filters = c[17:32].reshape(3, 5)
    head = (c[0], c[1], step, narrow, sharp, c[5], c[6], c[7], c[8], c[9], c[10], c[11], c[12], c[13])
    return Config(*head, *delays, filters)


def empty_memory(n_sig: int, rate: float) -> Memory:
    """Return the memory of a detector that has seen nothing, for an inner rate in Hz."""
    ring, length = ring_size(rate), template_size(rate)
    per_sig = N_LEAD + 2 * N_CHAN + N_TRACK + 2 * N_CANDIDATES + N_FRESH * N_FRESH_COLUMNS
    memory = Memory(
        n=np.zeros(N_INTS, np.int64),
        floats=np.zeros(N_FLOATS + N_CANDIDATES * K_ENV + N_TEMPLATES * N_USES + n_sig * per_sig),
        rings=np.zeros((2 * n_sig + 1) * ring + 2 * N_TEMPLATES * n_sig * length, np.float32),
    )
    begin(*memory, n_sig, rate)
    return memory


@kernel
def ring_size(rate: float) -> int:
    """Return how many inner samples are kept."""
    return math.ceil(0.7 * rate) + BLOCK


@kernel
def template_size(rate: float) -> int:
    """Return how many inner samples a template has."""
    return 2 * int(TEMPLATE_S * rate) + 1


@kernel
def state(n: Ints, floats: Floats, rings: Ring, n_sig: int, rate: float) -> State:
    """Return the memory of a detector with names."""
    ring, length = ring_size(rate), template_size(rate)
    lead = N_FLOATS
    chan = lead + n_sig * N_LEAD
    track = chan + 2 * n_sig * N_CHAN
    cands = track + n_sig * N_TRACK
    uses = cands + N_CANDIDATES * (K_ENV + 2 * n_sig)
    fresh = uses + N_TEMPLATES * N_USES
    band = n_sig * ring
    detection = band + n_sig * ring
    templates = detection + ring
    waves = templates + N_TEMPLATES * n_sig * length
    return State(
        n,
        floats[:lead],
        floats[lead:chan].reshape(n_sig, N_LEAD),
        floats[chan:track].reshape(2 * n_sig, N_CHAN),
        floats[track:cands].reshape(n_sig, N_TRACK),
        floats[cands:uses].reshape(N_CANDIDATES, K_ENV + 2 * n_sig),
        floats[uses:fresh].reshape(N_TEMPLATES, N_USES),
        floats[fresh:].reshape(n_sig, N_FRESH, N_FRESH_COLUMNS),
        rings[:band].reshape(n_sig, ring),
        rings[band:detection].reshape(n_sig, ring),
        rings[detection:templates],
        rings[templates:waves].reshape(N_TEMPLATES, n_sig, length),
        rings[waves:].reshape(N_TEMPLATES, n_sig, length),
    )


@kernel
def begin(n: Ints, floats: Floats, rings: Ring, n_sig: int, rate: float) -> None:
    """Make a blank memory that of a detector that has seen nothing."""
    forget(state(n, floats, rings, n_sig, rate))


@kernel
def forget(st: State) -> None:
    """Forget everything but how many samples have come."""
    samples, phase, m = st.n[IN], st.n[PHASE], st.n[M]
    st.n[:] = 0
    st.n[IN], st.n[PHASE], st.n[M] = samples, phase, m
    st.n[SILENT] = -1  # lost
    st.n[LAST] = st.n[TRIED] = st.n[LAST_CAND] = FAR
    st.n[LAST_TEMPLATE] = -1
    st.v[:] = 0.0
    st.v[CORRECTION] = 1.0
    st.lead[:] = 0.0
    st.lead[:, MISSING] = math.inf
    st.lead[:, RESUMED] = FAR
    st.chan[:] = 0.0
    st.track[:] = 0.0
    st.cands[:] = 0.0
    st.uses[:] = 0.0
    st.fresh[:] = 0.0
    st.low[:] = 0.0
    st.band[:] = 0.0
    st.detection[:] = 0.0
    st.templates[:] = 0.0
    st.waves[:] = 0.0
