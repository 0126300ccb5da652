"""Days of a network with people who answer sooner, later or never (`benchmarks/desk.py` has the year)."""

import pytest

from alerts.engine import KEEP_CLOSED_S
from benchmarks.desk import Year
from leadwire.story_parts import KEPT
from tests.timeline.world import FS, T0, Story, alert


@pytest.fixture(scope="module")
def days() -> Year:
    year = Year(clinics=30, days=5, seed=7)
    year.play()
    return year


def test_every_case_is_closed_or_loudly_open(days: Year) -> None:
    assert days.raised > 400
    assert days.raised == days.closed - days.lines["clinical/reopened"] + len(list(days.desk.open_cases()))
    assert days.forgotten() == []


def test_the_days_had_everything(days: Year) -> None:
    for line in (
        "responsibility/escalated",
        "responsibility/exhausted",
        "responsibility/declined",
        "responsibility/lease_expired",
        "responsibility/clinic_overdue",
        "condition/recurred",
        "condition/latched",
        "signal/acknowledged",
        "callback/next_contact",
        "callback/read_back",
        "callback/action_stated",
    ):
        assert days.lines[line], line


def test_an_episode_of_thousands_of_alerts_and_pages_stays_small() -> None:
    story = Story()
    for number in range(1500):
        at = number * 20.0
        story.until(at)
        story.event(alert("ventricular_tachycardia", "A", at, onset=number))
        story.event(alert("ventricular_tachycardia", "A", at + 10, onset=number, version=2, ended=True))
    (case,) = story.cases.values()
    assert case.entries > 3000
    assert len(case.members) <= KEPT + 1
    assert len(case.pages) <= KEPT + 16


def test_what_was_closed_a_month_ago_is_no_longer_in_memory_and_can_come_again() -> None:
    story = Story()
    first = alert("tachycardia", "A", onset=5 * FS)
    story.event(first)
    for action, data in (("triage", {"verdict": "artefact"}), ("close", {"reason": "seen"})):
        story.command(action, first.id, "tech", data)
    story.now += KEEP_CLOSED_S - 1
    story.desk.forget(story.now)
    assert story.desk.case(first.id) is not None
    story.now += 2
    story.desk.forget(story.now)
    assert story.desk.case(first.id) is None
    assert list(story.desk.cases()) == []
    assert story.now > T0
    assert (
        story.command("reopen", first.id, "tech", {"reason": "x"}).entries[0].lines[0].state
        == "unknown_alert"
    )
