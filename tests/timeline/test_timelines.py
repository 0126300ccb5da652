"""Every story under `stories/` comes out as it is told, and the same wherever the desk is killed."""

from pathlib import Path

import pytest

from leadwire import codec
from leadwire.case import RegisterEntry
from leadwire.story import apply
from tests.timeline.language import play
from tests.timeline.world import Story

STORIES = sorted((Path(__file__).parent / "stories").glob("*.timeline"), key=lambda f: f.stem)
LONGEST = "bedside_vf_to_the_outcome", "call_back_nobody_answers", "no_data_hides_and_tells", "handover"


def told(story: Story) -> list[bytes]:
    return [codec.encode(entry) for entry in story.register]


@pytest.mark.parametrize("file", STORIES, ids=lambda f: f.stem)
def test_the_story_comes_out(file: Path) -> None:
    play(file)


@pytest.mark.parametrize("file", STORIES, ids=lambda f: f.stem)
def test_a_desk_killed_after_every_entry_writes_the_same_register(file: Path) -> None:
    alone = play(file)
    restless = play(file, kill=lambda number: True)
    assert restless.killed >= len(alone.register)
    assert told(restless) == told(alone)
    assert restless.cases == alone.cases


@pytest.mark.parametrize("name", LONGEST)
def test_a_desk_killed_once_anywhere_writes_the_same_register(name: str) -> None:
    file = next(f for f in STORIES if f.stem == name)
    alone = play(file)
    for number in range(1, len(alone.register) + 1):
        assert told(play(file, kill=number.__eq__)) == told(alone), f"killed after entry {number}"


@pytest.mark.parametrize("file", STORIES, ids=lambda f: f.stem)
def test_the_desk_knows_of_a_case_exactly_what_its_entries_add_up_to(file: Path) -> None:
    story = play(file)
    cases = {}
    for entry in (codec.decode_as(data, RegisterEntry) for data in told(story)):
        if entry.alert and (case := apply(cases.get(entry.alert), entry)) is not None:
            cases[entry.alert] = case
    assert {c.id: c for c in story.desk.cases()} == cases


def test_no_cause_stands_in_the_register_twice() -> None:
    for file in STORIES:
        ids = [entry.id for entry in play(file, kill=lambda number: number % 3 == 0).register]
        assert len(ids) == len(set(ids)), file.stem
