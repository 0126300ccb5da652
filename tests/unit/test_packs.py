"""Rule packs: those that come along stand, and nothing that must not stand gets through."""

from pathlib import Path
from typing import Any

import pytest

from alerts.kinds import GROUPS, KINDS, NEEDED, PROTECTED
from alerts.pack_files import DEFAULT, FOLDER, Pack, load_pack, read_pack, shipped, shipped_pack
from alerts.rules import FIELDS, expected
from leadwire.catalogue import CATALOGUE
from leadwire.errors import SettingError
from leadwire.settings import Limits

HEAD = 'name = "x"\nversion = "1"\nissuer = "y"\ndate = 2026-01-02\nextends = "monitor-adult"\n'


def written(folder: Path, text: str, head: str = HEAD) -> Path:
    file = folder / "x.toml"
    file.write_text(head + text, encoding="utf-8")
    return file


def refused(folder: Path, text: str, head: str = HEAD) -> str:
    with pytest.raises(SettingError) as caught:
        read_pack(written(folder, text, head))
    return str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_its_words_in_both_languages(kind: str) -> None:
    for group in ("kind", "rhythm"):
        text = CATALOGUE[f"{group}.{kind}"]
        assert text.en
        assert text.zh


def test_every_kind_that_the_detectors_say_is_known() -> None:
    from dsp.abstract import conditions

    said = {kind for make in conditions().values() for kind in make(Limits()).kinds}
    assert said <= set(KINDS)


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_pack_says_who_it_is_from(name: str) -> None:
    pack = shipped_pack(name)
    assert pack.name == name
    assert pack.version
    assert pack.issuer
    assert pack.notes
    assert pack.date >= "2013"


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_pack_says_of_each_critical_value_where_it_stands(name: str) -> None:
    tiers = [rule for rules in shipped_pack(name).rules.values() for rule in rules if rule.tier]
    assert all(rule.source for rule in tiers)
    assert bool(tiers) == name.startswith("critical-")


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_pack_announces_whatever_kills_and_every_technical_condition(name: str) -> None:
    pack = shipped_pack(name)
    for kind in PROTECTED:
        assert all(r.priority == "high" and not r.off and not r.can_be_off for r in pack.rules[kind])
    for kind in ("no_data", "missing", "lead_off", "battery_low", "unwatched", "test_alarm"):
        assert pack.rule(kind) is not None


def test_the_default_pack_asks_for_nothing_that_the_detectors_do_not_say_by_default() -> None:
    shipped_pack(DEFAULT).check_found(Limits())


def test_a_pack_extends_another_by_whole_kinds(tmp_path: Path) -> None:
    pack = read_pack(written(tmp_path, '[rules.svt]\npriority = "low"\n'))
    assert pack.rules["svt"][0].at_least is None
    assert pack.rules["asystole"] == shipped_pack(DEFAULT).rules["asystole"]
    assert pack.label == "x 1"


def test_groups_of_kinds_are_written_out(tmp_path: Path) -> None:
    pack = read_pack(written(tmp_path, '[rules.missing]\npriority = "low"\ninhibits = ["signal", "svt"]\n'))
    assert set(pack.rules["missing"][0].inhibits) == {*GROUPS["signal"], "svt"} - {"missing"}


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('[rules.asystol]\npriority = "high"\n', 6, "did you mean asystole?"),
        ('[rules.svt]\npriority = "hihg"\n', 7, "'hihg'"),
        ('[rules.svt]\npriority = "low"\ndelay_s = 601\n', 8, "a number, 0 to 600"),
        ('[rules.svt]\npriority = "low"\ndelay_s = nan\n', 8, "a number, 0 to 600"),
        ('[rules.svt]\npriority = "low"\ndelay = 6\n', 8, "no field of a rule"),
        ('[rules.svt]\npriority = "low"\n\n# why\nat_least = 160\n', 10, "'1/min' was expected"),
        ('[rules.svt]\nat_least = 160\npriority = "low"\nunit = "s"\n', 9, "'1/min' was expected"),
        ('[rules.svt]\npriority = "low"\nunit = "1/min"\nat_least = 30\n', 9, "100 to 300 1/min"),
        ("[rules.svt]\ndelay_s = 3\n", 6, "'high'"),
        ('[[rules.svt]]\npriority = "low"\n[[rules.svt]]\npriority = "high"\n', 8, "never be reached"),
        ('[rules.atrial_fibrillation]\npriority = "low"\nat_least = 1\n', 8, "no value"),
        ('[rules.svt]\npriority = "low"\ninhibits = ["vt"]\n', 8, "'vt' is no kind"),
        ('[rules.svt]\npriority = "low"\nsays = "no_data"\n', 8, "no_data is technical"),
        ('[rules.svt]\npriority = "low"\nsays = "nothing"\n', 8, "no kind"),
        ('[rules.asystole]\npriority = "high"\nsays = "pause"\n', 8, "something else"),
        ('[rules.asystole]\npriority = "high"\noff = true\n', 8, "cannot be switched off"),
        ('[rules.asystole]\npriority = "high"\ncan_be_off = true\n', 8, "cannot be switched off"),
        ('[rules.ventricular_fibrillation]\npriority = "medium"\n', 7, "always 'high'"),
        ('[rules.asystole]\npriority = "high"\ndelay_s = 1\n', 8, "never delayed"),
        ('[rules.asystole]\npriority = "high"\nnotify = "task"\n', 8, "it sounds"),
        ('[rules.no_data]\npriority = "low"\noff = true\n', 8, "cannot be switched off"),
        ('[rules.no_data]\npriority = "low"\ndelay_s = 61\n', 8, "5 to 60"),
        ("[rules]\nsvt = 3\n", 7, "fields of a rule"),
        ("rules = 3\n", 6, "tables [rules.KIND]"),
        ('colour = "red"\n', 6, "nothing of a pack"),
        (
            '[rules.sustained_ventricular_tachycardia]\npriority = "high"\nat_least = 150\nunit = "1/min"\n',
            6,
            "always announced",
        ),
    ],
)
def test_what_is_wrong_is_refused_with_its_line(tmp_path: Path, text: str, line: int, said: str) -> None:
    why = refused(tmp_path, text)
    assert said in why
    assert f"x.toml, line {line}:" in why


def test_a_wrong_line_is_found_in_the_second_rule_of_a_kind(tmp_path: Path) -> None:
    text = '[[rules.svt]]\npriority = "high"\nat_least = 200\nunit = "1/min"\n[[rules.svt]]\npriority = 3\n'
    assert "line 11:" in refused(tmp_path, text)


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("", "no name came"),
        ('name = "x"\n', "no version came"),
        (HEAD.replace("2026-01-02", '"spring"'), "YYYY-MM-DD"),
        (HEAD.replace('"monitor-adult"', '"monitor-adlut"'), "no pack that comes along"),
        (HEAD.replace('"monitor-adult"', '"x.toml"'), "more than 8 deep"),
        (HEAD.replace('\nextends = "monitor-adult"', ""), "cannot be switched off"),
        ("name = [", "x.toml"),
    ],
)
def test_a_pack_without_a_head_or_a_base_is_refused(tmp_path: Path, head: str, said: str) -> None:
    assert said in refused(tmp_path, "", head)


def test_rubbish_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingError):
        load_pack(str(tmp_path / "x.toml"))
    with pytest.raises(SettingError, match=r"none\.toml"):
        load_pack(str(tmp_path / "none.toml"))
    with pytest.raises(SettingError, match="did you mean monitor-adult"):
        load_pack("monitor_adult")


def test_a_pack_that_asks_for_more_than_is_found_names_the_setting(tmp_path: Path) -> None:
    text = '[rules.bradycardia]\npriority = "low"\nat_most = 60\nunit = "1/min"\n'
    pack = read_pack(written(tmp_path, text))
    with pytest.raises(SettingError, match=r"line 8.*set limits\.bradycardia to 60"):
        pack.check_found(Limits())
    pack.check_found(Limits(bradycardia=60.0))


def test_an_extreme_rate_that_a_pack_calls_an_ordinary_one_needs_only_the_ordinary_limit() -> None:
    shipped_pack(DEFAULT).check_found(Limits(extreme_bradycardia=45.0))


def changed(overrides: dict[str, Any], pack: str = DEFAULT) -> Pack:
    return shipped_pack(pack).changed(overrides, "criteria p1")


def test_criteria_of_a_patient_change_fields_and_leave_the_rest() -> None:
    pack = changed({"atrial_fibrillation": {"notify": "task"}, "tachycardia": {"at_least": 130}})
    assert pack.rules["atrial_fibrillation"][0].notify == "task"
    assert pack.rules["atrial_fibrillation"][0].group_s == 3600
    assert (pack.rules["tachycardia"][0].at_least, pack.rules["tachycardia"][0].unit) == (130, "1/min")
    assert shipped_pack(DEFAULT).rules["tachycardia"][0].at_least == 120
    off = changed({"svt": {"off": True}})
    assert off.rules["svt"][0].off
    assert off.rule("svt") is None
    two = [{"priority": "high", "at_least": 200, "unit": "1/min"}, {"priority": "low"}]
    assert [r.priority for r in changed({"svt": {"rules": two}}).rules["svt"]] == ["high", "low"]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"asystole": {"off": True}}, "switched off"),
        ({"unwatched": {"off": True}}, "does not let it be switched off"),
        ({"asystole": {"priority": "low"}}, "always 'high'"),
        ({"nothing": {}}, "no kind"),
        ({"svt": {"at_least": "fast"}}, "a number"),
        ({"svt": 3}, "fields of a rule"),
        ({"svt": {"rules": []}}, "1 to 8"),
        ({"sustained_ventricular_tachycardia": {"at_least": 150, "unit": "1/min"}}, "always announced"),
    ],
)
def test_criteria_that_must_not_stand_are_refused_by_whose_they_are(
    overrides: dict[str, Any], said: str
) -> None:
    with pytest.raises(SettingError, match="criteria p1") as caught:
        changed(overrides)
    assert said in str(caught.value)


def test_what_is_expected_of_a_field_can_be_said_of_each() -> None:
    assert all(expected(field) for field in FIELDS)
    assert set(NEEDED) > set(PROTECTED)
    assert FOLDER.is_dir()
