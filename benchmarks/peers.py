"""The peers of the QRS benchmark behind one signature: (x in mV, fs) -> sample numbers of beats.

They see whole records at once and may look back and ahead as they like. A peer that is not
installed is left out; one that raises on a record found nothing in it.
"""

import warnings
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

Peer = Callable[[NDArray[np.float64], float], NDArray[np.int64]]


def _xqrs(x: NDArray[np.float64], fs: float) -> NDArray[np.int64]:
    from wfdb import processing

    return np.asarray(processing.xqrs_detect(x, fs, verbose=False), np.int64)


def _neurokit(method: str) -> Peer:
    def detect(x: NDArray[np.float64], fs: float) -> NDArray[np.int64]:
        import neurokit2

        cleaned = neurokit2.ecg_clean(x, sampling_rate=int(fs), method=method)
        found = neurokit2.ecg_findpeaks(cleaned, sampling_rate=int(fs), method=method)["ECG_R_Peaks"]
        return np.asarray(found, np.int64)

    return detect


def _sleepecg(x: NDArray[np.float64], fs: float) -> NDArray[np.int64]:
    import sleepecg

    return np.asarray(sleepecg.detect_heartbeats(x, fs), np.int64)


def _ecgdetectors(x: NDArray[np.float64], fs: float) -> NDArray[np.int64]:
    from ecgdetectors import Detectors

    return np.asarray(Detectors(fs).pan_tompkins_detector(x), np.int64)


_PEERS: dict[str, tuple[str, Peer]] = {
    "wfdb xqrs": ("wfdb", _xqrs),
    "neurokit2 pantompkins": ("neurokit2", _neurokit("pantompkins1985")),
    "neurokit2 default": ("neurokit2", _neurokit("neurokit")),
    "sleepecg": ("sleepecg", _sleepecg),
    "py-ecg-detectors": ("ecgdetectors", _ecgdetectors),
}


def available() -> dict[str, Peer]:
    """Return the installed peers by name."""
    return {name: _guarded(peer) for name, (module, peer) in _PEERS.items() if find_spec(module)}


def _guarded(peer: Peer) -> Peer:
    def detect(x: NDArray[np.float64], fs: float) -> NDArray[np.int64]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return peer(np.nan_to_num(x), fs)
            except (ValueError, IndexError, ZeroDivisionError):
                return np.empty(0, np.int64)

    return detect
