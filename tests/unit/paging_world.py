"""Register lines, people and channels for the tests of `alerts.paging`."""

from datetime import timedelta, timezone
from typing import Any

from alerts.channel_secrets import ChannelSecrets
from alerts.channels import open_channels
from alerts.paging import Paging
from leadwire.case import Command, Line, RegisterEntry
from leadwire.network import Address, Network, User, to_item

T = 1_760_000_000.0
CHANNELS = open_channels(ChannelSecrets())
HOOK = Address(channel="webhook", to="https://a.example.org/x")
SMS = Address(channel="sms", to="13800000000", names_allowed=True)
MAIL = Address(channel="mail", to="a@example.org", names_allowed=True)
ZONE = timezone(timedelta(hours=8))


def user(name: str, *addresses: Address, **more: Any) -> User:
    return User(id=name, name=name, addresses=addresses, **{"roles": ("technician",)} | more)


def network(*users: User) -> Network:
    found = Network()
    for u in users:
        found.apply(to_item(u, key=f"k-{u.id}", at=T))
    return found


def raised(
    case: str = "w.1:500:asystole", kind: str = "asystole", at: float = T, **data: Any
) -> RegisterEntry:
    alert = {
        "type": "alert", "id": case, "version": 1, "stream": "w.1", "kind": kind, "priority": "high",
        "category": "physiological", "state": "active", "onset": 500, "raised_at": at, "changed_at": at,
        "evidence": {"rule": "r", "value": 4.0, "threshold": 4.0, "unit": "s"},
    }  # fmt: skip
    data = {"alert": alert, "clinic": "Shuanghe", "bed": "3", "patient": "李", "device": "d"} | data
    return entry(case, Line(line="condition", state="raised", data=data), at=at)


def requested(page: str, who: str = "li", at: float = T, **data: Any) -> RegisterEntry:
    data = {"page": page, "user": who, "side": "hub", "level": 0, "duty": "technician"} | {
        "priority": "high",
        "kind": "alarm",
        **data,
    }
    return entry(page.rpartition("/")[0], Line(line="page", state="requested", data=data), at=at)


def page_line(page: str, state: str, at: float = T, **data: Any) -> RegisterEntry:
    return entry(page.rpartition("/")[0], Line(line="page", state=state, data={"page": page, **data}), at=at)


_numbers = iter(range(10**9))


def entry(alert: str, *lines: Line, at: float) -> RegisterEntry:
    cause = f"cause{next(_numbers)}"
    return RegisterEntry(id=f"{cause}@{alert}", alert=alert, cause=cause, at=at, lines=lines)


def as_entry(receipt: Command) -> RegisterEntry:
    """What the desk writes of a receipt."""
    line = Line(line="page", state=receipt.data["state"], data=receipt.data)
    return RegisterEntry(
        id=f"{receipt.id}@{receipt.alert}",
        alert=receipt.alert,
        cause=receipt.id,
        at=receipt.at,
        lines=(line,),
    )


def paging(net: Network, *entries: RegisterEntry, **more: Any) -> Paging:
    found = Paging(CHANNELS, net, zone=ZONE, public_url="https://ecg.example.org/", **more)
    for e in entries:
        found.on_entry(e)
    return found


CASE = "w.1:500:asystole"
P1 = f"{CASE}/p1"
