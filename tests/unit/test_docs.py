"""What the pages for people say is so."""

import re
from pathlib import Path

import pytest

from alerts.kinds import KINDS
from leadwire import cli, settings
from leadwire.topics import TOPICS

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_is_named_exists(page):
    for name in re.findall(r"`(?:[\w/.=]+ )*leadwire (\w+)", page.read_text(encoding="utf-8")):
        assert name in {*cli.COMMANDS, "bench"}, name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_is_named_exists(page):
    for name in re.findall(
        r"`((?:leadwire|tests|scripts|deploy|docs)/[\w/.-]+)`", page.read_text(encoding="utf-8")
    ):
        assert (ROOT / name).exists(), name


def test_the_architecture_lists_every_topic_as_it_is():
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(ecg\.\w+)` \| ([\w/ ]+) \| (\d+) \|", text, re.MULTILINE)
    assert {(name, int(partitions)) for name, _, partitions in rows} == {
        (topic.name, topic.partitions) for topic in TOPICS.values()
    }


def test_the_glossary_has_every_condition_that_is_alarmed():
    words = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    for kind in KINDS:
        assert kind.removeprefix("extreme_").replace("_", " ") in words, kind


def test_no_page_names_a_setting_that_is_none():
    names = {"LEADWIRE_" + row.name.replace(".", "_").upper() for row in settings.table()}
    for page in PAGES:
        for name in re.findall(r"LEADWIRE_\w+", page.read_text(encoding="utf-8")):
            assert name in names or name in {"LEADWIRE_DATA", "LEADWIRE_CONFIG"} or "_TEST_" in name, name
