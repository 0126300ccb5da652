"""The `leadwire` command: one table of commands, each importing what it needs only when it runs."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from io import TextIOBase
from typing import TextIO, cast

from leadwire import __version__, settings
from leadwire.errors import LeadwireError, SettingError

NOTICE = "Leadwire is not a certified medical device."


@dataclass(frozen=True)
class Command:
    """One command: its help, its own arguments, and what it does with them."""

    help: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def _setting_options(*names: str) -> Callable[[argparse.ArgumentParser], None]:
    """Options that override the settings `names` (all of them by default)."""

    def add(parser: argparse.ArgumentParser) -> None:
        for row in settings.table():
            if not names or row.name in names:
                parser.add_argument(
                    settings.option_name(row.name), dest=f"setting:{row.name}", metavar="VALUE", help=row.help
                )

    return add


def _load(args: argparse.Namespace) -> settings.Settings:
    return settings.load(options=_overrides(args))[0]


def _overrides(args: argparse.Namespace) -> dict[str, str]:
    return {
        name.removeprefix("setting:"): value
        for name, value in vars(args).items()
        if name.startswith("setting:") and value is not None
    }


def _role(name: str) -> Callable[[argparse.Namespace], int]:
    def run(args: argparse.Namespace) -> int:
        from leadwire.roles import run_roles

        return run_roles(_load(args), (name,))

    return run


def _up(args: argparse.Namespace) -> int:
    from leadwire.roles import ROLES, run_roles

    return run_roles(_load(args), ROLES)


def _demo_arguments(parser: argparse.ArgumentParser) -> None:
    _setting_options()(parser)
    from simulators.ward import add_arguments

    add_arguments(parser)


def _demo(args: argparse.Namespace) -> int:
    from leadwire.roles import ROLES, run_roles
    from simulators.people import TECHNICIAN
    from simulators.ward import ward

    overrides = _overrides(args)
    loaded, rows = settings.load(options=overrides)
    if any(row.name == "open_as" and row.source == "default" for row in rows):
        loaded = settings.load(options=overrides | {"open_as": TECHNICIAN})[0]
    return run_roles(loaded, ROLES, alongside=ward(args, loaded.bus))


def _module(help: str, name: str) -> Command:
    """A command that a module of its own brings: ``add_arguments(parser)`` and ``run(args)``."""
    return Command(
        help,
        lambda parser: import_module(name).add_arguments(parser),
        lambda args: int(import_module(name).run(args)),
    )


def _settings(args: argparse.Namespace) -> int:
    """Print what a leadwire.toml with today's values would say."""
    section = ""
    for row in settings.load(options=_overrides(args))[1]:
        *path, name = row.name.split(".")
        if path and section != path[0]:
            section = path[0]
            print(f"\n[{section}]")
        value = settings.without_password(row.value) if isinstance(row.value, str) else row.value
        text = json.dumps(value, ensure_ascii=False)
        print(f"{f'{name} = {text}':<60} # {row.source}; {row.help} ({row.allowed})")
    return 0


def _alerts_arguments(parser: argparse.ArgumentParser) -> None:
    from leadwire import pack_commands

    _setting_options()(parser)
    pack_commands.add_arguments(parser)


def _alerts(args: argparse.Namespace) -> int:
    from leadwire import pack_commands

    return pack_commands.run(args, _load(args)) if args.what else _role("alerts")(args)


COMMANDS: dict[str, Command] = {
    "up": Command("run every role in one process", _setting_options(), _up),
    "demo": Command("up, with patients, and the page's address", _demo_arguments, _demo),
    "replay": _module("play WFDB records as if from devices", "simulators.replay"),
    "ingest": Command("the gateway: devices -> ecg.chunks", _setting_options(), _role("ingest")),
    "dsp": Command("the detectors: ecg.chunks -> ecg.events", _setting_options(), _role("dsp")),
    "alerts": Command("events -> alerts -> people; `packs`, `diff`: its rules", _alerts_arguments, _alerts),
    "archive": Command("everything -> the archive", _setting_options(), _role("archive")),
    "dashboard": Command("the pages and their websockets", _setting_options(), _role("dashboard")),
    "admin": _module("the network: clinics, users, shifts, passwords", "leadwire.admin"),
    "audit": _module("the register: is it whole, a copy of it, its statistics", "storage.audit"),
    "settings": Command(
        "print every setting, its value and where it came from", _setting_options(), _settings
    ),
    "watch": _module("say how each process is; fails if one is silent or late", "leadwire.probe"),
    "data": _module("list and fetch public ECG databases", "simulators.fetch"),
}
BENCH_HELP = "measure accuracy, speed and latency (`leadwire bench --list`)"


def _top_parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="leadwire", description=f"Real-time remote ECG monitoring. {NOTICE}")
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        # Its own arguments come when it is chosen: the others' packages stay unimported.
        commands.add_parser(name, help=command.help, add_help=False)
    commands.add_parser("bench", help=BENCH_HELP, add_help=False)
    return top


class _Stderr(TextIOBase):
    """Standard error as it is when something is written: whoever replaces it (a test) may close its own."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def _log_to_stderr() -> None:
    """Standard output is for addresses and results."""
    import structlog

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _Stderr())))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status: 0 done, 1 failed, 2 wrongly asked."""
    _log_to_stderr()
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        if argv[:1] == ["bench"]:
            from benchmarks.frame import main as bench

            return bench(argv[1:])
        if argv and argv[0] in COMMANDS:
            command = COMMANDS[argv[0]]
            own = argparse.ArgumentParser(prog=f"leadwire {argv[0]}", description=f"{command.help}. {NOTICE}")
            command.arguments(own)
            return command.run(own.parse_args(argv[1:]))
        _top_parser().parse_args(argv or ["--help"])
    except LeadwireError as why:
        print(f"leadwire: {why}", file=sys.stderr)
        return 2 if isinstance(why, SettingError) else 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
