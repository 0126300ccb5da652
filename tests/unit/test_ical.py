"""The roster goes out as a calendar and comes back as it was; a planner's calendar becomes shifts."""

from contextlib import suppress
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadwire.ical import MAX_BYTES, read_roster, write_roster
from leadwire.network import Substitution
from tests.unit.networks import DAY, HOUR, network, shift

SHANGHAI = ZoneInfo("Asia/Shanghai")
BERLIN = ZoneInfo("Europe/Berlin")
WEEK = (DAY - 7 * 24 * HOUR, DAY + 7 * 24 * HOUR)


def calendar(*events: str, head: str = "") -> bytes:
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//planner//EN", *head.split("\n")]
    for event in events:
        lines += ["BEGIN:VEVENT", *event.strip().split("\n"), "END:VEVENT"]
    return "\r\n".join(line for line in (*lines, "END:VCALENDAR", "") if line or line == "").encode()


def local(text: str, zone: ZoneInfo = SHANGHAI) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def read(data, start="2026-11-01", end="2026-12-31", duty=None, zone=SHANGHAI, there=None):
    return read_roster(data, there or network(), zone, local(start, zone), local(end, zone), duty)


SHIFT = """UID:1@planner
SUMMARY:谭技师
CATEGORIES:technician
DTSTART;TZID=Asia/Shanghai:20261123T080000
DTEND;TZID=Asia/Shanghai:20261123T200000"""


@given(
    hours=st.lists(st.tuples(st.integers(0, 300), st.integers(1, 30)), max_size=12),
    zone=st.sampled_from([SHANGHAI, BERLIN, ZoneInfo("America/New_York")]),
    minutes=st.integers(0, 59),
)
@settings(max_examples=30, deadline=None)
def test_a_written_roster_comes_back_as_it_was(hours, zone, minutes):
    # Over the end of summer time in Europe and America.
    first = local("2026-10-24", BERLIN) - DAY
    shifts = [
        shift(
            f"x{n}", ("tan", "tom")[n % 2], first / HOUR + start + minutes / 60, first / HOUR + start + length
        )
        for n, (start, length) in enumerate(hours)
        if length > 1
    ]
    shifts = [
        type(s)(id=s.id, duty=s.duty, user=s.user, start=round(s.start), end=round(s.end)) for s in shifts
    ]
    subs = [
        Substitution(id=f"u{s.id}", shift=s.id, user="chief2", start=s.start, end=s.end, reason="krank, 病")
        for s in shifts[:2]
    ]
    there = network(*shifts)
    subs = [Substitution(id=s.id, shift=s.shift, user=other(there, s.shift), start=s.start, end=s.end,
                         reason=s.reason, by="chief") for s in subs]  # fmt: skip
    there = network(*shifts, *subs)
    span = (DAY + first, DAY + first + 400 * HOUR)
    data = write_roster(there, "technician", zone, *span)
    found = read_roster(data, there, zone, *span)
    assert set(found.items) == {*shifts, *subs}
    assert write_roster(there, "technician", zone, *span) == data


def other(there, shift_id):
    return "tom" if there.shifts[shift_id].user == "tan" else "tan"


def test_a_calendar_holds_one_duty_in_local_time_with_its_zone():
    text = write_roster(network(), "technician", SHANGHAI, *WEEK).decode()
    assert "TZID:Asia/Shanghai" in text
    assert "DTSTART;TZID=Asia/Shanghai:20231115T080000" in text
    assert "technician: 谭技师" in text
    assert "陈医生" not in text


@pytest.mark.parametrize(
    "who",
    [
        "SUMMARY:tan",
        "SUMMARY:谭技师",
        "SUMMARY:值班：谭技师",
        "SUMMARY:Night\nX-LEADWIRE-USER:tan",
    ],
)
def test_a_planners_event_is_a_shift_of_the_person_it_names(who):
    (found,) = read(calendar(SHIFT.replace("SUMMARY:谭技师", who))).items
    assert (found.user, found.duty) == ("tan", "technician")
    assert (found.start, found.end) == (local("2026-11-23T08:00"), local("2026-11-23T20:00"))


def test_an_attendee_is_known_by_the_mail_address():
    event = SHIFT.replace("technician", "x").replace("SUMMARY:谭技师", "ATTENDEE;CN=N:mailto:NIE@example.org")
    with pytest.raises(ValueError, match=r"user nie \(clinic_nurse\) came for duty technician"):
        read(calendar(event), duty="technician")


def test_reading_again_gives_the_same_ids_and_a_moved_event_keeps_its():
    (first,) = read(calendar(SHIFT)).items
    (moved,) = read(calendar(SHIFT.replace("T080000", "T090000"))).items
    assert moved.id == first.id
    assert moved.start == first.start + HOUR


def test_a_repeated_event_is_a_shift_each_time_and_an_exception_is_kept():
    rule = SHIFT + "\nRRULE:FREQ=WEEKLY;BYDAY=MO;COUNT=4\nEXDATE;TZID=Asia/Shanghai:20261130T080000"
    moved = SHIFT.replace("20261123", "20261208") + "\nRECURRENCE-ID;TZID=Asia/Shanghai:20261207T080000"
    found = read(calendar(rule, moved)).items
    assert [datetime.fromtimestamp(s.start, SHANGHAI).strftime("%m-%d %H") for s in found] == [
        "11-23 08",
        "12-08 08",
        "12-14 08",
    ]
    assert len({s.id for s in found}) == 3
    assert len(read(calendar(rule), end="2026-11-25").items) == 1


def test_a_repetition_keeps_its_local_hour_over_a_change_of_the_clock():
    rule = (
        SHIFT.replace("Asia/Shanghai", "Europe/Berlin").replace("202611", "202610")
        + "\nRRULE:FREQ=DAILY;COUNT=4"
    )
    found = read(calendar(rule), zone=BERLIN, start="2026-10-20").items
    assert [datetime.fromtimestamp(s.start, BERLIN).hour for s in found] == [8] * 4
    assert found[2].start - found[1].start == 25 * HOUR


def test_whole_days_and_times_without_a_zone_are_those_of_the_place():
    whole = "UID:2\nSUMMARY:tan\nDTSTART;VALUE=DATE:20261123\nDTEND;VALUE=DATE:20261124"
    floating = "UID:3\nSUMMARY:tan\nDTSTART:20261124T080000\nDURATION:PT12H"
    utc = "UID:4\nSUMMARY:tan\nDTSTART:20261125T000000Z\nDTEND:20261125T120000Z"
    found = read(calendar(whole, floating, utc), duty="technician").items
    assert [(s.start, s.end) for s in found] == [
        (local("2026-11-23"), local("2026-11-24")),
        (local("2026-11-24T08:00"), local("2026-11-24T20:00")),
        (local("2026-11-25T08:00"), local("2026-11-25T20:00")),
    ]


def test_a_cancelled_event_takes_out_the_shift_it_was():
    there = network()
    (item,) = read(calendar(SHIFT), there=there).items
    cancelled = calendar(SHIFT + "\nSTATUS:CANCELLED")
    assert read(cancelled, there=there).cancelled == ()
    assert read(cancelled, there=network(item)).cancelled == (item.id,)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (SHIFT.replace("谭技师", "王五"), "0 users are meant by it; one was expected"),
        (SHIFT.replace("谭技师", "陈医生"), "a technician was expected"),
        (SHIFT.replace("UID:1@planner\n", ""), "no UID came"),
        (SHIFT.replace("T200000", "T070000"), "not after its start"),
        (SHIFT.replace("DTEND;TZID=Asia/Shanghai:20261123T200000", "X:1"), "no DTEND and no DURATION"),
        (SHIFT.replace("Asia/Shanghai:20261123T08", "Mars/Base:20261123T08"), "time zone 'Mars/Base' came"),
        (SHIFT.replace("technician", "nonsense"), "no duty came"),
        (SHIFT + "\nX-LEADWIRE-DUTY:king", "duty 'king' came"),
        (SHIFT + "\nRRULE:FREQ=SECONDLY", "repetition 'SECONDLY' came"),
        (SHIFT + "\nX-LEADWIRE-SUBSTITUTES:t9", "shift 't9' came"),
        (SHIFT.replace("20261123T080000", "yesterday"), "DTSTART"),
    ],
)
def test_an_event_that_cannot_be_a_shift_is_named(event, words):
    with pytest.raises(ValueError, match="event ") as why:
        read(calendar(event))
    assert words in str(why.value)
    assert "planner" in str(why.value) or "without UID" in str(why.value)


def test_the_same_event_twice_is_refused():
    with pytest.raises(ValueError, match="its UID came twice; once"):
        read(calendar(SHIFT, SHIFT.replace("T080000", "T090000")))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "calendar"),
        (b"\xff\xfe\x00", "calendar"),
        (b"hello", "calendar"),
        (b"BEGIN:VEVENT\r\nEND:VEVENT\r\n", "BEGIN:VCALENDAR was expected"),
        (b"x" * (MAX_BYTES + 1), "at most"),
        (calendar(*(f"UID:{n}\n{SHIFT[14:]}" for n in range(5001))), "5001 events came; at most 5000"),
        (calendar(*(SHIFT.replace("1@", f"{n}@") + "\nRRULE:FREQ=DAILY" for n in range(150))), "fewer days"),
    ],
    ids=["empty", "bytes", "text", "part", "large", "many", "repetitions"],
)
def test_what_is_no_calendar_or_too_much_is_refused(data, words):
    with pytest.raises(ValueError, match=words):
        read(data)


@given(data=st.binary(max_size=300) | st.text(max_size=300).map(lambda t: calendar(f"UID:1\n{t}")))
@settings(max_examples=150, deadline=None)
def test_rubbish_gives_shifts_or_a_refusal_and_nothing_else(data):
    with suppress(ValueError):
        read(data, duty="technician")
