"""A small network for stories, and a desk on a clock that only the story moves.

Clinic V (beds A, B; dr_wang and nurse_li, in that order) and clinic T (bed C; dr_zhao); at the hub, on
duty: tech and tech2 (technicians), card, second, chief, inst; not on duty: off (a cardiologist), admin.
Times are seconds from the story's beginning.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from alerts.engine import Decision, DeskEngine
from alerts.kinds import KINDS
from leadwire import codec
from leadwire.case import Command, NetworkItem, RegisterEntry
from leadwire.model import Alert, AlertRule, Evidence, Priority, event_id
from leadwire.network import (
    Clinic,
    Contact,
    Hub,
    Item,
    Network,
    Shift,
    User,
    to_item,
)
from leadwire.story import Case, apply

T0 = 1_700_000_000.0
WEEK_S = 7 * 86_400.0
FS = 250

HIGH = (
    "asystole",
    "ventricular_fibrillation",
    "sustained_ventricular_tachycardia",
    "ventricular_tachycardia",
    "extreme_tachycardia",
    "extreme_bradycardia",
    "infarction_acute",
    "unwatched",
)
LOW = ("atrial_fibrillation", "lead_off", "noisy", "pvc_couplet", "pvc_run", "bigeminy", "flat")
BEDS = {"A": "V", "B": "V", "C": "T"}
DUTIES = {
    "technician": ("tech", "tech2"),
    "cardiologist": ("card",),
    "second": ("second",),
    "chief": ("chief",),
    "installer": ("inst",),
}


def rule(kind: str) -> AlertRule:
    """The rule of `kind` as the pack "monitor-adult" has it, in what matters to the desk."""
    info = KINDS[kind]
    physiological = info.category == "physiological"
    hidden = tuple(k for k in KINDS if k != "no_data" and KINDS[k].family not in ("watch", "system"))
    return AlertRule(
        pack="monitor-adult 1",
        family=info.family,
        rank=info.rank,
        latching=physiological and kind in HIGH,
        reminder_s=120.0 if physiological and kind not in LOW else 0.0,
        group_s=300.0,
        inhibits=hidden if kind == "no_data" else (),
        notify="task" if kind == "atrial_fibrillation" else "siren",
        can_be_off=not info.protected,
    )


def priority(kind: str) -> Priority:
    return "high" if kind in HIGH else "low" if kind in LOW else "medium"


def alert(
    kind: str,
    bed: str = "A",
    at: float = 0.0,
    *,
    clinic: str | None = None,
    onset: int | None = None,
    version: int = 1,
    ended: bool = False,
    late: bool = False,
) -> Alert:
    """A transition of an alert on `bed` at `at` (s from the beginning)."""
    onset = round(at * FS) if onset is None else onset
    stream = f"bed-{bed}"
    return Alert(
        id=event_id(stream, onset, kind),
        version=version,
        stream=stream,
        kind=kind,
        priority=priority(kind),
        category=KINDS[kind].category,
        state="ended" if ended else "active",
        onset=onset,
        end=round(at * FS) if ended else None,
        raised_at=T0 + at,
        changed_at=T0 + at,
        evidence=Evidence(rule=kind, value=10.0, threshold=10.0, unit="s"),
        clinic=BEDS.get(bed, "V") if clinic is None else clinic,
        bed=bed,
        device=f"device-{bed}",
        late=late,
        rule=rule(kind),
    )


def people() -> list[Item]:
    """The hub, two clinics, everybody."""
    hub_roles = {
        "tech": "technician",
        "tech2": "technician",
        "card": "cardiologist",
        "second": "cardiologist",
        "chief": "cardiologist",
        "off": "cardiologist",
        "inst": "installer",
        "admin": "administrator",
    }
    return [
        Hub(id="hub", name="Hub", phone="110", county_120="0571-120"),
        Clinic(
            id="V",
            name="Village",
            tier="village",
            contacts=(
                Contact(name="Wang", phone="13900000001", user="dr_wang"),
                Contact(name="Li", phone="13900000002", user="nurse_li"),
            ),
        ),
        Clinic(id="T", name="Township", tier="township", contacts=(Contact(name="Zhao", phone="137"),)),
        *(User(id=name, name=name, roles=(role,)) for name, role in hub_roles.items()),  # type: ignore[arg-type]
        User(id="dr_wang", name="Wang", roles=("clinic_doctor",), clinics=("V",)),
        User(id="nurse_li", name="Li", roles=("clinic_nurse",), clinics=("V",)),
        User(id="dr_zhao", name="Zhao", roles=("clinic_doctor",), clinics=("T",)),
    ]


def shifts(off_duty: Iterable[str] = (), weeks: int = 8) -> list[Item]:
    """Shifts of a week each from the day before the beginning, but for users (or whole duties) `off_duty`."""
    away = set(off_duty)
    return [
        Shift(
            id=f"{duty}-{user}-{week}",
            duty=duty,  # type: ignore[arg-type]
            user=user,
            start=T0 - 86_400 + week * WEEK_S,
            end=T0 - 86_400 + (week + 1) * WEEK_S,
        )
        for duty, users in DUTIES.items()
        for user in users
        if not {duty, user} & away
        for week in range(weeks)
    ]


def network(items: Iterable[Item]) -> Network:
    found = Network()
    for item in items:
        found.apply(to_item(item, key="seed", at=T0))
    return found


@dataclass
class Story:
    """A desk, its clock, and everything that stands in the register so far.

    Attributes
    ----------
    kill
        Asked after each entry (its number): True kills the desk there, before anything else is written,
        and a new one is built from the register. Nothing was committed: every input comes again.
    """

    items: list[Item] = field(default_factory=lambda: [*people(), *shifts()])
    kill: Callable[[int], bool] = lambda number: False
    now: float = T0
    register: list[RegisterEntry] = field(default_factory=list)
    facts: list[NetworkItem] = field(default_factory=list)
    cases: dict[str, Case] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    asked: list[Callable[[DeskEngine], Decision]] = field(default_factory=list)
    numbers: int = 0
    killed: int = 0

    def __post_init__(self) -> None:
        self.desk = DeskEngine(network(self.items))

    def restart(self) -> None:
        """The desk dies; another one is built from what is durable, read back from bytes."""
        self.killed += 1
        self.desk = DeskEngine(network(self.items))
        for item in self.facts:
            self.desk.network.apply(item)
        self.desk.rebuild(codec.decode_as(codec.encode(e), RegisterEntry) for e in self.register)

    def _tell(self, ask: Callable[[DeskEngine], Decision]) -> Decision:
        """One input; if the desk is killed over it, the next one gets all inputs again."""
        decision = ask(self.desk)
        again = self._write(decision)
        while again:
            self.restart()
            again = any(self._write(old(self.desk)) for old in [*self.asked, ask])
        return decision

    def _write(self, decision: Decision) -> bool:
        """Make durable what was decided; True: killed before the end."""
        self.facts += [item for item in decision.network if item not in self.facts]
        for entry in decision.entries:
            self.register.append(entry)
            case = apply(self.cases.get(entry.alert), entry) if entry.alert else None
            if case is not None:
                self.cases[entry.alert] = case
            if self.kill(len(self.register)):
                return True
        return False

    def until(self, at: float) -> None:
        """Let time pass up to `at` (s from the beginning), stopping wherever the desk wants to be woken."""
        while (due := self.desk.notify_at()) is not None and due <= T0 + at:
            self.now = max(self.now, due)
            self._tell(lambda desk: desk.on_time(self.now))
        self.now = max(self.now, T0 + at)

    def event(self, transition: Alert) -> Decision:
        self.versions[transition.id] = max(transition.version, self.versions.get(transition.id, 0))
        return self._input(lambda desk: desk.on_event(transition, self.now))

    def command(
        self, action: str, case: str, by: str = "", data: dict[str, Any] | None = None, id: str = ""
    ) -> Decision:
        self.numbers += 1
        command = Command(
            id=id or f"c{self.numbers}", alert=case, action=action, by=by, at=self.now, data=data or {}
        )
        return self._input(lambda desk: desk.on_command(command, self.now))

    def wish(self, item: Item, by: str = "admin") -> Decision:
        self.numbers += 1
        wanted = to_item(item, key=f"n{self.numbers}", at=self.now, by=by)
        return self._input(lambda desk: desk.on_network(wanted, self.now))

    def _input(self, ask: Callable[[DeskEngine], Decision]) -> Decision:
        decision = self._tell(ask)
        self.asked.append(ask)
        return decision

    def of_bed(self, bed: str) -> list[Case]:
        """The cases of a bed, in the order of raising."""
        return [c for c in self.cases.values() if c.bed == bed]
