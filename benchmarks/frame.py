"""The frame of all benchmarks: finds them, reads their options, prints and keeps what they measured.

A benchmark is a module of this folder with a docstring (its first line is the help), an
``add_arguments(parser)`` and a ``run(args) -> Result``. Modules without ``run`` are helpers.
Metric names are the same everywhere: `Se`, `+P`, `DER`, `F1` in percent, `TP FP FN` counts,
`x_realtime`, `p50_ms`, `p99_ms`, `bit_per_sample`.
"""

import argparse
import ast
import csv
import importlib
import json
import os
import platform
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import track as rich_track
from rich.table import Table

from leadwire.errors import LeadwireError, SettingError

T = TypeVar("T")

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results"


@dataclass(frozen=True)
class Result:
    """What a benchmark measured.

    `total` maps metric names to values; `records` has one such mapping per record, each with the
    key "record"; `peers` maps a peer's name to its own total.
    """

    total: Mapping[str, Any]
    records: Sequence[Mapping[str, Any]] = ()
    peers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def names() -> dict[str, str]:
    """Return the benchmarks there are and their one line of help, without importing any of them."""
    found = {}
    for path in sorted(FOLDER.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "run" for node in tree.body):
            found[path.stem] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def record_names(args: argparse.Namespace) -> list[str]:
    """Return the names of the WFDB records in ``args.data`` that ``args.records`` asks for (default: all).

    Raises
    ------
    SettingError
        There is no ``--data``, or a record that was asked for is not there.
    """
    if args.data is None:
        raise SettingError("no --data came; a folder of WFDB records was expected")
    here = sorted(path.stem for path in Path(args.data).glob("*.hea"))
    if not here:
        raise SettingError(f"--data {args.data}: WFDB headers (*.hea) were expected, none is there")
    if args.records is None:
        return here
    wanted = [name for name in args.records.split(",") if name]
    for name in wanted:
        if name not in here:
            raise SettingError(f"--records {name}: not in {args.data}, which has {', '.join(here)}")
    return wanted


def track(items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
    """Yield the items; a progress bar moves meanwhile when stderr is a terminal."""
    console = Console(stderr=True)
    if console.is_terminal:
        yield from rich_track(items, description=label, total=total, console=console, transient=True)
    else:
        yield from items


def machine() -> str:
    """Describe this machine in one line: processor, cores, memory, system, Python. No host name."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
        model = next((x.partition(":")[2].strip() for x in lines if x.startswith("model name")), model)
    memory = ""
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = f", {os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB"
    return (
        f"{model}, {os.cpu_count()} cores{memory}, {platform.system()} {platform.release().partition('-')[0]}"
        f", Python {platform.python_version()}"
    )


def document(name: str, command: str, result: Result) -> dict[str, Any]:
    """Return what ``--json`` writes."""
    return {
        "benchmark": name,
        "command": command,
        "machine": machine(),
        "total": dict(result.total),
        "records": [dict(record) for record in result.records],
        "peers": {peer: dict(total) for peer, total in result.peers.items()},
    }


def save_csv(folder: Path, doc: Mapping[str, Any], now: datetime) -> Path:
    """Add the result to ``folder`` as ``<date and time>-<benchmark>.csv``: total, peers, then records."""
    rows: list[dict[str, Any]] = [{"who": "leadwire", "record": "total", **doc["total"]}]
    rows += [{"who": peer, "record": "total", **total} for peer, total in doc["peers"].items()]
    rows += [{"who": "leadwire", **record} for record in doc["records"]]
    rows = [flat(row) for row in rows]
    columns = list(dict.fromkeys(key for row in rows for key in row if not isinstance(row[key], dict | list)))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{now:%Y-%m-%dT%H%M%S}-{doc['benchmark']}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(f"# {doc['command']}\n# {doc['machine']}\n# {now:%Y-%m-%dT%H:%M:%SZ}\n")
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: _text(v) for k, v in row.items()} for row in rows)
    return path


def flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """`row` without mappings inside: ``VEB: {Se: 97}`` becomes ``VEB Se: 97``. JSON keeps them."""
    out: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, Mapping):
            out.update({f"{key} {inner}": v for inner, v in flat(value).items()})
        else:
            out[key] = value
    return out


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}".replace(",", "") if abs(value) >= 1000 else f"{value:.4g}"
    return str(value)


def print_result(doc: Mapping[str, Any], console: Console) -> None:
    """Print records, total and peers as one table."""
    rows = [*doc["records"], {"record": "total", **doc["total"]}]
    rows += [{"record": f"peer {peer}", **total} for peer, total in doc["peers"].items()]
    rows = [flat(row) for row in rows]
    columns = list(dict.fromkeys(key for row in rows for key in row if not isinstance(row[key], dict | list)))
    table = Table(title=doc["command"], caption=doc["machine"])
    for column in columns:
        table.add_column(column, justify="left" if column == "record" else "right")
    for number, row in enumerate(rows):
        table.add_row(
            *(_text(row.get(column)) for column in columns), end_section=number == len(doc["records"]) - 1
        )
    console.print(table)


def _parser(name: str, help_line: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"leadwire bench {name}", description=help_line)
    parser.add_argument("--data", metavar="DIR", help="folder of WFDB records of one database")
    parser.add_argument("--records", metavar="A,B", help="only these records")
    parser.add_argument("--json", metavar="FILE", help="write the result as JSON")
    parser.add_argument("--peers", action="store_true", help="run the peers on the same records too")
    parser.add_argument(
        "--save",
        metavar="DIR",
        nargs="?",
        const=str(RESULTS),
        help="keep a dated CSV (default benchmarks/results)",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``leadwire bench ...`` and return its exit code.

    Parameters
    ----------
    argv
        What stands after ``leadwire bench``; by default the process's own arguments.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    found = names()
    if not argv or argv[0] in ("--list", "-h", "--help"):
        print(
            "usage: leadwire bench NAME [--data DIR] [--records A,B] [--json FILE] [--peers] [--save [DIR]]\n"
        )
        for name, help_line in found.items():
            print(f"  {name:12s} {help_line}")
        return 0
    name = argv[0]
    if name not in found:
        print(f"leadwire bench: {name!r} came; one of {', '.join(found)} was expected", file=sys.stderr)
        return 2
    module = importlib.import_module(f"benchmarks.{name}")
    parser = _parser(name, found[name])
    module.add_arguments(parser)
    args = parser.parse_args(argv[1:])
    try:
        result = module.run(args)
    except LeadwireError as why:
        print(f"leadwire bench {name}: {why}", file=sys.stderr)
        return 2
    doc = document(name, shlex.join(["leadwire", "bench", *argv]), result)
    # A pipe has no width of its own: let the table be as wide as it needs.
    print_result(doc, Console(width=None if sys.stdout.isatty() else 200))
    if args.json:
        Path(args.json).write_text(json.dumps(doc, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if args.save:
        print(f"kept in {save_csv(Path(args.save), doc, datetime.now(UTC))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
