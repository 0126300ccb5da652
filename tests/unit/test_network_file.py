"""A network file is read whole or refused with the line; loading it again changes nothing."""

from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadwire.local_time import at_clock, day_of, moment, time_of_day, zone_of
from leadwire.network import DUTY_ROLES, Network, Shift, User
from leadwire.network_file import MAX_CHARACTERS, read_network
from leadwire.network_wishes import wishes
from leadwire.passwords import check_password
from leadwire.roster import Directory
from leadwire.yaml_nodes import FileProblem

EXAMPLE = Path(__file__).parents[2] / "deploy" / "network.example.yml"
ZONE = zone_of("Asia/Shanghai")
NOW = moment("2026-11-25 12:00", ZONE)
DAY_S = 86_400.0

SMALL = """\
hub: {id: hub, name: Hub, phone: 0571-5550 0100}
clinics:
  - id: village
    name: 石桥村
    tier: village
    parent: town
    contacts: [{name: Dong, phone: 120, user: dong}]
  - {id: town, name: Town, tier: township}
users:
  - {id: dong, name: Dong, roles: [clinic_doctor], clinics: [village], password: long enough}
  - {id: tan, name: Tan, roles: [technician]}
shifts:
  - {duty: technician, user: tan, start: 2026-11-25 08:00, end: 2026-11-25 20:00}
"""


def made(items, there=None, cost=16):
    """Facts after the desk accepted `items`."""
    return {**(there or {}), **{(i.kind, i.id): i for i in items}}


def plan(text, facts=None, now=NOW):
    return wishes(read_network(text, ZONE, now), facts or {}, now, cost=16)


def network_of(facts):
    there = Network()
    for fact in facts.values():
        there.apply(fact)
    return there


def problem(text, facts=None):
    with pytest.raises(FileProblem) as why:
        plan(text, facts)
    return why.value.line, str(why.value)


def test_the_example_covers_every_duty_from_now_on_whatever_the_weekday():
    text = EXAMPLE.read_text(encoding="utf-8")
    for day in range(7):
        now = NOW + day * DAY_S
        directory = Directory(network_of(made(plan(text, now=now))))
        for duty in ("technician", "cardiologist", "second", "chief"):
            assert directory.uncovered(duty, now - 3 * 3600, now + 20 * DAY_S) == []


def test_the_example_has_every_role_and_each_clinic_somebody_to_call():
    there = network_of(made(plan(EXAMPLE.read_text(encoding="utf-8"))))
    assert {role for user in there.users.values() for role in user.roles} == {
        "technician",
        "cardiologist",
        "clinic_doctor",
        "installer",
        "administrator",
        "clinic_nurse",
    }
    tiers = [clinic.tier for clinic in there.clinics.values()]
    assert sorted(tiers) == ["county", *["township"] * 3, *["village"] * 2]
    assert all(Directory(there).contacts(clinic) for clinic in there.clinics)
    assert set(DUTY_ROLES) == {shift.duty for shift in there.shifts.values()}


def test_loading_the_same_file_again_changes_nothing_and_later_only_adds_weeks():
    text = EXAMPLE.read_text(encoding="utf-8")
    facts = made(plan(text))
    assert plan(text, facts) == []
    assert plan(text, facts, now=NOW + 3600) == []
    later = plan(text, facts, now=NOW + 7 * DAY_S)
    assert {item.kind for item in later} == {"shift"}


def test_a_password_is_kept_as_a_hash_only_and_a_login_survives_a_file_without_one():
    items = plan(SMALL)
    assert "long enough" not in str(items)
    facts = made(items)
    hashed = network_of(facts).users["dong"].password
    assert check_password("long enough", hashed)
    assert plan(SMALL.replace(", password: long enough", ""), facts) == []
    (changed,) = plan(SMALL.replace("long enough", "another one"), facts)
    assert check_password("another one", changed.body["password"])


def test_a_change_there_and_back_is_two_wishes_each_time():
    """Every wish has a key of its own, or the desk would take the second "there" for the first."""
    facts = made(plan(SMALL))
    keys = set()
    for round in range(3):
        for name in ("Tan Two", "Tan"):
            (item,) = plan(SMALL.replace("name: Tan,", f"name: {name},"), facts, now=NOW + round)
            keys.add(item.key)
            facts = made([item], facts)
    assert len(keys) == 6


def test_the_same_wish_at_the_same_state_has_the_same_key():
    facts = made(plan(SMALL))
    other = SMALL.replace("name: Tan,", "name: Tan Two,")
    assert plan(other, facts)[0].key == plan(other, facts, now=NOW + 5)[0].key


def test_times_are_local_and_a_phone_stays_as_it_is_written():
    there = network_of(made(plan(SMALL)))
    (shift,) = there.shifts.values()
    assert shift.start == datetime(2026, 11, 25, 8, tzinfo=ZONE).timestamp()
    assert there.clinics["village"].contacts[0].phone == "120"
    assert there.clinics["village"].contacts[0].user == "dong"


def test_weekly_shifts_go_over_midnight_and_begin_before_monday():
    text = SMALL.split("shifts:")[0] + (
        'shifts:\n  - {duty: technician, user: tan, days: [sun], from: "20:00", to: "08:00"}\n'
    )
    shifts = [e.item for e in read_network(text, ZONE, NOW, weeks=1) if isinstance(e.item, Shift)]
    assert [
        (datetime.fromtimestamp(s.start, ZONE).strftime("%a %d %H"), s.end - s.start) for s in shifts
    ] == [
        ("Sun 22 20", 43_200.0),
        ("Sun 29 20", 43_200.0),
    ]


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("users:", "people:", 9, "'people' came; one of hub, clinics"),
        ("tier: township", "tier: city", 8, "'city' came"),
        ("tier: village", "teir: village", 5, "unknown field `teir`"),
        ("phone: 120", "phone: call", 7, "'call' came"),
        ("parent: town", "parent: mars", 3, "clinic 'mars' came"),
        ("roles: [technician]", "roles: [king]", 11, "'king' came"),
        ("user: dong}", "user: xu}", 3, "user 'xu' came"),
        ("{id: tan,", "{id: dong,", 11, "user dong came again after line 10"),
        ("id: tan, name: Tan", "id: tan, id: tan", 11, "'id' came twice"),
        ("user: tan, start", "user: dong, start", 13, "a technician was expected"),
        ("end: 2026-11-25 20:00", "end: 2026-11-25 07:00", 13, "not after its start"),
        ("end: 2026-11-25 20:00", "end: 2026-02-30", 13, "2026-11-23 08:00 was expected"),
        ("password: long enough", "password: short", 10, "a password of 5 characters came"),
        ("clinics: [village], ", "", 10, "without a clinic"),
        ("hub: {", "hub: [", 1, "YAML was expected"),
        ("[clinic_doctor]", "clinic_doctor", 10, "'clinic_doctor' came: Expected `array`"),
        ("shifts:\n", "shifts: none\nmore:\n", 12, "'none' came; a list"),
        ("{duty: technician, user: tan, start", "{duty: technician, days: daily, start", 13, "were expected"),
    ],
)
def test_an_error_names_its_line_and_what_was_expected(old, new, line, words):
    assert old in SMALL
    where, why = problem(SMALL.replace(old, new, 1))
    assert words in why
    assert where == line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "nothing came"),
        ("- 1", "names with values were expected"),
        ("hub: &a {id: *a}", "alias"),
        ("a: &x [1]\nb: *x", "alias"),
        ("hub: " + "[" * 5000, "YAML was expected"),
        ("hub: " + "[" * 30 + "]" * 30, "levels came"),
        ("x" * (MAX_CHARACTERS + 1), "characters came"),
        ("hub: !!python/object/apply:os.system [ls]", "came"),
        ("? [a]\n: b", "came as a name"),
    ],
)
def test_hostile_text_is_refused(text, words):
    assert words in problem(text)[1]


@given(text=st.text(max_size=200) | st.text("abc:[]{}-&*!\n \"'0", max_size=200))
@settings(max_examples=200, deadline=None)
def test_rubbish_is_refused_with_a_line_and_never_breaks_the_program(text):
    with pytest.raises(FileProblem):
        read_network(text + "\nusers: 1", ZONE, NOW)


def test_nothing_of_a_file_with_one_error_is_wished_for():
    with pytest.raises(FileProblem):
        plan(SMALL + "  - {duty: chief, user: tan, start: 2026-11-25, end: 2026-11-26}\n")


def test_a_user_who_got_a_shift_meanwhile_keeps_the_role_for_it():
    facts = made(plan(SMALL))
    where, why = problem(SMALL.replace("roles: [technician]", "roles: [installer]"), facts)
    assert "technician was expected, for shift" in why
    assert where == 11
    assert isinstance(network_of(facts).users["tan"], User)


@pytest.mark.parametrize("text", ["", "08", "8:60", "24:01", "25:00", "-1:00", "０８:00"])
def test_what_is_no_time_of_day_is_refused(text):
    with pytest.raises(ValueError, match="a time of day"):
        time_of_day(text)


@pytest.mark.parametrize("name", ["", "Mars/Base", "../../etc/passwd", "/etc/passwd", "x" * 999])
def test_an_unknown_zone_is_refused(name):
    with pytest.raises(ValueError, match="time zone"):
        zone_of(name)


@given(at=st.floats(0, 4e9))
def test_a_day_begins_when_clocks_show_its_midnight(at):
    midnight = at_clock(day_of(at, ZONE), time_of_day("00:00"), ZONE)
    assert midnight <= at < midnight + DAY_S + 3601
