"""Draws the worst QRS errors: ``python -m benchmarks.worst_qrs DATA`` (a folder of WFDB records, mitdb say).

One stretch of the first lead from each of the ten records with the most errors: the one that has the most of
its errors in 4 s. Writes ``docs/accuracy/worst_qrs.svg``, which docs/accuracy.md shows. Needs matplotlib.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import ec57
from benchmarks.accuracy_page import PAGE
from benchmarks.qrs import Record, part, read
from dsp.qrs import detect

OUT = PAGE.with_suffix("") / "worst_qrs.svg"
STRETCH_S = 4.0
ROWS = 10

Samples = NDArray[np.int64]


@dataclass(frozen=True)
class Errors:
    """What was missed and what was made up in one record, as sample numbers, and what was found."""

    record: Record
    missed: Samples
    false: Samples
    found: Samples

    def __len__(self) -> int:
        return len(self.missed) + len(self.false)

    def worst(self) -> int:
        """The first sample of the stretch with the most errors."""
        errors = np.sort(np.concatenate([self.missed, self.false]))
        width = round(STRETCH_S * self.record.fs)
        inside = np.searchsorted(errors, errors + 0.8 * width) - np.arange(len(errors))
        start = int(errors[int(inside.argmax())] - 0.1 * width)
        return max(0, min(start, len(self.record.x) - width))


def errors_of(record: Record) -> Errors:
    """Run the detector on the first lead of `record`; VF and flutter count nowhere."""
    found = detect(record.x[:, :1], record.fs)["sample"].astype(np.int64)
    of_beat, of_detection = ec57.match(record.ref.beats, found, round(ec57.WINDOW_S * record.fs))
    return Errors(
        record,
        record.ref.beats[of_beat < 0],
        _outside(found[of_detection < 0], record.ref.excluded),
        found[of_detection >= 0],
    )


def _outside(samples: Samples, segments: tuple[tuple[int, int], ...]) -> Samples:
    for start, end in segments:
        samples = samples[(samples < start) | (samples > end)]
    return samples


def draw(some: list[Errors], out: Path) -> None:
    """Draw the worst stretch of each of `some`, one under the other."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "leadwire", "font.size": 8})
    figure, axes = plt.subplots(
        len(some), 1, figsize=(9, 1.25 * len(some)), layout="constrained", squeeze=False
    )
    for ax, one in zip(axes[:, 0], some, strict=True):
        fs, start = one.record.fs, one.worst()
        stop = start + round(STRETCH_S * fs)
        x = one.record.x[start:stop, 0]
        ax.plot(np.arange(len(x)) / fs, x, color="0.25", linewidth=0.7)
        top = np.nanmax(x) + 0.12 * (np.nanmax(x) - np.nanmin(x))
        for samples, marker, color in (
            (one.found, "|", "tab:green"),
            (one.missed, "o", "tab:orange"),
            (one.false, "v", "tab:red"),
        ):
            here = samples[(samples >= start) & (samples < stop)]
            ax.plot((here - start) / fs, np.full(len(here), top), marker, color=color, markersize=5)
        counts = f"{len(one.missed)} missed, {len(one.false)} false"
        ax.set_title(
            f"{one.record.name} ({part(one.record.name)}), at {start / fs:.0f} s: {counts}",
            loc="left",
            fontsize=8,
        )
        ax.set_ylabel("mV")
        ax.spines[["top", "right"]].set_visible(False)
    axes[-1, 0].set_xlabel("s; green bar: beat found, orange ring: beat missed, red triangle: no beat")
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    """Find the errors and draw the worst."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the records")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    found = []
    for header in sorted(args.data.glob("*.hea")):
        record = read(header.with_suffix(""))
        if record is not None:
            found.append(errors_of(record))
    worst = sorted((e for e in found if len(e)), key=len, reverse=True)[:ROWS]
    draw(worst, args.out)
    print(f"{args.out}: " + ", ".join(f"{e.record.name} {len(e)}" for e in worst))


if __name__ == "__main__":
    main()
