"""What the beat classifier decides: features of a beat, its class, what is learned from it."""

import math
from typing import NamedTuple

import numpy as np

from dsp import beat_state as b
from dsp.beat_model import Model, odds
from dsp.beat_rhythm import context, remember_interval
from dsp.beat_shape import (
    align,
    choose_dominant,
    correlate,
    extent,
    join,
    lead_weights,
    merge,
    sharpness,
    window,
)
from dsp.beat_state import State
from dsp.kernels import Floats, Ints, kernel

WIDTH, TIMELY = b.FEATURES.index("width"), b.FEATURES.index("rr timely")
PREVIOUS_RATIO, TO_PREVIOUS = b.FEATURES.index("rr previous ratio"), b.FEATURES.index("rr to previous")
BEFORE, QUALITY = b.FEATURES.index("before"), b.FEATURES.index("quality")
EARLY = b.FEATURES.index("early")
RR_MEAN, ALIKE = b.FEATURES.index("rr mean"), b.FEATURES.index("alike")
P_SEEN, ALIKE_SLOW = b.FEATURES.index("P seen"), b.FEATURES.index("alike slow")
FUSION = b.FEATURES.index("fusion")
V_ODDS, S_ODDS = b.FEATURES.index("odds of V"), b.FEATURES.index("odds of S")
N_SHAPE = b.FEATURES.index("rr 8")
DIFFERENCE_T = b.FEATURES.index("difference T")


class Out(NamedTuple):
    """Where classes go: `i` (room, 4) sample, detected, class, template; `n` their number.

    `trace` is empty, or gets the features of every beat (for fitting).
    """

    i: Ints
    n: Ints
    trace: Floats


@kernel
def judge(st: State, i: int, known: int, cfg: b.Config, model: Model, out: Out) -> None:
    """Classify beat number i; `known` is the last input sample that may be used."""
    n = st.n
    own = st.beats[b.row(i)]
    at = (int(own[b.B_R]) + cfg.lag) // cfg.step
    x = np.empty((st.low.shape[0], st.templates.shape[2]))
    weight = np.empty(len(x))
    phi = np.zeros(b.N_PHI)
    ratio = context(st, i, known, cfg, phi, N_SHAPE)
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
        relate(st, phi, ratio)
        phi[20] = own[b.B_QUALITY]
        before, within = sharpness(st, at, cfg)
        paced = before > b.PULSE_MV and before > b.PULSE_RATIO * within
        previous = int(st.beats[b.row(i - 1), b.B_CLASS]) if i > 0 else b.NORMAL
        phi[FUSION] = fusion(st, x, weight, cfg, phi)
        code = b.PACED if paced else decide(st, phi, t, previous, model)
        t = join(st, x, t, lag, ratio, phi[5], math.exp(phi[7]), odds(model, 0, phi))
        own[b.B_TEMPLATE] = merge(st, t, i, weight, cfg)
        choose_dominant(st)
    remember_interval(st, i)
    own[b.B_CLASS] = code
    n[b.TOTAL] += 1
    k = out.n[0]
    out.i[k, 0], out.i[k, 1], out.i[k, 2] = int(own[b.B_R]), known, code
    out.i[k, 3] = int(own[b.B_TEMPLATE])
    if len(out.trace):
        out.trace[k, :] = phi
    out.n[0] += 1


@kernel
def quotients(c: Floats) -> tuple[float, float]:
    """Return the correlation coefficient and the ratio of energies of what `correlate` measured."""
    return c[0] / math.sqrt(max(c[1] * c[2], 1e-12)), c[1] / max(c[2], 1e-9)


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
    phi[5] = measured[0]
    phi[6] = math.log(max(measured[0], 0.01) / max(stats[dominant, b.S_WIDTH], 0.01)) if known else 0.0
    if known:
        lag = align(x, templates[dominant], weight, cfg, best)
        rho, size = quotients(best)
        phi[0], phi[1] = rho, best[3]
        phi[2] = math.log(max(size, 1e-3))
        phi[3] = math.log(max((best[1] + best[2] - 2.0 * best[0]) / max(best[2], 1e-9), 1e-3))
        phi[4] = abs(lag) / cfg.rate
        if rho > b.JOIN and b.SMALLER < size < b.LARGER and phi[6] < b.WIDER:
            mine, my_lag, my_rho = dominant, lag, rho
    for t in range(b.N_TEMPLATES):
        if mine == dominant or t == dominant or stats[t, b.S_COUNT] <= 0.0:
            continue
        found = align(x, templates[t], weight, cfg, best)
        rho, size = quotients(best)
        other = max(other, rho)
        if rho > my_rho and b.SMALLER < size < b.LARGER:
            mine, my_lag, my_rho = t, found, rho
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
        phi[DIFFERENCE_T] = math.log(max(best[1] + best[2] - 2.0 * best[0], 1e-4))
        first, last = int(b.LAG_S * cfg.rate), cfg.left - int(b.P_RIGHT_S * cfg.rate)
        correlate(x, templates[dominant], weight, first, last, lag, best)
        phi[16] = best[0] / math.sqrt(max(best[1] * best[2], 1e-12))
        phi[17] = math.log(max(best[1], 1e-4) / max(best[2], 1e-4))
        phi[18] = math.log(max(best[1] + best[2] - 2.0 * best[0], 1e-4))
    phi[19] = math.log(max(measured[2], 1e-3))
    return mine, my_lag


@kernel
def relate(st: State, phi: Floats, ratio: float) -> None:
    """Write how far a beat is from what is usual for this patient, and let the usual follow it.

    Noise, breathing and a restless P wave make beats differ that are all the same: what counts is by how much
    more this one does.
    """
    v = st.v
    seen = np.empty(b.N_USUAL)
    for k in range(3):
        seen[k] = math.log(max(1.0 - phi[(0, 16, 14)[k]], 0.003))
    seen[3], seen[4] = phi[18], phi[DIFFERENCE_T]
    seen[5] = math.log(min(max(ratio, 0.2), 3.0))
    sure = min(v[b.USUAL_N] / b.SURE_BEATS, 1.0)
    phi[EARLY] = min(ratio, phi[RR_MEAN])
    for k in range(b.N_USUAL):
        phi[DIFFERENCE_T + 1 + k] = sure * (seen[k] - v[b.USUAL + k])
    spread = v[b.USUAL + 2 * b.N_USUAL - 1] + 0.02
    phi[DIFFERENCE_T + b.N_USUAL] = sure * seen[5] / spread
    phi[EARLY + 1] = sure * math.log(min(max(phi[EARLY], 0.2), 3.0)) / spread
    phi[P_SEEN] = sure * v[b.USUAL + 1]
    if phi[10] == 0.0 or abs(seen[5]) > b.IN_TIME:
        return
    v[b.USUAL_N] += 1.0
    part = max(1.0 / v[b.USUAL_N], 1.0 / b.USUAL_BEATS)
    for k in range(b.N_USUAL):
        change = seen[k] - v[b.USUAL + k]
        v[b.USUAL + k] += part * change
        v[b.USUAL + b.N_USUAL + k] += part * (abs(change) - v[b.USUAL + b.N_USUAL + k])


@kernel
def fusion(st: State, x: Floats, weight: Floats, cfg: b.Config, phi: Floats) -> float:
    """Return how well a sum of the dominant and one ventricular template explains a QRS complex, 0 to 1.

    It is 0 where one of them alone does nearly as well, or has less than `FUSION_PART` in the sum.
    """
    best = np.zeros(4)
    rho, most = phi[0], 0.0
    dominant = int(st.n[b.DOMINANT])
    if phi[10] == 1.0 or rho < b.FUSION_RHO or abs(math.log(max(phi[TIMELY], 0.1))) > b.FUSION_TIME:
        return 0.0
    for t in range(b.N_TEMPLATES):
        if t == dominant or st.stats[t, b.S_N] < b.FUSION_BEATS or st.stats[t, b.S_V] < b.FUSION_ODDS:
            continue
        align(x, st.templates[t], weight, cfg, best)
        other, _ = quotients(best)
        align(st.templates[t], st.templates[dominant], weight, cfg, best)
        between, _ = quotients(best)
        rest = 1.0 - between * between
        if other < b.FUSION_RHO or between > b.JOIN or rest < 0.05:
            continue
        mine, its = (rho - between * other) / rest, (other - between * rho) / rest
        if min(mine, its) < b.FUSION_PART * (mine + its):
            continue
        both = math.sqrt(min(max(mine * rho + its * other, 0.0), 1.0))
        if both > max(rho, other) + b.FUSION_GAIN:
            most = max(most, both)
    return most


@kernel
def gradual(phi: Floats, previous: int) -> bool:
    """Whether a somewhat early beat only goes on with a rise of the sinus rate, as breathing makes it.

    The beat before was normal and early too, and this one is hardly earlier.
    """
    quicker = phi[PREVIOUS_RATIO] < b.QUICKER and phi[TO_PREVIOUS] > b.HARDLY
    return previous == b.NORMAL and quicker and phi[EARLY] > b.MUCH_EARLIER


@kernel
def decide(st: State, phi: Floats, t: int, previous: int, model: Model) -> int:
    """Return the class of a beat with features phi that belongs to template t (-1: none).

    What the members of a template were taken for before counts beside the beat's own look. `previous` is the
    class of the beat before.
    """
    v = odds(model, 0, phi)
    if t >= 0:
        n = min(st.stats[t, b.S_N], b.TEMPLATE_BEATS)
        v += (st.stats[t, b.S_V] - v) * b.TEMPLATE_PART * n / b.TEMPLATE_BEATS
    phi[V_ODDS], phi[S_ODDS] = v, odds(model, 1, phi)
    # As narrow as ever and in time: the heart's axis has moved, or the electrodes have.
    moved = phi[WIDTH] < b.NARROW_S and phi[WIDTH + 1] < b.NOT_WIDER and phi[TIMELY] > b.PREMATURE
    if phi[FUSION] > b.FUSION_FIT and b.FLOOR_ODDS < v < b.SURE_ODDS:
        return b.FUSION
    if v > b.V_ODDS and not (moved and v < b.WEAK_ODDS):
        noisy = phi[QUALITY] < b.POOR and phi[BEFORE] > b.ROUGH
        return b.UNKNOWN if t < 0 and noisy else b.VENTRICULAR
    regular = min(phi[ALIKE], phi[ALIKE_SLOW]) > b.IRREGULAR
    if regular and phi[S_ODDS] > b.S_ODDS and phi[EARLY] < b.LATEST and not gradual(phi, previous):
        return b.SUPRAVENTRICULAR
    return b.NORMAL
