"""The page of accuracy is made from the newest results, and does without those that are missing."""

from datetime import UTC, datetime
from pathlib import Path

from benchmarks import accuracy_page
from benchmarks.accuracy_bars import TITLES
from benchmarks.frame import Result, document, flat, save_csv


def keep(folder: Path, name: str, day: int, command: str, result: Result) -> None:
    save_csv(folder, document(name, command, result), datetime(2026, 1, day, tzinfo=UTC))


def made(tmp_path: Path) -> str:
    page = tmp_path / "docs" / "accuracy.md"
    accuracy_page.main(["--results", str(tmp_path / "results"), "--out", str(page)])
    return page.read_text(encoding="utf-8")


def test_the_newest_result_of_each_setting_counts(tmp_path: Path) -> None:
    for day, der in ((1, 0.7), (2, 0.3)):
        rows = [
            {"record": "100", "part": "tuned", "DER": der},
            {"record": "101", "part": "held-out", "DER": 1.0},
        ]
        result = Result({"DER": der}, rows, {"gqrs": {"DER": 0.5}})
        keep(tmp_path / "results", "qrs", day, f"leadwire bench qrs --data d --save x{day}", result)
    keep(tmp_path / "results", "qrs", 3, "leadwire bench qrs --data d --leads all", Result({"DER": 0.1}))
    text = made(tmp_path)
    assert "| DER | 0.3 | 0.5 |" in text
    assert "| DER | 0.1 |" in text
    assert "0.7" not in text
    assert "2026-01-02" in text
    assert "1 held-out, 1 tuned" in text
    assert (tmp_path / "docs" / "accuracy" / "qrs.svg").stat().st_size < 60_000


def test_what_nobody_measured_is_said(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "2026-01-01T000000-noise.csv").write_text("broken\n", encoding="utf-8")
    text = made(tmp_path)
    for name in TITLES:
        assert f"Not yet measured: `leadwire bench {name}`" in text


def test_a_bar_is_met_when_records_that_chose_nothing_meet_it(tmp_path: Path) -> None:
    for day, database, figures in (
        (1, "vfdb", {"Se": 98.0, "Se_held-out": 96.0, "false_per_24h": 0.5}),
        (2, "cudb", {"Se": 96.0}),
    ):
        keep(tmp_path / "results", "vf", day, f"leadwire bench vf --data x/{database}", Result(figures))
    text = made(tmp_path)
    assert "| VF/VFL, vfdb, Se % | >= 97 | 98 | 96 | met on all only |" in text
    assert "| false in 24 h, vfdb | <= 1 | 0.5 |  | met |" in text
    assert "| VF/VFL, cudb, Se % | >= 97 | 96 |  | missed |" in text
    assert "| CinC 2015, score | >= 82 | | | not measured |" in text


def test_figures_inside_figures_are_kept(tmp_path: Path) -> None:
    total = {"VEB": {"Se": 97.0, "+P": 96.0}, "delay": None}
    assert flat(total) == {"VEB Se": 97.0, "VEB +P": 96.0, "delay": None}
    keep(tmp_path / "results", "beats", 1, "leadwire bench beats", Result(total))
    assert "| VEB Se | 97 |" in made(tmp_path)


def test_the_same_results_make_the_same_bytes(tmp_path: Path) -> None:
    keep(tmp_path / "results", "noise", 1, "b", Result({"DER_12dB": 1.0, "DER_6dB": 8.0, "DER_0dB": 25.0}))
    first, plot = made(tmp_path), tmp_path / "docs" / "accuracy" / "noise.svg"
    drawn = plot.read_bytes()
    assert made(tmp_path) == first
    assert plot.read_bytes() == drawn
