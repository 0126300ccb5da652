"""The shapes of what a network consists of: hub, clinics, users, shifts ... and what each may hold.

Ranges are checked when an item is read (`from_body`). Whether it fits the others of its network is
`network.py`'s business, which also gives these names on.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from leadwire.case import AlertId, UserId
from leadwire.model import Priority
from leadwire.ranges import Kind, Time

Role = Literal["technician", "cardiologist", "clinic_doctor", "clinic_nurse", "installer", "administrator"]
Duty = Literal["technician", "cardiologist", "second", "chief", "installer"]
Tier = Literal["county", "township", "village"]
Language = Literal["zh", "en"]

HUB_ROLES: frozenset[Role] = frozenset({"technician", "cardiologist", "installer", "administrator"})
CLINIC_ROLES: frozenset[Role] = frozenset({"clinic_doctor", "clinic_nurse"})

DUTY_ROLES: Mapping[Duty, Role] = MappingProxyType(
    {
        "technician": "technician",
        "cardiologist": "cardiologist",
        "second": "cardiologist",
        "chief": "cardiologist",
        "installer": "installer",
    }
)
"""The role that a person must have to be on this duty."""

ChannelName = Literal["webhook", "mail", "sms", "dingtalk", "wecom", "feishu", "apprise"]

CHANNEL_FORMS: Mapping[ChannelName, tuple[str, str]] = MappingProxyType(
    {
        "webhook": (r"\Ahttps?://[^\s/]+(/\S*)?\Z", "https://HOST/PATH"),
        "mail": (r"\A[^\s@:/]+@[^\s@:/]+\.[^\s@:/]+\Z", "NAME@HOST"),
        "sms": (r"\A\+?[0-9][0-9 -]{2,24}\Z", "a phone number"),
        "dingtalk": (r"\A(dingtalk://|https://)\S+\Z", "dingtalk://TOKEN or the robot's https address"),
        "wecom": (r"\A(wecombot://|https://)\S+\Z", "wecombot://KEY or the robot's https address"),
        "feishu": (r"\A(feishu://|lark://|https://)\S+\Z", "feishu://TOKEN or the robot's https address"),
        "apprise": (r"\A[a-z][a-z0-9+]{1,31}://\S+\Z", "any address that Apprise knows, SCHEME://..."),
    }
)
"""Per channel the pattern of an address, and its form in words."""

MAX_SHIFT_S = 7 * 86_400.0
_CLEAN = r"[^\x00-\x1f\x7f]"
ClinicId = Annotated[str, Meta(pattern=rf"\A{_CLEAN}{{1,128}}\Z")]
"""The label that the clinic's devices say (`StreamInfo.clinic`)."""
ItemId = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._:@+-]{0,127}\Z")]
Person = Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9._-]{0,63}\Z")]
"""A user's id: a `UserId` that is not empty."""
Name = Annotated[str, Meta(pattern=rf"\A{_CLEAN}{{1,128}}\Z")]
Note = Annotated[str, Meta(max_length=1000)]
Phone = Annotated[str, Meta(pattern=r"\A(\+?[0-9(][0-9 ()./#*-]{1,39})?\Z")]
"""A number to call, perhaps with an extension; empty: none."""


class _Item(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    pass


class Hub(_Item, frozen=True, kw_only=True):
    """The hub hospital; there is one. `county_120` is called when nobody of a clinic can be reached."""

    id: ItemId
    name: Name
    phone: Phone = ""
    county_120: Phone = "120"


class Contact(_Item, frozen=True, kw_only=True):
    """Whom to call in a clinic. `user`: the same person's account, if there is one."""

    name: Name
    phone: Annotated[str, Meta(pattern=r"\A\+?[0-9(][0-9 ()./#*-]{1,39}\Z")]
    user: UserId = ""


class Clinic(_Item, frozen=True, kw_only=True):
    """A clinic; `contacts` in the order to call them. `parent` is the next clinic up; empty: the hub.

    `pack` names the rule pack for its patients; empty: the default one.
    """

    id: ClinicId
    name: Name
    tier: Tier
    parent: Annotated[str, Meta(pattern=rf"\A{_CLEAN}{{0,128}}\Z")] = ""
    phone: Phone = ""
    contacts: Annotated[tuple[Contact, ...], Meta(max_length=16)] = ()
    pack: Annotated[str, Meta(max_length=128)] = ""
    language: Language = "zh"


class Address(_Item, frozen=True, kw_only=True):
    """Where a message to a person goes. `names_allowed`: it may carry the name of a patient."""

    channel: ChannelName
    to: Annotated[str, Meta(min_length=1, max_length=500)]
    names_allowed: bool = False


class User(_Item, frozen=True, kw_only=True):
    """A person with an account.

    `clinics` limits what they see; empty is for hub roles only and means all. `password` is a hash of
    `passwords.hash_password`, empty: no login. `registration` is a doctor's number of registration.
    """

    id: Person
    name: Name
    roles: Annotated[tuple[Role, ...], Meta(min_length=1, max_length=6)]
    clinics: Annotated[tuple[ClinicId, ...], Meta(max_length=500)] = ()
    addresses: Annotated[tuple[Address, ...], Meta(max_length=8)] = ()
    phone: Phone = ""
    password: Annotated[str, Meta(pattern=r"\A(scrypt\$[0-9A-Za-z+/=$]{20,300})?\Z")] = ""
    registration: Annotated[str, Meta(max_length=64)] = ""
    language: Language = "zh"
    active: bool = True


class Shift(_Item, frozen=True, kw_only=True):
    """A person on a duty at `start` <= t < `end`, s since 1970. Shifts may overlap: all are on duty."""

    id: ItemId
    duty: Duty
    user: Person
    start: Time
    end: Time


class Substitution(_Item, frozen=True, kw_only=True):
    """`user` stands in for the person of a shift at `start` <= t < `end`; `by` arranged it."""

    id: ItemId
    shift: ItemId
    user: Person
    start: Time
    end: Time
    reason: Note = ""
    by: UserId = ""


class Handover(_Item, frozen=True, kw_only=True):
    """One took a duty over from another, having read the open cases `read`."""

    id: ItemId
    duty: Duty
    from_user: Person
    to_user: Person
    at: Time
    read: Annotated[tuple[AlertId, ...], Meta(max_length=1000)] = ()


class StepRule(_Item, frozen=True, kw_only=True):
    """Whom to tell, so many seconds after an alert was raised.

    `duty` is a `Duty` on the hub's side; on the clinic's `clinic` (everybody), or one of its roles.
    """

    side: Literal["hub", "clinic"]
    duty: Kind
    after_s: Annotated[float, Meta(ge=0, le=86_400)]


class ChainRule(_Item, frozen=True, kw_only=True):
    """The escalation of one priority in one clinic, or in all that have no rule of their own (`*`)."""

    id: ItemId
    priority: Priority
    clinic: ClinicId = "*"
    steps: Annotated[tuple[StepRule, ...], Meta(min_length=1, max_length=16)]


class Criteria(_Item, frozen=True, kw_only=True):
    """What is announced, and how, for one clinic, device or patient; signed by `author`.

    `rules` changes rules of `pack` (empty: the one that applies anyway), by kind of condition.
    """

    id: ItemId
    scope: Literal["clinic", "device", "patient"]
    target: Name
    pack: Annotated[str, Meta(max_length=128)] = ""
    rules: Annotated[dict[Kind, dict[str, Any]], Meta(max_length=200)] = field(default_factory=dict)
    author: Person
    at: Time


Item = Hub | Clinic | User | Shift | Substitution | Handover | ChainRule | Criteria

KINDS: Mapping[str, type[Item]] = MappingProxyType(
    {
        "hub": Hub,
        "clinic": Clinic,
        "user": User,
        "shift": Shift,
        "substitution": Substitution,
        "handover": Handover,
        "chain": ChainRule,
        "criteria": Criteria,
    }
)
"""Each kind and its shape, in an order in which whatever is named comes before what names it."""

KIND_OF: Mapping[type[Item], str] = MappingProxyType({shape: kind for kind, shape in KINDS.items()})


def from_body(kind: str, body: Mapping[str, Any], strict: bool = True) -> Item:
    """The item of `kind` that `body` (plain maps, lists, text, numbers) describes.

    Parameters
    ----------
    strict
        False: a number or a yes may be text.

    Raises
    ------
    ValueError
        An unknown kind or a wrong shape: what came, where, and what was expected. Never a password.
    """
    shape = shape_of(kind)
    try:
        return msgspec.convert(dict(body), shape, strict=strict)
    except msgspec.ValidationError as why:
        raise ValueError(f"{_came(str(why), body)}{why}") from None


def to_body(item: Item) -> dict[str, Any]:
    """The plain form of `item`, which `from_body` reads."""
    body: dict[str, Any] = msgspec.to_builtins(item)
    return body


def shape_of(kind: str) -> type[Item]:
    """The shape of `kind`; ValueError for an unknown one."""
    if kind not in KINDS:
        raise ValueError(f"kind {kind[:40]!r} came; one of {', '.join(KINDS)} was expected")
    return KINDS[kind]


def _came(why: str, body: Mapping[str, Any]) -> str:
    """What stands at the place that msgspec names (``... - at `$.addresses[0].to` ``)."""
    place = re.search(r"at `\$([^`]*)`$", why)
    value: Any = body
    for name, number in re.findall(r"\.(\w+)|\[(\d+)\]", place[1]) if place else ():
        try:
            value = value[name] if name else value[int(number)]
        except (LookupError, TypeError):
            return ""
    if value is body or (place and "password" in place[1]):
        return ""
    return f"{str(value)[:60]!r} came: "
