"""Who is on duty, who is told, who may see: as the roster says at that moment."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadwire.network import DUTY_ROLES, ChainRule, Contact, Handover, StepRule, Substitution, User, to_item
from leadwire.roster import DEFAULT_CHAINS, Directory, check_take_over
from tests.unit.networks import DAY, HOUR, network, put, shift


def at(hours: float) -> float:
    return DAY + hours * HOUR


def test_a_shift_begins_with_its_first_moment_and_ends_before_its_last():
    directory = Directory(network())
    assert directory.on_duty("technician", at(0) - 1e-3) == ()
    assert directory.on_duty("technician", at(0)) == ("tan",)
    assert directory.on_duty("technician", at(12) - 1e-3) == ("tan",)
    assert directory.on_duty("technician", at(12)) == ("tom",)
    assert directory.on_duty("technician", at(24)) == ()


def test_shifts_may_overlap_and_all_of_them_are_on_duty_the_first_first():
    directory = Directory(network(shift("t0", "tom", -2, 3)))
    assert directory.on_duty("technician", at(1)) == ("tom", "tan")
    assert directory.on_duty("technician", at(3)) == ("tan",)


def test_a_substitute_is_on_duty_and_the_substituted_is_not():
    directory = Directory(
        network(Substitution(id="u", shift="t1", user="tom", start=at(3), end=at(5), by="chief"))
    )
    assert [directory.on_duty("technician", at(h))[0] for h in (2, 3, 4, 5, 6)] == [
        "tan", "tom", "tom", "tan", "tan",
    ]  # fmt: skip
    assert not directory.is_on_duty("tan", at(4))
    assert directory.is_on_duty("tan", at(6))


def test_a_duty_taken_over_early_is_the_others_for_the_rest_of_the_shift():
    handover = Handover(id="o", duty="technician", from_user="tan", to_user="tom", at=at(11.5))
    directory = Directory(network(handover))
    assert directory.on_duty("technician", at(11.4)) == ("tan",)
    assert directory.on_duty("technician", at(11.5)) == ("tom",)


def test_one_who_left_is_on_no_duty_whatever_the_roster_says():
    there = network()
    directory = Directory(there)
    assert directory.is_on_duty("tan", at(1))
    there.apply(to_item(User(id="tan", name="T", roles=("technician",), active=False), key="k", at=DAY))
    assert not directory.is_on_duty("tan", at(1))
    assert directory.uncovered("technician", at(0), at(24)) == [(at(0), at(12))]


def test_duties_are_told_apart():
    directory = Directory(network())
    assert directory.duties("chen", at(1)) == ("cardiologist",)
    assert directory.duties("chief", at(30)) == ("chief",)
    assert directory.on_duty("installer", at(1)) == ()


@pytest.mark.parametrize("span", [(0, 24), (-5, 30), (6, 6), (12, 12.5)])
def test_hours_without_anybody_are_named(span):
    start, end = span
    gaps = Directory(network()).uncovered("technician", at(start), at(end))
    assert gaps == [g for g in [(at(start), at(0)), (at(24), at(end))] if g[0] < g[1]]


spans = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 20), st.sampled_from(["tan", "tom"])), max_size=8
)


@given(spans=spans, subs=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 59)), max_size=3))
@settings(max_examples=60, deadline=None)
def test_every_moment_is_either_covered_by_somebody_on_duty_or_in_a_gap(spans, subs):
    shifts = [shift(f"x{n}", user, first, first + hours) for n, (first, hours, user) in enumerate(spans)]
    there = network(*shifts)
    for n, (which, minute) in enumerate(subs):
        if which < len(shifts):
            begin = shifts[which].start + minute * 60.0
            other = "tom" if shifts[which].user == "tan" else "tan"
            sub = Substitution(id=f"u{n}", shift=f"x{which}", user=other, start=begin, end=begin + 60.0)
            try:
                put(there, [sub])
            except ValueError:
                continue  # another has a part of it already
    directory = Directory(there)
    gaps = directory.uncovered("technician", at(-1), at(62))
    for minute in range(-60, 62 * 60, 7):
        moment = DAY + minute * 60.0
        in_gap = any(start <= moment < end for start, end in gaps)
        assert in_gap == (not directory.on_duty("technician", moment))


def test_a_clinics_contacts_come_in_their_order_or_else_its_own_phone():
    there = network()
    directory = Directory(there)
    assert [c.user for c in directory.contacts("town")] == ["nie", "dong"]
    assert directory.contacts("village") == ()
    assert directory.contacts("nowhere") == ()
    town = there.clinics["town"]
    put(there, [type(town)(id="town", name=town.name, tier=town.tier, phone=town.phone)])
    assert directory.contacts("town") == (Contact(name=town.name, phone=town.phone),)


def test_the_people_of_a_clinic_come_in_the_order_of_its_contacts():
    directory = Directory(network())
    assert directory.clinic_users("town") == ("nie", "dong")
    assert directory.clinic_users("village") == ("dong",)
    assert directory.clinic_users("town", "clinic_doctor") == ("dong",)
    assert directory.clinic_users("nowhere") == ()


def test_one_sees_their_clinics_and_the_hub_sees_all():
    directory = Directory(network(User(id="half", name="Half", roles=("technician",), clinics=("town",))))
    assert directory.may_see("tan", "a clinic that no list knows")
    assert directory.may_see("dong", "village")
    assert not directory.may_see("nie", "village")
    assert directory.may_see("half", "town")
    assert not directory.may_see("half", "village")
    assert not directory.may_see("nobody", "town")
    assert not directory.may_see("", "town")


def test_a_clinics_own_chain_goes_before_the_one_for_all_and_that_before_the_default():
    steps = (StepRule(side="hub", duty="chief", after_s=0),)
    all_clinics = ChainRule(id="r1", priority="high", steps=steps)
    own = ChainRule(
        id="r2",
        priority="high",
        clinic="town",
        steps=(*steps, StepRule(side="clinic", duty="clinic", after_s=5)),
    )
    directory = Directory(network(all_clinics, own))
    assert directory.chain("high", "town") == own.steps
    assert directory.chain("high", "village") == steps
    assert directory.chain("low", "town") == DEFAULT_CHAINS["low"]


def test_the_default_chains_keep_the_times_of_the_specification_and_tell_both_sides():
    high = [(s.side, s.duty, s.after_s) for s in DEFAULT_CHAINS["high"]]
    assert high == [
        ("hub", "technician", 0),
        ("clinic", "clinic", 0),
        ("hub", "cardiologist", 60),
        ("hub", "second", 180),
        ("hub", "chief", 300),
    ]
    assert ("hub", "cardiologist", 300) in [(s.side, s.duty, s.after_s) for s in DEFAULT_CHAINS["medium"]]
    assert DEFAULT_CHAINS["low"][0].side == "clinic"
    for priority, steps in DEFAULT_CHAINS.items():
        put(network(), [ChainRule(id=priority, priority=priority, steps=steps)])


def test_a_step_means_those_on_its_duty_or_the_people_of_the_clinic():
    directory = Directory(network())
    users = [directory.step_users(step, "town", at(13)) for step in DEFAULT_CHAINS["high"]]
    assert users == [("tom",), ("nie", "dong"), ("chen",), ("cui",), ("chief",)]
    nurse = StepRule(side="clinic", duty="clinic_nurse", after_s=0)
    assert directory.step_users(nurse, "town", at(13)) == ("nie",)
    assert directory.step_users(StepRule(side="hub", duty="installer", after_s=0), "town", at(13)) == ()


def test_a_duty_is_taken_over_only_by_one_who_has_read_every_open_case():
    directory = Directory(network())
    taken = Handover(id="o", duty="technician", from_user="tan", to_user="tom", at=at(12), read=("a", "b"))
    check_take_over(directory, taken, ["a", "b"])
    check_take_over(directory, taken, [])
    with pytest.raises(ValueError, match=r"1 open cases came unread \(c\); all read was expected"):
        check_take_over(directory, taken, ["a", "c"])


def test_a_duty_is_handed_over_only_by_one_who_has_it_or_just_had_it():
    directory = Directory(network())
    for hours, fits in ((0.5, True), (12.9, True), (13.1, False), (-1, False)):
        taken = Handover(id="o", duty="technician", from_user="tan", to_user="tom", at=at(hours))
        if fits:
            check_take_over(directory, taken, [])
        else:
            with pytest.raises(ValueError, match="no duty technician to hand over"):
                check_take_over(directory, taken, [])


def test_a_year_of_shifts_is_asked_without_walking_all_of_them():
    """Three shifts a day on two duties; a question looks at those of the last week only."""
    shifts = [
        shift(f"{duty}{n}", user, 8 * n, 8 * n + 8, duty)
        for duty, user in (("technician", "tan"), ("second", "cui"))
        for n in range(3 * 365)
    ]
    there = network()
    for item in shifts:
        there.apply(to_item(item, key="k", at=DAY))
    directory = Directory(there)
    assert directory.on_duty("technician", at(8 * 1000 + 1)) == ("tan",)
    assert len(directory._around("technician", at(8 * 1000 + 1))) <= 22
    assert set(DUTY_ROLES) >= set(directory.duties("cui", at(100)))
