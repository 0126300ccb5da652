"""Plots of docs/accuracy.md: one small SVG per result, ours beside the peers' or record by record."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Row = Mapping[str, str]

COLOURS = {"tuned": "#9db8d2", "held-out": "#1f5f99", "new": "#2a7f3f", "": "#1f5f99"}
BY_WHO = ("DER", "score", "F1", "accuracy", "x_realtime", "bit_per_sample")
"""Measures that ours and the peers' totals are compared in; the first that two of them have is drawn."""
BY_RECORD = ("DER", "DER_first", "F1", "Se", "false_beats", "bit_per_sample", "x_realtime")
"""Measures drawn record by record where there are no peers."""
LEVELS = ("DER_24dB", "DER_18dB", "DER_12dB", "DER_6dB", "DER_0dB", "DER_-6dB")
SHARES = (("accuracy", "accuracy_cv"), ("Se", "Se_cv"), ("Sp", "Sp_cv"))


def draw(benchmark: str, title: str, totals: Sequence[Row], records: Sequence[Row], path: Path) -> bool:
    """Draw what suits the result into `path`; False, and nothing written, where nothing does."""
    try:
        import matplotlib
    except ModuleNotFoundError:
        return path.exists()  # an older plot stays in the page
    matplotlib.use("Agg")
    # The same figures make the same bytes: no random ids, no date.
    matplotlib.rcParams.update({"svg.hashsalt": "leadwire", "svg.fonttype": "none", "font.size": 8})
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6.4, 2.6))
    done = (
        _levels(axes, totals)
        or _shares(axes, totals)
        or _by_who(axes, totals)
        or _by_record(axes, records)
        or _total(axes, totals)
    )
    if done:
        axes.set_title(title, fontsize=7)
        axes.spines[["top", "right"]].set_visible(False)
        figure.tight_layout()
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
    return done


def number(text: str | None) -> float | None:
    """The number in a cell of a CSV; None if it has none."""
    try:
        return float(text) if text else None
    except ValueError:
        return None


def _levels(axes: Any, totals: Sequence[Row]) -> bool:
    """DER against the noise, a line for us and each peer."""
    drawn = False
    for row in totals:
        found = [(name[4:-2], number(row.get(name))) for name in LEVELS]
        points = [(int(db), value) for db, value in found if value is not None]
        if len(points) >= 3:
            axes.plot(
                [db for db, _ in points],
                [value for _, value in points],
                marker="o",
                markersize=3,
                label=row.get("who"),
            )
            drawn = True
    if drawn:
        axes.set(xlabel="signal to noise, dB", ylabel="DER, %")
        axes.invert_xaxis()
        axes.legend(frameon=False)
    return drawn


def _shares(axes: Any, totals: Sequence[Row]) -> bool:
    """Accuracy, Se and Sp, as fitted and cross-validated."""
    if not totals or number(totals[0].get("accuracy_cv")) is None:
        return False
    for shift, which, colour, label in (
        (-0.2, 0, COLOURS["tuned"], "all records"),
        (0.2, 1, COLOURS["held-out"], "cross-validated"),
    ):
        values = [number(totals[0].get(pair[which])) or 0.0 for pair in SHARES]
        bars = axes.barh([i + shift for i in range(len(SHARES))], values, 0.36, color=colour, label=label)
        axes.bar_label(bars, fmt="%.1f", padding=2)
    axes.set(yticks=range(len(SHARES)), yticklabels=[pair[0] for pair in SHARES], xlim=(50, 105), xlabel="%")
    axes.invert_yaxis()
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return True


def _by_who(axes: Any, totals: Sequence[Row]) -> bool:
    """One bar for us and each peer."""
    for name in BY_WHO:
        found = [(row.get("who") or "?", number(row.get(name))) for row in totals]
        bars = [(who, value) for who, value in found if value is not None]
        if len(bars) >= 2:
            _bars(axes, bars, name, ["#1f5f99" if who == "leadwire" else "#bbbbbb" for who, _ in bars])
            return True
    return False


def _by_record(axes: Any, records: Sequence[Row]) -> bool:
    """One upright bar per record, the worst first."""
    for name in BY_RECORD:
        rows = [(row, value) for row in records if (value := number(row.get(name))) is not None]
        if not 2 <= len(rows) <= 60:
            continue
        rows.sort(key=lambda pair: pair[1], reverse=name.startswith(("DER", "false")))
        colours = [COLOURS.get(row.get("part") or "", "#1f5f99") for row, _ in rows]
        axes.bar(range(len(rows)), [value for _, value in rows], color=colours)
        axes.set_xticks(range(len(rows)), [row.get("record", "") for row, _ in rows], rotation=90, fontsize=6)
        axes.set_ylabel(name)
        for part in sorted({row.get("part") or "" for row, _ in rows} - {""}):
            axes.bar(0, 0, color=COLOURS.get(part, "#1f5f99"), label=part)
            axes.legend(frameon=False)
        return True
    return False


def _total(axes: Any, totals: Sequence[Row]) -> bool:
    """Percentages of our own total."""
    if not totals:
        return False
    words = ("Se", "+P", "Sp", "TPR", "TNR", "F1", "score", "accuracy")
    found = [
        (k, v)
        for k in totals[0]
        if any(w in k for w in words) and (v := number(totals[0].get(k))) is not None
    ]
    if found:
        _bars(axes, found, "", ["#1f5f99"] * len(found))
    return bool(found)


def _bars(axes: Any, bars: Sequence[tuple[str, float]], label: str, colours: Sequence[str]) -> None:
    drawn = axes.barh([who for who, _ in bars], [value for _, value in bars], color=colours)
    axes.bar_label(drawn, fmt=lambda v: f"{v:,.0f}" if v >= 1000 else f"{v:.4g}", padding=2)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_xlabel(label)
