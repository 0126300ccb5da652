"""The loop of the QRS detector: front end, peaks of the detection function, when to decide what."""

import numpy as np

from dsp import qrs_state as q
from dsp.kernels import Floats, Ints, Ring, kernel, leaf, unmeasured
from dsp.qrs_front import envelopes, mend
from dsp.qrs_judge import Out, decide, judge, search_back, sure
from dsp.qrs_measure import measure, measure_after, strength
from dsp.qrs_shape import compare
from dsp.qrs_start import crest, note, seed
from dsp.qrs_state import State, forget


@kernel
def enter(
    x: Floats,
    n: Ints,
    floats: Floats,
    rings: Ring,
    config: Floats,
    weights: Floats,
    rows: Floats,
    count: Ints,
    phi: Floats,
    trace: Floats,
) -> None:
    """`run`, for callers in Python: few plain arrays are handed over ten times as quickly as what they hold.

    `n`, `floats` and `rings` are `qrs_state.Memory`, `config` is `qrs_state.packed`, the last four are `Out`.
    """
    cfg = q.named(config)
    count[0] = 0
    run(x, q.state(n, floats, rings, x.shape[1], cfg.rate), cfg, weights, Out(rows, count, phi, trace))


@kernel
def run(x: Floats, st: State, cfg: q.Config, weights: Floats, out: Out) -> None:
    """Take the samples x (n_samples, n_sig) in mV, in any portions.

    What happens at each sample stands in this one function, over values at hand: handing a whole `State`
    to another costs more than all the rest. Before an event the values go back (`lay_down`), after it
    those that it may have changed are read again (`pick_up`).
    """
    n, v, chan, track, cands, detection = st.n, st.v, st.chan, st.track, st.cands, st.detection
    n_sig, n_chan, step = x.shape[1], len(chan), cfg.step
    env, means = np.empty((q.BLOCK, n_chan)), np.empty((q.BLOCK, n_chan))
    line = np.empty(q.KEPT + q.BLOCK * step)
    limit = int(q.FORGET_S * cfg.fs)
    look, look_long = int(q.LOOK_S * cfg.rate), int(q.LOOK_LONG_S * cfg.rate)
    look_small, look_rising = int(q.LOOK_SMALL_S * cfg.rate), int(q.LOOK_RISING_S * cfg.rate)
    begin, pause = int(q.START_S * cfg.rate), q.TRY_S * cfg.rate
    stop = 0
    while stop < len(x):
        start = stop
        stop = listen(x, start, min(len(x), start + q.BLOCK * step), n, limit)
        if n[q.SILENT] < 0:  # lost, and nothing in sight
            advance(n, stop - start, step)
            continue
        for sig in range(n_sig):
            mend(x, start, stop, sig, n, st.lead[sig], cfg, line)
            envelopes(line, stop - start, sig, n, st.lead[sig], chan, st.low, st.band, cfg, env, means)
        now, m = n[q.IN] - n[q.PHASE] - 1, n[q.M]
        slot = m % len(detection)
        d1, d2, correction = v[q.D1], v[q.D2], v[q.CORRECTION]
        height, at, back, relearn = pick_up(n, v, cfg.rate)
        for k in range((n[q.PHASE] + stop - start) // step):
            now += step
            value = 0.0
            for c in range(n_chan):
                value += chan[c, q.GAIN] * env[k, c]
            correction *= cfg.mean_pole
            detection[slot] = value
            slot = slot + 1 if slot + 1 < len(detection) else 0
            for sig in range(n_sig):
                own, before = env[k, 2 * sig] + env[k, 2 * sig + 1], track[sig, q.T_1]
                if track[sig, q.T_2] < before >= own and before > track[sig, q.T_PEAK]:
                    track[sig, q.T_PEAK], track[sig, q.T_M] = before, m - 1
                    track[sig, q.T_SLOW], track[sig, q.T_FAST] = env[k, 2 * sig], env[k, 2 * sig + 1]
                track[sig, q.T_2], track[sig, q.T_1] = before, own
                if track[sig, q.T_PEAK] > 0.0 and m - track[sig, q.T_M] >= look:
                    if track[sig, q.T_PEAK] > q.NOTED * (means[k, 2 * sig] + means[k, 2 * sig + 1]):
                        lay_down(n, v, chan, m, d1, d2, correction, means, k)
                        note(st, sig, cfg)
                    track[sig, q.T_PEAK] = 0.0
            anew = False
            if n[q.STARTED]:
                late = m - 1 - at > look
                crest_now = d2 < d1 >= value
                if crest_now and late and q.RIVAL < d1 / max(height, 1e-9) <= q.GROW:
                    lay_down(n, v, chan, m, d1, d2, correction, means, k)
                    peak(st, m, True, weights, cfg, now, out)  # two of a kind: each for itself
                    height, at, back, relearn = pick_up(n, v, cfg.rate)
                if crest_now and d1 > height * (q.GROW if late else 1.0):
                    height, at = d1, m - 1
                    v[q.PEAK], n[q.PEAK_M], n[q.ASKED] = height, at, 0
                    for c in range(n_chan):
                        cands[n[q.N_CAND] % q.N_CANDIDATES, q.K_ENV + c] = env[k, c]
                d2, d1 = d1, value
                if height > 0.0 and m - at >= look:
                    asked = n[q.ASKED]
                    due = look_long if asked == 1 else look_small if asked == 2 else look_rising
                    if asked == 0 or (m - at >= due and value < height):
                        n[q.ASKED] += 1
                        lay_down(n, v, chan, m, d1, d2, correction, means, k)
                        peak(st, m, asked > 2, weights, cfg, now, out)
                        height, at, back, relearn = pick_up(n, v, cfg.rate)
                if m >= back:
                    n[q.SEARCHED] = m
                    lay_down(n, v, chan, m, d1, d2, correction, means, k)
                    search_back(st, weights, cfg, now, out)
                    height, at, back, relearn = pick_up(n, v, cfg.rate)
                anew = m >= relearn
            else:
                anew = m - n[q.M_START] > begin
            if anew and m - n[q.TRIED] >= pause:
                lay_down(n, v, chan, m, d1, d2, correction, means, k)
                start_anew(st, weights, cfg, now, out)
                height, at, back, relearn = pick_up(n, v, cfg.rate)
            m += 1
        if m > n[q.M]:
            lay_down(n, v, chan, m, d1, d2, correction, means, (n[q.PHASE] + stop - start) // step - 1)
        n[q.IN] += stop - start
        n[q.PHASE] = (n[q.PHASE] + stop - start) % step
        if n[q.SILENT] >= limit:
            forget(st)


@leaf
def lay_down(
    n: Ints, v: Floats, chan: Floats, m: int, d1: float, d2: float, correction: float, means: Floats, k: int
) -> None:
    """Put back what `run` has at hand as of inner sample m, the k-th of the block."""
    n[q.M] = m
    v[q.D1], v[q.D2] = d1, d2
    v[q.CORRECTION] = correction if correction > 1e-30 else 0.0  # in a day it would be denormal, and slow
    for c in range(len(chan)):
        chan[c, q.MEAN] = means[k, c]


@leaf
def pick_up(n: Ints, v: Floats, rate: float) -> tuple[float, int, int, int]:
    """Return height and place of the present peak, and when to search back and when to learn anew."""
    rr = v[q.RR] if v[q.RR] > 0.0 else 1.0
    back = n[q.LAST] + int((q.BACK_RR * rr + q.LOOK_S) * rate) + 1 if n[q.SEARCHED] < n[q.LAST] else q.NEVER
    return v[q.PEAK], n[q.PEAK_M], back, n[q.LAST] + int(q.RELEARN_S * rate) + 1


@kernel
def advance(n: Ints, n_samples: int, step: int) -> None:
    """Count samples of which nothing is to be learned (`n` is State.n)."""
    total = n[q.PHASE] + n_samples
    n[q.IN] += n_samples
    n[q.PHASE] = total % step
    n[q.M] += total // step


@kernel
def listen(x: Floats, start: int, stop: int, n: Ints, limit: int) -> int:
    """Count how long all leads have been silent; returns where the block must end."""
    for t in range(start, stop):
        silent = unmeasured(x, t)
        if n[q.SILENT] < 0:
            if not silent:
                if t > start:  # up to here there was nothing
                    return t
                n[q.SILENT] = 0
                n[q.M_START] = n[q.M]
        elif silent:
            n[q.SILENT] += 1
            if n[q.SILENT] >= limit:
                return t + 1
        else:
            n[q.SILENT] = 0
    return stop


@kernel
def peak(st: State, m: int, last: bool, weights: Floats, cfg: q.Config, now: int, out: Out) -> None:
    """A peak of the detection function has stood until inner sample m: measure it and judge it.

    Unless it is the `last` time of asking, what is not sure waits, and so does what may be a P wave as
    long as something larger seems to come.
    """
    at = st.n[q.PEAK_M]
    cand = st.cands[st.n[q.N_CAND] % q.N_CANDIDATES]
    cand[q.K_M] = at
    cand[q.K_STATE] = q.NEW
    middle = at - cfg.peak_delay + cfg.band_delay
    if st.n[q.ASKED] < 2:
        measure(st, cand, cfg)
        if strength(st, cand) > q.MIN_STRENGTH:
            compare(st, cand, middle, at - cfg.peak_delay)
    measure_after(st, cand, m, cfg.rate)
    rising = st.v[q.D1] > max(st.v[q.D2], q.RISING * st.v[q.PEAK])
    if not last and not sure(st, cand, rising, weights, cfg.rate, out.phi):
        return
    st.n[q.N_CAND] += 1
    st.v[q.PEAK] = 0.0
    decide(st, cand, middle, at - cfg.peak_delay, weights, cfg, now, out)
    if st.v[q.MATCH] < q.TRUST:
        mean = 0.0
        for c in range(len(st.chan)):
            mean += st.chan[c, q.GAIN] * st.chan[c, q.MEAN]
        if mean > q.TRUST_MEAN:  # these levels are those of noise: wait for a rhythm
            st.n[q.STARTED] = 0
            st.n[q.M_START] = st.n[q.M]


@kernel
def start_anew(st: State, weights: Floats, cfg: q.Config, now: int, out: Out) -> None:
    """No rhythm (asked every `TRY_S`): take levels from the lead that offers the best."""
    st.n[q.TRIED] = st.n[q.M]
    best, least = -1, q.CREST
    for sig in range(len(st.chan) // 2):
        value = min(crest(st, sig, 0, cfg.rate), crest(st, sig, q.F_FAST, cfg.rate))
        if value < least:
            best, least = sig, value
    if best < 0 or not seed(st, best, cfg.rate):
        return
    st.n[q.STARTED] = 1
    st.v[q.PEAK] = 0.0
    for k in range(st.n[q.N_CAND]):
        judge(st, st.cands[k], False, weights, cfg, now, out)
    st.n[q.SEARCHED] = st.n[q.M]
