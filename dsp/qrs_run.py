"""The loop of the QRS detector: front end, peaks of the detection function, when to decide what."""

import math

import numpy as np

from dsp import qrs_state as q
from dsp.qrs_front import front
from dsp.qrs_judge import Out, decide, judge, search_back
from dsp.qrs_shape import compare, lead_weight, locate
from dsp.qrs_start import crest, follow, seed
from dsp.qrs_state import Floats, State, forget, kernel


@kernel
def run(x: Floats, st: State, cfg: q.Config, weights: Floats, out: Out) -> None:
    """Take the samples x (n_samples, n_sig) in mV, in any portions."""
    env = np.empty((q.BLOCK, 2 * x.shape[1]))
    limit = int(q.FORGET_S * cfg.fs)
    start = 0
    while start < len(x):
        stop = min(len(x), start + q.BLOCK * cfg.step)
        stop = listen(x, start, stop, st, cfg.step, limit)
        if st.n[q.SILENT] < 0:  # lost, and nothing in sight
            advance(st, stop - start, cfg.step)
        else:
            for l in range(x.shape[1]):
                front(x, start, stop, l, st, cfg, env)
            ticks = (st.n[q.PHASE] + stop - start) // cfg.step
            now = st.n[q.IN] - st.n[q.PHASE] - 1
            for k in range(ticks):
                now += cfg.step
                tick(st, env[k], weights, cfg, now, out)
            st.n[q.IN] += stop - start
            st.n[q.PHASE] = (st.n[q.PHASE] + stop - start) % cfg.step
            if st.n[q.SILENT] >= limit:
                forget(st)
        start = stop


@kernel
def advance(st: State, n_samples: int, step: int) -> None:
    """Count samples of which nothing is to be learned."""
    total = st.n[q.PHASE] + n_samples
    st.n[q.IN] += n_samples
    st.n[q.PHASE] = total % step
    st.n[q.M] += total // step


@kernel
def listen(x: Floats, start: int, stop: int, st: State, step: int, limit: int) -> int:
    """Count how long all leads have been silent; returns where the block must end."""
    for t in range(start, stop):
        silent = True
        for l in range(x.shape[1]):
            if math.isfinite(x[t, l]):
                silent = False
                break
        if st.n[q.SILENT] < 0:
            if not silent:
                if t > start:  # up to here there was nothing
                    return t
                st.n[q.SILENT] = 0
                st.n[q.M_START] = st.n[q.M]
        elif silent:
            st.n[q.SILENT] += 1
            if st.n[q.SILENT] >= limit:
                return t + 1
        else:
            st.n[q.SILENT] = 0
    return stop


@kernel
def tick(st: State, env: Floats, weights: Floats, cfg: q.Config, now: int, out: Out) -> None:
    """Take one inner sample: the envelopes `env` of all channels; `now` is its input sample."""
    chan = st.chan
    m = st.n[q.M]
    look = int(q.LOOK_S * cfg.rate)
    detection = 0.0
    for c in range(len(chan)):
        detection += chan[c, q.GAIN] * env[c]
        chan[c, q.MEAN] = env[c] + cfg.mean_pole * (chan[c, q.MEAN] - env[c])
    st.v[q.CORRECTION] *= cfg.mean_pole
    for l in range(len(chan) // 2):
        follow(st, l, env[2 * l], env[2 * l + 1], m, look, cfg)
    st.detection[m % len(st.detection)] = detection
    if st.n[q.STARTED]:
        before = st.v[q.D1]
        if before > st.v[q.D2] and before >= detection:
            displaced = st.v[q.PEAK] * (1.0 if m - 1 - st.n[q.PEAK_M] <= look else q.GROW)
            if before > displaced:
                st.v[q.PEAK] = before
                st.n[q.PEAK_M] = m - 1
                st.cands[st.n[q.N_CAND] % q.N_CANDIDATES, q.K_ENV :] = env
        st.v[q.D2] = before
        st.v[q.D1] = detection
        if st.v[q.PEAK] > 0.0:
            wait = look if st.v[q.PEAK] > q.WEAK else int(q.LOOK_WEAK_S * cfg.rate)
            if m - st.n[q.PEAK_M] >= wait:
                peak(st, look, weights, cfg, now, out)
        rr = st.v[q.RR] if st.v[q.RR] > 0.0 else 1.0
        if st.n[q.SEARCHED] < st.n[q.LAST] and (m - st.n[q.LAST]) / cfg.rate > q.BACK_RR * rr + q.LOOK_S:
            st.n[q.SEARCHED] = m
            search_back(st, weights, cfg, now, out)
        if m - st.n[q.LAST] > q.RELEARN_S * cfg.rate:
            start_anew(st, weights, cfg, now, out)
    elif m - st.n[q.M_START] > q.START_S * cfg.rate:
        start_anew(st, weights, cfg, now, out)
    st.n[q.M] += 1


@kernel
def peak(st: State, look: int, weights: Floats, cfg: q.Config, now: int, out: Out) -> None:
    """A peak of the detection function has stood long enough: measure and judge it."""
    at = st.n[q.PEAK_M]
    cand = st.cands[st.n[q.N_CAND] % q.N_CANDIDATES]
    cand[q.K_M] = at
    cand[q.K_STATE] = q.NEW
    best = 0
    for l in range(1, len(st.chan) // 2):
        if lead_weight(st, l) > lead_weight(st, best):
            best = l
    where, cand[q.K_AMPLITUDE], cand[q.K_STEP] = locate(st, best, at - cfg.peak_delay, cfg.rate)
    cand[q.K_R] = where
    edge = int(0.13 * cfg.rate)
    ring = len(st.detection)
    total = 0.0
    for j in range(at - 2 * edge, at - edge):
        total += st.detection[j % ring]
    cand[q.K_PRE] = total / edge
    total = 0.0
    for j in range(at + edge, at + look + 1):
        total += st.detection[j % ring]
    cand[q.K_POST] = total / (look + 1 - edge)
    middle = at - cfg.peak_delay + cfg.band_delay
    compare(st, cand, middle)
    st.n[q.N_CAND] += 1
    st.v[q.PEAK] = 0.0
    decide(st, cand, middle, weights, cfg, now, out)


@kernel
def start_anew(st: State, weights: Floats, cfg: q.Config, now: int, out: Out) -> None:
    """Every 0.2 s while there is no rhythm: take levels from the lead that offers the best."""
    if st.n[q.M] - st.n[q.TRIED] < 0.2 * cfg.rate:
        return
    st.n[q.TRIED] = st.n[q.M]
    best, least = -1, q.CREST
    for l in range(len(st.chan) // 2):
        value = crest(st, l, cfg.rate)
        if value < least:
            best, least = l, value
    if best < 0 or not seed(st, best, cfg.rate):
        return
    st.n[q.STARTED] = 1
    st.v[q.PEAK] = 0.0
    for k in range(st.n[q.N_CAND]):
        judge(st, st.cands[k], False, weights, cfg, now, out)
    st.n[q.SEARCHED] = st.n[q.M]
