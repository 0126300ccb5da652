"""Streaming beat classes: N, S (SVEB), V (VEB), F (fusion), "/" (paced), Q (cannot be told).

Here are the interface, the loop and the snapshots. Parameters and state stand in `beat_state.py`, the
kernels in `beat_front.py` (filters), `beat_shape.py` (templates), `beat_rhythm.py` (R-R intervals) and
`beat_judge.py` (features, decision). Where beats are is the QRS detector's business.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dsp import beat_state as b
from dsp import kernels
from dsp.beat_front import feed
from dsp.beat_judge import Out, judge
from dsp.beat_model import Model, load
from dsp.beat_state import State
from dsp.kernels import Floats, Ints, Ring, kernel

_VERSION = 3
_BLOCK_S = 0.5
_LAST = 1 << 62
_NO_TRACE = np.empty((0, b.N_PHI))
_NO_CLASSES = np.empty((0, 4), np.int64)


class BeatClassifier:
    """Say what kind of beat each QRS complex is, `WAIT_S` after its R peak.

    Parameters
    ----------
    fs
        Sampling rate in Hz, 100 to 1000.
    n_sig
        Number of leads.
    model
        Another model than the one that ships (for fitting).

    Attributes
    ----------
    delay_s
        A class is known this long after the R peak, in s, or with the beat itself if that is reported later.
    """

    def __init__(self, fs: float, n_sig: int, model: Model | None = None) -> None:
        self.fs = float(fs)
        self.n_sig = n_sig
        self.delay_s = b.WAIT_S
        self._config = b.configuration(self.fs)
        self._memory = b.empty_memory(n_sig, self._config)
        self._room = np.zeros(b.work_size(n_sig, self._config))
        self._out = np.empty((2 * b.N_BEATS, 4), np.int64)
        self._model = load() if model is None else model

    def process(self, x: ArrayLike, beats: Floats) -> NDArray[np.int64]:
        """Take the next samples and the beats that became known in them; return the classes that did.

        Parameters
        ----------
        x
            (n_samples, n_sig) in mV, NaN where nothing was measured. It is not written to.
        beats
            What `QrsDetector.find` gave for the same samples.

        Returns
        -------
        numpy.ndarray
            (n, 4): sample of the R peak, last sample the decision needed, index into `SYMBOLS`, number
            of the template (-1: none); in rising order of both samples.
        """
        return self._process(x, beats, _NO_TRACE)

    def _process(self, x: ArrayLike, beats: Floats, trace: Floats) -> NDArray[np.int64]:
        samples = np.ascontiguousarray(x, dtype=np.float64)
        if len(beats) + b.N_BEATS > len(self._out):
            self._out = np.empty((2 * len(beats) + b.N_BEATS, 4), np.int64)
        told = run(samples, beats, *self._memory, self._config, self._model, self._room, self._out, trace)
        return self._out[:told].copy() if told else _NO_CLASSES

    def snapshot(self) -> bytes:
        """Return the whole state; a classifier that restores it continues bit for bit."""
        return kernels.save(self._header(), self._memory)

    def restore(self, snapshot: bytes) -> None:
        """Take over a state made by `snapshot` of a classifier with the same `fs` and `n_sig`.

        Raises
        ------
        ValueError
            It is no such snapshot; the classifier is left as it was.
        """
        kernels.load(snapshot, self._header(), self._memory)

    def _header(self) -> bytes:
        return kernels.header(b"LWBC", _VERSION, self.n_sig, self.fs)


@kernel
def run(
    x: Floats,
    found: Floats,
    n: Ints,
    floats: Floats,
    rings: Ring,
    config: Floats,
    model: Model,
    room: Floats,
    told: Ints,
    trace: Floats,
) -> int:
    """Take samples and beats (sample, detected, quality) in the order in which they became known.

    Returns how many classes stand in `told`. `n`, `floats` and `rings` are `beat_state.Memory`.
    """
    n_sig = x.shape[1]
    cfg = b.named(config)
    st = b.state(b.Memory(n, floats, rings), n_sig, cfg)
    wk = b.work(room, n_sig, cfg)
    out = Out(told, trace)
    n[b.TOLD] = 0
    origin = n[b.IN]
    block = max(1, int(_BLOCK_S * cfg.rate)) * cfg.step
    at = k = 0
    while True:
        due = _LAST  # the next sample after which something is to be done
        if n[b.JUDGED] < n[b.BEATS]:
            due = int(st.beats[b.row(n[b.JUDGED]), b.B_R]) + cfg.wait
        beat = k < len(found) and found[k, 1] <= due
        if beat:
            due = int(found[k, 1])
        stop = min(len(x), max(at, due + 1 - origin))
        while at < stop:
            piece = min(stop, at + block)
            feed(x, at, piece, st, cfg, wk.mended)
            at = piece
        if beat:
            add(st, found[k], cfg)
            k += 1
        elif due < origin + len(x):
            known = max(due, int(st.beats[b.row(n[b.JUDGED]), b.B_DETECTED]))
            judge(st, n[b.JUDGED], known, cfg, model, wk, out)
            n[b.JUDGED] += 1
        else:
            count = n[b.TOLD]
            n[b.TOLD] = 0
            return count  # type: ignore[no-any-return]


@kernel
def add(st: State, found: Floats, cfg: b.Config) -> None:
    """Remember a new beat."""
    n = st.n
    i = n[b.BEATS]
    own = st.beats[b.row(i)]
    own[:] = 0.0
    own[b.B_R], own[b.B_DETECTED], own[b.B_QUALITY] = found[0], found[1], found[2]
    own[b.B_CLASS] = b.UNKNOWN
    own[b.B_RATIO], own[b.B_TEMPLATE] = 1.0, -1.0
    if i > 0:
        last = st.beats[b.row(i - 1), b.B_R]
        rr = (found[0] - last) / cfg.fs
        for d in range(4):
            if last < n[b.DARKS + d] <= found[0]:
                rr = 0.0
        if 0.0 < rr <= b.LONGEST_RR_S:
            own[b.B_RR] = rr
    n[b.BEATS] = i + 1
