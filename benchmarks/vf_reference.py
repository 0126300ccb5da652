"""What a record's annotations say about ventricular fibrillation, flutter and tachycardia.

vfdb writes rhythm changes (``(VF``, ``(VFL``, ``(VFIB``, ``(VT``, ``(ASYS``, ``(NOISE`` ...), cudb and mitdb
bracket VF and flutter by ``[`` and ``]``; a bracket that is never closed lasts to the end.

cudb has no word for tachycardia: torsades of 250 a minute are N beats there like all others. In a record
without any rhythm note, `FAST_BEATS` or more reference beats in a row at `FAST_RATE` or more are called FAST,
which is neither VF nor non-VF: an alarm over it is counted with those over VT, and no model is trained on it.
"""

from pathlib import Path

import numpy as np
import wfdb
from numpy.typing import NDArray

VF, VT, NOISE, FAST = "VF", "VT", "NOISE", "FAST"
FAST_BEATS, FAST_RATE = 6, 180.0
_WORDS = {"VF": VF, "VFL": VF, "VFIB": VF, "VT": VT, "HGEA": "HGEA", "NOISE": NOISE}

HELD_OUT: dict[str, frozenset[str]] = {
    "vfdb": frozenset({"421", "424", "429"}),
    "cudb": frozenset({"cu05", "cu13", "cu21", "cu31"}),
    "mitdb": frozenset({"101", "104", "108", "116", "122", "201", "202", "208", "220"}),
    "nsrdb": frozenset({"16272"}),
}
"""Records of persons that neither the model nor the constants of the detectors were chosen on."""

TUNED: dict[str, frozenset[str]] = {
    "vfdb": frozenset(str(n) for n in range(418, 431)) - HELD_OUT["vfdb"],
    "cudb": frozenset(f"cu{n:02d}" for n in range(1, 36, 2)) - HELD_OUT["cudb"],
    "mitdb": frozenset(
        str(n)
        for n in (102, 106, 107, 109, 112, 114, 115, 118, 119, 124, 203, 205, 207, 209, 215, 217, 223, 230)
    ),
    "nsrdb": frozenset(["16265", "16273", "16420", "16483"]),
    "nstdb": frozenset(["118e24", "118e18", "118e12", "118e06", "118e00", "118e_6", "bw", "em", "ma"]),
}

DOUBTFUL: dict[str, tuple[tuple[float, float], ...]] = {
    "vfdb/419": ((1140.0, 1381.0),),
    "vfdb/424": ((1540.0, 1586.0),),
    "cinc2015/a145l": ((0.0, 330.0),),
    "cinc2015/a539l": ((0.0, 330.0),),
    "cinc2015/t777l": ((0.0, 330.0),),
}
"""Stretches in s that look like VF and end in a shock, or are VF or VT in a record of another alarm, while
the reference says nothing or asystole. No model is trained on them; the benchmark counts them as the
reference does."""

VF_S, UNSURE_S = 2.4, 0.3
"""An onset is learnt from windows that VF fills for the most part; annotators end it so exactly."""

BEATS = frozenset("NLRBAaJSVrFejnE/fQ")
Segment = tuple[float, float, str]


def part(folder: str, name: str) -> str:
    """Return "held-out", "tuned" or "new" for a record of the database `folder`."""
    if folder == "cinc2015":
        return "held-out" if int(name[1:4]) % 4 == 0 else "tuned"
    if name in HELD_OUT.get(folder, ()):
        return "held-out"
    return "tuned" if name in TUNED.get(folder, ()) else "new"


def segments(
    path: Path, seconds: float, fs: float, annotator: str = "atr", fast: bool = False
) -> list[Segment]:
    """Return (start, end, word) in s, back to back; "N" for everything that is none of ours.

    With `fast` runs of fast beats are FAST where no rhythm is annotated.
    """
    if not path.with_suffix(f".{annotator}").exists():
        return [(0.0, seconds, "N")]
    notes = wfdb.rdann(str(path), annotator)
    found: list[Segment] = []
    at, word, bracket = 0.0, "N", False
    for sample, symbol, aux in zip(notes.sample, notes.symbol, notes.aux_note, strict=True):
        new = word
        if symbol == "[":
            new, bracket = VF, True
        elif symbol == "]":
            new, bracket = "N", False
        elif symbol == "+" and aux and not bracket:
            said = aux.rstrip("\0").lstrip("(").strip()
            new = _WORDS.get(said, said)
        if new != word:
            found.append((at, sample / fs, word))
            at, word = sample / fs, new
    found.append((at, seconds, word))
    if fast and not any(aux.rstrip("\0").startswith("(") for aux in notes.aux_note):
        beats = np.array([s for s, c in zip(notes.sample, notes.symbol, strict=True) if c in BEATS]) / fs
        found = [piece for segment in found for piece in _without_fast(segment, beats)]
    return [s for s in found if s[1] > s[0]]


def _without_fast(segment: Segment, beats: NDArray[np.float64]) -> list[Segment]:
    """Cut the runs of fast beats out of a segment that is N."""
    start, stop, word = segment
    inside = beats[(beats >= start) & (beats < stop)]
    if word != "N" or len(inside) < FAST_BEATS:
        return [segment]
    found: list[Segment] = []
    breaks = np.flatnonzero(np.diff(inside) > 60 / FAST_RATE) + 1
    for run in np.split(inside, breaks):
        if len(run) >= FAST_BEATS:
            found += [(start, float(run[0]), "N"), (float(run[0]), float(run[-1]), FAST)]
            start = float(run[-1])
    return [*found, (start, stop, "N")]


def unclear(parts: list[Segment]) -> list[tuple[float, float]]:
    """Noise that borders on VF or VT: nobody can say what the heart does under it."""
    found = []
    for i, (a, b, word) in enumerate(parts):
        beside = {parts[j][2] for j in (i - 1, i + 1) if 0 <= j < len(parts)}
        if word == NOISE and beside & {VF, VT}:
            found.append((a, b))
    return found


def per_second(parts: list[Segment], n: int, window_s: int) -> NDArray[np.str_]:
    """Word of each second's window: VF if its latest `VF_S` are, another if all is; or "?"."""
    labels = np.full(n, "?", dtype="U8")
    for k in range(window_s - 1, n):
        for start, stop, word in parts:
            needed = VF_S if word == VF else window_s
            if start <= k + 1 - needed + 1e-9 and stop >= k + 1 - (UNSURE_S if word == VF else 1e-9):
                labels[k] = word
    for a, b in unclear(parts):
        labels[max(0, int(a) - 1) : int(b) + window_s + 1] = "?"
    return labels
