"""What the beat classifier decides: features of a beat, its class, what is learned from it."""

import math
from typing import NamedTuple

import numpy as np

from dsp import beat_state as b
from dsp.beat_rhythm import context, remember_interval
from dsp.beat_shape import align, choose_dominant, correlate, extent, join, lead_weights, sharpness, window
from dsp.beat_state import Floats, Ints, State
from dsp.qrs_state import kernel


class Out(NamedTuple):
    """Where classes go: `i` (room, 3) sample, detected, class; `n` their number.

    `trace` is empty, or gets the features of every beat (for fitting).
    """

    i: Ints
    n: Ints
    trace: Floats


@kernel
def judge(st: State, i: int, known: int, cfg: b.Config, weights: Floats, out: Out) -> None:
    """Classify beat number i; `known` is the last input sample that may be used."""
    n = st.n
    own = st.beats[b.row(i)]
    at = (int(own[b.B_R]) + cfg.lag) // cfg.step
    x = np.empty((st.low.shape[0], st.templates.shape[2]))
    weight = np.empty(len(x))
    phi = np.zeros(b.N_PHI)
    ratio = context(st, i, known, cfg, phi, 21)
    own[b.B_RATIO] = ratio
    valid = 0
    if n[b.M] - at > cfg.right and n[b.M] - at + cfg.left < st.low.shape[1]:
        valid = window(st, at, cfg, x)
    code = b.UNKNOWN
    own[b.B_TEMPLATE] = -1.0
    own[b.B_RHO] = 0.0
    if valid > 0:
        lead_weights(x, st, cfg, weight)
        t, lag = shape(st, x, weight, cfg, phi)
        own[b.B_RHO] = phi[0]
        phi[20] = own[b.B_QUALITY]
        before, within = sharpness(st, at, cfg)
        paced = before > b.PULSE_MV and before > b.PULSE_RATIO * within
        code = b.PACED if paced else decide(phi, weights)
        t = join(st, x, t, lag, ratio, phi[5], math.exp(phi[7]))
        own[b.B_TEMPLATE] = t
        choose_dominant(st)
    remember_interval(st, own[b.B_RR])
    own[b.B_CLASS] = code
    n[b.TOTAL] += 1
    k = out.n[0]
    out.i[k, 0], out.i[k, 1], out.i[k, 2] = int(own[b.B_R]), known, code
    if len(out.trace):
        out.trace[k, :] = phi
    out.n[0] += 1


@kernel
def shape(st: State, x: Floats, weight: Floats, cfg: b.Config, phi: Floats) -> tuple[int, int]:
    """Write the features of shape to phi[:20]; return the template x belongs to (-1: none), and the lag."""
    stats, templates = st.stats, st.templates
    dominant = int(st.n[b.DOMINANT])
    known = stats[dominant, b.S_COUNT] > 0.0
    best = np.zeros(4)
    measured = np.empty(4)
    extent(x, weight, cfg, measured)
    mine, my_lag, my_rho, other = -1, 0, 0.0, 0.0
    lag = 0
    phi[0] = phi[1] = phi[14] = phi[16] = 1.0
    for t in range(b.N_TEMPLATES):
        if stats[t, b.S_COUNT] <= 0.0:
            continue
        found = align(x, templates[t], weight, cfg, best)
        rho = best[0] / math.sqrt(max(best[1] * best[2], 1e-12))
        size = best[1] / max(best[2], 1e-9)
        if t == dominant:
            lag = found
            phi[0], phi[1] = rho, best[3]
            phi[2] = math.log(max(size, 1e-3))
            phi[3] = math.log(max((best[1] + best[2] - 2.0 * best[0]) / max(best[2], 1e-9), 1e-3))
            phi[4] = abs(found) / cfg.rate
        elif rho > other:
            other = rho
        if rho > my_rho and 0.4 < size < 2.5:
            mine, my_lag, my_rho = t, found, rho
    phi[5] = measured[0]
    phi[6] = math.log(max(measured[0], 0.01) / max(stats[dominant, b.S_WIDTH], 0.01)) if known else 0.0
    phi[7] = math.log(max(measured[1], 0.5))
    phi[8] = math.log(max(measured[1], 0.5) / max(stats[dominant, b.S_FREQUENCY], 0.5)) if known else 0.0
    phi[9] = other
    total = 0.0
    for t in range(b.N_TEMPLATES):
        total += stats[t, b.S_COUNT]
    phi[12] = phi[13] = 1.0
    if my_rho > b.JOIN:
        phi[10] = 1.0 if mine == dominant else 0.0
        phi[11] = stats[mine, b.S_COUNT] / total
        phi[12] = stats[mine, b.S_RATIO]
        phi[13] = stats[mine, b.S_WIDTH] / max(stats[dominant, b.S_WIDTH], 0.01)
    else:
        mine = -1
    if known:
        late = cfg.left + int(b.T_LEFT_S * cfg.rate)
        correlate(x, templates[dominant], weight, late, x.shape[1] - 1 - int(b.LAG_S * cfg.rate), lag, best)
        phi[14] = best[0] / math.sqrt(max(best[1] * best[2], 1e-12))
        phi[15] = math.log(max(best[1], 1e-4) / max(best[2], 1e-4))
        first, last = int(b.LAG_S * cfg.rate), cfg.left - int(b.P_RIGHT_S * cfg.rate)
        correlate(x, templates[dominant], weight, first, last, lag, best)
        phi[16] = best[0] / math.sqrt(max(best[1] * best[2], 1e-12))
        phi[17] = math.log(max(best[1], 1e-4) / max(best[2], 1e-4))
        phi[18] = math.log(max(best[1] + best[2] - 2.0 * best[0], 1e-4))
    phi[19] = math.log(max(measured[2], 1e-3))
    return mine, my_lag


@kernel
def decide(phi: Floats, weights: Floats) -> int:
    """Return the class of a beat with features phi."""
    wide = phi[5] > 0.11 or phi[6] > 0.3
    if phi[0] < 0.75 and (wide or phi[24] < b.PREMATURE):
        return b.VENTRICULAR
    if phi[0] < 0.9 and wide and phi[24] < b.PREMATURE:
        return b.VENTRICULAR
    if phi[24] < b.PREMATURE and phi[0] > 0.8 and phi[29] < 0.15:
        return b.SUPRAVENTRICULAR
    return b.NORMAL
