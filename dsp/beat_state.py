"""Parameters, layout of the state and coefficients of the beat classifier; its kernels share them.

Parameters stand here once, in s, Hz and mV (the rest are ratios). "Inner" samples are those left
after decimation to 85 to 170 Hz; t numbers templates, i beats.
"""

import math
from functools import lru_cache
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
SHARP_MV = PULSE_MV / PULSE_RATIO  # what is less changes nothing
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

TEMPLATE_PART, TEMPLATE_BEATS = 0.5, 6.0  # weight of the other members' log odds of V, from so many on

V_ODDS, S_ODDS = -1.5, -1.5  # log odds from which a beat is called V, S
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
IRREGULAR = 0.2  # fewer pairs of intervals than that are alike: fibrillation, in which no beat is early

LATE_PART, EARLY_PART = 0.9, 0.2  # quantiles of the sinus-shaped intervals: the patient's late and early ones
LONG, DOUBLE = 1.4, 0.08  # of the early one an interval is long; and double it within that: a dropped beat

N_BEATS = 64  # remembered
N_PAST = 32  # R-R intervals looked back on
TIMELY_LOW, TIMELY_HIGH = 0.87, 1.18  # of the timely interval: another one, which it follows
TIMELY_BEATS, OTHER_BEATS = 8.0, 50.0  # how fast it follows these, and all others

# State.n
IN, PHASE, M, DARK_N, JUDGED, BEATS, DOMINANT, TOTAL, SEEN, TOLD = range(10)
DARKS = 10  # the latest four inner samples at which all leads became dark
N_INTS = 16
# State.v
TIMELY_RR, TIMELY_N, USUAL_N, ALIKE_SLOW, USUAL = range(5)
N_USUAL = 6  # what is usual among beats of the dominant shape that come in time: means, then mean deviations
N_FLOATS = USUAL + 2 * N_USUAL
# State.lead: one row per lead
FED, MISSING, FILTERS = 0, 1, 2
HISTORY = FILTERS + 4
MAX_HISTORY = 10
N_LEAD = HISTORY + MAX_HISTORY
# State.beats: one row per beat
B_R, B_DETECTED, B_RR, B_QUALITY, B_RATIO, B_TEMPLATE, B_RHO, B_CLASS = range(8)
N_BEAT = 8
# State.stats: one row per template
S_COUNT, S_N, S_RATIO, S_WIDTH, S_LAST, S_FREQUENCY, S_V = range(7)
N_STATS = 7

SYMBOLS: Final = "NSVF/Q"
"""Beat classes as the kernels number them."""
NORMAL, SUPRAVENTRICULAR, VENTRICULAR, FUSION, PACED, UNKNOWN = range(6)

FEATURES = (
    *("rho", "rho of the worst lead", "energy", "difference", "width", "width ratio", "frequency"),
    *("frequency ratio", "own", "share", "template ratio", "template width", "rho T", "rho P"),
    *("difference P", "difference T", "before", "quality", "previous rho"),
    *("rr 8", "rr timely", "rr mean", "rr previous ratio", "rr to previous", "irregularity", "alike"),
    *("alike slow", "rr late", "late to usual", "doubled", "early", "early usual", "P seen"),
    *("rho usual", "rho P usual", "rho T usual", "difference P usual", "difference T usual", "rr usual"),
    *("fusion", "odds of V", "odds of S"),
)
RHO, RHO_WORST, ENERGY, DIFFERENCE, WIDTH, WIDTH_RATIO, FREQUENCY = range(7)
FREQUENCY_RATIO, OWN, SHARE, TEMPLATE_RATIO, TEMPLATE_WIDTH, RHO_T, RHO_P = range(7, 14)
DIFFERENCE_P, DIFFERENCE_T, BEFORE, QUALITY, PREVIOUS_RHO = range(14, 19)
RR_8, RR_TIMELY, RR_MEAN, RR_PREVIOUS_RATIO, RR_TO_PREVIOUS, IRREGULARITY, ALIKE_NOW = range(19, 26)
ALIKE_LONG, RR_LATE, LATE_TO_USUAL, DOUBLED, EARLY, EARLY_USUAL, P_SEEN = range(26, 33)
RHO_USUAL, RHO_P_USUAL, RHO_T_USUAL, DIFFERENCE_P_USUAL, DIFFERENCE_T_USUAL, RR_USUAL = range(33, 39)
FUSED, ODDS_V, ODDS_S = range(39, 42)
N_PHI = len(FEATURES)


class Memory(NamedTuple):
    """Everything a classifier remembers, in three arrays (each costs time to hand to a kernel).

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
    ring: int
    sos: Floats


class Work(NamedTuple):
    """Room for a beat at work: nothing in it lasts from one to the next."""

    phi: Floats
    weight: Floats
    x: Floats
    other: Floats
    best: Floats
    past: Floats
    sinus: Floats
    some: Floats
    piece: Floats
    lags: Floats
    mended: Floats


@lru_cache(maxsize=64)
def configuration(fs: float) -> Floats:
    """Design the low-pass for a sampling rate in Hz and measure its delay; `named` gives it names."""
    step = max(1, round(fs / INNER_HZ))
    rate = fs / step
    sos = signal.butter(4, min(LOW_HZ, 0.4 * rate), fs=fs, output="sos")
    t = np.arange(int(fs)) / fs
    y = signal.sosfilt(sos, np.exp(-0.5 * ((t - 0.3) / 0.02) ** 2))
    pulse = min(MAX_HISTORY, 2 * int(PULSE_S / 2 * fs)) + 1 if fs >= 240 else 1
    lag = round((float(t[np.argmax(y)]) - 0.3) * fs)
    left, right = round(LEFT_S * rate), round(RIGHT_S * rate)
    scalars = (fs, rate, step, pulse, GONE_S * fs, round(WAIT_S * fs), lag, left, right)
    # Two sections; the columns after the coefficients are the steady state for a level of 1.
    sections = np.hstack([sos, signal.sosfilt_zi(sos)])
    return np.concatenate([scalars, [math.ceil(RING_S * rate)], sections.ravel()])


@kernel
def named(c: Floats) -> Config:
    """Return what `configuration` made, with names."""
    sos = c[10:26].reshape(2, 8)
    whole = (int(c[2]), int(c[3]), int(c[5]), int(c[6]), int(c[7]), int(c[8]), int(c[9]))
    step, pulse, wait, lag, left, right, ring = whole
    return Config(c[0], c[1], step, pulse, c[4], wait, lag, left, right, ring, sos)


def empty_memory(n_sig: int, c: Floats) -> Memory:
    """Return the memory of a classifier that has seen nothing."""
    left, right, ring = (int(value) for value in c[7:10])
    memory = Memory(
        n=np.zeros(N_INTS, np.int64),
        floats=np.zeros(N_FLOATS + n_sig * N_LEAD + N_BEATS * N_BEAT + N_TEMPLATES * N_STATS),
        rings=np.zeros((n_sig + 1) * ring + N_TEMPLATES * n_sig * (left + right + 1), np.float32),
    )
    memory.n[DARKS : DARKS + 4] = -1
    memory.floats[N_FLOATS : N_FLOATS + n_sig * N_LEAD].reshape(n_sig, N_LEAD)[:, MISSING] = 1e9
    return memory


@kernel
def state(memory: Memory, n_sig: int, cfg: Config) -> State:
    """Return the memory with names."""
    floats, rings = memory.floats, memory.rings
    lead = N_FLOATS
    beats = lead + n_sig * N_LEAD
    stats = beats + N_BEATS * N_BEAT
    sharp = n_sig * cfg.ring
    templates = sharp + cfg.ring
    return State(
        memory.n,
        floats[:lead],
        floats[lead:beats].reshape(n_sig, N_LEAD),
        floats[beats:stats].reshape(N_BEATS, N_BEAT),
        floats[stats:].reshape(N_TEMPLATES, N_STATS),
        rings[:sharp].reshape(n_sig, cfg.ring),
        rings[sharp:templates],
        rings[templates:].reshape(N_TEMPLATES, n_sig, cfg.left + cfg.right + 1),
    )


def work_size(n_sig: int, c: Floats) -> int:
    """Return how many floats `work` needs."""
    length = int(c[7] + c[8]) + 1
    return N_PHI + n_sig * (1 + 2 * length) + 8 + 3 * N_PAST + 3 * length + int(c[0]) + MAX_HISTORY


@kernel
def work(room: Floats, n_sig: int, cfg: Config) -> Work:
    """Return the room with names."""
    length = cfg.left + cfg.right + 1
    weight = N_PHI
    x = weight + n_sig
    other = x + n_sig * length
    best = other + n_sig * length
    past = best + 8
    piece = past + 3 * N_PAST
    return Work(
        room[:weight],
        room[weight:x],
        room[x:other].reshape(n_sig, length),
        room[other:best].reshape(n_sig, length),
        room[best:past],
        room[past : past + N_PAST],
        room[past + N_PAST : past + 2 * N_PAST],
        room[past + 2 * N_PAST : piece],
        room[piece : piece + length],
        room[piece + length : piece + 3 * length],
        room[piece + 3 * length :],
    )


@kernel
def row(i: int) -> int:
    """Return the row of beat number i."""
    return i % N_BEATS
