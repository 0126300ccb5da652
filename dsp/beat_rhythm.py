"""When a beat comes, against this patient's other beats: R-R intervals and their ratios."""

import math

import numpy as np

from dsp import beat_state as b
from dsp.beat_state import State
from dsp.kernels import Floats, kernel

ALIKE_SLOW = b.FEATURES.index("alike slow")
RR_LATE = b.FEATURES.index("rr late")


@kernel
def median(values: Floats) -> float:
    """Return the median of a few values (sorted in place)."""
    values.sort()
    n = len(values)
    return 0.5 * (values[(n - 1) // 2] + values[n // 2])  # type: ignore[no-any-return]


@kernel
def irregularity(rr: Floats) -> float:
    """Return how irregular intervals (latest first) are: the median change from one to the next, relative.

    The least of the changes over one, two and three intervals counts: bigeminy and trigeminy are regular.
    """
    least = 1.0
    n = len(rr)
    for lag in range(1, 4):
        if n - lag < 3:
            break
        change = np.empty(n - lag)
        for k in range(n - lag):
            change[k] = abs(math.log(rr[k] / rr[k + lag]))
        least = min(least, median(change))
    return least if n >= 4 else 0.0


@kernel
def alike(rr: Floats) -> float:
    """Return which part of all pairs of intervals are alike, 1 where there are too few.

    In fibrillation few are, while early beats and pauses, however many, are like each other.
    """
    n = len(rr)
    if n < 4:
        return 1.0
    same = 0
    for i in range(n):
        for k in range(i):
            same += abs(math.log(rr[i] / rr[k])) < b.ALIKE
    return 2.0 * same / (n * (n - 1))


@kernel
def lateness(rr: float, past: Floats, phi: Floats) -> None:
    """Write how an interval compares with the late ones of `past` (sorted in place, between sinus-shaped beats).

    Where most beats are early (sick sinus, long atrial runs) no mean tells the sinus interval; the late ones
    do. Written are: rr to the late interval, that to the median, and which part of the long intervals is
    double the early one (dropped beats: then the short ones are the sinus intervals).
    """
    phi[RR_LATE] = phi[RR_LATE + 1] = 1.0
    n = len(past)
    if n < 4:
        return
    past.sort()
    late, usual = past[int(b.LATE_PART * (n - 1))], median(past)
    if rr > 0.0:
        phi[RR_LATE] = rr / late
    phi[RR_LATE + 1] = late / usual
    early = past[int(b.EARLY_PART * (n - 1))]
    long = double = 0.0
    for r in past:
        if r > b.LONG * early:
            long += 1.0
            double += abs(r / early - 2.0) < 2.0 * b.DOUBLE
    phi[RR_LATE + 2] = double / max(long, 1.0)


@kernel
def context(st: State, i: int, known: int, cfg: b.Config, phi: Floats, at: int) -> float:
    """Write the rhythm features of beat i from phi[at] on, and return its RR / timely interval.

    `known` is the input sample up to which everything is known. Unknown ratios are 1.
    """
    beats = st.beats
    own = beats[b.row(i)]
    rr = own[b.B_RR]
    past = np.empty(b.N_PAST)
    n = 0
    n_sinus = 0
    sinus = np.empty(b.N_PAST)
    dominant = st.n[b.DOMINANT]
    longest = 0.0
    nearest = 1.0
    for k in range(i - 1, max(-1, i - b.N_PAST - 1), -1):
        r = beats[b.row(k)]
        if r[b.B_RR] > 0.0:
            past[n] = r[b.B_RR]
            if n < 8:
                longest = max(longest, past[n])
                if rr > 0.0:
                    nearest = min(nearest, abs(math.log(rr / past[n])))
            n += 1
            if r[b.B_TEMPLATE] == dominant and beats[b.row(k - 1)][b.B_TEMPLATE] == dominant:
                sinus[n_sinus] = min(r[b.B_RR], b.LONG_RR_S)
                n_sinus += 1
    lateness(rr, sinus[:n_sinus], phi)
    ref = st.v[b.TIMELY_RR]
    m8 = median(past[: min(n, 8)].copy()) if n else 0.0
    irregular = irregularity(past[: min(n, 20)])
    m32 = median(past[:n]) if n else 0.0
    slow = st.v[b.SLOW_RR]
    mean = 0.0
    for k in range(n):
        mean += min(past[k], b.LONG_RR_S) / n
    previous = beats[b.row(i - 1)][b.B_RR] if i > 0 else 0.0
    usual = m32 if m32 > 0.0 else rr if rr > 0.0 else 0.8
    following = (known - own[b.B_R]) / cfg.fs
    if i + 1 < st.n[b.BEATS]:
        following = (beats[b.row(i + 1)][b.B_R] - own[b.B_R]) / cfg.fs
    ok = rr > 0.0
    phi[at] = rr / m8 if ok and m8 > 0.0 else 1.0
    phi[at + 1] = rr / m32 if ok and m32 > 0.0 else 1.0
    phi[at + 2] = rr / slow if ok and slow > 0.0 else 1.0
    if ref <= 0.0:
        ref = mean
    ratio = rr / ref if ok and ref > 0.0 else 1.0
    phi[at + 3] = ratio
    phi[at + 4] = beats[b.row(i - 1)][b.B_RATIO] if i > 0 else 1.0
    phi[at + 5] = rr / previous if ok and previous > 0.0 else 1.0
    phi[at + 6] = min(following / usual, 1.2)
    phi[at + 7] = rr if ok else usual
    phi[at + 8] = irregular
    phi[at + 9] = m8 / m32 if m32 > 0.0 else 1.0
    phi[at + 10] = min(float(n), float(b.N_PAST))
    off = 0
    for k in range(i - 1, max(-1, i - 11), -1):
        off += beats[b.row(k)][b.B_TEMPLATE] != st.n[b.DOMINANT]
    phi[at + 11] = off / 10.0
    phi[at + 12] = beats[b.row(i - 1)][b.B_RHO] if i > 0 else 1.0
    phi[at + 13] = longest / usual if longest > 0.0 else 1.0
    phi[at + 14] = nearest
    phi[at + 15] = 1.0 if i > 0 and beats[b.row(i - 1)][b.B_TEMPLATE] == st.n[b.DOMINANT] else 0.0
    phi[at + 16] = alike(past[: min(n, b.ALIKE_BEATS)])
    part = max(1.0 / (i + 1.0), 1.0 / b.ALIKE_SLOW_BEATS)
    st.v[b.ALIKE_SLOW] += part * (phi[at + 16] - st.v[b.ALIKE_SLOW])
    phi[ALIKE_SLOW] = st.v[b.ALIKE_SLOW]
    phi[at + 17] = rr / mean if ok and mean > 0.0 else 1.0
    return ratio


@kernel
def remember_interval(st: State, i: int) -> None:
    """Let the slow mean and the timely interval follow beat i, whose template is known.

    The timely interval is the one that a sinus beat would have: it follows intervals near it between beats
    of the dominant shape within a few beats, and any other only slowly: a run of early beats stays early.
    """
    v = st.v
    own = st.beats[b.row(i)]
    rr = min(own[b.B_RR], b.LONG_RR_S)
    if rr <= 0.0:
        return
    v[b.SLOW_N] = min(v[b.SLOW_N] + 1.0, b.SLOW_BEATS)
    v[b.SLOW_RR] += (rr - v[b.SLOW_RR]) / v[b.SLOW_N]
    dominant = st.n[b.DOMINANT]
    if own[b.B_TEMPLATE] != dominant or st.beats[b.row(i - 1)][b.B_TEMPLATE] != dominant:
        return
    v[b.TIMELY_N] += 1.0
    timely = v[b.TIMELY_RR]
    near = b.TIMELY_LOW * timely < rr < b.TIMELY_HIGH * timely
    part = 1.0 / (b.TIMELY_BEATS if near else b.OTHER_BEATS)
    v[b.TIMELY_RR] += max(part, 1.0 / v[b.TIMELY_N]) * (rr - timely)
