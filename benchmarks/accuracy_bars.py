"""What every measured figure is held against: the bars, and the table of which are met.

A bar names the benchmark, words that tell the run (its data folder, its options), the figure, and, where
there is one, the same figure on records that chose nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

TITLES: Mapping[str, str] = {
    "qrs": "QRS detection",
    "noise": "Noise stress",
    "beats": "Beat classes",
    "vf": "Ventricular fibrillation and flutter",
    "alarms": "Alarms of CinC 2015",
    "af": "Atrial fibrillation",
    "quality": "12-lead acceptability",
    "falsealarms": "Alarms on normal hearts",
    "robustness": "Robustness",
    "throughput": "Speed",
    "latency": "End to end",
    "bus": "Message bus",
    "storage": "Storage",
    "desk": "A year of thirty clinics at the desk",
}
"""In the order of the page."""


@dataclass(frozen=True)
class Bar:
    """One bar: the figure `key` of a run of `benchmark` is to be at `most` or at `least` so much."""

    benchmark: str
    what: str
    key: str
    most: float | None = None
    least: float | None = None
    words: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    unseen: str = ""
    """The same figure on records that tuned nothing, or cross-validated."""

    def asks(self, setting: str) -> bool:
        """Whether a run with this command is the one."""
        return all(w in setting for w in self.words) and not any(w in setting for w in self.without)

    def met(self, figure: float) -> bool:
        """Whether the figure clears the bar."""
        return (self.most is None or figure <= self.most) and (self.least is None or figure >= self.least)

    @property
    def limit(self) -> str:
        """The bar in words."""
        return f"<= {self.most:g}" if self.most is not None else f">= {self.least:g}"


_MITDB, _ONE, _ALL = ("mitdb",), ("--leads",), ("mitdb", "--leads all")
BARS: Sequence[Bar] = (
    Bar("qrs", "MIT-BIH, first lead, DER %", "DER", 0.30, words=_MITDB, without=_ONE, unseen="DER_held-out"),
    Bar("qrs", "MIT-BIH, both leads, DER %", "DER", 0.15, words=_ALL, unseen="DER_held-out"),
    Bar("qrs", "report after R, p99, ms", "latency_p99_ms", 300, words=_MITDB, without=_ONE),
    Bar("qrs", "fiducial within 10 ms, %", "fiducial_within_10ms", least=95, words=_MITDB, without=_ONE),
    Bar("noise", "electrode motion, 12 dB, DER %", "DER_12dB", 1, without=_ONE),
    Bar("noise", "electrode motion, 6 dB, DER %", "DER_6dB", 8, without=_ONE),
    Bar("noise", "electrode motion, 0 dB, DER %", "DER_0dB", 25, without=_ONE),
    Bar("robustness", "beats made out of faults", "false_beats", 0),
    Bar("robustness", "beats again after a fault, s", "recover_max_s", 3),
    Bar("beats", "ventricular beats, Se %", "VEB Se", least=97, words=("--cross",), unseen="VEB_cross Se"),
    Bar("beats", "ventricular beats, +P %", "VEB +P", least=97, words=("--cross",), unseen="VEB_cross +P"),
    Bar("beats", "supraventricular, Se %", "SVEB Se", least=85, words=("--cross",), unseen="SVEB_cross Se"),
    Bar("beats", "supraventricular, +P %", "SVEB +P", least=75, words=("--cross",), unseen="SVEB_cross +P"),
    Bar("vf", "VF/VFL, vfdb, Se %", "Se", least=97, words=("vfdb",), unseen="Se_held-out"),
    Bar("vf", "VF/VFL, cudb, Se %", "Se", least=97, words=("cudb",), unseen="Se_held-out"),
    Bar("vf", "false in 24 h, vfdb", "false_per_24h", 1, words=("vfdb",), unseen="false_per_24h_held-out"),
    Bar("vf", "false in 24 h, cudb", "false_per_24h", 1, words=("cudb",), unseen="false_per_24h_held-out"),
    Bar(
        "vf",
        "onset to alarm, vfdb, p99, s",
        "onset_p99_s",
        10,
        words=("vfdb",),
        unseen="onset_p99_s_held-out",
    ),
    Bar(
        "vf",
        "onset to alarm, cudb, p99, s",
        "onset_p99_s",
        10,
        words=("cudb",),
        unseen="onset_p99_s_held-out",
    ),
    Bar("alarms", "CinC 2015, score", "score", least=82, unseen="score_held-out"),
    Bar("alarms", "asystole, TPR %", "alarms asystole TPR", least=99),
    Bar("alarms", "extreme bradycardia, TPR %", "alarms extreme_bradycardia TPR", least=99),
    Bar("alarms", "extreme tachycardia, TPR %", "alarms extreme_tachycardia TPR", least=99),
    Bar("af", "CinC 2017, A against the rest, F1 %", "F1", least=87, words=("cinc2017",), unseen="F1_cv"),
    Bar(
        "af", "onset, cpsc2021, p90, s", "onset_p90_s", 15, words=("cpsc2021",), unseen="onset_p90_s_held-out"
    ),
    Bar("af", "onset, mitdb, p90, s", "onset_p90_s", 15, words=_MITDB, unseen="onset_p90_s_held-out"),
    Bar("quality", "CinC 2011, accuracy %", "accuracy", least=94, unseen="accuracy_cv"),
    Bar(
        "throughput",
        "all of it, one lead, 250 Hz, times real time",
        "pipeline x_realtime",
        least=10_000,
        words=("qtdb",),
    ),
    Bar(
        "throughput",
        "QRS alone, one lead, 250 Hz, times real time",
        "qrs x_realtime",
        least=50_000,
        words=("qtdb",),
    ),
)


def glance(results: Mapping[str, Sequence[tuple[str, Mapping[str, str]]]]) -> list[str]:
    """Return a table of all bars.

    Parameters
    ----------
    results
        Per benchmark, oldest first, the command and our total of each run.
    """
    lines = ["| what | bar | all records | unseen | |", "|---|---:|---:|---:|---|"]
    for bar in BARS:
        totals = [total for setting, total in results.get(bar.benchmark, ()) if bar.asks(setting)]
        found = [total for total in totals if total.get(bar.key)]
        if not found:
            lines.append(f"| {bar.what} | {bar.limit} | | | not measured |")
            continue
        told, unseen = found[-1][bar.key], found[-1].get(bar.unseen) or ""
        decides = float(unseen or told)
        lines.append(f"| {bar.what} | {bar.limit} | {told} | {unseen} | {_word(bar, float(told), decides)} |")
    return lines


def _word(bar: Bar, told: float, decides: float) -> str:
    if bar.met(told) and bar.met(decides):
        return "met"
    return "met on all only" if bar.met(told) else "missed"
