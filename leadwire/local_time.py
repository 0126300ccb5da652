"""Dates and times as people write them in one place of the world, and seconds since 1970."""

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAY_S = 86_400.0
_TIME_OF_DAY = re.compile(r"\A([01]?\d|2[0-4]):([0-5]\d)\Z", re.ASCII)


def zone_of(name: str) -> ZoneInfo:
    """The time zone `name`; ValueError if there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"time zone {name[:60]!r} came; a name such as Asia/Shanghai was expected") from None


def moment(text: str, zone: ZoneInfo) -> float:
    """Seconds since 1970 of `text`: a date (its midnight) or a date and time, in `zone` if it names none.

    Raises
    ------
    ValueError
        Neither, or no such day.
    """
    try:
        found = datetime.fromisoformat(text.strip())
        return found.replace(tzinfo=found.tzinfo or zone).timestamp()
    except (ValueError, OverflowError):
        raise ValueError(f"{text[:40]!r} came; 2026-11-23 or 2026-11-23 08:00 was expected") from None


def time_of_day(text: str) -> timedelta:
    """How long after midnight; "24:00" is the next one. ValueError for what is no time of day."""
    found = _TIME_OF_DAY.match(text.strip())
    if found is None or (found[1] == "24" and found[2] != "00"):
        raise ValueError(f"{text[:40]!r} came; a time of day such as 08:00 was expected")
    return timedelta(hours=int(found[1]), minutes=int(found[2]))


def at_clock(day: date, clock: timedelta, zone: ZoneInfo) -> float:
    """Seconds since 1970 when clocks in `zone` show `clock` (after midnight) on `day`."""
    return (datetime.combine(day, time()) + clock).replace(tzinfo=zone).timestamp()


def day_of(at: float, zone: ZoneInfo) -> date:
    """The day in `zone` at `at`, s since 1970."""
    return datetime.fromtimestamp(at, zone).date()


def shown(at: float, zone: ZoneInfo) -> str:
    """`at` as clocks in `zone` show it, to the minute."""
    return f"{datetime.fromtimestamp(at, zone):%Y-%m-%d %H:%M}"


def utc(at: float) -> str:
    """`at` in UTC to the second, as ISO 8601 has it."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"
