"""`leadwire audit`: is the register whole, a copy of it that anybody can check, and its statistics.

An export is itself a line of the register, written before the copy is made: without the bus there is none.
"""

import argparse
import csv
import getpass
import json
import math
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, TextIO
from uuid import uuid4
from zoneinfo import ZoneInfo

import msgspec

from leadwire import codec, settings
from leadwire.bus import open_bus
from leadwire.case import Line, RegisterEntry
from leadwire.errors import RejectError, SettingError
from leadwire.local_time import DAY_S, moment, shown, utc, zone_of
from leadwire.statistics import BY, By, Group, statistics
from leadwire.story import Case
from leadwire.topics import REGISTER, TOPICS
from storage import Reader, open_reader
from storage.chain import Fault
from storage.register_file import check_file, parse_anchor, read_anchors, write_links

MOST_FAULTS = 50
"""So many faults are printed; one more says that there are more."""


class AuditRefused(RejectError):
    """What was asked for cannot be done as it was asked."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-commands and their options."""
    parser.add_argument("--archive", help="the archive's database, where it is not the setting's")
    parser.add_argument("--bus", help="the message bus, where it is not the setting's")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, help: str) -> argparse.ArgumentParser:
        return actions.add_parser(name, help=help, description=help)

    verify = action("verify", "find a changed, missing or reordered line")
    verify.add_argument("file", type=Path, nargs="?", help="an export; without it, the archive itself")
    _span_options(verify)
    verify.add_argument(
        "--head", action="append", default=[], metavar="SEQ:HASH", help="as `audit head` printed it"
    )
    verify.add_argument("--anchors", type=Path, metavar="FILE", help="heads kept by `audit head --keep FILE`")
    head = action("head", "print number and hash of the last line, to be kept elsewhere")
    head.add_argument("--keep", type=Path, metavar="FILE", help="append it to FILE, with the time")
    export = action("export", "copy the register to a file, one line a line, with its hashes")
    export.add_argument("file", type=Path)
    _span_options(export)
    figures = action("statistics", "PPV, alarms a patient-day, times and targets")
    _span_options(figures)
    figures.add_argument("--by", choices=BY, default="clinic")
    form = figures.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true")
    form.add_argument("--json", action="store_true")


def _span_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="start", metavar="TIME", help="2026-11-23 or '2026-11-23 08:00'")
    parser.add_argument("--to", dest="end", metavar="TIME", help="up to there, without it")


def run(args: argparse.Namespace) -> int:
    """Do one action; 0: done and whole, 1: there are faults.

    Raises
    ------
    SettingError, RejectError, RetryError
        What was asked for is wrong, or the archive or the bus is away.
    """
    given = {name: value for name in ("archive", "bus") if (value := getattr(args, name))}
    values = settings.load(options=given)[0]
    try:
        zone = zone_of(values.time_zone)
    except ValueError as why:
        raise SettingError(f"time_zone: {why}") from None
    try:
        span = _span(args, zone)
        with closing(open_reader(values.archive)) as reader:
            if args.action == "verify":
                return _verify(args, reader, span)
            if args.action == "head":
                return _head(args, reader)
            if args.action == "export":
                return _export(args, reader, span, values.bus)
            return _statistics(args, reader, span, zone)
    except (ValueError, OSError) as why:
        raise AuditRefused(str(why)) from None


def _span(args: argparse.Namespace, zone: ZoneInfo) -> tuple[float | None, float | None]:
    start, end = getattr(args, "start", None), getattr(args, "end", None)
    return moment(start, zone) if start else None, moment(end, zone) if end else None


# -------------------------------------------------------------------- verify


def _verify(args: argparse.Namespace, reader: Reader, span: tuple[float | None, float | None]) -> int:
    anchors = [parse_anchor(text) for text in args.head]
    if args.anchors is not None:
        anchors += read_anchors(args.anchors)
    if args.file is not None:
        if span != (None, None):
            raise ValueError("a file and a time came; one of them was expected")
        checked = check_file(args.file, anchors)
        return _report(checked.faults, lambda: f"lines {checked.first} to {checked.last}", checked.head)
    first, last = (1, None) if span == (None, None) else reader.register.span(*span)
    end = reader.register.head()
    upto = end.seq if last is None else last
    if last is not None:
        anchors = [anchor for anchor in anchors if anchor.seq >= first]
    return _report(
        reader.register.faults(first, last, anchors), lambda: f"lines {first} to {upto}", lambda: end
    )


def _report(faults: Iterable[Fault], lines: Any, head: Any) -> int:
    number = 0
    for number, fault in enumerate(faults, 1):
        if number > MOST_FAULTS:
            print("and more", file=sys.stderr)
            break
        print(f"{fault.kind}: {fault.what}", file=sys.stderr)
    if number:
        return 1
    anchor = head()
    print(f"{lines()} are whole; the last is {anchor.seq}:{anchor.hash}")
    return 0


def _head(args: argparse.Namespace, reader: Reader) -> int:
    head = reader.register.head()
    print(f"{head.seq}:{head.hash}")
    if args.keep is not None:
        with args.keep.open("a", encoding="utf-8") as out:
            out.write(f"{utc(time.time())} {head.seq}:{head.hash}\n")
    return 0


# -------------------------------------------------------------------- export


def _export(
    args: argparse.Namespace, reader: Reader, span: tuple[float | None, float | None], bus: str
) -> int:
    first, last = reader.register.span(*span)
    _note_export(bus, args.file.name, first, last)
    with args.file.open("w", encoding="utf-8") as out:
        count = write_links(out, reader.register.links(first - 1, last))
    print(f"{count} lines; `leadwire audit verify {args.file}` checks them")
    return 0


def _note_export(address: str, file: str, first: int, last: int) -> None:
    """Write into the register who takes which lines."""
    cause = f"export/{uuid4().hex}"
    who = ""
    with suppress(OSError, KeyError):  # an account without a name
        who = getpass.getuser()
    data = {"subject": "register", "first": first, "last": last, "file": file[:200], "account": who}
    entry = RegisterEntry(
        id=f"{cause}@",
        alert="",
        cause=cause,
        at=time.time(),
        lines=(Line(line="access", state="export", data=data),),
    )
    bus = open_bus(address)
    try:
        bus.create_topics(TOPICS.values())
        producer = bus.producer()
        with closing(producer):
            producer.publish(REGISTER, cause, codec.encode(entry))
            producer.flush()
    finally:
        bus.close()


# -------------------------------------------------------------------- statistics


def _statistics(
    args: argparse.Namespace, reader: Reader, span: tuple[float | None, float | None], zone: ZoneInfo
) -> int:
    groups = figures(reader, args.by, zone, time.time(), *span)
    rows = [group.as_dict() for group in groups]
    if args.json:
        print(json.dumps({"by": args.by, "from": span[0], "to": span[1], "groups": rows}, ensure_ascii=False))
    elif args.csv:
        _write_csv(sys.stdout, args.by, rows)
    else:
        _print_groups(groups, args.by, span, zone)
    return 0


def figures(
    reader: Reader, by: By, zone: ZoneInfo, now: float, since: float | None, until: float | None
) -> list[Group]:
    """The statistics of what the archive has of `since` <= t < `until` (None: no limit); see `statistics`."""
    start = -math.inf if since is None else since
    end = math.inf if until is None else until
    return statistics(
        _entries(reader),
        by,
        zone,
        now,
        start,
        end,
        onset_at=lambda case: _onset(reader, case),
        patient_days=patient_days(reader, start, min(end, now)),
    )


def patient_days(reader: Reader, since: float, until: float) -> dict[str, float]:
    """Days of streams between `since` and `until` (s since 1970) by clinic, gaps included."""
    found: dict[str, float] = {}
    for stream in reader.streams():
        start = max(stream.started, since)
        end = min(stream.started + stream.end_sample / stream.fs, until)
        if stream.info is not None and end > start:
            clinic = stream.info.clinic
            found[clinic] = found.get(clinic, 0.0) + (end - start) / DAY_S
    return found


def _onset(reader: Reader, case: Case) -> float | None:
    """When the first alert began, by the gateway's clock, which the desk's is compared with."""
    first = next(iter(case.members), case.alert.id)
    return reader.time_of(case.stream, case.onset, received=True) if first == case.alert.id else None


def _entries(reader: Reader) -> Iterator[RegisterEntry]:
    for line in reader.register.links():
        yield msgspec.json.decode(line.data, type=RegisterEntry)


def _write_csv(out: TextIO, by: str, rows: list[dict[str, Any]]) -> None:
    writer = csv.DictWriter(out, ["by", *rows[0]], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({"by": by} | {k: "" if v is None else v for k, v in row.items()})


def _print_groups(
    groups: list[Group], by: str, span: tuple[float | None, float | None], zone: ZoneInfo
) -> None:
    start, end = (shown(t, zone) if t is not None else "" for t in span)
    print(f"by {by}, {start or 'the beginning'} to {end or 'now'}")
    for group in groups:
        row = group.as_dict()
        ppv = "-" if row["ppv"] is None else f"{row['ppv']:.0%}"
        rate = "-" if row["alerts_per_patient_day"] is None else f"{row['alerts_per_patient_day']:g}"
        print(
            f"\n{group.name}: {row['cases']} cases, {row['alerts']} alerts ({rate} a patient-day), "
            f"PPV {ppv} ({row['unlabelled']} without a label)"
        )
        for name in group.samples:
            print(f"  {name:<24} {_interval(row, name)}")


def _interval(row: dict[str, Any], name: str) -> str:
    n, missed, share = (row[f"{name}_{key}"] for key in ("n", "missed", "in_target"))
    middle, p90 = row[f"{name}_median_s"], row[f"{name}_p90_s"]
    times = "" if middle is None else f", median {middle:g} s, p90 {p90:g} s"
    target = "" if share is None else f", {share:.0%} in target"
    return f"{n}{times}{target}{f', {missed} missed' if missed else ''}"
