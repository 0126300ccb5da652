"""A ward with a desk that decides and a network of people: what alerts role and dashboard do together."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from alerts.desk_stage import DeskStage
from leadwire import codec
from leadwire.bus.compacted import read_all
from leadwire.case import RegisterEntry
from leadwire.model import Alert, AlertRule
from leadwire.network import KIND_OF, Clinic, Contact, Hub, Item, Shift, User, to_item
from leadwire.passwords import hash_password
from leadwire.runner import Runner
from leadwire.topics import ALERTS, COMMANDS, NETWORK, REGISTER
from tests.services.ward import Ward, alert

PASSWORD = "correct horse"
_HASH = hash_password(PASSWORD, cost=1 << 4)
CLINIC, OTHER = "Linxi", "Dongshan"


def people(now: float) -> tuple[Item, ...]:
    """A hub, two clinics, and somebody on every duty but `off`, who is on none."""
    duties = {
        "tan": "technician",
        "chen": "cardiologist",
        "cui": "second",
        "zhu": "chief",
        "ida": "installer",
    }
    users = (
        User(id="tan", name="谭技师", roles=("technician",), password=_HASH),
        User(id="chen", name="陈医生", roles=("cardiologist",), password=_HASH),
        User(id="cui", name="崔医生", roles=("cardiologist",), password=_HASH),
        User(id="zhu", name="朱主任", roles=("cardiologist", "administrator"), password=_HASH),
        User(id="ida", name="Ida", roles=("installer",), password=_HASH),
        User(id="off", name="Otto", roles=("technician",), password=_HASH),
        User(id="wang", name="王医生", roles=("clinic_doctor",), clinics=(CLINIC,), password=_HASH),
        User(id="dong", name="董医生", roles=("clinic_doctor",), clinics=(OTHER,), password=_HASH),
        User(id="gone", name="Gone", roles=("technician",), password=_HASH, active=False),
    )
    return (
        Hub(id="hub", name="市第一医院", phone="0571-888000"),
        Clinic(
            id=CLINIC,
            name="林溪镇卫生院",
            tier="township",
            phone="0571-1000",
            contacts=(
                Contact(name="王医生", phone="13800000001", user="wang"),
                Contact(name="李护士", phone="13800000002"),
            ),
        ),
        Clinic(id=OTHER, name="东山村卫生室", tier="village", parent=CLINIC),
        *users,
        *(
            Shift(id=f"s-{user}", duty=duty, user=user, start=now - 3600.0, end=now + 86_400.0)  # type: ignore[arg-type]
            for user, duty in duties.items()
        ),
    )


class Hospital(Ward):
    """A `Ward` with a network of people, and a desk that runs until `close`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        for item in people(time.time()):
            kind = KIND_OF[type(item)]
            fact = to_item(item, key=f"test/{kind}/{len(item.id)}", at=time.time())
            self.publish(NETWORK, f"{kind}/{item.id}", fact)
        self._halt = threading.Event()
        self._desk = threading.Thread(
            target=Runner(self.bus, DeskStage(self.bus), poll_s=0.02).run, args=(self._halt,), daemon=True
        )
        self._desk.start()

    def close(self) -> None:
        self._halt.set()
        self._desk.join()
        super().close()

    def raise_alert(
        self, stream: str, kind: str = "asystole", priority: str = "high", **changes: Any
    ) -> Alert:
        """What the condition stage does: the alert, with its place, on both topics."""
        info = self.patients[stream]
        place = {"clinic": info.clinic, "bed": info.bed, "patient": info.patient, "device": info.device}
        message = alert(
            info, kind=kind, priority=priority, **({"rule": AlertRule(pack="test 1")} | place | changes)
        )
        self.publish(ALERTS, stream, message)
        self._producer.publish(COMMANDS, message.id, codec.encode(message)).result(60)
        return message

    def register(self) -> list[RegisterEntry]:
        """Everything in the register, in its order."""
        return [codec.decode_as(r.value or b"", RegisterEntry) for r in read_all(self.bus, REGISTER)]

    def client(self, user: str = "") -> httpx.Client:
        """An HTTP client, logged in as `user`."""
        client = httpx.Client(base_url=self.address, timeout=30.0)
        if user:
            answer = client.post("/api/session", json={"user": user, "password": PASSWORD})
            assert answer.status_code == 200, answer.text
        return client

    def case(self, client: httpx.Client, alert_id: str) -> dict[str, Any]:
        """The case, once the dashboard has it."""
        eventually(lambda: client.get(f"/api/cases/{alert_id}").status_code == 200)
        found: dict[str, Any] = client.get(f"/api/cases/{alert_id}").json()
        return found


def eventually(true: Callable[[], bool], within_s: float = 60.0) -> None:
    """Return as soon as `true()`; what one topic brings may be seen before what another does."""
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end, f"not so within {within_s} s"
        time.sleep(0.02)


def give(client: httpx.Client, alert_id: str, action: str, key: str = "", **data: Any) -> httpx.Response:
    """Give a command."""
    headers = {"Idempotency-Key": key} if key else {}
    return client.post(
        f"/api/cases/{alert_id}/commands", json={"action": action, "data": data}, headers=headers
    )
