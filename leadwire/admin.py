"""`leadwire admin`: the network from a file and on a terminal, the roster as calendars, passwords.

Nothing here changes the network by itself: each change is a wish on `ecg.commands`, which the desk of the
running alerts role accepts or refuses and writes into the register.
"""

import argparse
import getpass
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import get_args
from zoneinfo import ZoneInfo

from msgspec import structs

from leadwire import settings
from leadwire.bus import Bus, open_bus
from leadwire.case import NetworkItem
from leadwire.clock import SystemClock
from leadwire.errors import RejectError, SettingError
from leadwire.ical import read_roster, write_roster
from leadwire.local_time import DAY_S, moment, shown, zone_of
from leadwire.network import KIND_OF, Duty, Item, Network, User, to_item
from leadwire.network_file import read_network
from leadwire.network_items import shape_of, to_body
from leadwire.network_wishes import wish_key, wishes
from leadwire.passwords import hash_password
from leadwire.roster import Directory
from leadwire.topics import TOPICS
from leadwire.wishing import Answer, Facts, network_of, publish_wishes, read_facts

DUTIES: tuple[Duty, ...] = get_args(Duty)
WATCHED: tuple[Duty, ...] = ("technician", "cardiologist", "second", "chief")
"""Duties that somebody must be on at any time."""


class NetworkRefused(RejectError):
    """The network as it was asked for cannot be."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-commands and their options."""
    parser.add_argument("--bus", help="the message bus, where it is not the setting's")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, help: str, publishes: bool = False) -> argparse.ArgumentParser:
        found = actions.add_parser(name, help=help, description=help)
        if publishes:
            found.add_argument("--no-wait", action="store_true", help="do not wait for the desk's answer")
            found.add_argument("--wait", type=float, default=30.0, metavar="S", help="wait so long (30 s)")
        return found

    load = action("load", "make the network as a file says; what is so already stays", publishes=True)
    load.add_argument("file", type=Path, help="YAML, such as deploy/network.example.yml")
    load.add_argument("--weeks", type=int, default=4, choices=range(1, 54), metavar="N", help="of shifts (4)")
    load.add_argument("--check", action="store_true", help="only say what would change")
    show = action("show", "print the network")
    show.add_argument("--json", action="store_true", help="everything, one item a line; no passwords")
    remove = action("remove", "take one thing out of the network", publishes=True)
    remove.add_argument("kind")
    remove.add_argument("id")
    password = action("password", "set a user's password: asks, or reads one line", publishes=True)
    password.add_argument("user")
    coverage = action("coverage", "print the hours in which nobody is on a duty")
    _span_options(coverage, "7 days")
    roster = actions.add_parser("roster", help="the roster as iCalendar files").add_subparsers(
        dest="direction", metavar="export|import", required=True
    )
    out = roster.add_parser("export", help="write one duty's calendar")
    out.add_argument("file", type=Path)
    out.add_argument("--duty", choices=DUTIES, required=True)
    _span_options(out, "all")
    back = roster.add_parser("import", help="read shifts from a calendar")
    back.add_argument("file", type=Path)
    back.add_argument("--duty", choices=DUTIES, help="of events that do not say theirs")
    back.add_argument("--no-wait", action="store_true", help="do not wait for the desk's answer")
    back.add_argument("--wait", type=float, default=30.0, metavar="S", help="wait so long (30 s)")
    _span_options(back, "from today, 60 days")


def _span_options(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--from", dest="start", metavar="TIME", help=f"2026-11-23 or '2026-11-23 08:00' ({default})"
    )
    parser.add_argument("--to", dest="end", metavar="TIME")


def run(args: argparse.Namespace) -> int:
    """Do one action; 0: done, 1: something is missing or was refused.

    Raises
    ------
    SettingError, RejectError
        What was asked for, or a file, is wrong.
    """
    values = settings.load(options={"bus": args.bus} if args.bus else None)[0]
    try:
        zone = zone_of(values.time_zone)
    except ValueError as why:
        raise SettingError(f"time_zone: {why}") from None
    bus = open_bus(values.bus)
    try:
        bus.create_topics(TOPICS.values())
        facts = read_facts(bus)
        action = {"load": _load, "remove": _remove, "password": _password, "roster": _roster}.get(args.action)
        if action is not None:
            return action(args, bus, facts, zone)
        return {"show": _show, "coverage": _coverage}[args.action](args, network_of(facts), zone)
    except (ValueError, OSError) as why:
        raise NetworkRefused(str(why)) from None
    finally:
        bus.close()


def _load(args: argparse.Namespace, bus: Bus, facts: Facts, zone: ZoneInfo) -> int:
    now = time.time()
    try:
        text = args.file.read_text(encoding="utf-8")
        items = wishes(read_network(text, zone, now, args.weeks), facts, now)
    except (ValueError, OSError) as why:
        raise NetworkRefused(f"{args.file}: {why}") from None
    if not items:
        print("nothing to change")
        return 0
    print(_summary(items))
    return 0 if args.check else _wish(args, bus, items)


def _remove(args: argparse.Namespace, bus: Bus, facts: Facts, zone: ZoneInfo) -> int:
    shape_of(args.kind)
    fact = facts.get((args.kind, args.id))
    if fact is None:
        raise ValueError(f"{args.kind} {args.id} came; one of the network was expected")
    return _wish(args, bus, [_removal(fact, network_of(facts))])


def _removal(fact: NetworkItem, there: Network) -> NetworkItem:
    now = time.time()
    key = wish_key(there.of(fact.kind)[fact.id], fact)
    item = NetworkItem(key=f"{key}:gone", kind=fact.kind, id=fact.id, body=None, at=now)
    there.check(item)
    return item


def _password(args: argparse.Namespace, bus: Bus, facts: Facts, zone: ZoneInfo) -> int:
    user = network_of(facts).users.get(args.user)
    if user is None:
        raise ValueError(f"user {args.user} came; one of the network was expected")
    item = structs.replace(user, password=hash_password(_ask_password(args.user)))
    return _wish(args, bus, [_made(item, facts)])


def _ask_password(user: str) -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass(f"New password of {user}: ")
    if getpass.getpass("Again: ") != first:
        raise ValueError("two different passwords came; the same twice was expected")
    return first


def _roster(args: argparse.Namespace, bus: Bus, facts: Facts, zone: ZoneInfo) -> int:
    there = network_of(facts)
    if args.direction == "export":
        start, end = _span(args, zone, 0.0, 400_000 * DAY_S)
        args.file.write_bytes(write_roster(there, args.duty, zone, start, end))
        return 0
    today = moment(shown(time.time(), zone)[:10], zone)
    start, end = _span(args, zone, today, None, days=60)
    try:
        found = read_roster(args.file.read_bytes(), there, zone, start, end, args.duty)
    except ValueError as why:
        raise NetworkRefused(f"{args.file}: {why}") from None
    items = [_made(item, facts) for item in found.items if there.of(KIND_OF[type(item)]).get(item.id) != item]
    items += [_removal(facts["shift", id], there) for id in found.cancelled]
    if not items:
        print("nothing to change")
        return 0
    print(_summary(items))
    return _wish(args, bus, items)


def _coverage(args: argparse.Namespace, there: Network, zone: ZoneInfo) -> int:
    start, end = _span(args, zone, time.time(), None, days=7)
    directory = Directory(there)
    gaps = {duty: directory.uncovered(duty, start, end) for duty in DUTIES}
    for duty, found in gaps.items():
        for a, b in found:
            print(f"{duty:<14} nobody from {shown(a, zone)} to {shown(b, zone)}")
        if not found:
            print(f"{duty:<14} covered")
    return 1 if any(gaps[duty] for duty in WATCHED) else 0


def _show(args: argparse.Namespace, there: Network, zone: ZoneInfo) -> int:
    if args.json:
        for kind, item in there:
            body = to_body(structs.replace(item, password="") if isinstance(item, User) else item)
            print(json.dumps({"kind": kind} | body, ensure_ascii=False))
        return 0
    for line in _overview(there, zone, time.time()):
        print(line)
    return 0


def _overview(there: Network, zone: ZoneInfo, now: float) -> Iterable[str]:
    """The network on a screen: clinics with their people, the hub's people, who is on duty."""
    if there.hub is not None:
        yield f"{there.hub.name}, {there.hub.phone}"
    for clinic in sorted(there.clinics.values(), key=lambda c: c.id):
        above = f", under {clinic.parent}" if clinic.parent else ""
        yield f"\n{clinic.id}: {clinic.name} ({clinic.tier}{above})"
        for number, contact in enumerate(clinic.contacts, 1):
            yield f"  {number}. {contact.name}, {contact.phone}"
    yield ""
    for user in sorted(there.users.values(), key=lambda u: u.id):
        marks = [*user.roles, *(f"@{clinic}" for clinic in user.clinics)]
        marks += [] if user.active else ["not active"]
        marks += [] if user.password else ["no password"]
        yield f"{user.id}: {user.name} ({', '.join(marks)})"
    yield f"\non duty, {shown(now, zone)}:"
    directory = Directory(there)
    for duty in DUTIES:
        yield f"  {duty:<14} {', '.join(directory.on_duty(duty, now)) or 'nobody'}"


def _made(item: Item, facts: Facts) -> NetworkItem:
    fact = facts.get((KIND_OF[type(item)], item.id))
    return to_item(item, key=wish_key(item, fact), at=time.time())


def _wish(args: argparse.Namespace, bus: Bus, items: list[NetworkItem]) -> int:
    """Publish `items`; print what the desk refuses."""
    refused = []

    def answered(answer: Answer) -> None:
        if answer.refused:
            refused.append(answer)
            print(f"refused: {answer.item.kind} {answer.item.id}: {answer.refused}", file=sys.stderr)

    wait_s = 0.0 if args.no_wait else args.wait
    left = publish_wishes(bus, items, SystemClock(), wait_s, answered)
    if wait_s and left:
        print(
            f"{len(left)} of {len(items)} not answered within {wait_s:g} s; they wait on the bus until "
            "`leadwire alerts` runs",
            file=sys.stderr,
        )
    elif wait_s:
        print(f"{len(items) - len(refused)} accepted, {len(refused)} refused")
    return 1 if refused or (wait_s and left) else 0


def _summary(items: Iterable[NetworkItem]) -> str:
    counts: dict[str, int] = {}
    for item in items:
        name = f"{item.kind} removed" if item.body is None else item.kind
        counts[name] = counts.get(name, 0) + 1
    return "to change: " + ", ".join(f"{count} {name}" for name, count in counts.items())


def _span(
    args: argparse.Namespace, zone: ZoneInfo, start: float, end: float | None, days: float = 0.0
) -> tuple[float, float]:
    start = moment(args.start, zone) if args.start else start
    end = start + days * DAY_S if end is None else end
    end = moment(args.end, zone) if args.end else end
    if not start < end:
        raise ValueError(f"--to {args.end} came, not after {shown(start, zone)}; a later time was expected")
    return start, end
