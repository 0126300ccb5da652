"""A network as a person writes it down: YAML to items, every error with its line.

Read here are the text and its shapes. What to wish for so that the network becomes so, and whether it
fits: `network_wishes.py`. Publishing is `admin.py`'s.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from yaml.nodes import Node

from leadwire.local_time import at_clock, day_of, moment, time_of_day
from leadwire.network import KIND_OF, KINDS, Item
from leadwire.network_items import from_body
from leadwire.yaml_nodes import FileProblem, compose, line, line_of, mapping, plain, resolved, sequence

MAX_CHARACTERS = 1 << 20

_SECTIONS = {
    "hub": "hub",
    "clinics": "clinic",
    "users": "user",
    "shifts": "shift",
    "substitutions": "substitution",
    "chains": "chain",
    "criteria": "criteria",
}
_TIMES = ("start", "end", "at")
_WEEKLY = {"duty", "user", "days", "from", "to"}
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True)
class Entry:
    """An item and where it stands. `password` is the plain one that the file gives, None: none given."""

    item: Item
    line: int
    password: str | None = None


def read_network(text: str, zone: ZoneInfo, now: float, weeks: int = 4) -> list[Entry]:
    """The entries of a network file, in the order of `KINDS`.

    Parameters
    ----------
    zone
        Of the times in it.
    now, weeks
        Weekly shifts are unfolded over `weeks` weeks from the last Sunday before this week.

    Raises
    ------
    FileProblem
        What came, what was expected, and in which line.
    """
    if len(text) > MAX_CHARACTERS:
        raise FileProblem(1, f"{len(text)} characters came; at most {MAX_CHARACTERS} were expected")
    top = mapping(compose(text))
    found: list[Entry] = []
    for section, (key, node) in top.items():
        if section not in _SECTIONS:
            raise FileProblem(line(key), f"{section[:40]!r} came; one of {', '.join(_SECTIONS)} was expected")
        kind = _SECTIONS[section]
        if kind == "hub":
            found.append(_entry(kind, node, zone))
            continue
        for child in sequence(node):
            if kind == "shift" and "days" in mapping(child):
                found += _weekly(child, zone, now, weeks)
            else:
                found.append(_entry(kind, child, zone))
    order = {shape: place for place, shape in enumerate(KINDS.values())}
    found.sort(key=lambda entry: order[type(entry.item)])
    _check_once(found)
    return found


def _entry(kind: str, node: Node, zone: ZoneInfo) -> Entry:
    """The item that `node` describes."""
    fields = mapping(node)
    body = {name: plain(child) for name, (_, child) in fields.items()}
    if "rules" in fields:
        body["rules"] = resolved(fields["rules"][1])
    password = body.pop("password", None) if kind == "user" else None
    for name in _TIMES:
        if isinstance(body.get(name), str):
            try:
                body[name] = moment(body[name], zone)
            except ValueError as why:
                raise FileProblem(line(fields[name][0]), f"{name}: {why}") from None
    if kind in ("shift", "substitution", "chain", "criteria") and body.get("id") is None:
        body["id"] = _own_id(kind, body)
    try:
        item = from_body(kind, body, strict=False)
    except ValueError as why:
        raise FileProblem(line_of(node, str(why)), f"{kind}: {why}") from None
    return Entry(item, line(node), password)


def _own_id(kind: str, body: Mapping[str, Any]) -> str:
    """The id of an item that has none, from what makes it the one it is."""
    names = {
        "shift": ("duty", "user", "start"),
        "substitution": ("shift", "user", "start"),
        "chain": ("priority", "clinic"),
        "criteria": ("scope", "target"),
    }[kind]
    said = [str(body.get(name, "")) for name in names]
    return f"{kind}-{hashlib.sha256(msgspec.json.encode(said)).hexdigest()[:16]}"


def _weekly(node: Node, zone: ZoneInfo, now: float, weeks: int) -> Iterator[Entry]:
    """The shifts of ``{duty, user, days: [mon, ...], from: "08:00", to: "20:00"}``, over midnight too."""
    said = {name: plain(child) for name, (_, child) in mapping(node).items()}
    if set(said) != _WEEKLY:
        raise FileProblem(line(node), f"{', '.join(said)} came; {', '.join(sorted(_WEEKLY))} were expected")
    try:
        days = _days(said["days"])
        begin, end = time_of_day(str(said["from"])), time_of_day(str(said["to"]))
    except ValueError as why:
        raise FileProblem(line(node), f"shift: {why}") from None
    monday = day_of(now, zone) - timedelta(days=day_of(now, zone).weekday())
    for day in (monday + timedelta(days=number) for number in range(-1, 7 * weeks)):  # from Sunday night on
        if _DAYS[day.weekday()] not in days:
            continue
        body = {
            "id": f"{said['duty']}-{said['user']}-{day:%Y%m%d}-{str(said['from']).replace(':', '')}",
            "duty": said["duty"],
            "user": said["user"],
            "start": at_clock(day, begin, zone),
            "end": at_clock(day, end if end > begin else end + timedelta(days=1), zone),
        }
        try:
            yield Entry(from_body("shift", body), line(node))
        except ValueError as why:
            raise FileProblem(line_of(node, str(why)), f"shift: {why}") from None


def _days(said: object) -> tuple[str, ...]:
    if said == "daily":
        return _DAYS
    if isinstance(said, list) and said and all(day in _DAYS for day in said):
        return tuple(said)
    raise ValueError(f"days {str(said)[:60]} came; daily, or a list out of {', '.join(_DAYS)}, was expected")


def _check_once(entries: Iterable[Entry]) -> None:
    seen: dict[tuple[str, str], int] = {}
    for entry in entries:
        which = KIND_OF[type(entry.item)], entry.item.id
        if which in seen:
            raise FileProblem(
                entry.line, f"{which[0]} {which[1]} came again after line {seen[which]}; once was expected"
            )
        seen[which] = entry.line
