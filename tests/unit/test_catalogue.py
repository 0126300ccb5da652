"""Every text is there in both languages, and every word the program can say has a text."""

import re
import string
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from alerts.clinical import _REFUSED
from dashboard.app import STATIC
from leadwire import catalogue
from leadwire.catalogue import CATALOGUE, LANGUAGES
from leadwire.model import LinkEvent, Priority, QualityFlag

ROOT = Path(__file__).resolve().parents[2]

CONDITIONS = [
    "asystole",
    "pause",
    "extreme_tachycardia",
    "extreme_bradycardia",
    "tachycardia",
    "bradycardia",
    "lead_off",
    "flat",
    "saturated",
    "noisy",
    "missing",
]


def _fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("key", sorted(CATALOGUE))
def test_every_text_has_both_languages_with_the_same_values(key: str) -> None:
    texts = [getattr(CATALOGUE[key], language) for language in LANGUAGES]
    assert all(text.strip() == text != "" for text in texts)
    assert _fields(texts[0]) == _fields(texts[1])


@pytest.mark.parametrize("group", ["kind", "rhythm"])
def test_every_condition_a_detector_can_report_has_a_long_and_a_short_text(group: str) -> None:
    assert [kind for kind in CONDITIONS if f"{group}.{kind}" not in CATALOGUE] == []


def test_every_flag_link_and_priority_has_a_text() -> None:
    expected = {f"flag.{flag}" for flag in get_args(QualityFlag)}
    expected |= {f"link.{kind}" for kind in get_args(get_type_hints(LinkEvent)["kind"])}
    expected |= {f"priority.{priority}" for priority in get_args(Priority)}
    assert expected - set(CATALOGUE) == set()


def test_condition_texts_are_chinese_in_chinese_and_ascii_in_english() -> None:
    for kind in CONDITIONS:
        entry = CATALOGUE[f"kind.{kind}"]
        assert entry.en.isascii()
        assert all("\u4e00" <= character <= "\u9fff" for character in entry.zh)


def test_words_that_mislead_about_inactivated_alarms_are_not_used() -> None:
    english = " ".join(entry.en.lower() for entry in CATALOGUE.values())
    assert not re.search(r"\b(silence|mute|suspend|inhibit|disable)", english)


def test_the_pages_ask_only_for_texts_that_exist_and_every_page_text_is_asked_for() -> None:
    source = "".join(f.read_text() for f in [*STATIC.glob("*.js"), *STATIC.glob("*.html")])
    asked = {
        k if "." in k else f"ui.{k}"
        for k in re.findall(r'data-t(?:-title)?="([\w.]+)"|"data-t(?:-title)?": "([\w.]+)"', source)
        for k in k
        if k
    }
    asked |= set(re.findall(r'"((?:ui|desk)\.\w+)"', source))
    assert asked - set(CATALOGUE) == set()
    shown = {k for k in CATALOGUE if k.startswith(("ui.", "desk."))}
    assert {k for k in shown - asked if f'"{k.partition(".")[2]}"' not in source} == set()


def test_an_unknown_key_is_shown_as_it_is() -> None:
    assert catalogue.text("kind.new_condition", "zh") == "kind.new_condition"
    assert catalogue.text("ui.hidden", "zh", n=3) == "未显示报警：3"


def test_every_refusal_of_the_desk_has_a_text_and_stands_in_the_manual() -> None:
    source = "".join(f.read_text() for f in (ROOT / "alerts").glob("*.py"))
    manual = (ROOT / "docs" / "alerts.md").read_text()
    refusals = set(re.findall(r'Refuse\(\s*"([a-z_]+)"', source)) | {r for _, r in _REFUSED.items()}
    assert len(refusals) > 15
    assert {r for r in refusals if f"refusal.{r}" not in CATALOGUE} == set()
    assert {r for r in refusals if f"`{r}`" not in manual} == set()


def test_every_line_that_the_desk_writes_has_a_text() -> None:
    source = "".join(f.read_text() for f in (ROOT / "alerts").glob("*.py"))
    lines = set(re.findall(r'\.add\(\s*"(\w+)",\s*"(\w+)"', source))
    assert len(lines) > 30
    assert {f"{a}/{b}" for a, b in lines if f"line.{a}/{b}" not in CATALOGUE} == set()
