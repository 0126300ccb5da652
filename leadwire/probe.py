"""`leadwire watch`: asks the bus how each process is, prints it, and fails if something is wrong.

For a probe on another machine (cron, a monitoring system): what watches inside Leadwire dies with it.
"""

import argparse
import sys
from collections.abc import Iterable, Mapping

from leadwire import codec, settings
from leadwire.bus import open_bus
from leadwire.bus.compacted import read_compacted
from leadwire.case import WatchReport
from leadwire.clock import SystemClock
from leadwire.errors import RetryError
from leadwire.topics import WATCH

SILENT_S = 30.0
LAG_S = 15


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bus", dest="bus", metavar="BUS", help="the message bus")
    parser.add_argument(
        "--role",
        action="append",
        default=[],
        metavar="ROLE",
        help="a role that must be there; repeat for more",
    )
    parser.add_argument("--silent", type=float, default=SILENT_S, metavar="S", help="seconds without a word")
    parser.add_argument("--lag", type=int, default=LAG_S, metavar="S", help="age of what waits, in s")


def run(args: argparse.Namespace) -> int:
    """Status 0: all is well; 1: something is not, standard error says what."""
    options = {"bus": args.bus} if args.bus else {}
    bus = open_bus(settings.load(options=options)[0].bus)
    try:
        kept = read_compacted(bus, WATCH)
    except RetryError as why:
        print(f"leadwire watch: {why}", file=sys.stderr)
        return 1
    finally:
        bus.close()
    reports = {process: codec.decode_as(value, WatchReport) for process, value in kept.items()}
    now = SystemClock().now()
    for line in table(reports, now):
        print(line)
    wrong = troubles(reports, now, args.role, args.silent, args.lag)
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


def table(reports: Mapping[str, WatchReport], now: float) -> list[str]:
    """One line a process."""
    return [
        f"{process}: heard {now - r.at:.0f} s ago; roles {' '.join(r.roles)}; {len(r.watchers)} pages open; "
        f"lag {' '.join(f'{stage} {age} s' for stage, age in r.lag.items()) or 'none'}"
        for process, r in sorted(reports.items())
    ]


def troubles(
    reports: Mapping[str, WatchReport],
    now: float,
    needed: Iterable[str] = (),
    silent_s: float = SILENT_S,
    lag_s: int = LAG_S,
) -> list[str]:
    """What is not as it should be, one line each.

    Parameters
    ----------
    needed
        Roles that must report; those that once did and never said goodbye must, too.
    """
    fresh = [r for r in reports.values() if now - r.at <= silent_s]
    heard = {role for r in fresh for role in r.roles}
    missed = {role for r in reports.values() for role in r.roles} | set(needed)
    wrong = [f"role {role}: nothing heard for {silent_s:g} s" for role in sorted(missed - heard)]
    wrong += [
        f"stage {stage}: what waits is {age} s old"
        for r in fresh
        for stage, age in r.lag.items()
        if age > lag_s
    ]
    return wrong or ([] if reports else ["no process reports on this bus"])
