"""Settings: every value has one origin, and a wrong one stops the start with its place and the way out."""

import os
from pathlib import Path

import pytest

from leadwire import settings
from leadwire.errors import SettingError
from leadwire.settings import Settings, load


def loaded(text: str = "", env: dict[str, str] | None = None, options=None, folder: Path | None = None):
    file = Path(os.devnull)
    if folder is not None:
        file = folder / "leadwire.toml"
        file.write_text(text, encoding="utf-8")
    return load(env=env or {}, file=file, options=options)


def refused(*args, **kwargs) -> str:
    with pytest.raises(SettingError) as caught:
        loaded(*args, **kwargs)
    return str(caught.value)


def test_without_file_or_environment_all_is_default():
    values, rows = loaded()
    assert values == Settings()
    assert {row.source for row in rows} == {"default"}


def test_every_setting_tells_what_it_does_and_what_it_may_be():
    for row in settings.table():
        assert len(row.help) > 10, row.name
        assert row.allowed, row.name
        assert "\n" not in row.help + row.allowed


def test_every_setting_can_be_set_in_each_of_the_three_ways(tmp_path):
    """Whatever stands in the table is reachable, by its own name, from file, environment and options."""
    for row in settings.table():
        text = str(row.value)
        section, _, last = row.name.rpartition(".")
        toml = (
            f"[{section}]\n" * bool(section)
            + f"{last} = {text if not isinstance(row.value, str) else repr(text)}"
        )
        env_name = "LEADWIRE_" + row.name.replace(".", "_").upper()
        for way, source in (
            (loaded(toml, folder=tmp_path), f"line {2 if section else 1}"),
            (loaded(env={env_name: text}), env_name),
            (loaded(options={row.name: text}), settings.option_name(row.name)),
        ):
            values, rows = way
            assert values == Settings()
            assert {r.name for r in rows if r.source != "default"} == {row.name}
            assert next(r for r in rows if r.name == row.name).source.endswith(source)


def test_the_environment_overrides_the_file_and_an_option_overrides_both(tmp_path):
    toml = "gateway_port = 1\ndashboard_port = 2\nsnapshot_s = 3"
    env = {"LEADWIRE_DASHBOARD_PORT": "20", "LEADWIRE_SNAPSHOT_S": "30"}
    values, _ = loaded(toml, env, {"snapshot_s": "60"}, tmp_path)
    assert (values.gateway_port, values.dashboard_port, values.snapshot_s) == (1, 20, 60.0)


def test_the_file_is_leadwire_toml_here_or_the_one_that_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load(env={})[0] == Settings()
    Path("leadwire.toml").write_text("gateway_port = 11")
    Path("other.toml").write_text("gateway_port = 12")
    assert load(env={})[0].gateway_port == 11
    assert load(env={"LEADWIRE_CONFIG": "other.toml"})[0].gateway_port == 12


def test_what_belongs_to_tests_and_tools_is_no_setting():
    assert loaded(env={"LEADWIRE_DATA": "x", "LEADWIRE_TEST_KAFKA": "y", "PATH": "z"})[0] == Settings()


@pytest.mark.parametrize(
    ("toml", "place", "reason"),
    [
        ("\n\ngateway_prot = 5", "line 3", "gateway_prot is no setting; gateway_port is"),
        ("xyzzy = 5", "line 1", "`leadwire settings` lists them"),
        ("[limit]\nasystole_s = 4", "line 1", "limit is no setting"),
        ("[limits]\n\nasystole = 4", "line 3", "limits.asystole is no setting; limits.asystole_s is"),
        ("[limits] # of the ward\npause_s = 9", "line 2", "limits.pause_s = 9 came; a number, 1.5 to 5"),
        ("limits.pause_s = 9", "line 1", "a number, 1.5 to 5"),
        ("\nlimits = { pause_s = 9 }", "line 2", "a number, 1.5 to 5"),
        ('\n[ "limits" ]\n"pause_s" = 9', "line 3", "a number, 1.5 to 5"),
        ("\nlimits = 5", "line 2", "a table [limits] was expected"),
        ("gateway_port = 65536", "line 1", "a whole number, 0 to 65535"),
        ("gateway_port = 1.5", "line 1", "a whole number"),
        ("gateway_port = true", "line 1", "a whole number"),
        ('gateway_port = "80"', "line 1", "'80' came"),
        ("snapshot_s = nan", "line 1", "nan came; a number, 0.1 to 60"),
        ("snapshot_s = inf", "line 1", "inf came; a number, 0.1 to 60"),
        ("gateway_host = 5", "line 1", "text was expected"),
        ('bus = "kafka:/here"', "line 1", "local:PATH or kafka://HOST:PORT"),
        ('bus = "kafka://a:1,b"', "line 1", "local:PATH or kafka://HOST:PORT"),
        ('bus = "local:"', "line 1", "local:PATH or kafka://HOST:PORT"),
        ('archive = "mysql://u@h/x"', "line 1", "sqlite:///PATH or postgresql://"),
        ("gateway_port\n", "line 1", "Expected"),
        ("a = 1\na = 2\n", "line 2", "Cannot overwrite"),
    ],
)
def test_a_wrong_file_is_refused_with_the_line_and_what_is_allowed(tmp_path, toml, place, reason):
    message = refused(toml, folder=tmp_path)
    assert "leadwire.toml" in message
    assert place in message
    assert reason in message


@pytest.mark.parametrize(
    ("env", "reason"),
    [
        ({"LEADWIRE_GATEWAY_PROT": "5"}, "LEADWIRE_GATEWAY_PROT is no setting; LEADWIRE_GATEWAY_PORT is"),
        ({"LEADWIRE_GATEWAY_PORT": "x"}, "LEADWIRE_GATEWAY_PORT: gateway_port = 'x' came; a whole number"),
        ({"LEADWIRE_GATEWAY_PORT": ""}, "'' came; a whole number, 0 to 65535"),
        ({"LEADWIRE_LIMITS_PAUSE_S": "nan"}, "a number, 1.5 to 5"),
        ({"LEADWIRE_BUS": "rabbit://x"}, "local:PATH or kafka://"),
    ],
)
def test_a_wrong_environment_is_refused_by_name(env, reason):
    assert reason in refused(env=env)


def test_a_wrong_option_is_refused_by_name():
    assert "--limits-pause-s: limits.pause_s = '9'" in refused(options={"limits.pause_s": "9"})


def test_a_missing_or_unreadable_file_is_refused(tmp_path):
    with pytest.raises(SettingError, match=r"nowhere\.toml"):
        load(env={"LEADWIRE_CONFIG": str(tmp_path / "nowhere.toml")})
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingError, match=r"bytes\.toml"):
        load(env={}, file=tmp_path / "bytes.toml")


@pytest.mark.parametrize(
    ("toml", "reason"),
    [
        (
            "[limits]\ntachycardia = 150",
            "limits.extreme_tachycardia = 140.0 (default) came; the first must be less",
        ),
        ("[limits]\nbradycardia = 40", "limits.extreme_bradycardia = 40.0 (default)"),
        ("[limits]\nbradycardia = 90\ntachycardia = 80", "limits.bradycardia = 90.0"),
        ("[limits]\nasystole_s = 3", "limits.asystole_s = 3.0"),
        ("gateway_port = 8070", "two ports were expected"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_with_both_origins(tmp_path, toml, reason):
    message = refused(toml, folder=tmp_path)
    assert reason in message
    assert "leadwire.toml, line" in message


def test_two_free_ports_or_two_hosts_do_not_contradict_each_other(tmp_path):
    loaded("gateway_port = 0\ndashboard_port = 0", folder=tmp_path)
    loaded("gateway_port = 80\ndashboard_port = 80\ngateway_host = '10.0.0.1'", folder=tmp_path)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:geheim@h:1/x", "postgresql://u:***@h:1/x"),
        ("postgresql://u:geh:eim@h/x", "postgresql://u:***@h/x"),
        ("postgresql://u@h/x", "postgresql://u@h/x"),
        ("sqlite:///a/b", "sqlite:///a/b"),
    ],
)
def test_a_password_is_never_shown(url, shown):
    assert settings.without_password(url) == shown


def test_a_refusal_never_shows_a_password():
    assert "geheim" not in refused(env={"LEADWIRE_ARCHIVE": "mysql://u:geheim@h/x"})
