"""What the QRS detector measures of a candidate, and the features that its decision rests on."""

import math

import numpy as np

from dsp import qrs_state as q
from dsp.kernels import Floats, Ring, kernel, leaf
from dsp.qrs_shape import lead_weight, locate, unroll
from dsp.qrs_state import State


@leaf
def strength(st: State, cand: Floats) -> float:
    """Return the detection function at the candidate, with the gains of now."""
    total = 0.0
    for c in range(len(st.chan)):
        total += st.chan[c, q.GAIN] * cand[q.K_ENV + c]
    return total


@leaf
def part(st: State, cand: Floats, sig: int) -> float:
    """Return what lead sig adds to the detection function at the candidate."""
    a, b = st.chan[2 * sig], st.chan[2 * sig + 1]
    return a[q.GAIN] * cand[q.K_ENV + 2 * sig] + b[q.GAIN] * cand[q.K_ENV + 2 * sig + 1]  # type: ignore[no-any-return]


@leaf
def measure(st: State, cand: Floats, cfg: q.Config) -> None:
    """Measure a candidate of which place and envelopes are known: R peak, shape, what was before.

    Shape and amplitude are those of the lead that adds most to the detection function here.
    """
    at = int(cand[q.K_M])
    best = 0
    for sig in range(1, len(st.chan) // 2):
        if part(st, cand, sig) > part(st, cand, best):
            best = sig
    cand[q.K_LEAD] = best
    where, cand[q.K_AMPLITUDE], cand[q.K_STEP] = locate(st, best, at - cfg.peak_delay, cfg.rate)
    shape(st, cand, best, where, at - cfg.peak_delay, cfg.rate)
    for sig in range(best):  # as annotators do: the first lead that shows the beats gives the time
        if lead_weight(st, sig) > q.SHOWS * lead_weight(st, best):
            where, _, _ = locate(st, sig, at - cfg.peak_delay, cfg.rate)
            break
    cand[q.K_R] = where
    edge = int(0.13 * cfg.rate)
    cand[q.K_PRE], cand[q.K_PRE_MOST] = activity(st.detection, at - 2 * edge, edge)
    cand[q.K_RHO] = cand[q.K_RHO_LOW] = cand[q.K_RHO_BEST] = cand[q.K_SCALE] = 0.0
    cand[q.K_TEMPLATE], cand[q.K_LAG] = -1.0, 0.0


@leaf
def measure_after(st: State, cand: Floats, m: int, rate: float) -> None:
    """Measure what has come after the candidate until inner sample m."""
    first = int(cand[q.K_M]) + int(0.13 * rate)
    cand[q.K_POST], cand[q.K_POST_MOST] = activity(st.detection, first, m + 1 - first)


@leaf
def activity(detection: Ring, first: int, n: int) -> tuple[float, float]:
    """Return mean and largest value of the detection function at n inner samples from `first` on."""
    ring = len(detection)
    slot = first % ring
    total = most = 0.0
    for _ in range(n):
        total += detection[slot]
        most = max(most, detection[slot])
        slot = slot + 1 if slot + 1 < ring else 0
    return total / n, most


@leaf
def shape(st: State, cand: Floats, sig: int, where: int, middle: int, rate: float) -> None:
    """Measure steepness (mV/s), width at half height (s) and the swing (mV p-p) of the line before it."""
    begin = middle - int(0.35 * rate)
    line = np.empty(int(0.35 * rate) + int(q.AFTER_S * rate) + 1)
    unroll(st.low, sig, begin, line)
    first, reach = int(0.35 * rate) - int(q.BEFORE_S * rate), max(1, int(0.01 * rate))
    steepest = 0.0
    for j in range(first, len(line) - reach):
        steepest = max(steepest, abs(line[j + reach] - line[j]))
    cand[q.K_SLOPE] = steepest * rate / reach
    before = line[: int(0.35 * rate) - int(0.1 * rate) + 1]
    cand[q.K_SWING] = before.max() - before.min()
    half = 0.5 * abs(line[where - begin] - line[first])
    count = 0
    for j in range(first, len(line)):
        count += abs(line[j] - line[first]) > half
    cand[q.K_WIDTH] = count / rate


@leaf
def ratio(value: float, known: float, reach: float) -> float:
    """Return log(value / known), no farther from 0 than `reach`; 0 where nothing is known."""
    if known <= 0.0 or value <= 0.0:
        return 0.0
    return max(-reach, min(reach, math.log(value / known)))


@kernel
def features(st: State, cand: Floats, rate: float, phi: Floats) -> None:
    """Measure `q.FEATURES` of a candidate into phi: logarithms of ratios, so that gain does not matter."""
    n, v = st.n, st.v
    power = max(strength(st, cand), 1e-2)
    gap = (cand[q.K_M] - n[q.LAST]) / rate
    slow = slow_level = fast = fast_level = last = mean = 1e-4
    before = 0.0
    best, worst = 0.0, 1e9
    for sig in range(len(st.chan) // 2):
        a, b = st.chan[2 * sig], st.chan[2 * sig + 1]
        slow += a[q.GAIN] * cand[q.K_ENV + 2 * sig]
        fast += b[q.GAIN] * cand[q.K_ENV + 2 * sig + 1]
        slow_level += a[q.GAIN] * a[q.QRS]
        fast_level += b[q.GAIN] * b[q.QRS]
        last += b[q.GAIN] * b[q.LAST_ENV]
        before += a[q.GAIN] * a[q.LAST_ENV] + b[q.GAIN] * b[q.LAST_ENV]
        mean += a[q.GAIN] * a[q.MEAN] + b[q.GAIN] * b[q.MEAN]
        levels = a[q.QRS] + b[q.QRS]
        if levels > 0.0:
            own = (cand[q.K_ENV + 2 * sig] + cand[q.K_ENV + 2 * sig + 1]) / levels
            best, worst = max(best, own), min(worst, own)
    usual = v[q.RR_MEDIAN] if v[q.RR_MEDIAN] > 0.0 else 0.8
    phi[0] = math.log(power)
    phi[1] = math.log(max(v[q.NOISE], 0.02))
    phi[2] = math.log(max(mean, 0.02))
    phi[3] = math.log(max(cand[q.K_PRE], 1e-2) / power)
    phi[4] = math.log(max(cand[q.K_POST], 1e-2) / power)
    own_usual = st.track[int(cand[q.K_LEAD])]
    phi[5] = ratio(max(cand[q.K_AMPLITUDE], 1e-2), own_usual[q.T_AMPLITUDE], 3.0)
    phi[6] = math.log((fast / fast_level) / (slow / slow_level))
    phi[7] = cand[q.K_RHO]
    phi[8] = min(gap / (v[q.RR] if v[q.RR] > 0 else 0.8), 2.5)
    phi[9] = math.log(fast / last) if gap < q.T_REACH_S else 0.0
    phi[10] = min(cand[q.K_STEP], 2.0)
    phi[11] = math.log(max(0.1, min(gap, 3.0)))
    phi[12] = ratio(gap, usual, 1.5)
    newest = v[q.RRS + (n[q.N_RR] - 1) % q.N_HEIGHTS]
    phi[13] = ratio(gap, newest, 1.5)
    phi[14] = ratio(gap, v[q.RRS + (n[q.N_RR] - 2) % q.N_HEIGHTS], 1.5)
    turns = min(gap / usual, 4.0)
    phi[15] = abs(turns - max(1.0, math.floor(turns + 0.5)))
    phi[16] = v[q.RR_SPREAD] if n[q.N_RR] > 1 else 0.2
    phi[17] = min(n[q.N_REFUSED], 4)
    phi[18] = min(v[q.REFUSED_MOST] / power, 3.0)
    phi[19] = v[q.REFUSED]
    phi[20] = ratio(mean, v[q.MEAN_LONG], 2.0)
    phi[21] = ratio(cand[q.K_SLOPE], own_usual[q.T_SLOPE], 3.0)
    phi[22] = ratio(cand[q.K_SLOPE], 30.0 * cand[q.K_AMPLITUDE], 4.0)
    phi[23] = ratio(cand[q.K_SWING], own_usual[q.T_SWING], 4.0)
    phi[24] = max(-4.0, math.log(max(cand[q.K_PRE_MOST], 1e-2) / power))
    phi[25] = max(-4.0, math.log(max(cand[q.K_POST_MOST], 1e-2) / power))
    phi[26] = cand[q.K_RHO_LOW]
    phi[27] = max(-3.0, min(3.0, cand[q.K_SCALE]))
    t = int(cand[q.K_TEMPLATE])
    phi[28] = math.log1p(min(st.uses[t, q.U_COUNT], 50.0)) if t >= 0 else 0.0
    phi[29] = v[q.MATCH]
    phi[30] = 0.25 * min(n[q.N_BEATS], 16)
    phi[31] = ratio(power, before, 2.0)
    phi[32] = max(-3.0, math.log(max(best, 1e-2)))
    phi[33] = max(-3.0, math.log(max(worst, 1e-2))) if worst < 1e9 else 0.0
    phi[34] = ratio(cand[q.K_WIDTH], own_usual[q.T_WIDTH], 2.0)
    phi[35] = min((cand[q.K_M] - n[q.LAST_CAND]) / rate, 2.0)
    phi[36] = cand[q.K_RHO_BEST]
    for i in range(q.N_PHI):
        phi[i] = max(-4.0, min(4.0, phi[i]))
