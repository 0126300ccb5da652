"""The roster as iCalendar files (RFC 5545), one calendar a duty: written for phones, read from planners.

A shift is an event, a substitution another; our own files come back as they were. Of a foreign file each
event is a shift, of the person that it names. Times are s since 1970 inside, local time in the file.

Not here: publishing what was read (`admin.py`, the API).
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import recurring_ical_events
from icalendar import Calendar, Component, Event

from leadwire.network import DUTY_ROLES, Duty, Network, Shift, Substitution, to_item

MAX_BYTES = 2 << 20
MAX_EVENTS = 5000
MAX_SPAN_S = 400 * 86_400.0
"""Repeated events are read over at most so long a time."""

_OURS = "@leadwire"
_USER, _DUTY, _SUBSTITUTES, _BY = (
    "X-LEADWIRE-USER",
    "X-LEADWIRE-DUTY",
    "X-LEADWIRE-SUBSTITUTES",
    "X-LEADWIRE-BY",
)
_FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")


@dataclass(frozen=True)
class Imported:
    """What a file says: `items` fit the network in this order; `cancelled` shifts it has that are off."""

    items: tuple[Shift | Substitution, ...]
    cancelled: tuple[str, ...]


def write_roster(network: Network, duty: Duty, zone: ZoneInfo, start: float, end: float) -> bytes:
    """The calendar of `duty`: its shifts and their substitutions that touch `start` <= t < `end`."""
    calendar = Calendar()
    calendar.add("PRODID", "-//Leadwire//roster//EN")
    calendar.add("VERSION", "2.0")
    calendar.add("X-WR-CALNAME", f"Leadwire {duty}")
    calendar.add("X-WR-TIMEZONE", zone.key)
    calendar.add(_DUTY, duty)
    shifts = [s for s in network.shifts.values() if s.duty == duty and s.start < end and s.end > start]
    chosen = {shift.id for shift in shifts}
    for shift in sorted(shifts, key=lambda s: (s.start, s.id)):
        calendar.add_component(_event(network, shift, duty, zone))
    for sub in sorted(network.substitutions.values(), key=lambda s: (s.start, s.id)):
        if sub.shift in chosen:
            event = _event(network, sub, duty, zone)
            event.add(_SUBSTITUTES, sub.shift)
            event.add(_BY, sub.by)
            event.add("DESCRIPTION", sub.reason)
            calendar.add_component(event)
    calendar.add_missing_timezones()
    return bytes(calendar.to_ical())


def read_roster(
    data: bytes, network: Network, zone: ZoneInfo, start: float, end: float, duty: Duty | None = None
) -> Imported:
    """The shifts and substitutions in `data` that begin at `start` <= t < `end`.

    Parameters
    ----------
    network
        Who the events' people are, and what the shifts must fit.
    zone
        Of times that name none; a whole day is a day there.
    duty
        Of events that do not say theirs (`X-LEADWIRE-DUTY` or one of `CATEGORIES`).

    Raises
    ------
    ValueError
        No calendar, too large, or an event that cannot be a shift: which one, what came, what was expected.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"{len(data)} bytes came; a calendar of at most {MAX_BYTES} was expected")
    if not 0 < end - start <= MAX_SPAN_S:
        raise ValueError(f"{(end - start) / 86_400:g} days came; up to {MAX_SPAN_S / 86_400:g} were expected")
    calendar = _calendar(data)
    fallback = _duty_word(calendar.get(_DUTY), duty)
    there = network.copy()
    found: list[tuple[str, Shift | Substitution]] = []
    cancelled = []
    for id, event in _occurrences(calendar, zone, start, end):
        name = _name(event)
        try:
            begin, stop = _span(event, zone)
            if not start <= begin < end:
                continue
            if str(event.get("STATUS", "")).upper() == "CANCELLED":
                cancelled.append(id)
            elif event.get(_SUBSTITUTES):
                found.append((name, _substitution(event, id, there, begin, stop)))
            else:
                said = _duty_word(event.get(_DUTY), _category(event) or fallback)
                found.append((name, _shift(event, id, there, begin, stop, said)))
        except ValueError as why:
            raise ValueError(f"event {name}: {why}") from None
    found.sort(key=lambda pair: isinstance(pair[1], Substitution))
    _check_fit(there, found)
    items = tuple(item for _, item in found)
    return Imported(items, tuple(id for id in cancelled if id in network.shifts))


def _check_fit(there: Network, found: list[tuple[str, Shift | Substitution]]) -> None:
    seen: dict[str, str] = {}
    for name, item in found:
        try:
            if item.id in seen:
                raise ValueError(f"UID and time of event {seen[item.id]} came again; once was expected")
            seen[item.id] = name
            wish = to_item(item, key="ical", at=0.0)
            there.check(wish)
            there.apply(wish)
        except ValueError as why:
            raise ValueError(f"event {name}: {why}") from None


# -------------------------------------------------------------------- writing


def _event(network: Network, item: Shift | Substitution, duty: Duty, zone: ZoneInfo) -> Event:
    user = network.users.get(item.user)
    event = Event()
    event.add("UID", item.id + _OURS)
    event.add("SUMMARY", f"{duty}: {user.name if user else item.user}")
    event.add("DTSTAMP", datetime.fromtimestamp(0, UTC))  # the same roster gives the same bytes
    event.add("DTSTART", _local(item.start, zone))
    event.add("DTEND", _local(item.end, zone))
    event.add("CATEGORIES", [duty])
    event.add(_USER, item.user)
    return event


def _local(at: float, zone: ZoneInfo) -> datetime:
    """`at` in `zone`; in UTC where a clock put back makes that time of day mean another moment."""
    moment = datetime.fromtimestamp(round(at), zone)
    return moment if moment.replace(fold=0).timestamp() == round(at) else moment.astimezone(UTC)


# -------------------------------------------------------------------- reading


def _calendar(data: bytes) -> Calendar:
    try:
        calendar = Calendar.from_ical(data.decode("utf-8-sig"))
    except (ValueError, IndexError, KeyError, TypeError) as why:
        raise ValueError(f"no calendar that can be read came: {why}; an iCalendar file expected") from None
    if not isinstance(calendar, Calendar):
        raise ValueError("a part of a calendar came; BEGIN:VCALENDAR was expected")
    return calendar


def _series(calendar: Calendar) -> dict[str, list[Component]]:
    """The events of each UID, each of them one that can be read."""
    events = calendar.walk("VEVENT")
    if len(events) > MAX_EVENTS:
        raise ValueError(f"{len(events)} events came; at most {MAX_EVENTS} were expected")
    found: dict[str, list[Component]] = {}
    for event in events:
        try:
            _check_event(event)
            series = found.setdefault(str(event.get("UID")), [])
            if len({str(_planned(e)) for e in (*series, event)}) <= len(series):
                raise ValueError("its UID came twice; once, or with another RECURRENCE-ID, was expected")
        except ValueError as why:
            raise ValueError(f"event {_name(event)}: {why}") from None
        series.append(event)
    return found


def _planned(event: Component) -> object:
    repetition = event.get("RECURRENCE-ID")
    return None if repetition is None else repetition.dt


def _check_event(event: Component) -> None:
    if event.errors:
        what, why = event.errors[0]
        raise ValueError(f"{what} came: {why}")
    for name in ("UID", "DTSTART"):
        if event.get(name) is None:
            raise ValueError(f"no {name} came; one was expected")
    for name in ("DTSTART", "DTEND", "RECURRENCE-ID"):
        value = event.get(name)
        if value is None:
            continue
        zone = value.params.get("TZID")
        if not isinstance(value.dt, date):
            raise ValueError(f"{name} {value.dt} came; a date and time was expected")
        if zone is not None and getattr(value.dt, "tzinfo", None) is None:
            raise ValueError(f"time zone {str(zone)[:60]!r} came, which is not known")
    rules = event.get("RRULE", [])
    for rule in rules if isinstance(rules, list) else [rules]:
        frequency = str(rule.get("FREQ", [""])[0]).upper()
        if frequency not in _FREQUENCIES:
            raise ValueError(
                f"repetition {frequency[:20]!r} came; one of {', '.join(_FREQUENCIES)} was expected"
            )


def _occurrences(
    calendar: Calendar, zone: ZoneInfo, start: float, end: float
) -> Iterator[tuple[str, Component]]:
    """Each event with the id of its shift; of repeated ones those about `start` <= t < `end`."""
    left = MAX_EVENTS
    for uid, events in _series(calendar).items():
        if not any("RRULE" in e or "RDATE" in e for e in events):
            yield from ((_id(uid), e) for e in events)
            continue
        try:
            found = list(islice(_unfolded(events, zone, start, end), left + 1))
        except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as why:
            raise ValueError(f"event {_name(events[0])}: its repetition cannot be read: {why}") from None
        left -= len(found)
        if left < 0:
            raise ValueError(f"more than {MAX_EVENTS} repetitions came; fewer days at a time were expected")
        yield from ((f"{_id(uid)}-{_moment(_planned(e), zone):.0f}", e) for e in found)


def _unfolded(events: list[Component], zone: ZoneInfo, start: float, end: float) -> Iterator[Component]:
    series = Calendar()
    for event in events:
        series.add_component(event)
    first = datetime.fromtimestamp(start - 86_400, zone)
    for event in recurring_ical_events.of(series).after(first):
        if _moment(event.get("DTSTART").dt, zone) > end + 86_400:
            return
        yield event


def _span(event: Component, zone: ZoneInfo) -> tuple[float, float]:
    begin = _moment(event.get("DTSTART").dt, zone)
    if event.get("DTEND") is not None:
        return begin, _moment(event.get("DTEND").dt, zone)
    if event.get("DURATION") is not None and isinstance(event.get("DURATION").dt, timedelta):
        return begin, begin + event.get("DURATION").dt.total_seconds()
    raise ValueError("no DTEND and no DURATION came; one was expected")


def _moment(value: object, zone: ZoneInfo) -> float:
    if not isinstance(value, date):
        raise ValueError(f"{value} came; a date and time was expected")
    if not isinstance(value, datetime):
        value = datetime.combine(value, time(), zone)
    elif value.tzinfo is None:
        value = value.replace(tzinfo=zone)
    return value.timestamp()


def _shift(
    event: Component, id: str, network: Network, begin: float, stop: float, duty: Duty | None
) -> Shift:
    if duty is None:
        raise ValueError(f"no duty came; CATEGORIES with one of {', '.join(DUTY_ROLES)}, or --duty, expected")
    return Shift(id=id, duty=duty, user=_user(event, network), start=begin, end=stop)


def _substitution(event: Component, id: str, network: Network, begin: float, stop: float) -> Substitution:
    return Substitution(
        id=id,
        shift=str(event.get(_SUBSTITUTES)),
        user=_user(event, network),
        start=begin,
        end=stop,
        reason=str(event.get("DESCRIPTION", "")),
        by=str(event.get(_BY, "")),
    )


def _user(event: Component, network: Network) -> str:
    """Whose event it is: our own mark, an attendee's mail address, or the summary (an id or a name)."""
    marked = event.get(_USER)
    if marked is not None:
        return str(marked)
    attendees = event.get("ATTENDEE", [])
    mails = {
        re.sub(r"(?i)^mailto:", "", str(a)).lower()
        for a in (attendees if isinstance(attendees, list) else [attendees])
    }
    summary = str(event.get("SUMMARY", "")).strip()
    words = {summary, summary.rpartition(":")[2].strip(), summary.rpartition("：")[2].strip()}
    users = [
        user.id
        for user in network.users.values()
        if user.id in words
        or user.name in words
        or any(a.channel == "mail" and a.to.lower() in mails for a in user.addresses)
    ]
    if len(users) != 1:
        raise ValueError(
            f"{len(users)} users are meant by it; one was expected: {_USER}, an ATTENDEE whose mail "
            "address a user has, or a SUMMARY that is a user's id or name"
        )
    return users[0]


def _category(event: Component) -> Duty | None:
    """The first of the event's CATEGORIES that is a duty."""
    categories = event.get("CATEGORIES", [])
    words = {
        str(word).lower()
        for group in (categories if isinstance(categories, list) else [categories])
        for word in getattr(group, "cats", [group])
    }
    return next((duty for duty in DUTY_ROLES if duty in words), None)


def _duty_word(word: object, otherwise: Duty | None) -> Duty | None:
    if word is None:
        return otherwise
    for duty in DUTY_ROLES:
        if duty == str(word):
            return duty
    raise ValueError(f"duty {str(word)[:40]!r} came; one of {', '.join(DUTY_ROLES)} was expected")


def _id(uid: str) -> str:
    """Ours as it was; of a foreign UID its digest."""
    if uid.endswith(_OURS):
        return uid.removesuffix(_OURS)
    return "ical-" + hashlib.sha256(uid.encode()).hexdigest()[:20]


def _name(event: Component) -> str:
    when = ""
    with suppress(ValueError, AttributeError):  # broken, or none
        when = f", {event.get('DTSTART').dt:%Y-%m-%d %H:%M}"
    return f"{str(event.get('UID', 'without UID'))[:60]!r} ({str(event.get('SUMMARY', ''))[:60]}{when})"
