"""A small network for tests: a hub, a township with its village, everybody on their duties."""

from collections.abc import Iterable

from leadwire.network import (
    Address,
    Clinic,
    Contact,
    Hub,
    Item,
    Network,
    Shift,
    User,
    to_item,
)

DAY = 1_700_006_400.0
"""A midnight (UTC), s since 1970."""
HOUR = 3600.0


def network(*more: Item) -> Network:
    """The small network with `more`, each checked as a wish is."""
    return put(Network(), (*ITEMS, *more))


def put(there: Network, items: Iterable[Item]) -> Network:
    for item in items:
        wish = to_item(item, key=f"test:{item.id}", at=DAY)
        there.check(wish)
        there.apply(wish)
    return there


def shift(id: str, user: str, start_h: float, end_h: float, duty: str = "technician") -> Shift:
    """A shift from `start_h` to `end_h` hours after `DAY`."""
    return Shift(id=id, duty=duty, user=user, start=DAY + start_h * HOUR, end=DAY + end_h * HOUR)


ITEMS: tuple[Item, ...] = (
    Hub(id="hub", name="County Hospital", phone="0571-8700 0000"),
    Clinic(id="town", name="溪口镇卫生院", tier="township", phone="0571-8700 1000"),
    Clinic(id="village", name="石桥村卫生室", tier="village", parent="town"),
    User(id="tan", name="谭技师", roles=("technician",)),
    User(id="tom", name="Tom", roles=("technician",)),
    User(id="chen", name="陈医生", roles=("cardiologist",)),
    User(id="cui", name="崔医生", roles=("cardiologist",)),
    User(id="chief", name="主任", roles=("cardiologist", "administrator")),
    User(id="ida", name="Ida", roles=("installer",)),
    User(id="dong", name="董医生", roles=("clinic_doctor",), clinics=("town", "village")),
    User(
        id="nie",
        name="聂护士",
        roles=("clinic_nurse",),
        clinics=("town",),
        addresses=(Address(channel="mail", to="nie@example.org"),),
    ),
    Clinic(
        id="town",
        name="溪口镇卫生院",
        tier="township",
        phone="0571-8700 1000",
        contacts=(
            Contact(name="聂护士", phone="0571-8700 1001", user="nie"),
            Contact(name="董医生", phone="13800000001", user="dong"),
        ),
    ),
    shift("t1", "tan", 0, 12),
    shift("t2", "tom", 12, 24),
    shift("c1", "chen", 0, 24, "cardiologist"),
    shift("s1", "cui", 0, 24, "second"),
    shift("h1", "chief", 0, 48, "chief"),
)
