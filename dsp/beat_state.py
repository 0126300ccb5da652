"""Parameters, layout of the state and coefficients of the beat classifier; its kernels share them.

Parameters stand here once, in s, Hz and mV (the rest are ratios). "Inner" samples are those left
after decimation to 85 to 170 Hz; t numbers templates, i beats.
"""

import math
from typing import Final, NamedTuple

import numpy as np
from scipy import signal

from dsp.kernels import Floats, Ints, Ring, kernel

WAIT_S = 0.64
"""From R to the decision: most of the T wave, and the next beat if it comes early, are in by then."""

# Front end.
INNER_HZ = 120.0  # nearest to this by whole-number decimation
LOW_HZ = 35.0
PULSE_S = 0.010  # what is narrower is a pacing pulse
PULSE_MV, PULSE_RATIO = 0.2, 2.0  # it is so high, and so many times what the complex itself has
RING_S = 4.4  # a beat found by search-back is that old at most, with what lies before it
DARK_S = 0.15  # all leads missing for so long: the R-R interval across it is unknown
LONGEST_RR_S = 5.0
LONG_RR_S = 2.5  # what is longer counts as that much in means
GONE_S = 0.04  # a lead without measurement for so long is none

# A beat's window, in s about R.
LEFT_S, RIGHT_S = 0.26, 0.44
QRS_LEFT_S, QRS_RIGHT_S = 0.11, 0.17
P_RIGHT_S = 0.09  # before R
T_LEFT_S = 0.20
WIDTH_LEFT_S, WIDTH_RIGHT_S = 0.15, 0.20
LAG_S = 0.045

# Templates.
N_TEMPLATES = 6
JOIN = 0.9  # correlation from which a beat belongs to a template
MERGE = 0.94  # and from which a template is the dominant one
SMALLER, LARGER = 0.4, 2.5  # in energy: no longer the same
WIDER = 0.35  # so much (in logarithm) wider than the dominant one is another
FADE_BEATS = 100.0  # memory of the templates' counts
LEARN_BEATS = 12.0  # memory of their shapes
USUAL_BEATS, SURE_BEATS = 50.0, 20.0  # memory of what is usual, and how many beats make it sure
IN_TIME = 0.15  # of such beats the interval deviates by less (in logarithm)
PREMATURE = 0.85  # of the timely interval
NARROW = 3.0  # how much narrowness counts where the dominant template is chosen

TEMPLATE_PART, TEMPLATE_BEATS = 0.5, 6.0  # weight of the other members' log odds of V, from so many on

V_ODDS, S_ODDS = -1.5, -1.25  # log odds from which a beat is called V, S
NARROW_S, NOT_WIDER, WEAK_ODDS = 0.08, 0.15, 0.3  # so narrow, no wider than usual: V only if surer than that
LATEST, MUCH_EARLIER = 0.87, 0.70  # S comes that early; earlier than the second it is sudden anyhow
QUICKER, HARDLY = 0.95, 0.88  # the beat before came early too, and this one hardly earlier
FUSION_RHO, FUSION_TIME = 0.3, 0.2  # correlation with either template, and the interval's deviation at most
FUSION_BEATS, FUSION_ODDS = 3.0, 1.0  # members of the ventricular template, and their log odds
FUSION_PART, FUSION_GAIN, FUSION_FIT = 0.2, 0.03, 0.93  # least part of either, gain over one, fit of both
FLOOR_ODDS, SURE_ODDS = -3.0, 3.0  # log odds of V between which a beat may be a fusion
POOR, ROUGH = 0.75, -2.5  # detector's quality, and log activity before: a shape of its own there is noise
ALIKE, ALIKE_BEATS = 0.06, 20  # intervals this near to each other (in logarithm) are alike
ALIKE_SLOW_BEATS = 30.0  # memory of how many are
IRREGULAR = 0.22  # fewer pairs of intervals than that are alike: fibrillation, in which no beat is early

LATE_PART, EARLY_PART = 0.9, 0.2  # quantiles of the sinus-shaped intervals: the patient's late and early ones
LONG, DOUBLE = 1.4, 0.08  # so much longer than the early ones is long; double them within that: a beat dropped

N_BEATS = 64  # remembered
N_PAST = 32  # R-R intervals looked back on
SLOW_BEATS = 250.0  # memory of the slow mean interval
TIMELY_LOW, TIMELY_HIGH = 0.87, 1.18  # of the timely interval: another one, which it follows
TIMELY_BEATS, OTHER_BEATS = 8.0, 50.0  # how fast it follows these, and all others

# State.n
IN, PHASE, M, DARK_N, JUDGED, BEATS, DOMINANT, TOTAL, SEEN = range(9)
DARKS = 10  # the latest four inner samples at which all leads became dark
N_INTS = 16
# State.v
SLOW_RR, SLOW_N, TIMELY_RR, TIMELY_N, USUAL_N, ALIKE_SLOW, USUAL = range(7)
N_USUAL = 6  # what is usual among beats of the dominant shape that come in time: means, then mean deviations
N_FLOATS = USUAL + 2 * N_USUAL
# State.lead: one row per lead
FED, MISSING, FILTERS = 0, 1, 2
HISTORY = FILTERS + 4
MAX_HISTORY = 11
N_LEAD = HISTORY + MAX_HISTORY
# State.beats: one row per beat
B_R, B_DETECTED, B_RR, B_QUALITY, B_RATIO, B_TEMPLATE, B_RHO, B_CLASS, B_V, B_S = range(10)
N_BEAT = 12
# State.stats: one row per template
S_COUNT, S_N, S_RATIO, S_WIDTH, S_LAST, S_FREQUENCY, S_V = range(7)
N_STATS = 7

SYMBOLS: Final = "NSVF/Q"
"""Beat classes as the kernels number them."""
NORMAL, SUPRAVENTRICULAR, VENTRICULAR, FUSION, PACED, UNKNOWN = range(6)

FEATURES = (
    "rho",
    "rho of the worst lead",
    "energy",
    "difference",
    "lag",
    "width",
    "width ratio",
    "frequency",
    "frequency ratio",
    "rho other",
    "own",
    "share",
    "template ratio",
    "template width",
    "rho T",
    "energy T",
    "rho P",
    "energy P",
    "difference P",
    "before",
    "quality",
    "rr 8",
    "rr 32",
    "rr slow",
    "rr timely",
    "rr previous ratio",
    "rr to previous",
    "rr next",
    "rr",
    "irregularity",
    "8 to 32",
    "known",
    "ectopy",
    "previous rho",
    "longest",
    "nearest",
    "previous own",
    "alike",
    "rr mean",
    "difference T",
    "rho usual",
    "rho P usual",
    "rho T usual",
    "difference P usual",
    "difference T usual",
    "rr usual",
    "early",
    "early usual",
    "alike slow",
    "P seen",
    "rr late",
    "late to usual",
    "doubled",
    "fusion",
    "odds of V",
    "odds of S",
)
N_PHI = len(FEATURES)


class State(NamedTuple):
    """Everything a classifier remembers. Snapshots are these arrays, in this order."""

    n: Ints
    v: Floats
    lead: Floats
    beats: Floats
    stats: Floats
    low: Ring
    sharp: Ring
    templates: Ring


class Config(NamedTuple):
    """What follows from the sampling rate. Lengths in inner samples but for `wait`, `lag`, `pulse`."""

    fs: float
    rate: float
    step: int
    pulse: int
    gone: float
    wait: int
    lag: int
    left: int
    right: int
    sos: Floats


def configuration(fs: float) -> Config:
    """Design the low-pass for a sampling rate in Hz and measure its delay."""
    step = max(1, round(fs / INNER_HZ))
    rate = fs / step
    sos = signal.butter(4, min(LOW_HZ, 0.4 * rate), fs=fs, output="sos")
    t = np.arange(int(fs)) / fs
    y = signal.sosfilt(sos, np.exp(-0.5 * ((t - 0.3) / 0.02) ** 2))
    return Config(
        fs=fs,
        rate=rate,
        step=step,
        pulse=min(MAX_HISTORY, 2 * int(PULSE_S / 2 * fs) + 1) if fs >= 240 else 1,
        gone=GONE_S * fs,
        wait=round(WAIT_S * fs),
        lag=round((float(t[np.argmax(y)]) - 0.3) * fs),
        left=round(LEFT_S * rate),
        right=round(RIGHT_S * rate),
        # Two sections; the columns after the coefficients are the steady state for a level of 1.
        sos=np.ascontiguousarray(np.hstack([sos, signal.sosfilt_zi(sos)])),
    )


def empty_state(n_sig: int, cfg: Config) -> State:
    """Return the state of a classifier that has seen nothing."""
    ring = math.ceil(RING_S * cfg.rate)
    state = State(
        n=np.zeros(N_INTS, np.int64),
        v=np.zeros(N_FLOATS),
        lead=np.zeros((n_sig, N_LEAD)),
        beats=np.zeros((N_BEATS, N_BEAT)),
        stats=np.zeros((N_TEMPLATES, N_STATS)),
        low=np.zeros((n_sig, ring), np.float32),
        sharp=np.zeros(ring, np.float32),
        templates=np.zeros((N_TEMPLATES, n_sig, cfg.left + cfg.right + 1), np.float32),
    )
    state.n[DARKS : DARKS + 4] = -1
    state.lead[:, MISSING] = 1e9
    return state


@kernel
def row(i: int) -> int:
    """Return the row of beat number i."""
    return i % N_BEATS
