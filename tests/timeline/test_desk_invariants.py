"""What holds whatever happens, in whatever order: alarms, people, receipts, rosters, time, and a dying desk.

Hypothesis makes up the days; after every step the invariants of the desk are checked on what stands in the
register.
"""

from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec import structs

from alerts.commands import ACTIONS
from alerts.escalation import LAST_WAIT_S, REPEAT_S
from leadwire.case import RegisterEntry
from leadwire.network import DUTY_ROLES, Handover, Shift
from leadwire.story import Case
from tests.timeline.world import BEDS, DUTIES, FS, T0, Story, alert, people, shifts

KINDS = (
    "asystole",
    "ventricular_fibrillation",
    "ventricular_tachycardia",
    "ventricular_rhythm",
    "tachycardia",
    "bradycardia",
    "pvc_couplet",
    "atrial_fibrillation",
    "lead_off",
    "no_data",
)
USERS = ("tech", "tech2", "card", "second", "chief", "off", "inst", "admin", "dr_wang", "nurse_li", "dr_zhao")
HUB_ACTIONS = (
    "accept",
    "triage",
    "confirm",
    "attempt",
    "read_back",
    "close",
    "reopen",
    "acknowledge",
    "pause_audio",
    "pause_alarm",
    "alarm_off",
)
VERDICTS = ("artefact", "true_not_actionable", "true_actionable")
RESULTS = ("answered", "busy", "no_answer", "wrong_number")


def data_of(action: str, number: int) -> dict[str, Any]:
    """Data that fit `action`, varied by `number`."""
    return {
        "accept": {"take_over": number % 4 == 0},
        "decline": {"reason": "elsewhere"},
        "pause_audio": {"seconds": 1.0 + number % 120},
        "pause_alarm": {"seconds": 10.0 + number % 300, "reason": "care"},
        "alarm_off": {"seconds": 600.0 + number, "reason": "care"},
        "triage": {"verdict": VERDICTS[number % 3]},
        "attempt": {"contact": "Wang", "result": RESULTS[number % 4]},
        "read_back": {"words": "as told", "by": "Wang"},
        "state_action": {"text": "aspirin"},
        "outcome": {"text": "well"},
        "close": {"reason": "done"},
        "reopen": {"reason": "look again"},
        "note": {"text": "a note"},
        "clock": {"mark": "ecg", "at": T0},
    }.get(action, {})


class Days(RuleBasedStateMachine):
    """Days at the desk, as they come."""

    def __init__(self) -> None:
        super().__init__()
        self.story = Story(items=[*people(), *shifts(weeks=1)])
        self.seen = 0
        self.ids: set[str] = set()
        self.last_at = 0.0

    # ------------------------------------------------------------ what happens

    @property
    def at(self) -> float:
        return self.story.now - T0

    @rule(kind=st.sampled_from(KINDS), bed=st.sampled_from(sorted(BEDS)), late=st.booleans())
    def an_alert_begins(self, kind: str, bed: str, late: bool) -> None:
        self.story.event(alert(kind, bed, self.at, onset=len(self.story.asked) * FS, late=late, ended=late))

    @precondition(lambda self: any(c.active for c in self.story.cases.values()))
    @rule(which=st.integers(0, 99), gap=st.booleans())
    def an_alert_ends(self, which: int, gap: bool) -> None:
        lasting = [(c, m) for c in self.story.cases.values() for m in c.members.values() if m.active]
        case, member = lasting[which % len(lasting)]
        onset = int(member.id.split(":")[1])
        version = self.story.versions[member.id] + 1 + gap  # a transition may be missing
        self.story.event(alert(member.kind, case.bed, self.at, onset=onset, version=version, ended=True))

    @precondition(lambda self: any(c.members for c in self.story.cases.values()))
    @rule(which=st.integers(0, 99), worse=st.booleans())
    def an_alert_changes_or_comes_back(self, which: int, worse: bool) -> None:
        members = [(c, m) for c in self.story.cases.values() for m in c.members.values()]
        case, member = members[which % len(members)]
        if case.kind != "test_alarm":
            onset = int(member.id.split(":")[1])
            version = self.story.versions[member.id] + 1
            changed = alert(member.kind, case.bed, self.at, onset=onset, version=version)
            priority = "high" if worse else changed.priority
            self.story.event(structs.replace(changed, priority=priority))

    @precondition(lambda self: self.story.cases)
    @rule(
        action=st.sampled_from(sorted(ACTIONS)),
        user=st.sampled_from(USERS),
        which=st.integers(0, 99),
        number=st.integers(0, 99),
    )
    def somebody_does_something(self, action: str, user: str, which: int, number: int) -> None:
        if action != "receipt":
            self.story.command(action, self.some_case(which).id, user, data_of(action, number))

    @precondition(lambda self: self.story.cases)
    @rule(action=st.sampled_from(HUB_ACTIONS), which=st.integers(0, 99), number=st.integers(0, 99))
    def the_right_one_does_something(self, action: str, which: int, number: int) -> None:
        case = self.some_case(which)
        user = case.owner or ("tech", "card")[number % 2]
        self.story.command(action, case.id, user, data_of(action, number))

    @precondition(lambda self: any(c.pages for c in self.story.cases.values()))
    @rule(which=st.integers(0, 99), state=st.sampled_from(["sent", "delivered", "seen", "failed"]))
    def a_channel_says(self, which: int, state: str) -> None:
        pages = [(c, p) for c in self.story.cases.values() for p in c.pages.values()]
        case, page = pages[which % len(pages)]
        self.story.command("receipt", case.id, data={"page": page.id, "state": state, "channel": "sms"})

    @rule(duty=st.sampled_from(sorted(DUTIES)), which=st.integers(0, 9), on=st.booleans())
    def the_roster_changes(self, duty: str, which: int, on: bool) -> None:
        user = DUTIES[duty][which % len(DUTIES[duty])]
        start = self.story.now - 86_400
        shift = Shift(
            id=f"{duty}-{user}-0",
            duty=duty,  # type: ignore[arg-type]
            user=user,
            start=start,
            end=start + (5 * 86_400 if on else 60),
        )
        self.story.wish(shift)

    @precondition(lambda self: len(self.story.facts) < 20)
    @rule(read=st.booleans())
    def a_duty_changes_hands(self, read: bool) -> None:
        cases = tuple(c.id for c in self.story.desk.open_cases()) if read else ()
        self.story.wish(
            Handover(
                id=f"h{len(self.story.asked)}",
                duty="technician",
                from_user="tech",
                to_user="tech2",
                at=self.story.now,
                read=cases,
            ),
            by="tech2",
        )

    @rule(seconds=st.one_of(st.floats(0.1, 130), st.sampled_from([60.0, 300.0, 600.0, 3600.0, 90_000.0])))
    def time_passes(self, seconds: float) -> None:
        self.story.until(self.at + seconds)

    @rule(seconds=st.floats(1, 5000))
    def the_desk_is_away_for_a_while(self, seconds: float) -> None:
        self.story.now += seconds
        self.story.restart()
        self.story.until(self.at)

    @precondition(lambda self: self.story.asked)
    @rule(which=st.integers(0, 9999))
    def an_input_comes_again(self, which: int) -> None:
        self.story.until(self.at)
        old = self.story.asked[which % len(self.story.asked)]
        assert old(self.story.desk).entries == ()

    def some_case(self, which: int) -> Case:
        cases = list(self.story.cases.values())
        return cases[which % len(cases)]

    # ------------------------------------------------------------ what holds

    @invariant()
    def all_of_it_holds(self) -> None:
        self.what_is_due_was_done()
        self.nothing_open_is_without_an_owner_a_page_or_a_voice()
        self.every_open_case_will_be_heard_of_again()
        self.an_accepted_case_rings_nowhere_else()
        self.who_acted_for_the_hub_was_on_duty()
        self.closing_needs_triage_and_read_back()
        self.what_kills_is_never_off()
        self.what_is_hidden_is_counted()
        self.late_data_never_sound()
        self.one_condition_is_one_alert_and_time_never_runs_back()

    def new_entries(self) -> list[RegisterEntry]:
        return self.story.register[self.seen :]

    def what_is_due_was_done(self) -> None:
        due = self.story.desk.notify_at()
        if due is not None and due <= self.story.now:
            self.story.until(self.at)

    def nothing_open_is_without_an_owner_a_page_or_a_voice(self) -> None:
        """4.3, reworded: a red (or yellow) alert without owner has a page under way at the level that its age
        demands; after the last level it is exhausted, and the chief is paged again and again."""
        now = self.story.now
        for case in self.story.desk.open_cases():
            if case.priority == "low" or case.category == "technical" or case.task or case.late or case.owner:
                continue
            assert case.responsibility in ("raised", "escalated", "exhausted"), case
            assert case.next_escalation is not None
            assert case.next_escalation > now
            if case.responsibility == "exhausted":
                assert case.next_escalation <= now + REPEAT_S[case.priority]
                continue
            later = [s.after_s for s in case.chain[case.step + 1 :] if s.side == "hub"]
            deadline = later[0] if later else case.chain[case.step].after_s + LAST_WAIT_S[case.priority]
            assert case.chain_at + deadline >= now - 1e-3
            assert any(page.level == case.level for page in case.open_pages("hub"))

    def every_open_case_will_be_heard_of_again(self) -> None:
        """Closed, or loudly open: something is due, or it sounds, or it lasts and shows."""
        for case in self.story.desk.open_cases():
            assert case.timers or case.active or case.signal in ("sounding", "reminder"), case
            if case.owner:
                assert {"lease", "read_back", "clinic_acknowledge", "action", "outcome"} & set(
                    case.timers
                ) or (case.call_back.read_back_done), case

    def an_accepted_case_rings_nowhere_else(self) -> None:
        for case in self.story.cases.values():
            if case.owner:
                others = [p for p in case.open_pages("hub") if p.user != case.owner and p.kind == "alarm"]
                assert not others
            if case.closed:
                assert not case.open_pages()
                assert not case.timers
                assert not case.audible

    def who_acted_for_the_hub_was_on_duty(self) -> None:
        directory = self.story.desk.directory
        for entry in self.new_entries():
            signed = {"accepted", "confirmed", "artefact", "true_not_actionable", "true_actionable", "closed"}
            if entry.by and any(line.line != "refused" and line.state in signed for line in entry.lines):
                assert directory.is_on_duty(entry.by, entry.at)
                assert set(directory.roles(entry.by)) & set(DUTY_ROLES.values())

    def closing_needs_triage_and_read_back(self) -> None:
        for entry in self.new_entries():
            for line in entry.lines:
                if (line.line, line.state) != ("clinical", "closed"):
                    continue
                case = self.story.cases[entry.alert]
                if entry.by:
                    assert case.verdict
                    assert not case.actionable or case.call_back.words
                else:
                    assert case.category == "technical" or case.priority == "low"
                    assert not case.actionable

    def what_kills_is_never_off(self) -> None:
        for case in self.story.cases.values():
            heard = [m.kind for m in case.members.values() if not m.late]
            lethal = "asystole" in heard or "ventricular_fibrillation" in heard
            if lethal and not case.closed:
                assert case.signal != "alarm_off"
                if case.signal == "alarm_paused":
                    assert case.signal_until is not None
                    assert case.signal_until - case.last["signal/alarm_paused"] <= 120

    def what_is_hidden_is_counted(self) -> None:
        cases = {c.id: c for c in self.story.desk.open_cases()}
        for case in cases.values():
            if case.inhibited_by:
                assert case.id in cases[case.inhibited_by].hides
                assert not case.audible
                assert case.timers or case.condition != "active" or case.priority == "low" or case.task
            assert set(case.hides) == {c.id for c in cases.values() if c.inhibited_by == case.id}

    def late_data_never_sound(self) -> None:
        for case in self.story.cases.values():
            if case.late:
                assert case.signal == "quiet"
                if "clinical/true_actionable" not in case.first:  # unless a person found it to need action
                    assert not any(p.kind == "alarm" for p in case.pages.values())

    def one_condition_is_one_alert_and_time_never_runs_back(self) -> None:
        entries = self.new_entries()
        for entry in entries:
            assert entry.id not in self.ids
            self.ids.add(entry.id)
            assert entry.at >= self.last_at
            self.last_at = entry.at
        self.seen = len(self.story.register)

    def teardown(self) -> None:
        """Another desk, built from the register alone, knows the same and goes on the same."""
        mine, now = self.story.desk, self.story.now
        self.story.restart()
        other = self.story.desk
        assert {c.id: c for c in mine.cases()} == {c.id: c for c in other.cases()}
        late = now + 4000
        assert mine.on_time(late) == other.on_time(late)


Days.TestCase.settings = settings(
    max_examples=30,
    stateful_step_count=40,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
    suppress_health_check=[HealthCheck.too_slow],
)
TestDays = Days.TestCase
