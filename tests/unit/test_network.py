"""A network takes what fits it and says of the rest what came and what was expected."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadwire.case import NetworkItem
from leadwire.codec import decode, encode
from leadwire.network import (
    KINDS,
    Address,
    ChainRule,
    Clinic,
    Contact,
    Criteria,
    Handover,
    Hub,
    Network,
    Shift,
    StepRule,
    Substitution,
    User,
    from_item,
    to_item,
)
from tests.unit.networks import DAY, HOUR, ITEMS, network, put, shift


def refusal(item, there=None):
    with pytest.raises(ValueError) as why:  # noqa: PT011 - each caller looks at the words
        (there or network()).check(to_item(item, key="k", at=DAY))
    return str(why.value)


def test_every_kind_comes_back_from_its_bytes_as_it_was():
    items = [
        *ITEMS,
        Substitution(id="u1", shift="t1", user="tom", start=DAY, end=DAY + HOUR, reason="ill", by="chief"),
        Handover(id="o1", duty="technician", from_user="tan", to_user="tom", at=DAY, read=("a", "b")),
        ChainRule(id="r1", priority="high", steps=(StepRule(side="hub", duty="chief", after_s=0),)),
        Criteria(id="p1", scope="patient", target="7", rules={"pause": {"s": 4}}, author="chen", at=DAY),
    ]
    assert {type(item) for item in items} == set(KINDS.values())
    for item in items:
        assert from_item(decode(encode(to_item(item, key="k", at=DAY)))) == item


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (Hub(id="other", name="Other"), "a second hub came; hub is the hub"),
        (Clinic(id="v2", name="V", tier="village", parent="nowhere"), "clinic 'nowhere' came"),
        (Clinic(id="town", name="T", tier="township", parent="village"), "which is below it"),
        (
            Clinic(id="v2", name="V", tier="village", contacts=(Contact(name="X", phone="120", user="xu"),)),
            "user 'xu' came; a user of the network",
        ),
        (
            Clinic(id="v2", name="V", tier="village", contacts=(Contact(name="X", phone="120"),) * 2),
            "contact 120 came twice",
        ),
        (User(id="a", name="A", roles=("clinic_doctor",)), "without a clinic"),
        (User(id="a", name="A", roles=("technician",), clinics=("mars",)), "clinic 'mars' came"),
        (User(id="a", name="A", roles=("technician", "technician")), "role technician came twice"),
        (
            User(
                id="a", name="A", roles=("technician",), addresses=(Address(channel="mail", to="not a mail"),)
            ),
            "mail address 'not a mail' came; NAME@HOST was expected",
        ),
        (User(id="tan", name="T", roles=("installer",)), "technician was expected, for shift t1 is theirs"),
        (shift("x", "nobody", 0, 1), "user 'nobody' came"),
        (shift("x", "chen", 0, 1), r"user chen (cardiologist) came for duty technician; a technician"),
        (shift("x", "tan", 2, 1), "not after its start"),
        (shift("x", "tan", 1, 1), "not after its start"),
        (shift("x", "tan", 0, 200), "a shift of 200 h came; at most 168 h"),
        (Substitution(id="x", shift="t9", user="tom", start=DAY, end=DAY + 1), "shift 't9' came"),
        (
            Substitution(id="x", shift="t1", user="tom", start=DAY - 1, end=DAY + 1),
            "inside the shift's",
        ),
        (Substitution(id="x", shift="t1", user="tan", start=DAY, end=DAY + 1), "whose shift it is"),
        (Substitution(id="x", shift="t1", user="chen", start=DAY, end=DAY + 1), "a technician was expected"),
        (Handover(id="x", duty="technician", from_user="tan", to_user="tan", at=DAY), "tan came twice"),
        (Handover(id="x", duty="technician", from_user="tan", to_user="ida", at=DAY), "a technician was"),
        (
            ChainRule(id="x", priority="low", steps=(StepRule(side="hub", duty="clinic", after_s=0),)),
            "duty clinic on side hub came; one of technician",
        ),
        (
            ChainRule(
                id="x",
                priority="low",
                steps=tuple(StepRule(side="hub", duty="chief", after_s=s) for s in (60, 0)),
            ),
            "in the order of their times",
        ),
        (
            Criteria(id="x", scope="patient", target="7", author="nie", at=DAY),
            "author nie came; a cardiologist or an administrator",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_what_came_and_what_was_expected(item, words):
    there = network()
    assert words in refusal(item, there)
    assert there.of("user") == network().of("user")


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        ("planet", {}, "kind 'planet' came; one of hub, clinic"),
        ("user", {"name": "A", "roles": ["technician"]}, "missing required field `id`"),
        ("user", {"id": "x", "name": "A", "roles": ["king"]}, "'king' came"),
        ("user", {"id": "x", "name": "A", "roles": ["technician"], "colour": 1}, "unknown field `colour`"),
        ("user", {"id": "y", "name": "A", "roles": ["technician"]}, "id y came in its body"),
        ("user", {"id": "x", "name": "A" * 129, "roles": ["technician"]}, "$.name"),
        ("user", {"id": "x", "name": "a\x00b", "roles": ["technician"]}, "$.name"),
        ("user", {"id": "x", "name": "A", "roles": ["technician"], "phone": "call me"}, "'call me' came"),
        ("shift", {"id": "x", "duty": "technician", "user": "tan", "start": 1e300, "end": 1}, "$.start"),
        ("chain", {"id": "x", "priority": "high", "steps": []}, "length >= 1"),
    ],
)
def test_a_wrong_shape_is_refused_wherever_it_comes_from(kind, body, words):
    item = NetworkItem(key="k", kind=kind, id="x", body=body, at=DAY)
    for refuse in (network().check, Network().apply):
        with pytest.raises(ValueError) as why:  # noqa: PT011
            refuse(item)
        assert words in str(why.value)


def test_two_substitutes_for_one_hour_are_refused():
    first = Substitution(id="u1", shift="t1", user="tom", start=DAY, end=DAY + HOUR)
    again = Substitution(id="u2", shift="t1", user="tom", start=DAY + HOUR - 1, end=DAY + 2 * HOUR)
    assert "substitution u1 by tom has a part of it" in refusal(again, network(first))


def test_nobody_who_is_inactive_gets_a_shift():
    there = network(User(id="old", name="Old", roles=("technician",), active=False))
    assert "not active" in refusal(shift("x", "old", 0, 1), there)


@pytest.mark.parametrize(
    ("kind", "id", "words"),
    [
        ("clinic", "town", "still names it"),
        ("user", "tan", "shift t1 still names it"),
        ("user", "nobody", "user 'nobody' came"),
    ],
)
def test_what_others_name_is_not_taken_out(kind, id, words):
    with pytest.raises(ValueError) as why:  # noqa: PT011
        network().check(NetworkItem(key="k", kind=kind, id=id, body=None, at=DAY))
    assert words in str(why.value)


def test_what_nobody_names_goes():
    there = network()
    gone = NetworkItem(key="k", kind="shift", id="t1", body=None, at=DAY)
    assert there.check(gone) is None
    assert "t1" not in there.apply(gone).shifts


@given(order=st.permutations(range(len(ITEMS) - 1)))
def test_facts_make_the_same_network_in_whatever_order_they_come(order):
    """A compacted topic keeps the last of each key, wherever that stands."""
    last = list({(type(item), item.id): item for item in ITEMS}.values())
    there = Network()
    for n in order:
        if n < len(last):
            there.apply(to_item(last[n], key="k", at=DAY))
    expected = put(Network(), ITEMS)
    assert all(there.of(kind) == expected.of(kind) for kind in KINDS)


def test_what_was_handed_out_before_a_change_stays_as_it_was():
    there = network()
    users, copy = there.users, there.copy()
    there.apply(to_item(User(id="new", name="New", roles=("technician",)), key="k", at=DAY))
    assert "new" not in users
    assert "new" not in copy.users
    assert "new" in there.users


def test_a_shift_of_another_kind_of_number_is_read_as_seconds():
    body = {"id": "x", "duty": "technician", "user": "tan", "start": int(DAY), "end": int(DAY) + 60}
    assert isinstance(from_item(NetworkItem(key="k", kind="shift", id="x", body=body, at=DAY)), Shift)
