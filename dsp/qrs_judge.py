"""What the QRS detector decides: levels, features of a candidate, QRS or not, search-back."""

from typing import NamedTuple

from dsp import qrs_state as q
from dsp.kernels import Floats, Ints, kernel, leaf
from dsp.qrs_measure import features, strength
from dsp.qrs_shape import lead_weight, learn
from dsp.qrs_state import State


class Out(NamedTuple):
    """Where beats go: `rows` (room, 5) sample, detected, quality, amplitude, leads; `n` how many; `phi` is
    scratch for the features.

    `trace` is empty, or gets every decision with its features (for fitting), its number in [0, 0].
    """

    rows: Floats
    n: Ints
    phi: Floats
    trace: Floats


@kernel
def median(row: Floats, at: int, n: int) -> float:
    """Return the median of the first n of `N_HEIGHTS` values from `at`; 0 if n is 0."""
    n = min(n, q.N_HEIGHTS)
    total = 0.0
    for i in range(at, at + n):
        rank = 0  # how many come before it in order: no sorting, no memory
        for j in range(at, at + n):
            if row[j] < row[i] or (row[j] == row[i] and j < i):
                rank += 1
        if rank == (n - 1) // 2:
            total += row[i]
        if rank == n // 2:
            total += row[i]
    return 0.5 * total


@kernel
def level(st: State) -> None:
    """Set levels and gains of the channels from their last heights.

    The detection function sums env * GAIN, so that a usual beat gives 1; channels weigh by their
    signal to noise ratio (Hamilton & Tompkins 1986 keep such medians of 8 for one channel).
    """
    total = 0.0
    chan = st.chan
    for c in range(len(chan)):
        qrs = median(chan[c], q.H_QRS, st.n[q.N_QRS])
        quiet = max(median(chan[c], q.H_NOISE, st.n[q.N_NOISE]), q.NOISE_MIN * qrs)
        chan[c, q.QRS], chan[c, q.QUIET], chan[c, q.GAIN] = qrs, quiet, 0.0
        if qrs > 1e-3:
            chan[c, q.GAIN] = max(qrs / quiet - 1.0, 0.05) ** q.SNR_POWER
            total += chan[c, q.GAIN]
    noise = 0.0
    for c in range(len(chan)):
        if chan[c, q.GAIN] > 0.0:
            chan[c, q.GAIN] /= total * chan[c, q.QRS]
            noise += chan[c, q.GAIN] * chan[c, q.QUIET]
    st.v[q.NOISE] = noise


@kernel
def discriminant(weights: Floats, phi: Floats) -> float:
    """Return the log odds for a QRS complex: a linear term and one layer of rectified sums of phi.

    `weights` (2 + N_PHI, n_sums): each column is a constant, one weight for each feature, and the factor of
    that sum where it is positive; the first one counts whatever its sign.
    """
    sums = weights[0].copy()
    for i in range(q.N_PHI):
        for k in range(len(sums)):  # no sum waits for itself: the processor does several at once
            sums[k] += weights[1 + i, k] * phi[i]
    z = weights[1 + q.N_PHI, 0] * sums[0]
    for k in range(1, len(sums)):
        z += weights[1 + q.N_PHI, k] * max(sums[k], 0.0)
    return z  # type: ignore[no-any-return]


@leaf
def unmask(st: State, cand: Floats, gap: float) -> None:
    """A much larger peak close after a beat: that beat was a P wave or an artefact.

    It cannot be unsaid, but levels and templates forget it.
    """
    before = 0.0
    for c in range(len(st.chan)):
        before += st.chan[c, q.GAIN] * st.chan[c, q.LAST_ENV]
    if strength(st, cand) <= q.UPSET * before:
        return
    last = (st.n[q.N_QRS] - 1) % q.N_HEIGHTS
    for c in range(len(st.chan)):
        height = min(cand[q.K_ENV + c], 3.0 * st.chan[c, q.QRS])
        st.chan[c, q.H_QRS + last] = height
        st.chan[c, q.LAST_ENV] = height
    template = st.n[q.LAST_TEMPLATE]
    if template >= 0:
        st.uses[template] = 0.0
        if cand[q.K_TEMPLATE] == template:
            cand[q.K_TEMPLATE] = -1.0
    level(st)
    if gap >= q.REFRACTORY_S:
        st.n[q.N_QRS] -= 1


@leaf
def rhythm(st: State, rr: float) -> None:
    """Keep an interval, and the median and spread of the last eight."""
    rrs = st.v[q.RRS : q.RRS + q.N_HEIGHTS]
    rrs[st.n[q.N_RR] % q.N_HEIGHTS] = rr
    st.n[q.N_RR] += 1
    n = min(st.n[q.N_RR], q.N_HEIGHTS)
    usual = median(rrs, 0, n)
    spread = 0.0
    for i in range(n):
        spread += min(abs(rrs[i] - usual), usual)
    st.v[q.RR_MEDIAN], st.v[q.RR_SPREAD] = usual, spread / n / usual


@leaf
def usual(known: float, value: float) -> float:
    """Return a running value that no single beat moves by more than a tenth."""
    return min(1.1 * known, max(0.9 * known, value)) if known > 0.0 else value


@leaf
def take(st: State, cand: Floats, cfg: q.Config, now: int, out: Out) -> None:
    """Report the candidate as a beat and learn levels from it."""
    quality = 1.0 - st.v[q.NOISE] / max(strength(st, cand), 1e-3)
    for c in range(len(st.chan)):
        height, level_now = cand[q.K_ENV + c], st.chan[c, q.QRS]
        st.chan[c, q.LAST_ENV] = height
        if level_now > 0.005:
            height = min(max(height, 0.33 * level_now), 2.0 * level_now)
            st.chan[c, q.H_QRS + st.n[q.N_QRS] % q.N_HEIGHTS] = height
        else:  # a lead that has just come on
            st.chan[c, q.H_QRS : q.H_QRS + q.N_HEIGHTS] = height
    st.n[q.N_QRS] += 1
    st.n[q.N_BEATS] += 1
    m = int(cand[q.K_M])
    rr = (m - st.n[q.LAST]) / cfg.rate
    if 0.2 < rr < 2.5:
        rhythm(st, rr)
        st.v[q.RR] = rr if st.v[q.RR] == 0.0 else st.v[q.RR] + (rr - st.v[q.RR]) / 8.0
    st.n[q.LAST] = m
    st.v[q.AMPLITUDE] = usual(st.v[q.AMPLITUDE], cand[q.K_AMPLITUDE])
    if cand[q.K_SLOPE] > 0.0:
        own = st.track[int(cand[q.K_LEAD])]
        own[q.T_SLOPE] = usual(own[q.T_SLOPE], cand[q.K_SLOPE])
        own[q.T_SWING] = usual(own[q.T_SWING], cand[q.K_SWING])
        own[q.T_WIDTH] = usual(own[q.T_WIDTH], cand[q.K_WIDTH])
        own[q.T_AMPLITUDE] = usual(own[q.T_AMPLITUDE], cand[q.K_AMPLITUDE])
    st.n[q.N_REFUSED] = 0
    st.v[q.REFUSED_MOST] = 0.0
    st.v[q.REFUSED] -= st.v[q.REFUSED] / 16.0
    level(st)
    leads = 0
    n_sig = len(st.chan) // 2
    for sig in range(n_sig):
        if lead_weight(st, sig) > 0.5 / n_sig:
            leads |= 1 << sig
    k = out.n[0]
    out.rows[k, 0] = max(0, int(cand[q.K_R]) * cfg.step + cfg.step - 1 - cfg.lag)
    out.rows[k, 1] = now
    out.rows[k, 2] = max(0.0, min(1.0, quality))
    out.rows[k, 3] = cand[q.K_AMPLITUDE]
    out.rows[k, 4] = leads
    out.n[0] += 1
    cand[q.K_STATE] = q.TAKEN
    st.n[q.LAST_TEMPLATE] = -1


@leaf
def able(st: State, cand: Floats) -> bool:
    """Return whether a candidate is large enough to be asked at all."""
    return strength(st, cand) > q.MIN_STRENGTH and cand[q.K_AMPLITUDE] >= q.MIN_AMPLITUDE


@leaf
def least_odds(st: State, cand: Floats, rate: float) -> float:
    """Return what the log odds must exceed: less for what comes early and stands out of a quiet line.

    That is how a tachycardia begins, which no interval before it foretells; a P wave comes late.
    """
    early = (cand[q.K_M] - st.n[q.LAST]) / rate < q.EARLY_RR * st.v[q.RR_MEDIAN]
    clear = st.v[q.NOISE] < q.QUIET_LINE and strength(st, cand) > q.STANDS_OUT
    return q.Z_EARLY if early and clear else q.Z_MIN


@leaf
def sure(st: State, cand: Floats, rising: bool, weights: Floats, rate: float, phi: Floats) -> bool:
    """Return whether what may still come cannot change the decision (`rising`: something comes).

    What is small, in the bands and in mV, and would be taken, may be a P wave: its complex may come.
    """
    if not able(st, cand) or cand[q.K_M] - st.n[q.LAST] < q.REFRACTORY_S * rate:
        return True
    features(st, cand, rate, phi)
    z = discriminant(weights, phi)
    if (
        z > least_odds(st, cand, rate)
        and phi[0] < q.SMALL
        and phi[5] < q.SMALL_MV
        and (st.n[q.ASKED] < 3 or rising)
    ):
        return False
    return st.n[q.ASKED] > 1 or abs(z) > q.SURE


@kernel
def judge(st: State, cand: Floats, back: bool, weights: Floats, cfg: q.Config, now: int, out: Out) -> bool:
    """Decide whether the candidate is a beat; `back`: in search-back. Returns whether it is."""
    gap = (int(cand[q.K_M]) - st.n[q.LAST]) / cfg.rate
    if gap < q.UPSET_S and st.n[q.N_QRS] > 0:
        unmask(st, cand, gap)
    if gap < q.REFRACTORY_S:
        cand[q.K_STATE] = q.SHADOWED
        return False
    beat = traced = able(st, cand)
    if beat:
        phi = out.phi
        features(st, cand, cfg.rate, phi)
        beat = discriminant(weights, phi) > (q.Z_BACK if back else least_odds(st, cand, cfg.rate))
    if traced and len(out.trace):
        row = int(out.trace[0, 0]) + 1
        out.trace[0, 0] = row
        out.trace[row, 0] = int(cand[q.K_R]) * cfg.step + cfg.step - 1 - cfg.lag
        out.trace[row, 1] = beat
        out.trace[row, 2] = back
        out.trace[row, 3] = discriminant(weights, out.phi)
        out.trace[row, 4:] = out.phi
    if beat:
        take(st, cand, cfg, now, out)
    elif not back:
        slot = q.H_NOISE + st.n[q.N_NOISE] % q.N_HEIGHTS
        for c in range(len(st.chan)):
            st.chan[c, slot] = min(cand[q.K_ENV + c], st.chan[c, q.QRS])
        st.n[q.N_NOISE] += 1
        st.n[q.N_REFUSED] += 1
        st.v[q.REFUSED_MOST] = max(st.v[q.REFUSED_MOST], strength(st, cand))
        st.v[q.REFUSED] += (1.0 - st.v[q.REFUSED]) / 16.0
        level(st)
    return beat


@kernel
def search_back(st: State, weights: Floats, cfg: q.Config, now: int, out: Out) -> None:
    """No beat for long: look again at the strongest refused candidate, then at those after it."""
    best, most = -1, 0.0
    for k in range(max(0, st.n[q.N_CAND] - q.N_CANDIDATES), st.n[q.N_CAND]):
        cand = st.cands[k % q.N_CANDIDATES]
        if cand[q.K_STATE] == q.NEW and (cand[q.K_M] - st.n[q.LAST]) / cfg.rate > q.T_WAVE_S:
            power = strength(st, cand)
            if power > most and cand[q.K_AMPLITUDE] >= q.MIN_AMPLITUDE:
                best, most = k, power
    if best >= 0 and judge(st, st.cands[best % q.N_CANDIDATES], True, weights, cfg, now, out):
        for k in range(best + 1, st.n[q.N_CAND]):
            cand = st.cands[k % q.N_CANDIDATES]
            if cand[q.K_STATE] == q.NEW:
                judge(st, cand, False, weights, cfg, now, out)


@leaf
def decide(
    st: State, cand: Floats, middle: int, low_middle: int, weights: Floats, cfg: q.Config, now: int, out: Out
) -> None:
    """Judge a candidate that has just come, and learn its shape if it is a beat."""
    mean = 0.0
    for c in range(len(st.chan)):
        mean += st.chan[c, q.GAIN] * st.chan[c, q.MEAN]
    if st.v[q.MEAN_LONG] == 0.0:
        st.v[q.MEAN_LONG] = mean
    passed = min((int(cand[q.K_M]) - st.n[q.LAST_CAND]) / cfg.rate / 10.0, 0.2)
    st.v[q.MEAN_LONG] += passed * (mean - st.v[q.MEAN_LONG])
    st.n[q.LAST_CAND] = int(cand[q.K_M])
    if judge(st, cand, False, weights, cfg, now, out):
        st.v[q.MATCH] += (max(cand[q.K_RHO], cand[q.K_RHO_BEST]) - st.v[q.MATCH]) / 8.0
        learn(st, cand, middle, low_middle)
