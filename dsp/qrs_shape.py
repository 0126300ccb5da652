"""Shapes for the QRS detector: where the R peak is, and templates of this patient's complexes."""

import math

import numpy as np

from dsp import qrs_state as q
from dsp.kernels import Floats, Ring, kernel, leaf
from dsp.qrs_state import State


@leaf
def unroll(rings: Ring, sig: int, first: int, out: Floats) -> None:
    """Copy what row sig of `rings` holds from inner sample `first` on: many steps through a ring are slow."""
    size = rings.shape[1]
    slot = first % size
    for j in range(len(out)):
        out[j] = rings[sig, slot]
        slot = slot + 1 if slot + 1 < size else 0


@kernel
def locate(st: State, sig: int, middle: int, rate: float) -> tuple[int, float, float]:
    """Return R peak (inner sample), amplitude p-p in mV and step of lead sig about inner sample `middle`.

    The R peak is the highest point; the lowest where no wave rises above the level before the
    complex by `UPRIGHT` of the depth below it. Annotators mark the same, in wide complexes too.
    The step is how far the line lies elsewhere after the complex than before, as part of the
    amplitude: EP Limited's baseline-shift check as a number. What begins where a gap has ended was cut in
    two by it: its amplitude is 0.
    """
    near, far = int(0.09 * rate), int(0.13 * rate)
    line = np.empty(2 * far + 1)
    unroll(st.low, sig, middle - far, line)
    first = far - int(q.BEFORE_S * rate)
    least = most = line[first]
    lowest = highest = first
    for j in range(first + 1, far + int(q.AFTER_S * rate) + 1):
        if line[j] < least:
            least, lowest = line[j], j
        if line[j] > most:
            most, highest = line[j], j
    before = after = 0.0
    for j in range(near, far + 1):
        before += line[far - j]
        after += line[far + j]
    before /= far - near + 1
    after /= far - near + 1
    amplitude = most - least
    where = middle - far + (highest if most - before >= q.UPRIGHT * (before - least) else lowest)
    if abs(where - st.lead[sig, q.RESUMED]) < q.RESUME_S * rate:
        amplitude = 0.0
    return where, amplitude, abs(after - before) / max(amplitude, 0.01)


@leaf
def lead_weight(st: State, sig: int) -> float:
    """Return the part that lead sig has in the detection function, 0..1."""
    a, b = st.chan[2 * sig], st.chan[2 * sig + 1]
    return a[q.GAIN] * a[q.QRS] + b[q.GAIN] * b[q.QRS]  # type: ignore[no-any-return]


@leaf
def energies(piece: Floats, length: int, weight: float, out: Floats) -> None:
    """Add the weighted energy of each stretch of `length` in `piece` to `out`, one a lag."""
    total = 0.0
    for j in range(length):
        total += piece[j] * piece[j]
    out[0] += weight * total
    for k in range(1, len(out)):
        total += piece[k + length - 1] ** 2 - piece[k - 1] ** 2
        out[k] += weight * max(total, 1e-12)


@leaf
def slide(piece: Floats, templates: Ring, t: int, sig: int, weight: float, out: Floats) -> float:
    """Add the weighted products of a template with `piece`, at all lags at once, to row t of `out`.

    Returns the template's own weighted energy.
    """
    own = 0.0
    for j in range(templates.shape[2]):
        known = weight * templates[t, sig, j]
        own += known * templates[t, sig, j]
        for k in range(q.N_LAGS):
            out[t, k] += known * piece[j + k]
    return own


@leaf
def compare(st: State, cand: Floats, middle: int, low_middle: int) -> None:
    """Note the candidate's best normalized correlation with a template, over a few lags, all leads.

    Then, for that template and lag: how much larger the candidate is, and the correlation of the
    waveforms below 40 Hz, of all leads together and of the one that is most alike. The complex lies
    about inner sample `middle` in the band, about `low_middle` in the waveforms.
    """
    n_sig, ring = st.band.shape
    length = st.templates.shape[2]
    own, weights = np.zeros(q.N_TEMPLATES), np.zeros(n_sig)
    energy, products = np.zeros(q.N_LAGS), np.zeros((q.N_TEMPLATES, q.N_LAGS))
    piece = np.empty(length + q.N_LAGS - 1)
    for sig in range(n_sig):
        weight = lead_weight(st, sig)
        if weight < 1e-3:
            continue
        weights[sig] = weight / st.chan[2 * sig, q.QRS] ** 2
        unroll(st.band, sig, middle - length // 2 - q.LAGS, piece)
        energies(piece, length, weights[sig], energy)
        for t in range(q.N_TEMPLATES):
            if st.uses[t, q.U_COUNT] >= 1:
                own[t] += slide(piece, st.templates, t, sig, weights[sig], products)
    best = 0.0
    for k in range(q.N_LAGS):
        for t in range(q.N_TEMPLATES):
            if products[t, k] > 0.0 and products[t, k] > best * math.sqrt(energy[k] * own[t]):
                best = products[t, k] / math.sqrt(energy[k] * own[t])
                cand[q.K_TEMPLATE] = t
                cand[q.K_LAG] = k - q.LAGS
                cand[q.K_SCALE] = 0.5 * math.log(energy[k] / own[t])
    cand[q.K_RHO] = best
    t = int(cand[q.K_TEMPLATE])
    if t < 0:
        return
    begin = low_middle - length // 2 + int(cand[q.K_LAG])
    product, power, known = 0.0, 1e-12, 1e-12
    cand[q.K_RHO_BEST] = -1.0
    for sig in range(n_sig):
        if weights[sig] == 0.0:
            continue
        a = b = c = mean = other = 0.0
        slot = begin % ring
        for j in range(length):
            value, wave = st.low[sig, slot], st.waves[t, sig, j]
            a += wave * value
            b += value * value
            c += wave * wave
            mean += value
            other += wave
            slot = slot + 1 if slot + 1 < ring else 0
        a -= mean * other / length
        b, c = max(b - mean**2 / length, 1e-9), max(c - other**2 / length, 1e-9)
        product += weights[sig] * a
        power += weights[sig] * b
        known += weights[sig] * c
        cand[q.K_RHO_BEST] = max(cand[q.K_RHO_BEST], a / math.sqrt(b * c))
    cand[q.K_RHO_LOW] = product / math.sqrt(power * known)


@leaf
def learn(st: State, cand: Floats, middle: int, low_middle: int) -> None:
    """Average a beat into the template that it resembles, or let it found one in the least used place."""
    n_sig, ring = st.band.shape
    length = st.templates.shape[2]
    t = int(cand[q.K_TEMPLATE])
    weight = 1.0
    if t >= 0 and cand[q.K_RHO] > q.TEMPLATE_MATCH:
        st.uses[t, q.U_COUNT] += 1
        weight = max(1.0 / 8.0, 1.0 / st.uses[t, q.U_COUNT])
    else:
        t = 0
        for k in range(q.N_TEMPLATES):
            if st.uses[k, q.U_LAST] < st.uses[t, q.U_LAST]:
                t = k
        st.uses[t, q.U_COUNT] = 1
        cand[q.K_LAG] = 0.0
    st.uses[t, q.U_LAST] = st.n[q.N_BEATS]
    st.n[q.LAST_TEMPLATE] = t
    begin = middle - length // 2 + int(cand[q.K_LAG])
    low_begin = low_middle - length // 2 + int(cand[q.K_LAG])
    for sig in range(n_sig):
        level = st.low[sig, low_begin % ring]
        for j in range(length):
            known = st.templates[t, sig, j]
            st.templates[t, sig, j] = known + weight * (st.band[sig, (begin + j) % ring] - known)
            known = st.waves[t, sig, j]
            st.waves[t, sig, j] = known + weight * (st.low[sig, (low_begin + j) % ring] - level - known)
