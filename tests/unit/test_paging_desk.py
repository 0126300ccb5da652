"""The desk and the messages together, pure: who is told, who is spared, and what a dead address leads to."""

from alerts.channels.port import Sent
from alerts.engine import Decision, DeskEngine
from alerts.paging import Step
from leadwire.case import Command
from leadwire.model import Alert, AlertRule, Evidence
from leadwire.network import Clinic, Network, Shift, to_item
from tests.unit.paging_world import HOOK, MAIL, SMS, T, paging, user


class House:
    """A desk, its messages, and gateways that work unless their channel is in `down`."""

    def __init__(self) -> None:
        duties = {"li": "technician", "chen": "cardiologist", "zhu": "chief"}
        items = [
            Clinic(id="c", name="C", tier="village"),
            user("li", HOOK),
            user("chen", SMS, roles=("cardiologist",)),
            user("zhu", MAIL, roles=("cardiologist",)),
            *(
                Shift(id=f"s-{name}", duty=duty, user=name, start=T - 3600, end=T + 86_400)
                for name, duty in duties.items()
            ),
        ]
        self.network = Network()
        for item in items:
            self.network.apply(to_item(item, key=f"k/{item.id}", at=T))
        self.desk = DeskEngine(self.network)
        self.paging = paging(self.network)
        self.down: set[str] = set()
        self.dead: set[str] = set()
        self.got: list[tuple[float, str]] = []
        self.refused: list[str] = []

    def take(self, decision: Decision, now: float) -> None:
        for entry in decision.entries:
            self.refused += [line.state for line in entry.lines if line.line == "refused"]
            self.paging.on_entry(entry)

    def step(self, step: Step, now: float) -> None:
        for receipt in step.receipts:
            self.take(self.desk.on_command(receipt, now), now)
        for job in step.jobs:
            if job.channel in self.down:
                self.step(self.paging.on_failed(job, "503", now), now)
            elif job.channel in self.dead:
                self.step(self.paging.on_rejected(job, "no such number", now), now)
            else:
                self.got.append((now - T, job.page.user))
                self.step(self.paging.on_sent(job, Sent(), now), now)

    def run(self, start: float, end: float) -> None:
        now = T + start
        while now <= T + end:
            self.take(self.desk.on_time(now), now)
            self.step(self.paging.on_time(now), now)
            now += 0.5


ALERT = Alert(
    id="w.1:500:asystole",
    version=1,
    stream="w.1",
    kind="asystole",
    priority="high",
    category="physiological",
    state="active",
    onset=500,
    raised_at=T,
    changed_at=T,
    evidence=Evidence(rule="r", value=4.0, threshold=4.0, unit="s"),
    clinic="c",
    bed="1",
    rule=AlertRule(pack="test 1", family="slow"),
)


def test_a_red_alert_reaches_the_phones_of_its_chain_in_turn():
    house = House()
    house.take(house.desk.on_event(ALERT, T), T)
    house.run(0, 320)
    first = dict(reversed([(name, at) for at, name in house.got]))
    assert first["li"] <= 5
    assert 60 <= first["chen"] <= 65
    assert first["chen"] < first["zhu"] <= 305
    assert house.refused == []
    (case,) = house.desk.cases()
    assert {p.state for p in case.pages.values()} <= {"sent", "timed_out"}


def test_whoever_accepts_stops_what_still_waits_for_the_others():
    house = House()
    house.down = {"sms"}
    house.take(house.desk.on_event(ALERT, T), T)
    house.run(0, 70)
    assert house.paging.waiting == 1, "the cardiologist's message is tried again and again"
    accept = Command(id="li/1", alert=ALERT.id, action="accept", by="li", at=T + 71)
    house.take(house.desk.on_command(accept, T + 71), T + 71)
    house.down = set()
    house.run(71, 200)
    assert house.paging.waiting == 0
    assert {name for _, name in house.got} == {"li"}


def test_an_address_that_cannot_work_takes_the_next_step_at_once():
    house = House()
    house.dead = {"webhook"}
    house.take(house.desk.on_event(ALERT, T), T)
    house.run(0, 30)
    assert [name for _, name in house.got][:1] == ["chen"]
    assert house.got[0][0] <= 5
