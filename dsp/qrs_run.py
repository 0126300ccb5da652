"""The loop of the QRS detector: front end, peaks of the detection function, when to decide what."""

import numpy as np

from dsp import qrs_state as q
from dsp.kernels import Floats, Ints, kernel, unmeasured
from dsp.qrs_front import front
from dsp.qrs_judge import Out, decide, judge, search_back, strength, sure
from dsp.qrs_measure import measure
from dsp.qrs_shape import compare
from dsp.qrs_start import crest, note, seed
from dsp.qrs_state import State, forget


@kernel
def run(x: Floats, st: State, cfg: q.Config, weights: Floats, out: Out) -> None:
    """Take the samples x (n_samples, n_sig) in mV, in any portions.

    What happens at each sample stands in this one function: handing a whole `State` to another
    costs a microsecond, more than all the rest.
    """
    n, v, chan, track, cands, detection = st.n, st.v, st.chan, st.track, st.cands, st.detection
    n_sig, n_chan, step = x.shape[1], len(chan), cfg.step
    env = np.empty((q.BLOCK, n_chan))
    line = np.empty(q.KEPT + q.BLOCK * step)
    limit = int(q.FORGET_S * cfg.fs)
    look, look_long = int(q.LOOK_S * cfg.rate), int(q.LOOK_LONG_S * cfg.rate)
    look_small = int(q.LOOK_SMALL_S * cfg.rate)
    begin, stop = int(q.START_S * cfg.rate), 0
    while stop < len(x):
        start = stop
        stop = listen(x, start, min(len(x), start + q.BLOCK * step), n, limit)
        if n[q.SILENT] < 0:  # lost, and nothing in sight
            advance(n, stop - start, step)
            continue
        for sig in range(n_sig):
            front(x, start, stop, sig, n, st.lead, st.low, st.band, cfg, line, env)
        now = n[q.IN] - n[q.PHASE] - 1
        for k in range((n[q.PHASE] + stop - start) // step):
            now += step
            m = n[q.M]
            value = 0.0
            for c in range(n_chan):
                value += chan[c, q.GAIN] * env[k, c]
                chan[c, q.MEAN] = env[k, c] + cfg.mean_pole * (chan[c, q.MEAN] - env[k, c])
            v[q.CORRECTION] *= cfg.mean_pole
            detection[m % len(detection)] = value
            for sig in range(n_sig):
                own, before = env[k, 2 * sig] + env[k, 2 * sig + 1], track[sig, q.T_1]
                if track[sig, q.T_2] < before >= own and before > track[sig, q.T_PEAK]:
                    track[sig, q.T_PEAK], track[sig, q.T_M] = before, m - 1
                    track[sig, q.T_SLOW], track[sig, q.T_FAST] = env[k, 2 * sig], env[k, 2 * sig + 1]
                track[sig, q.T_2], track[sig, q.T_1] = before, own
                if track[sig, q.T_PEAK] > 0.0 and m - track[sig, q.T_M] >= look:
                    if track[sig, q.T_PEAK] > q.NOTED * (chan[2 * sig, q.MEAN] + chan[2 * sig + 1, q.MEAN]):
                        note(st, sig, cfg)
                    track[sig, q.T_PEAK] = 0.0
            if n[q.STARTED]:
                before = v[q.D1]
                late = m - 1 - n[q.PEAK_M] > look
                crest_now = v[q.D2] < before >= value
                if crest_now and late and q.RIVAL < before / max(v[q.PEAK], 1e-9) <= q.GROW:
                    peak(st, m, True, weights, cfg, now, out)  # two of a kind: each for itself
                if crest_now and before > v[q.PEAK] * (q.GROW if late else 1.0):
                    v[q.PEAK], n[q.PEAK_M], n[q.ASKED] = before, m - 1, 0
                    for c in range(n_chan):
                        cands[n[q.N_CAND] % q.N_CANDIDATES, q.K_ENV + c] = env[k, c]
                v[q.D2], v[q.D1] = before, value
                if v[q.PEAK] > 0.0 and m - n[q.PEAK_M] >= look:
                    waited = m - n[q.PEAK_M]
                    if n[q.ASKED] == 0:
                        n[q.ASKED] = 1
                        peak(st, m, False, weights, cfg, now, out)
                    elif n[q.ASKED] == 1 and waited >= look_long and value < v[q.PEAK]:
                        n[q.ASKED] = 2
                        peak(st, m, False, weights, cfg, now, out)
                    elif waited >= look_small and value < v[q.PEAK]:
                        peak(st, m, True, weights, cfg, now, out)
                gap = (m - n[q.LAST]) / cfg.rate
                rr = v[q.RR] if v[q.RR] > 0.0 else 1.0
                if n[q.SEARCHED] < n[q.LAST] and gap > q.BACK_RR * rr + q.LOOK_S:
                    n[q.SEARCHED] = m
                    search_back(st, weights, cfg, now, out)
                    gap = (m - n[q.LAST]) / cfg.rate
                if gap > q.RELEARN_S:
                    start_anew(st, weights, cfg, now, out)
            elif m - n[q.M_START] > begin:
                start_anew(st, weights, cfg, now, out)
            n[q.M] += 1
        n[q.IN] += stop - start
        n[q.PHASE] = (n[q.PHASE] + stop - start) % step
        if n[q.SILENT] >= limit:
            forget(st)


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

    Unless it is the `last` time of asking, what is not sure waits.
    """
    at = st.n[q.PEAK_M]
    cand = st.cands[st.n[q.N_CAND] % q.N_CANDIDATES]
    cand[q.K_M] = at
    cand[q.K_STATE] = q.NEW
    measure(st, cand, m, cfg)
    middle = at - cfg.peak_delay + cfg.band_delay
    if strength(st, cand) > q.MIN_STRENGTH:
        compare(st, cand, middle, at - cfg.peak_delay)
    rising = st.v[q.D1] > max(st.v[q.D2], 0.5 * st.v[q.PEAK])
    if not last and not sure(st, cand, st.n[q.ASKED], rising, weights, cfg.rate, out.phi):
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
    """Every 0.2 s while there is no rhythm: take levels from the lead that offers the best."""
    if st.n[q.M] - st.n[q.TRIED] < 0.2 * cfg.rate:
        return
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
