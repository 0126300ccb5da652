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
from dsp.kernels import Floats, kernel

_VERSION = 2
_BLOCK_S = 0.5
_LAST = 1 << 62


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
        self._state = b.empty_state(n_sig, self._config)
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
        return self._process(x, beats, np.empty((0, b.N_PHI)))

    def _process(self, x: ArrayLike, beats: Floats, trace: Floats) -> NDArray[np.int64]:
        samples = np.ascontiguousarray(x, dtype=np.float64)
        out = Out(np.empty((len(beats) + b.N_BEATS, 4), np.int64), np.zeros(1, np.int64), trace)
        run(samples, beats, self._state, self._config, self._model, out)
        return out.i[: out.n[0]]

    def snapshot(self) -> bytes:
        """Return the whole state; a classifier that restores it continues bit for bit."""
        return kernels.save(self._header(), self._state)

    def restore(self, snapshot: bytes) -> None:
        """Take over a state made by `snapshot` of a classifier with the same `fs` and `n_sig`.

        Raises
        ------
        ValueError
            It is no such snapshot; the classifier is left as it was.
        """
        kernels.load(snapshot, self._header(), self._state)

    def _header(self) -> bytes:
        return kernels.header(b"LWBC", _VERSION, self.n_sig, self.fs)


@kernel
def run(x: Floats, found: Floats, st: State, cfg: b.Config, model: Model, out: Out) -> None:
    """Take samples and beats (sample, detected, quality) in the order in which they became known."""
    n = st.n
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
            feed(x, at, piece, st, cfg)
            at = piece
        if beat:
            add(st, found[k], cfg)
            k += 1
        elif due < origin + len(x):
            judge(st, n[b.JUDGED], max(due, int(st.beats[b.row(n[b.JUDGED]), b.B_DETECTED])), cfg, model, out)
            n[b.JUDGED] += 1
        else:
            return


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
