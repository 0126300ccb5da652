"""How the QRS detector starts, and starts again when its levels have become useless.

Each lead's own envelope peaks are kept all the time, whatever the levels say. When no beat has been
found for `RELEARN_S` (a gain step, another lead), the lead whose recent peaks stand out best gives
new levels and its peaks are judged again. Noise does not stand out: its envelope is never far from
its mean.
"""

import math

import numpy as np

from dsp import qrs_state as q
from dsp.kernels import Floats, kernel, leaf
from dsp.qrs_judge import level
from dsp.qrs_shape import energies, locate, slide, unroll
from dsp.qrs_state import State


@leaf
def note(st: State, sig: int, cfg: q.Config) -> None:
    """Lead sig's own envelope peak has stood long enough: keep it."""
    track = st.track
    fresh = st.fresh[sig, int(track[sig, q.T_COUNT]) % q.N_FRESH]
    fresh[q.F_M] = track[sig, q.T_M]
    fresh[q.F_SLOW] = track[sig, q.T_SLOW]
    fresh[q.F_FAST] = track[sig, q.T_FAST]
    where, amplitude, fresh[q.F_STEP] = locate(st, sig, int(track[sig, q.T_M]) - cfg.peak_delay, cfg.rate)
    fresh[q.F_R] = where
    fresh[q.F_AMPLITUDE] = amplitude
    mean = st.chan[2 * sig, q.MEAN] + st.chan[2 * sig + 1, q.MEAN]
    # A T wave as tall as the complex has nothing in the fast band.
    fresh[q.F_CREST] = max(
        track[sig, q.T_PEAK] / max(mean, 1e-9),
        track[sig, q.T_FAST] / max(st.chan[2 * sig + 1, q.MEAN], 1e-9),
    )
    fresh[q.F_RHO] = 0.0
    if track[sig, q.T_COUNT] > 0:
        before = st.fresh[sig, int(track[sig, q.T_COUNT] - 1) % q.N_FRESH]
        fresh[q.F_RHO] = likeness(st, sig, int(before[q.F_M]), int(track[sig, q.T_M]), cfg)
    track[sig, q.T_COUNT] += 1


@leaf
def likeness(st: State, sig: int, before: int, at: int, cfg: q.Config) -> float:
    """Return the normalized correlation of lead sig about two envelope peaks; 0 if the first is long past."""
    ring = st.band.shape[1]
    half = int(q.TEMPLATE_S * cfg.rate)
    shift = cfg.band_delay - cfg.peak_delay
    if before + shift - half - q.LAGS <= st.n[q.M] - ring:
        return 0.0
    length = 2 * half + 1
    own, piece = np.empty((1, 1, length), np.float32), np.empty(length + q.N_LAGS - 1)
    slot = (at + shift - half) % ring
    for j in range(length):
        own[0, 0, j] = st.band[sig, slot]
        slot = slot + 1 if slot + 1 < ring else 0
    unroll(st.band, sig, before + shift - half - q.LAGS, piece)
    energy, products = np.zeros(q.N_LAGS), np.zeros((1, q.N_LAGS))
    energies(piece, length, 1.0, energy)
    second = slide(piece, own, 0, 0, 1.0, products) + 1e-12
    best = 0.0
    for k in range(q.N_LAGS):
        best = max(best, products[0, k] / math.sqrt((energy[k] + 1e-12) * second))
    return best


@kernel
def since(st: State, rate: float) -> int:
    """Return the first inner sample whose peaks take part."""
    return max(st.n[q.LAST] + int(q.T_WAVE_S * rate), st.n[q.M] - int(q.SPAN_S * rate))  # type: ignore[no-any-return]


@kernel
def two_largest(st: State, sig: int, column: int, rate: float, clear: float) -> tuple[float, float]:
    """Return the two largest recent peaks of lead sig: its slow or fast envelope, or (0) their sum.

    Only those that are `clear` times the mean envelope count.
    """
    first = since(st, rate)
    largest = second = 0.0
    n = int(st.track[sig, q.T_COUNT])
    for k in range(max(0, n - q.N_FRESH), n):
        fresh = st.fresh[sig, k % q.N_FRESH]
        if fresh[q.F_M] < first or fresh[q.F_AMPLITUDE] < q.MIN_AMPLITUDE or fresh[q.F_CREST] < clear:
            continue
        height = fresh[column] if column > 0 else fresh[q.F_SLOW] + fresh[q.F_FAST]
        if height > largest:
            largest, second = height, largest
        elif height > second:
            second = height
    return largest, second


@kernel
def crest(st: State, sig: int, column: int, rate: float) -> float:
    """Return a lead's own mean envelope as part of its recent peaks; 2 where no complex stands out.

    `column` is that of the fast envelope, or 0: the sum of both.
    """
    mean = st.chan[2 * sig + 1, q.MEAN] + (0.0 if column else st.chan[2 * sig, q.MEAN])
    mean /= max(1.0 - st.v[q.CORRECTION], 1e-3)
    if alike(st, sig, rate):
        largest, _ = two_largest(st, sig, column, rate, q.NOTED)
        return mean / largest * q.CREST / q.CREST_ALIKE if largest > 0.0 else 2.0
    largest, second = two_largest(st, sig, column, rate, q.CLEAR)
    if largest == 0.0 or 0.5 * largest > second > q.SOME * largest:
        return 2.0
    if regular(st, sig, column, rate):
        return mean / largest * q.CREST / q.CREST_REGULAR  # type: ignore[no-any-return]
    if second > 0.5 * largest:
        return mean / second  # type: ignore[no-any-return]
    return mean / largest * q.CREST / q.CREST_LONE  # type: ignore[no-any-return]


@kernel
def regular(st: State, sig: int, column: int, rate: float) -> bool:
    """Return whether a lead's own clear peaks have like heights and intervals."""
    first = since(st, rate)
    n = int(st.track[sig, q.T_COUNT])
    count, last = 0, 0.0
    heights = squares = intervals = interval_squares = 0.0
    for k in range(max(0, n - q.N_FRESH), n):
        fresh = st.fresh[sig, k % q.N_FRESH]
        if fresh[q.F_M] < first or fresh[q.F_CREST] < q.CLEAR:
            continue
        height = fresh[column] if column > 0 else fresh[q.F_SLOW] + fresh[q.F_FAST]
        heights += height
        squares += height * height
        if count > 0:
            intervals += fresh[q.F_M] - last
            interval_squares += (fresh[q.F_M] - last) ** 2
        last = fresh[q.F_M]
        count += 1
    if count < q.REGULAR:
        return False
    limit = 1.0 + q.SPREAD**2
    return squares * count < limit * heights**2 and interval_squares * (count - 1) < limit * intervals**2


@kernel
def alike(st: State, sig: int, rate: float) -> bool:
    """Return whether a lead's latest peaks follow each other like a clock, each the image of the one before.

    So does a fast tachycardia, whose line is never quiet; noise does not.
    """
    n = int(st.track[sig, q.T_COUNT])
    if n < q.REGULAR:
        return False
    newest = st.fresh[sig, (n - 1) % q.N_FRESH]
    next_ = st.fresh[sig, (n - 2) % q.N_FRESH]
    height = newest[q.F_SLOW] + newest[q.F_FAST]
    interval = newest[q.F_M] - next_[q.F_M]
    if st.n[q.M] - newest[q.F_M] > 2.0 * interval:
        return False
    for k in range(n - q.REGULAR, n):
        fresh = st.fresh[sig, k % q.N_FRESH]
        if (
            fresh[q.F_M] < since(st, rate)
            or abs(fresh[q.F_SLOW] + fresh[q.F_FAST] - height) > 2 * q.SPREAD * height
        ):
            return False
        if k > n - q.REGULAR:
            before = st.fresh[sig, (k - 1) % q.N_FRESH]
            if fresh[q.F_RHO] < q.ALIKE or abs(fresh[q.F_M] - before[q.F_M] - interval) > q.SPREAD * interval:
                return False
    return True


@kernel
def seed(st: State, sig: int, rate: float) -> bool:
    """Take a lead's own recent peaks for levels and make them candidates; False: they are too small."""
    first = since(st, rate)
    n = int(st.track[sig, q.T_COUNT])
    oldest = max(0, n - q.N_FRESH)
    recent = st.n[q.M] - st.n[q.LAST] < 8 * rate
    fast = alike(st, sig, rate)
    clear = q.NOTED if fast else q.CLEAR
    if (
        fast
        and recent
        and st.fresh[sig, (n - 1) % q.N_FRESH, q.F_AMPLITUDE] < q.RELEARN_FAST * st.v[q.AMPLITUDE]
    ):
        return False
    for column in (q.F_SLOW, q.F_FAST):
        largest, second = two_largest(st, sig, column, rate, clear)
        height = second if second > 0.5 * largest else largest
        quiet, count = 0.0, 0
        for k in range(oldest, n):
            fresh = st.fresh[sig, k % q.N_FRESH]
            if fresh[q.F_M] >= first and fresh[q.F_CREST] >= clear and fresh[column] < q.SOME * height:
                quiet += fresh[column]
                count += 1
        row = st.chan[2 * sig + column - q.F_SLOW]
        if recent and not fast and height < q.RELEARN_RATIO * row[q.QRS]:
            return False
        row[q.H_QRS : q.H_QRS + q.N_HEIGHTS] = height
        row[q.H_NOISE : q.H_NOISE + q.N_HEIGHTS] = quiet / count if count else 0.15 * height
    for c in range(len(st.chan)):
        if c // 2 != sig:
            st.chan[c, : 2 * q.N_HEIGHTS] = 0.0
    st.n[q.N_QRS] = st.n[q.N_NOISE] = q.N_HEIGHTS
    st.n[q.N_CAND] = 0
    st.v[q.AMPLITUDE] = 0.0
    st.v[q.MATCH] = 0.9
    for k in range(oldest, n):
        fresh = st.fresh[sig, k % q.N_FRESH]
        if fresh[q.F_M] >= first and fresh[q.F_CREST] >= clear:
            candidate(st.cands[st.n[q.N_CAND]], fresh, sig)
            st.n[q.N_CAND] += 1
            st.v[q.AMPLITUDE] = max(st.v[q.AMPLITUDE], fresh[q.F_AMPLITUDE])
    level(st)
    return True


@kernel
def candidate(cand: Floats, fresh: Floats, sig: int) -> None:
    """Make a lead's peak a candidate; what was not measured then is taken as usual."""
    cand[:] = 0.0
    cand[q.K_M] = fresh[q.F_M]
    cand[q.K_R] = fresh[q.F_R]
    cand[q.K_AMPLITUDE] = fresh[q.F_AMPLITUDE]
    cand[q.K_PRE] = cand[q.K_POST] = 0.1
    cand[q.K_STEP] = fresh[q.F_STEP]
    cand[q.K_RHO] = cand[q.K_RHO_LOW] = cand[q.K_RHO_BEST] = 0.9
    cand[q.K_PRE_MOST] = cand[q.K_POST_MOST] = 0.15
    cand[q.K_LEAD] = sig
    cand[q.K_TEMPLATE] = -1.0
    cand[q.K_ENV + 2 * sig] = fresh[q.F_SLOW]
    cand[q.K_ENV + 2 * sig + 1] = fresh[q.F_FAST]
