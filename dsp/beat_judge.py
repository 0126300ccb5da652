"""What the beat classifier decides: features of a beat, its class, what is learned from it."""

import math
from typing import NamedTuple

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
from dsp.beat_state import State, Work
from dsp.kernels import Floats, Ints, kernel


class Out(NamedTuple):
    """Where classes go: `i` (room, 4) sample, detected, class, template.

    `trace` is empty, or gets the features of every beat (for fitting).
    """

    i: Ints
    trace: Floats


@kernel
def judge(st: State, i: int, known: int, cfg: b.Config, model: Model, wk: Work, out: Out) -> None:
    """Classify beat number i; `known` is the last input sample that may be used."""
    n, phi = st.n, wk.phi
    own = st.beats[b.row(i)]
    at = (int(own[b.B_R]) + cfg.lag) // cfg.step
    phi[:] = 0.0
    ratio = context(st, i, wk)
    own[b.B_RATIO] = ratio
    valid = 0
    if n[b.M] - at > cfg.right and n[b.M] - at + cfg.left < st.low.shape[1]:
        valid = window(st, at, cfg, wk.x)
    code = b.UNKNOWN
    own[b.B_TEMPLATE] = -1.0
    own[b.B_RHO] = 0.0
    if valid > 0:
        lead_weights(wk.x, st, cfg, wk.weight)
        t, lag = shape(st, cfg, wk)
        own[b.B_RHO] = phi[b.RHO]
        relate(st, phi, ratio)
        phi[b.QUALITY] = own[b.B_QUALITY]
        before, within = sharpness(st, at, cfg)
        paced = before > b.PULSE_MV and before > b.PULSE_RATIO * within
        previous = int(st.beats[b.row(i - 1), b.B_CLASS]) if i > 0 else b.NORMAL
        phi[b.FUSED] = fusion(st, cfg, wk)
        v = odds(model, 0, phi)
        code = b.PACED if paced else decide(st, phi, v, t, previous, model)
        t = join(st, wk.x, t, lag, ratio, phi[b.WIDTH], phi[b.FREQUENCY], v)
        own[b.B_TEMPLATE] = merge(st, t, i, cfg, wk)
        choose_dominant(st)
    remember_interval(st, i)
    own[b.B_CLASS] = code
    n[b.TOTAL] += 1
    k = n[b.TOLD]
    out.i[k, 0], out.i[k, 1], out.i[k, 2] = int(own[b.B_R]), known, code
    out.i[k, 3] = int(own[b.B_TEMPLATE])
    if len(out.trace):
        out.trace[k, :] = phi
    n[b.TOLD] = k + 1


@kernel
def quotients(c: Floats) -> tuple[float, float]:
    """Return the correlation coefficient and the ratio of energies of what `correlate` measured."""
    return c[0] / math.sqrt(max(c[1] * c[2], 1e-12)), c[1] / max(c[2], 1e-9)


@kernel
def shape(st: State, cfg: b.Config, wk: Work) -> tuple[int, int]:
    """Write the features of shape; return the template the beat belongs to (-1: none), and the lag."""
    stats, templates, phi, best, x = st.stats, st.templates, wk.phi, wk.best, wk.x
    dominant = int(st.n[b.DOMINANT])
    known = stats[dominant, b.S_COUNT] > 0.0
    extent(x, wk.weight, cfg, wk.piece, best)
    width, frequency = best[0], max(best[1], 0.5)
    phi[b.BEFORE] = math.log(max(best[2], 1e-3))
    mine, my_lag, my_rho = -1, 0, 0.0
    lag = 0
    phi[b.RHO] = phi[b.RHO_WORST] = phi[b.RHO_T] = phi[b.RHO_P] = 1.0
    phi[b.WIDTH], phi[b.FREQUENCY] = width, frequency
    if known:
        phi[b.WIDTH_RATIO] = math.log(max(width, 0.01) / max(stats[dominant, b.S_WIDTH], 0.01))
        phi[b.FREQUENCY_RATIO] = math.log(frequency / max(stats[dominant, b.S_FREQUENCY], 0.5))
        lag = align(x, templates[dominant], wk.weight, cfg, wk)
        rho, size = quotients(best)
        phi[b.RHO] = phi[b.RHO_WORST] = rho
        phi[b.ENERGY] = math.log(max(size, 1e-3))
        phi[b.DIFFERENCE] = difference(best, best[2], 1e-3)
        if len(x) > 1:
            first, last = cfg.left - int(b.QRS_LEFT_S * cfg.rate), cfg.left + int(b.QRS_RIGHT_S * cfg.rate)
            correlate(x, templates[dominant], wk.weight, first, last, lag, best)
            phi[b.RHO_WORST] = best[3]
        if rho > b.JOIN and b.SMALLER < size < b.LARGER and phi[b.WIDTH_RATIO] < b.WIDER:
            mine, my_lag, my_rho = dominant, lag, rho
        late = cfg.left + int(b.T_LEFT_S * cfg.rate)
        end = x.shape[1] - 1 - int(b.LAG_S * cfg.rate)
        correlate(x, templates[dominant], wk.weight, late, end, lag, best)
        phi[b.RHO_T] = best[0] / math.sqrt(max(best[1] * best[2], 1e-12))
        phi[b.DIFFERENCE_T] = difference(best, 1.0, 1e-4)
        first, last = int(b.LAG_S * cfg.rate), cfg.left - int(b.P_RIGHT_S * cfg.rate)
        correlate(x, templates[dominant], wk.weight, first, last, lag, best)
        phi[b.RHO_P] = best[0] / math.sqrt(max(best[1] * best[2], 1e-12))
        phi[b.DIFFERENCE_P] = difference(best, 1.0, 1e-4)
    if mine < 0:
        for t in range(b.N_TEMPLATES):
            if t == dominant or stats[t, b.S_COUNT] <= 0.0:
                continue
            found = align(x, templates[t], wk.weight, cfg, wk)
            rho, size = quotients(best)
            if rho > my_rho and b.SMALLER < size < b.LARGER:
                mine, my_lag, my_rho = t, found, rho
    phi[b.TEMPLATE_RATIO] = phi[b.TEMPLATE_WIDTH] = 1.0
    if my_rho <= b.JOIN:
        return -1, my_lag
    total = 0.0
    for t in range(b.N_TEMPLATES):
        total += stats[t, b.S_COUNT]
    phi[b.OWN] = 1.0 if mine == dominant else 0.0
    phi[b.SHARE] = stats[mine, b.S_COUNT] / total
    phi[b.TEMPLATE_RATIO] = stats[mine, b.S_RATIO]
    phi[b.TEMPLATE_WIDTH] = stats[mine, b.S_WIDTH] / max(stats[dominant, b.S_WIDTH], 0.01)
    return mine, my_lag


@kernel
def difference(c: Floats, scale: float, least: float) -> float:
    """Return the logarithm of the energy of x less y, against `scale`, `least` at least."""
    return math.log(max((c[1] + c[2] - 2.0 * c[0]) / max(scale, 1e-9), least))


@kernel
def relate(st: State, phi: Floats, ratio: float) -> None:
    """Write how far a beat is from what is usual for this patient, and let the usual follow it.

    Noise, breathing and a restless P wave make beats differ that are all the same: what counts is by how much
    more this one does.
    """
    v = st.v
    time = math.log(min(max(ratio, 0.2), 3.0))
    seen = (
        math.log(max(1.0 - phi[b.RHO], 0.003)),
        math.log(max(1.0 - phi[b.RHO_P], 0.003)),
        math.log(max(1.0 - phi[b.RHO_T], 0.003)),
        phi[b.DIFFERENCE_P],
        phi[b.DIFFERENCE_T],
        time,
    )
    sure = min(v[b.USUAL_N] / b.SURE_BEATS, 1.0)
    phi[b.EARLY] = min(ratio, phi[b.RR_MEAN])
    for k in range(b.N_USUAL - 1):
        phi[b.RHO_USUAL + k] = sure * (seen[k] - v[b.USUAL + k])
    spread = v[b.USUAL + 2 * b.N_USUAL - 1] + 0.02
    phi[b.RR_USUAL] = sure * time / spread
    phi[b.EARLY_USUAL] = sure * math.log(min(max(phi[b.EARLY], 0.2), 3.0)) / spread
    phi[b.P_SEEN] = sure * v[b.USUAL + 1]
    if phi[b.OWN] == 0.0 or abs(time) > b.IN_TIME:
        return
    v[b.USUAL_N] += 1.0
    part = max(1.0 / v[b.USUAL_N], 1.0 / b.USUAL_BEATS)
    for k in range(b.N_USUAL):
        change = seen[k] - v[b.USUAL + k]
        v[b.USUAL + k] += part * change
        v[b.USUAL + b.N_USUAL + k] += part * (abs(change) - v[b.USUAL + b.N_USUAL + k])


@kernel
def fusion(st: State, cfg: b.Config, wk: Work) -> float:
    """Return how well a sum of the dominant and one ventricular template explains a QRS complex, 0 to 1.

    It is 0 where one of them alone does nearly as well, or has less than `FUSION_PART` in the sum.
    """
    phi, best = wk.phi, wk.best
    rho, most = phi[b.RHO], 0.0
    dominant = int(st.n[b.DOMINANT])
    late = abs(math.log(max(phi[b.RR_TIMELY], 0.1)))
    if phi[b.OWN] == 1.0 or rho < b.FUSION_RHO or late > b.FUSION_TIME:
        return 0.0
    for t in range(b.N_TEMPLATES):
        if t == dominant or st.stats[t, b.S_N] < b.FUSION_BEATS or st.stats[t, b.S_V] < b.FUSION_ODDS:
            continue
        align(wk.x, st.templates[t], wk.weight, cfg, wk)
        other, _ = quotients(best)
        wk.other[:] = st.templates[t]
        align(wk.other, st.templates[dominant], wk.weight, cfg, wk)
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
    quicker = phi[b.RR_PREVIOUS_RATIO] < b.QUICKER and phi[b.RR_TO_PREVIOUS] > b.HARDLY
    return previous == b.NORMAL and quicker and phi[b.EARLY] > b.MUCH_EARLIER


@kernel
def decide(st: State, phi: Floats, v: float, t: int, previous: int, model: Model) -> int:
    """Return the class of a beat with features phi and log odds v of V that belongs to template t (-1: none).

    What the members of a template were taken for before counts beside the beat's own look. `previous` is the
    class of the beat before.
    """
    if t >= 0:
        n = min(st.stats[t, b.S_N], b.TEMPLATE_BEATS)
        v += (st.stats[t, b.S_V] - v) * b.TEMPLATE_PART * n / b.TEMPLATE_BEATS
    phi[b.ODDS_V] = v
    if phi[b.FUSED] > b.FUSION_FIT and b.FLOOR_ODDS < v < b.SURE_ODDS:
        return b.FUSION
    # As narrow as ever and in time: the heart's axis has moved, or the electrodes have.
    narrow = phi[b.WIDTH] < b.NARROW_S and phi[b.WIDTH_RATIO] < b.NOT_WIDER
    moved = narrow and phi[b.RR_TIMELY] > b.PREMATURE
    if v > b.V_ODDS and not (moved and v < b.WEAK_ODDS):
        noisy = phi[b.QUALITY] < b.POOR and phi[b.BEFORE] > b.ROUGH
        return b.UNKNOWN if t < 0 and noisy else b.VENTRICULAR
    regular = min(phi[b.ALIKE_NOW], phi[b.ALIKE_LONG]) > b.IRREGULAR
    if not regular or phi[b.EARLY] >= b.LATEST or gradual(phi, previous):
        return b.NORMAL
    phi[b.ODDS_S] = odds(model, 1, phi)
    return b.SUPRAVENTRICULAR if phi[b.ODDS_S] > b.S_ODDS else b.NORMAL
