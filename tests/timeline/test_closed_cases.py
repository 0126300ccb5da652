"""A closed case is left in peace, unless its own alert comes back or gets worse."""

from msgspec import structs

from leadwire.story import Case
from tests.timeline.world import Story, alert


def closed(kind: str) -> tuple[Story, Case]:
    story = Story()
    first = alert(kind)
    story.event(first)
    story.command("triage", first.id, "tech", {"verdict": "artefact"})
    story.command("close", first.id, "tech", {"reason": "seen"})
    return story, story.cases[first.id]


def test_the_end_of_the_condition_is_written_down_and_changes_nothing_else() -> None:
    story, case = closed("tachycardia")
    story.event(alert("tachycardia", at=30, onset=0, version=2, ended=True))
    after = story.cases[case.id]
    assert (after.condition, after.closed, after.timers) == ("ended", True, {})


def test_another_alert_of_the_family_opens_a_case_of_its_own() -> None:
    story, case = closed("tachycardia")
    story.event(alert("extreme_tachycardia", at=30))
    assert [c.closed for c in story.cases.values()] == [True, False]
    assert story.cases[case.id].closed


def test_the_same_alert_again_opens_it_sounds_and_is_escalated() -> None:
    story, case = closed("no_data")
    story.event(alert("no_data", at=30, onset=0, version=2, ended=True))
    story.event(alert("no_data", at=60, onset=0, version=3))
    after = story.cases[case.id]
    assert (after.closed, after.signal, after.owner, after.clinical) == (False, "sounding", "", "untriaged")
    assert after.next_escalation is not None


def test_the_same_alert_that_gets_worse_opens_it_with_the_chain_of_its_priority() -> None:
    story, case = closed("tachycardia")
    worse = structs.replace(alert("tachycardia", at=60, onset=0, version=2), priority="high")
    story.event(worse)
    after = story.cases[case.id]
    assert (after.closed, after.priority, after.signal, after.owner) == (False, "high", "sounding", "")
    assert [s.after_s for s in after.chain if s.side == "hub"] == [0, 60, 180, 300]
    story.until(60)
    assert after.level == 0
    assert story.cases[case.id].level == 1


def test_the_same_alert_unchanged_stays_closed() -> None:
    story, case = closed("tachycardia")
    story.event(alert("tachycardia", at=60, onset=0, version=2))
    assert story.cases[case.id].closed
