"""Whatever the desk writes has words in both languages: lines, reasons of pages, duties, marks."""

import pytest

from leadwire.case import Line
from leadwire.catalogue_desk import DESK
from leadwire.catalogue_pages import PAGES
from tests.timeline.language import play
from tests.timeline.test_timelines import STORIES

OF_ITSELF = {"alarm"}
"""A page for an alarm says what it is without a reason."""


@pytest.fixture(scope="module")
def lines() -> list[Line]:
    return [line for file in STORIES for entry in play(file).register for line in entry.lines]


def test_every_line_has_words(lines: list[Line]) -> None:
    named = {f"{x.line}/{x.state}" for x in lines if x.line not in ("refused", "clock", "network")}
    assert len(named) > 45
    assert not {name for name in named if f"line.{name}" not in DESK}
    assert not {x.state for x in lines if x.line == "clock" and f"mark.{x.state}" not in DESK}


def test_every_reason_for_a_page_has_words(lines: list[Line]) -> None:
    kinds = {x.data["kind"] for x in lines if (x.line, x.state) == ("page", "requested")}
    assert len(kinds) > 10
    assert not {kind for kind in kinds - OF_ITSELF if f"page.why.{kind}" not in PAGES}


def test_every_duty_that_is_paged_has_words(lines: list[Line]) -> None:
    duties = {x.data["duty"] for x in lines if (x.line, x.state) == ("page", "requested")} - {""}
    assert not {duty for duty in duties if f"duty.{duty}" not in DESK}
