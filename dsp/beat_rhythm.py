"""When a beat comes, against this patient's other beats: R-R intervals and their ratios."""

import math

from dsp import beat_state as b
from dsp.beat_state import State, Work
from dsp.kernels import Floats, kernel

NEAR = math.exp(b.ALIKE)


@kernel
def sort(values: Floats) -> None:
    """Sort a few values in place."""
    for i in range(1, len(values)):
        value = values[i]
        k = i
        while k > 0 and values[k - 1] > value:
            values[k] = values[k - 1]
            k -= 1
        values[k] = value


@kernel
def middle(values: Floats) -> float:
    """Return the median of values that are sorted."""
    n = len(values)
    return 0.5 * (values[(n - 1) // 2] + values[n // 2])  # type: ignore[no-any-return]


@kernel
def irregularity(rr: Floats, room: Floats) -> float:
    """Return how irregular intervals (latest first) are: the median change from one to the next, relative.

    The least of the changes over one, two and three intervals counts: bigeminy and trigeminy are regular.
    `room` is of that length.
    """
    n = len(rr)
    if n < 4:
        return 0.0
    least = math.e
    for lag in range(1, min(3, n - 3) + 1):
        for k in range(n - lag):
            older, newer = rr[k + lag], rr[k]
            room[k] = newer / older if newer > older else older / newer
        sort(room[: n - lag])
        least = min(least, middle(room[: n - lag]))
    return math.log(least)


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
        low, high = rr[i] / NEAR, rr[i] * NEAR
        for k in range(i):
            same += (low < rr[k]) & (rr[k] < high)
    return 2.0 * same / (n * (n - 1))


@kernel
def lateness(rr: float, past: Floats, phi: Floats) -> None:
    """Write how an interval compares with the late ones of `past`, those between beats of the dominant shape.

    Where most beats are early (sick sinus, long atrial runs) no mean tells the sinus interval; the late ones
    do. `past` is sorted in place. Written are: rr to the late interval, that to the median, and which part
    of the long intervals is
    double the early one (dropped beats: the short intervals are the sinus rhythm).
    """
    phi[b.RR_LATE] = phi[b.LATE_TO_USUAL] = 1.0
    phi[b.DOUBLED] = 0.0
    n = len(past)
    if n < 4:
        return
    sort(past)
    late, early = past[int(b.LATE_PART * (n - 1))], past[int(b.EARLY_PART * (n - 1))]
    if rr > 0.0:
        phi[b.RR_LATE] = rr / late
    phi[b.LATE_TO_USUAL] = late / middle(past)
    long = double = 0.0
    for r in past:
        if r > b.LONG * early:
            long += 1.0
            double += abs(r - 2.0 * early) < 2.0 * b.DOUBLE * early
    phi[b.DOUBLED] = double / max(long, 1.0)


@kernel
def context(st: State, i: int, wk: Work) -> float:
    """Write the rhythm features of beat i, and return its RR / timely interval. Unknown ratios are 1."""
    beats, phi, past, sinus = st.beats, wk.phi, wk.past, wk.sinus
    rr = beats[b.row(i), b.B_RR]
    dominant = st.n[b.DOMINANT]
    n = n_sinus = 0
    mean = 0.0
    for k in range(i - 1, max(-1, i - b.N_PAST - 1), -1):
        own, before = beats[b.row(k)], beats[b.row(k - 1)]
        if own[b.B_RR] > 0.0:
            past[n] = own[b.B_RR]
            mean += min(past[n], b.LONG_RR_S)
            if own[b.B_TEMPLATE] == dominant and before[b.B_TEMPLATE] == dominant:
                sinus[n_sinus] = min(past[n], b.LONG_RR_S)
                n_sinus += 1
            n += 1
    mean /= max(n, 1)
    phi[b.IRREGULARITY] = irregularity(past[: min(n, 20)], wk.some)
    phi[b.ALIKE_NOW] = alike(past[: min(n, b.ALIKE_BEATS)])
    v = st.v
    v[b.ALIKE_SLOW] += max(1.0 / (i + 1.0), 1.0 / b.ALIKE_SLOW_BEATS) * (phi[b.ALIKE_NOW] - v[b.ALIKE_SLOW])
    phi[b.ALIKE_LONG] = v[b.ALIKE_SLOW]
    lateness(rr, sinus[:n_sinus], phi)
    phi[b.RR_8] = phi[b.RR_MEAN] = phi[b.RR_TO_PREVIOUS] = phi[b.RR_PREVIOUS_RATIO] = phi[b.PREVIOUS_RHO] = (
        1.0
    )
    ratio = 1.0
    if i > 0:
        previous = beats[b.row(i - 1)]
        phi[b.RR_PREVIOUS_RATIO], phi[b.PREVIOUS_RHO] = previous[b.B_RATIO], previous[b.B_RHO]
        if rr > 0.0 and previous[b.B_RR] > 0.0:
            phi[b.RR_TO_PREVIOUS] = rr / previous[b.B_RR]
    if rr > 0.0 and n > 0:
        few = past[: min(n, 8)]
        sort(few)
        phi[b.RR_8] = rr / middle(few)
        phi[b.RR_MEAN] = rr / mean
        ratio = rr / (v[b.TIMELY_RR] if v[b.TIMELY_RR] > 0.0 else mean)
    phi[b.RR_TIMELY] = ratio
    return ratio


@kernel
def remember_interval(st: State, i: int) -> None:
    """Let the timely interval follow beat i, whose template is known.

    The timely interval is the one that a sinus beat would have: it follows intervals near it between beats
    of the dominant shape within a few beats, and any other only slowly: a run of early beats stays early.
    """
    v = st.v
    own = st.beats[b.row(i)]
    rr = min(own[b.B_RR], b.LONG_RR_S)
    dominant = st.n[b.DOMINANT]
    if rr <= 0.0 or own[b.B_TEMPLATE] != dominant or st.beats[b.row(i - 1)][b.B_TEMPLATE] != dominant:
        return
    v[b.TIMELY_N] += 1.0
    timely = v[b.TIMELY_RR]
    near = b.TIMELY_LOW * timely < rr < b.TIMELY_HIGH * timely
    part = 1.0 / (b.TIMELY_BEATS if near else b.OTHER_BEATS)
    v[b.TIMELY_RR] += max(part, 1.0 / v[b.TIMELY_N]) * (rr - timely)
