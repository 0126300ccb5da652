"""Writes docs/accuracy.md and its plots from the newest results: ``python -m benchmarks.accuracy_page``.

Of each benchmark and command (data folder, options) the newest CSV in `benchmarks/results/` counts. What
nobody has measured yet is listed as such. Figures on records that tuned the parameters are marked "tuned".
Without matplotlib the tables are written and the plots are left as they are.
"""

import argparse
import csv
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.accuracy_bars import TITLES, glance
from benchmarks.accuracy_plots import draw
from benchmarks.frame import RESULTS

WORST = "worst_qrs.svg"
PAGE = Path(__file__).parents[1] / "docs" / "accuracy.md"
Row = Mapping[str, str]


@dataclass(frozen=True)
class Measured:
    """One CSV of `benchmarks/results`: its three lines of comment, and the rows."""

    benchmark: str
    command: str
    machine: str
    date: str
    rows: Sequence[Row]

    @property
    def totals(self) -> list[Row]:
        """Our total first, then the peers'."""
        return [row for row in self.rows if row.get("record") == "total"]

    @property
    def records(self) -> list[Row]:
        """Our records, one row each."""
        return [row for row in self.rows if row.get("record") != "total"]

    @property
    def setting(self) -> str:
        """The options that tell runs of one benchmark apart: all but where the results went."""
        words, kept, skip = shlex.split(self.command), [], False
        for word, following in zip(words, [*words[1:], "--"], strict=True):
            if skip:
                skip = False
            elif word in ("--json", "--save"):
                skip = not following.startswith("--")
            elif word != "--peers":
                kept.append(word)
        return shlex.join(kept)


def load(path: Path) -> Measured:
    """Read a CSV that the frame wrote; ValueError if it is none."""
    lines = path.read_text(encoding="utf-8").splitlines()
    comments = [line[1:].strip() for line in lines[:3]]
    if len(lines) < 4 or not all(line.startswith("#") for line in lines[:3]):
        raise ValueError(f"{path.name}: three lines of comment and a table were expected")
    # 2026-11-22T002722-qrs.csv, as `frame.save_csv` names them
    benchmark = path.stem.partition("T")[2].partition("-")[2]
    return Measured(benchmark, comments[0], comments[1], comments[2], list(csv.DictReader(lines[3:])))


def newest(folder: Path) -> dict[str, list[Measured]]:
    """Per benchmark the newest result of each setting, oldest setting first."""
    found: dict[str, dict[str, Measured]] = {}
    for path in sorted(folder.glob("*.csv")):
        try:
            one = load(path)
        except ValueError:
            continue
        found.setdefault(one.benchmark, {})[one.setting] = one
    return {name: list(settings.values()) for name, settings in found.items()}


def page(results: Mapping[str, Sequence[Measured]], plots: Iterable[str]) -> str:
    """The text of docs/accuracy.md; `plots` are the names of the plots there are."""
    plots = set(plots)
    out = [
        "# Accuracy and speed",
        "",
        "Made from `benchmarks/results/` by `python -m benchmarks.accuracy_page`; do not edit.",
        "",
        "Rows marked *tuned* are on records that parameters were chosen on, *held-out* and *new* on records",
        "that chose nothing; believe the latter. No learning period is left out unless a row says so.",
        "Peers ran on the same records with the same scorer.",
        "",
        "## At a glance",
        "",
        "*Unseen*: the same figure on held-out records, or cross-validated by person. Where there is one, it",
        "decides.",
        "",
        *glance(
            {name: [(m.setting, m.totals[0]) for m in some if m.totals] for name, some in results.items()}
        ),
        "",
    ]
    for name in [*TITLES, *sorted(set(results) - set(TITLES))]:
        title = TITLES.get(name, name)
        out += [f"## {title}", ""]
        if not results.get(name):
            out += [f"Not yet measured: `leadwire bench {name}`.", ""]
        for number, one in enumerate(results.get(name, ())):
            out += [f"`{one.setting}`, {one.date[:10]}", "", *_totals(one), ""]
            plot = plot_name(name, number)
            if plot in plots:
                out += [f"![{title}: records](accuracy/{plot})", ""]
        if name == "qrs" and WORST in plots:
            out += [
                "The worst stretches of the ten records with the most errors (first lead), drawn by",
                "`python -m benchmarks.worst_qrs ../shared/data/mitdb`:",
                "",
                f"![The worst QRS errors](accuracy/{WORST})",
                "",
            ]
    machines = sorted({one.machine for some in results.values() for one in some})
    if machines:
        out += ["## Machines", "", *[f"- {machine}" for machine in machines], ""]
    return "\n".join(out)


def plot_name(benchmark: str, number: int) -> str:
    """File name of the plot of a benchmark's setting."""
    return f"{benchmark}{number + 1 if number else ''}.svg"


def _totals(one: Measured) -> list[str]:
    """A table with one row per measure and one column for us and each peer; few peers' figures are wide."""
    totals = one.totals
    if not totals:
        return ["No total."]
    measures = [k for k in totals[0] if k not in ("who", "record") and any(row.get(k) for row in totals)]
    lines = [
        "| | " + " | ".join(row.get("who") or "?" for row in totals) + " |",
        "|---|" + "---:|" * len(totals),
    ]
    for measure in measures:
        label = measure.replace("_", " ").replace("|", " ")
        lines.append(f"| {label} | " + " | ".join(row.get(measure) or "" for row in totals) + " |")
    parts = {row.get("part") for row in one.records} - {None, ""}
    if parts == {"tuned"}:
        lines += ["", "All of these records are *tuned*."]
    elif parts:
        counts = [f"{sum(row.get('part') == p for row in one.records)} {p}" for p in sorted(map(str, parts))]
        lines += ["", f"Records: {', '.join(counts)}."]
    return lines


def main(argv: Sequence[str] | None = None) -> None:
    """Write the page and its plots."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the CSVs")
    parser.add_argument("--out", type=Path, default=PAGE, help="the page; plots go to a folder beside it")
    args = parser.parse_args(argv)
    results = newest(args.results)
    folder = args.out.with_suffix("")
    drawn = []
    for name, some in results.items():
        for number, one in enumerate(some):
            if draw(name, one.setting, one.totals, one.records, folder / plot_name(name, number)):
                drawn.append(plot_name(name, number))
    if (folder / WORST).exists():
        drawn.append(WORST)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(page(results, drawn), encoding="utf-8")
    print(f"{args.out}: {sum(map(len, results.values()))} results, {len(drawn)} plots")


if __name__ == "__main__":
    main()
