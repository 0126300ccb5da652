"""The table of commands and its refusals: complete, documented, robust against whatever it is given."""

import re
from itertools import permutations
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given, settings

from alerts.commands import ACTIONS
from alerts.engine import TIMERS
from leadwire.case import Command
from leadwire.catalogue_desk import DESK
from tests.timeline.world import T0, Story, alert

ROOT = Path(__file__).resolve().parents[2]
DOC = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")


def raised() -> tuple[Story, str]:
    story = Story()
    story.event(alert("asystole"))
    return story, alert("asystole").id


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_the_page_on_alerts_names_every_command_people_can_give(action: str) -> None:
    assert f"`{action}`" in DOC or ACTIONS[action].who == "channel"


def test_every_refusal_has_words_and_stands_on_the_page_on_alerts() -> None:
    sources = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "alerts").glob("*.py"))
    reasons = set(re.findall(r'Refuse\(\s*"([a-z_]+)"', sources))
    reasons |= set(re.findall(r'\): "([a-z_]+)",', sources))
    assert len(reasons) > 15
    assert not {reason for reason in reasons if f"`{reason}`" not in DOC}
    assert not {reason for reason in reasons if f"refusal.{reason}" not in DESK}


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_what_a_command_carries_can_be_read_and_nothing_else_is_taken(action: str) -> None:
    story, case = raised()
    (entry,) = story.command(action, case, "tech", {"surprise": 1}).entries
    assert (entry.lines[0].line, entry.lines[0].state) == ("refused", "bad_data")
    assert entry.lines[0].data["action"] == action


anything: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=60)
@given(
    action=st.sampled_from([*sorted(ACTIONS), "test_alarm", "jump"]),
    names=st.lists(
        st.sampled_from(
            ["reason", "seconds", "verdict", "of", "page", "state", "words", "by", "mark", "at", "clinic"]
        ),
        max_size=4,
    ),
    values=st.lists(anything, min_size=4, max_size=4),
)
def test_whatever_a_command_carries_it_makes_one_entry_and_changes_no_case_if_refused(
    action: str, names: list[str], values: list[object]
) -> None:
    story, case = raised()
    before = story.desk.case(case)
    (entry, *others) = story.command(action, case, "tech", dict(zip(names, values, strict=False))).entries
    assert others == []
    if entry.lines[0].line == "refused":
        after = story.desk.case(case)
        assert before is not None
        assert after is not None
        same = {"entries": before.entries, "changed_at": before.changed_at}
        assert msgspec.structs.replace(after, **same) == before


def test_receipts_in_any_order_come_to_the_same() -> None:
    for order in permutations(["sent", "delivered", "seen", "failed"]):
        story, case = raised()
        page = f"{case}/p1"
        for state in order:
            story.command("receipt", case, data={"page": page, "state": state, "channel": "sms"})
        known = story.cases[case].pages[page]
        assert known.state == "seen", order


def test_a_command_that_looks_like_the_cause_of_an_alert_keeps_no_alert_back() -> None:
    story = Story()
    coming = alert("asystole")
    spoof = Command(id=f"{coming.id}#1", alert="x", action="accept", by="tech", at=T0)
    assert story.desk.on_command(spoof, T0).entries[0].lines[0].state == "unknown_alert"
    assert story.desk.on_event(coming, T0).entries[0].lines[0].state == "raised"


def test_every_timer_that_the_desk_sets_is_known_to_it() -> None:
    names: set[str] = set()
    for file in (ROOT / "alerts").glob("*.py"):
        text = file.read_text(encoding="utf-8")
        for block in re.findall(r"timers(?:: [^=]+)? ?=\{([^}]*)\}", text.replace("timers = {", "timers={")):
            names |= set(re.findall(r'"([a-z_]+)":', block))
    assert {"escalate", "lease", "sound", "attempt"} <= names
    assert names <= set(TIMERS)
