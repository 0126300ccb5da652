"""What the QRS detector decides: candidates, levels, templates, search-back, start and relearning."""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dsp import qrs_front as front
from dsp.qrs_front import LOW, biquad, despike, envelopes, mend

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

N_HEIGHTS = 8
N_CANDIDATES = 24
N_FRESH = 16
N_TEMPLATES = 4
LAGS = 4

# Integer state.
IN, PHASE, M, STARTED, M_START, N_CAND, N_QRS, N_NOISE, LAST, PEAK_M, SEARCHED, TRIED, N_BEATS, LAST_TPL = range(14)
N_INT = 16
# Float state.
D1, D2, PEAK, NOISE, RR, FLOOR, CORR, AMP = range(8)
N_FLOAT = 16
# Columns of a channel (lead x band).
H_QRS, H_NOISE = 0, N_HEIGHTS
S, N, GAIN, LASTF, ENV, MEAN = range(2 * N_HEIGHTS, 2 * N_HEIGHTS + 6)
N_CHAN = 2 * N_HEIGHTS + 6
# Columns of a lead's peak tracker.
T_1, T_2, T_PEAK, T_M, T_SLOW, T_FAST, T_COUNT = range(7)
N_TRACK = 8
# Columns of a fresh candidate.
FR_M, FR_SLOW, FR_FAST, FR_R, FR_AMP = range(5)
N_FR = 5
# Columns of a candidate.
K_M, K_R, K_AMP, K_STATE, K_PRE, K_POST, K_RHO, K_TPL, K_LAG, K_STEP = range(10)
K_ENV = 10
NEW, TAKEN, SHADOWED, REFUSED = 0.0, 1.0, 2.0, 3.0
# Features
P_D, P_ND, P_FLOOR, P_PRE, P_POST, P_AMP, P_RATIO, P_RHO, P_DT, P_TRATIO, P_STEP, P_SB = range(12)
N_FEATURES = 12
N_PHI = 11


class Parameters:
    """Times in s, amplitudes in mV, the rest are ratios."""

    look = 0.15
    look_weak = 0.21
    weak = 0.8
    grow = 1.2
    refractory = 0.2
    threshold = 0.3
    t_wave = 0.36
    t_ratio = 0.5
    back_rr = 1.6
    back_ratio = 0.5
    start = 2.0
    min_amplitude = 0.15
    before = 0.08
    after = 0.06
    noise_min = 0.05
    snr_power = 2.0
    upset = 1.3
    upset_s = 0.28
    forget = 10.0
    crest = 0.4
    relearn = 2.2
    relearn_ratio = 0.15
    half_template = 0.07
    z_min = 0.0
    z_back = -1.5


NAMES = [n for n in vars(Parameters) if not n.startswith("_")]
(
    LOOK,
    LOOK_WEAK,
    WEAK,
    GROW,
    REFRACTORY,
    THRESHOLD,
    T_WAVE,
    T_RATIO,
    BACK_RR,
    BACK_RATIO,
    START,
    MIN_AMPLITUDE,
    BEFORE,
    AFTER,
    NOISE_MIN,
    SNR_POWER,
    UPSET,
    UPSET_S,
    FORGET,
    CREST,
    RELEARN,
    RELEARN_RATIO,
    HALF_TEMPLATE,
    Z_MIN,
    Z_BACK,
) = range(len(NAMES))
STEP, RATE, MEDIAN, POLE, PEAK_DELAY, LOW_DELAY, FS, MEAN_POLE = range(len(NAMES), len(NAMES) + 8)
N_CFG = len(NAMES) + 8


RELEARN_SPAN_S = Parameters.relearn + 0.3


def configuration(fs: float) -> tuple[Array, Array]:
    """Return the kernel's parameters and the biquads for a sampling rate in Hz."""
    made = front.design(fs)
    cfg = np.zeros(N_CFG)
    cfg[: len(NAMES)] = [getattr(Parameters, name) for name in NAMES]
    cfg[len(NAMES) :] = (
        made["step"],
        made["rate"],
        made["median"],
        made["pole"],
        made["peak_delay"],
        made["low_delay"],
        fs,
        math.exp(-1.0 / made["rate"]),
    )
    return cfg, made["sos"]


@njit(cache=True, nogil=True)
def median_of(h: Array, at: int, n: int) -> float:
    a = np.empty(N_HEIGHTS)
    k = min(n, N_HEIGHTS)
    if k == 0:
        return 0.0
    for i in range(k):
        v = h[at + i]
        j = i - 1
        while j >= 0 and a[j] > v:
            a[j + 1] = a[j]
            j -= 1
        a[j + 1] = v
    return 0.5 * (a[(k - 1) // 2] + a[k // 2])


@njit(cache=True, nogil=True)
def level(I: Ints, F: Array, chan: Array, cfg: Array) -> None:
    """Levels and weights of all channels from the last heights."""
    total = 0.0
    for c in range(len(chan)):
        s = median_of(chan[c], H_QRS, I[N_QRS])
        chan[c, S] = s
        chan[c, N] = max(median_of(chan[c], H_NOISE, I[N_NOISE]), cfg[NOISE_MIN] * s)
        w = 0.0
        if s > 1e-3:
            w = max(s / chan[c, N] - 1.0, 0.05) ** cfg[SNR_POWER]
        chan[c, GAIN] = w
        total += w
    noise = 0.0
    for c in range(len(chan)):
        if total > 0 and chan[c, S] > 1e-3:
            chan[c, GAIN] = chan[c, GAIN] / total / chan[c, S]
        else:
            chan[c, GAIN] = 0.0
        noise += chan[c, GAIN] * chan[c, N]
    F[NOISE] = noise


@njit(cache=True, nogil=True)
def strength(cand: Array, chan: Array) -> float:
    d = 0.0
    for c in range(len(chan)):
        d += chan[c, GAIN] * cand[K_ENV + c]
    return d


@njit(cache=True, nogil=True)
def locate(low: Array, l: int, mid: int, cfg: Array) -> tuple[int, float, float]:
    """Fiducial point (inner sample) and amplitude p-p of lead l around inner sample mid."""
    R = low.shape[1]
    lo = mid - int(cfg[BEFORE] * cfg[RATE])
    hi = mid + int(cfg[AFTER] * cfg[RATE])
    mn = mx = low[l, lo % R]
    mean = 0.0
    for j in range(lo, hi + 1):
        v = low[l, j % R]
        mean += v
        mn = min(mn, v)
        mx = max(mx, v)
    mean /= hi - lo + 1
    where = mid
    best = -1.0
    for j in range(lo, hi + 1):
        v = abs(low[l, j % R] - mean)
        if v > best:
            best = v
            where = j
    near = int(0.09 * cfg[RATE])
    far = int(0.13 * cfg[RATE])
    step = 0.0
    for j in range(near, far + 1):
        step += low[l, (mid + j) % R] - low[l, (mid - j) % R]
    step = abs(step) / (far - near + 1) / max(mx - mn, 0.01)
    return where, mx - mn, step


@njit(cache=True, nogil=True)
def lead_gain(chan: Array, l: int) -> float:
    return chan[2 * l, GAIN] * chan[2 * l, S] + chan[2 * l + 1, GAIN] * chan[2 * l + 1, S]


@njit(cache=True, nogil=True)
def correlate(band: Array, m: int, chan: Array, templates: Array, tmeta: Array, cand: Array) -> None:
    """Best normalized correlation of the candidate with the patient's templates, over a few lags."""
    R = band.shape[1]
    n_sig = band.shape[0]
    length = templates.shape[2]
    cand[K_RHO] = 0.0
    cand[K_TPL] = -1.0
    cand[K_LAG] = 0.0
    best = -1.0
    for t in range(N_TEMPLATES):
        if tmeta[t, 0] < 1:
            continue
        for lag in range(-LAGS, LAGS + 1):
            xt = xx = tt = 0.0
            for l in range(n_sig):
                s = chan[2 * l, S]
                if s < 1e-3:
                    continue
                g = lead_gain(chan, l) / (s * s)
                a = b = e = 0.0
                at = m - length // 2 + lag
                for j in range(length):
                    v = band[l, (at + j) % R]
                    u = templates[t, l, j]
                    a += u * v
                    b += v * v
                    e += u * u
                xt += g * a
                xx += g * b
                tt += g * e
            if xx > 0 and tt > 0:
                rho = xt / math.sqrt(xx * tt)
                if rho > best:
                    best = rho
                    cand[K_TPL] = t
                    cand[K_LAG] = lag
    if best > 0:
        cand[K_RHO] = best


@njit(cache=True, nogil=True)
def learn(band: Array, m: int, templates: Array, tmeta: Array, cand: Array, count: int) -> None:
    """Average the beat into the template it resembles, or let it found a new one."""
    R = band.shape[1]
    length = templates.shape[2]
    t = int(cand[K_TPL])
    if t >= 0 and cand[K_RHO] > 0.8:
        tmeta[t, 0] += 1
        w = max(1.0 / 8.0, 1.0 / tmeta[t, 0])
    else:
        t = 0
        for k in range(N_TEMPLATES):  # the least used lately goes
            if tmeta[k, 1] < tmeta[t, 1]:
                t = k
        tmeta[t, 0] = 1
        w = 1.0
        cand[K_LAG] = 0
    tmeta[t, 1] = count
    cand[K_TPL] = t
    at = m - length // 2 + int(cand[K_LAG])
    for l in range(band.shape[0]):
        for j in range(length):
            templates[t, l, j] += w * (band[l, (at + j) % R] - templates[t, l, j])


@njit(cache=True, nogil=True)
def features(cand: Array, I: Ints, F: Array, chan: Array, cfg: Array, phi: Array) -> float:
    d = strength(cand, chan)
    dt = (cand[K_M] - I[LAST]) / cfg[RATE]
    rr = F[RR] if F[RR] > 0 else 0.8
    phi[P_D] = math.log(max(d, 1e-3))
    phi[P_ND] = math.log(max(F[NOISE], 0.02))
    phi[P_FLOOR] = math.log(max(F[FLOOR], 0.02))
    phi[P_PRE] = math.log(max(cand[K_PRE], 1e-2) / max(d, 1e-2))
    phi[P_POST] = math.log(max(cand[K_POST], 1e-2) / max(d, 1e-2))
    phi[P_AMP] = math.log(max(cand[K_AMP], 1e-2) / max(F[AMP], 1e-2))
    slow = fast = last = 1e-4
    for l in range(len(chan) // 2):
        slow += chan[2 * l, GAIN] * cand[K_ENV + 2 * l]
        fast += chan[2 * l + 1, GAIN] * cand[K_ENV + 2 * l + 1]
        last += chan[2 * l + 1, GAIN] * chan[2 * l + 1, LASTF]
    gs = gf = 1e-9
    for l in range(len(chan) // 2):
        gs += chan[2 * l, GAIN] * chan[2 * l, S]
        gf += chan[2 * l + 1, GAIN] * chan[2 * l + 1, S]
    phi[P_RATIO] = math.log((fast / gf) / (slow / gs))
    phi[P_RHO] = cand[K_RHO]
    phi[P_DT] = min(dt / rr, 2.5)
    phi[P_TRATIO] = math.log(fast / last) if dt < cfg[T_WAVE] else 0.0
    phi[P_STEP] = cand[K_STEP]
    phi[P_SB] = 0.0
    return d


@njit(cache=True, nogil=True)
def take(
    cand: Array, d: float, I: Ints, F: Array, chan: Array, cfg: Array, out_i: Ints, out_f: Array, n_out: int
) -> int:
    for c in range(len(chan)):
        h = cand[K_ENV + c]
        s = chan[c, S]
        chan[c, LASTF] = h
        if s > 0.005:
            h = min(max(h, 0.33 * s), 2.0 * s)
            chan[c, H_QRS + I[N_QRS] % N_HEIGHTS] = h
        else:  # a lead that just came on
            for j in range(N_HEIGHTS):
                chan[c, H_QRS + j] = h
    I[N_QRS] += 1
    m = int(cand[K_M])
    rr = (m - I[LAST]) / cfg[RATE]
    if 0.2 < rr < 2.5:
        F[RR] = rr if F[RR] == 0 else F[RR] + (rr - F[RR]) / 8.0
    I[LAST] = m
    I[N_BEATS] += 1
    F[AMP] = cand[K_AMP] if F[AMP] == 0 else F[AMP] * min(1.1, max(0.9, cand[K_AMP] / F[AMP]))
    level(I, F, chan, cfg)
    r = int(cand[K_R]) * int(cfg[STEP]) - int(round(cfg[LOW_DELAY] * cfg[FS]))
    bits = 0
    for l in range(len(chan) // 2):
        if lead_gain(chan, l) > 0.5 / (len(chan) // 2):
            bits |= 1 << l
    out_i[n_out, 0] = max(r, 0)
    out_i[n_out, 1] = I[IN] - 1
    out_i[n_out, 2] = bits
    out_f[n_out, 0] = cand[K_AMP]
    out_f[n_out, 1] = max(0.0, min(1.0, 1.0 - F[NOISE] / max(d, 1e-3)))
    cand[K_STATE] = TAKEN
    I[LAST_TPL] = -1
    return n_out + 1


@njit(cache=True, nogil=True)
def judge(
    cand: Array,
    back: bool,
    I: Ints,
    F: Array,
    chan: Array,
    cfg: Array,
    phi: Array,
    tmeta: Array,
    weights: Array,
    trace: Array,
    out_i: Ints,
    out_f: Array,
    n_out: int,
) -> int:
    """Decide one candidate; returns the number of beats out so far."""
    m = int(cand[K_M])
    dt = (m - I[LAST]) / cfg[RATE]
    if dt < cfg[UPSET_S] and I[N_QRS] > 0:
        # A larger peak so soon after a beat: that beat was a P wave or an artefact. It cannot be
        # unsaid, but levels and templates forget it.
        before = 0.0
        for c in range(len(chan)):
            before += chan[c, GAIN] * chan[c, LASTF]
        if strength(cand, chan) > cfg[UPSET] * before:
            last = (I[N_QRS] - 1) % N_HEIGHTS
            for c in range(len(chan)):
                h = min(cand[K_ENV + c], 3.0 * chan[c, S])
                chan[c, H_QRS + last] = h
                chan[c, LASTF] = h
            if I[LAST_TPL] >= 0:
                tmeta[I[LAST_TPL], 0] = 0
                tmeta[I[LAST_TPL], 1] = 0
                if cand[K_TPL] == I[LAST_TPL]:
                    cand[K_TPL] = -1.0
            level(I, F, chan, cfg)
            if dt >= cfg[REFRACTORY]:
                I[N_QRS] -= 1
    if dt < cfg[REFRACTORY]:
        cand[K_STATE] = SHADOWED
        return n_out
    d = features(cand, I, F, chan, cfg, phi)
    threshold = F[NOISE] + cfg[THRESHOLD] * (1.0 - F[NOISE])
    if back:
        threshold *= cfg[BACK_RATIO]
        phi[P_SB] = 1.0
    ok = d > threshold and cand[K_AMP] >= cfg[MIN_AMPLITUDE]
    if ok and dt < cfg[T_WAVE] and phi[P_TRATIO] < math.log(cfg[T_RATIO]):
        ok = False
    if weights[0] != 0.0:
        z = weights[0]
        k = 1
        for i in range(N_PHI):
            z += weights[k] * phi[i]
            k += 1
        for i in range(N_PHI):
            for j in range(i, N_PHI):
                z += weights[k] * phi[i] * phi[j]
                k += 1
        ok = z > (cfg[Z_BACK] if back else cfg[Z_MIN]) and d > 0.1 and cand[K_AMP] >= cfg[MIN_AMPLITUDE]
    n_trace = int(trace[0, 0]) if len(trace) else 0
    if len(trace) and n_trace + 1 < len(trace):
        trace[0, 0] += 1
        trace[n_trace + 1, 0] = int(cand[K_R]) * int(cfg[STEP]) - int(round(cfg[LOW_DELAY] * cfg[FS]))
        trace[n_trace + 1, 1] = 1.0 if ok else 0.0
        for p in range(N_FEATURES):
            trace[n_trace + 1, 2 + p] = phi[p]
    if ok:
        return take(cand, d, I, F, chan, cfg, out_i, out_f, n_out)
    if not back:
        for c in range(len(chan)):
            chan[c, H_NOISE + I[N_NOISE] % N_HEIGHTS] = min(cand[K_ENV + c], chan[c, S])
        I[N_NOISE] += 1
        level(I, F, chan, cfg)
    return n_out


@njit(cache=True, nogil=True)
def search_back(
    cands: Array,
    I: Ints,
    F: Array,
    chan: Array,
    cfg: Array,
    phi: Array,
    tmeta: Array,
    weights: Array,
    trace: Array,
    out_i: Ints,
    out_f: Array,
    n_out: int,
) -> int:
    """No beat for long: look again at the strongest refused candidate since the last one."""
    best = -1
    most = 0.0
    for k in range(max(0, I[N_CAND] - N_CANDIDATES), I[N_CAND]):
        c = cands[k % N_CANDIDATES]
        if (
            c[K_STATE] == NEW
            and (c[K_M] - I[LAST]) / cfg[RATE] > cfg[T_WAVE]
            and c[K_AMP] >= cfg[MIN_AMPLITUDE]
        ):
            d = strength(c, chan)
            if d > most:
                most = d
                best = k
    if best >= 0:
        before = n_out
        n_out = judge(cands[best % N_CANDIDATES], True, I, F, chan, cfg, phi, tmeta, weights, trace, out_i, out_f, n_out)
        if n_out > before:
            for k in range(best + 1, I[N_CAND]):
                if cands[k % N_CANDIDATES, K_STATE] == NEW:
                    n_out = judge(
                        cands[k % N_CANDIDATES], False, I, F, chan, cfg, phi, tmeta, weights, trace, out_i, out_f, n_out
                    )
    return n_out


@njit(cache=True, nogil=True)
def begin(l: int, fresh: Array, track: Array, I: Ints, F: Array, chan: Array, cfg: Array) -> float:
    """How well lead l could start the detector from its last peaks: mean over level, the lower the better.

    2.0 means not at all.
    """
    since = max(I[LAST] + int(cfg[T_WAVE] * cfg[RATE]), I[M] - int((cfg[RELEARN] + 0.3) * cfg[RATE]))
    a = b = 0.0
    n = int(track[l, T_COUNT])
    for k in range(max(0, n - N_FRESH), n):
        f = fresh[l, k % N_FRESH]
        if f[FR_M] < since or f[FR_AMP] < cfg[MIN_AMPLITUDE]:
            continue
        h = f[FR_SLOW] + f[FR_FAST]
        if h > a:
            b = a
            a = h
        elif h > b:
            b = h
    if a == 0.0:
        return 2.0
    s = b if b > 0.5 * a else a
    if s == a and b > 0.35 * a:
        return 2.0
    mean = (chan[2 * l, MEAN] + chan[2 * l + 1, MEAN]) / max(1.0 - F[CORR], 1e-3)
    return mean / s


@njit(cache=True, nogil=True)
def seed(
    l: int, fresh: Array, track: Array, I: Ints, F: Array, chan: Array, cands: Array, cfg: Array
) -> bool:
    """Take the levels of lead l from its last peaks and make these peaks candidates again."""
    since = max(I[LAST] + int(cfg[T_WAVE] * cfg[RATE]), I[M] - int((cfg[RELEARN] + 0.3) * cfg[RATE]))
    n = int(track[l, T_COUNT])
    first = max(0, n - N_FRESH)
    for band in range(2):
        a = b = 0.0
        for k in range(first, n):
            f = fresh[l, k % N_FRESH]
            if f[FR_M] < since:
                continue
            h = f[FR_SLOW + band]
            if h > a:
                b = a
                a = h
            elif h > b:
                b = h
        s = b if b > 0.5 * a else a
        quiet = 0.0
        z = 0
        for k in range(first, n):
            f = fresh[l, k % N_FRESH]
            if f[FR_M] >= since and f[FR_SLOW + band] < 0.35 * s:
                quiet += f[FR_SLOW + band]
                z += 1
        row = chan[2 * l + band]
        old = row[S]
        if old > 0.005 and s < cfg[RELEARN_RATIO] * old and (I[M] - I[LAST]) < 8 * cfg[RATE]:
            return False
        for j in range(N_HEIGHTS):
            row[H_QRS + j] = s
            row[H_NOISE + j] = quiet / z if z > 0 else 0.15 * s
    for c in range(len(chan)):
        if c // 2 != l:
            for j in range(2 * N_HEIGHTS):
                chan[c, j] = 0.0
    I[N_QRS] = N_HEIGHTS
    I[N_NOISE] = N_HEIGHTS
    F[AMP] = 0.0
    I[N_CAND] = 0
    for k in range(first, n):
        f = fresh[l, k % N_FRESH]
        if f[FR_M] < since:
            continue
        cand = cands[I[N_CAND] % N_CANDIDATES]
        cand[:] = 0.0
        cand[K_M] = f[FR_M]
        cand[K_R] = f[FR_R]
        cand[K_AMP] = f[FR_AMP]
        cand[K_PRE] = 0.1
        cand[K_POST] = 0.1
        cand[K_RHO] = 0.9
        cand[K_STEP] = 0.1
        cand[K_TPL] = -1.0
        cand[K_ENV + 2 * l] = f[FR_SLOW]
        cand[K_ENV + 2 * l + 1] = f[FR_FAST]
        I[N_CAND] += 1
        if F[AMP] < f[FR_AMP]:
            F[AMP] = f[FR_AMP]
    level(I, F, chan, cfg)
    return True


@njit(cache=True, nogil=True)
def run(
    x: Array,
    cfg: Array,
    sos: Array,
    lead: Array,
    low: Array,
    band: Array,
    dring: Array,
    I: Ints,
    F: Array,
    chan: Array,
    track: Array,
    fresh: Array,
    cands: Array,
    templates: Array,
    tmeta: Array,
    weights: Array,
    out_i: Ints,
    out_f: Array,
    trace: Array,
) -> int:
    """Take the samples of x (n_samples, n_sig) one by one; returns the number of beats put out."""
    n_samples, n_sig = x.shape
    step = int(cfg[STEP])
    rate = cfg[RATE]
    R = low.shape[1]
    med = int(cfg[MEDIAN])
    flat = 0.06 * cfg[FS]
    look = int(cfg[LOOK] * rate)
    look_weak = int(cfg[LOOK_WEAK] * rate)
    pd = int(round(cfg[PEAK_DELAY] * rate))
    edge = int(0.13 * rate)
    phi = np.zeros(N_FEATURES)
    env = np.zeros(2)
    n_out = 0
    for t in range(n_samples):
        tick = I[PHASE] == step - 1
        m = I[M]
        d = 0.0
        floor = 0.0
        if tick:
            F[CORR] *= cfg[MEAN_POLE]
        for l in range(n_sig):
            st = lead[l]
            v = mend(x[t, l], st, flat)
            if med > 1:
                v = despike(v, st, med)
            v = biquad(biquad(v, sos, 0, st, LOW), sos, 1, st, LOW + 2)
            if not tick:
                continue
            low[l, m % R] = v
            band[l, m % R] = envelopes(v, sos, cfg[POLE], st, env)
            for b in range(2):
                row = chan[2 * l + b]
                row[ENV] = env[b]
                row[MEAN] = env[b] + cfg[MEAN_POLE] * (row[MEAN] - env[b])
                d += row[GAIN] * env[b]
                floor += row[GAIN] * row[MEAN]
            # This lead's own peaks, for the start and for learning anew.
            tr = track[l]
            v = env[0] + env[1]
            if tr[T_1] > tr[T_2] and tr[T_1] >= v and tr[T_1] > tr[T_PEAK]:
                tr[T_PEAK] = tr[T_1]
                tr[T_M] = m - 1
                tr[T_SLOW] = env[0]
                tr[T_FAST] = env[1]
            tr[T_2] = tr[T_1]
            tr[T_1] = v
            if tr[T_PEAK] > 0 and m - tr[T_M] >= look:
                f = fresh[l, int(tr[T_COUNT]) % N_FRESH]
                f[FR_M] = tr[T_M]
                f[FR_SLOW] = tr[T_SLOW]
                f[FR_FAST] = tr[T_FAST]
                where, amp, _ = locate(low, l, int(tr[T_M]) - pd, cfg)
                f[FR_R] = where
                f[FR_AMP] = amp
                tr[T_COUNT] += 1
                tr[T_PEAK] = 0.0
        I[IN] += 1
        if not tick:
            I[PHASE] += 1
            continue
        I[PHASE] = 0
        dring[m % R] = d
        F[FLOOR] = floor
        if I[STARTED] != 0:
            grow = 1.0 if m - 1 - I[PEAK_M] <= look else cfg[GROW]
            if F[D1] > F[D2] and F[D1] >= d and F[D1] > F[PEAK] * grow:
                F[PEAK] = F[D1]
                I[PEAK_M] = m - 1
                cand = cands[I[N_CAND] % N_CANDIDATES]
                for c in range(len(chan)):
                    cand[K_ENV + c] = chan[c, ENV]
            F[D2] = F[D1]
            F[D1] = d
            if F[PEAK] > 0 and m - I[PEAK_M] >= (look if F[PEAK] > cfg[WEAK] else look_weak):
                cand = cands[I[N_CAND] % N_CANDIDATES]
                cand[K_M] = I[PEAK_M]
                cand[K_STATE] = NEW
                best = 0
                amp = 0.0
                for l in range(n_sig):
                    where, a, shift = locate(low, l, I[PEAK_M] - pd, cfg)
                    if l == 0 or lead_gain(chan, l) > lead_gain(chan, best):
                        best = l
                        cand[K_R] = where
                        cand[K_AMP] = a
                        cand[K_STEP] = shift
                pre = 0.0
                for j in range(I[PEAK_M] - 2 * edge, I[PEAK_M] - edge):
                    pre += dring[j % R]
                post = 0.0
                for j in range(I[PEAK_M] + edge, I[PEAK_M] + look + 1):
                    post += dring[j % R]
                cand[K_PRE] = pre / edge
                cand[K_POST] = post / (look + 1 - edge)
                correlate(band, I[PEAK_M] - pd + int(0.02 * rate), chan, templates, tmeta, cand)
                I[N_CAND] += 1
                F[PEAK] = 0.0
                before = n_out
                n_out = judge(cand, False, I, F, chan, cfg, phi, tmeta, weights, trace, out_i, out_f, n_out)
                if n_out > before:
                    learn(band, I[PEAK_M] - pd + int(0.02 * rate), templates, tmeta, cand, I[N_BEATS])
                    I[LAST_TPL] = int(cand[K_TPL])
            rr = F[RR] if F[RR] > 0 else 1.0
            if (m - I[LAST]) / rate > cfg[BACK_RR] * rr + cfg[LOOK] and I[SEARCHED] < I[LAST]:
                I[SEARCHED] = m
                n_out = search_back(cands, I, F, chan, cfg, phi, tmeta, weights, trace, out_i, out_f, n_out)
        quiet = I[STARTED] == 0 and m - I[M_START] > cfg[START] * rate
        quiet = quiet or (I[STARTED] != 0 and m - I[LAST] > cfg[RELEARN] * rate)
        if quiet and m - I[TRIED] >= 0.2 * rate:
            I[TRIED] = m
            best = -1
            least = cfg[CREST]
            for l in range(n_sig):
                v = begin(l, fresh, track, I, F, chan, cfg)
                if v < least:
                    least = v
                    best = l
            if best >= 0 and seed(best, fresh, track, I, F, chan, cands, cfg):
                I[STARTED] = 1
                F[PEAK] = 0.0
                for k in range(I[N_CAND]):
                    n_out = judge(cands[k], False, I, F, chan, cfg, phi, tmeta, weights, trace, out_i, out_f, n_out)
                I[SEARCHED] = m
        I[M] += 1
    return n_out
