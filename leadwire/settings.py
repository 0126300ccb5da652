"""SETTINGS: one table in code (name, default, allowed range, one line of help), read once by the CLI.

A value comes from, in rising order: the default here, a TOML file (``leadwire.toml`` or
``LEADWIRE_CONFIG``), the environment (``LEADWIRE_GATEWAY_PORT``, ``LEADWIRE_LIMITS_ASYSTOLE_S`` ...),
an option of the command (``--gateway-port``).
An unknown name or an impossible value stops the start and says where it stands and what is allowed.
"""

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import msgspec
from msgspec import Meta, Struct

from leadwire.errors import SettingError
from leadwire.toml_lines import line_of


def _help(text: str, **limits: Any) -> Meta:
    return Meta(description=text, **limits)


def _form(text: str, form: str, pattern: str) -> Meta:
    """Help for a text that must look like `form`, that is, match `pattern`."""
    return Meta(description=text, title=form, pattern=pattern)


_HOST_PORT = r"[^\s/,]+:\d{1,5}"


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """What the detectors find; a rule pack says what of it is announced. Defaults are "monitor-adult"'s."""

    asystole_s: Annotated[float, _help("asystole: no QRS for so many seconds", ge=3, le=10)] = 4.0
    pause_s: Annotated[float, _help("pause: R to R longer than this, in s", ge=1.5, le=5)] = 3.0
    tachycardia: Annotated[float, _help("tachycardia above this rate, 1/min", ge=60, le=250)] = 120.0
    bradycardia: Annotated[float, _help("bradycardia below this rate, 1/min", ge=20, le=100)] = 50.0
    extreme_tachycardia: Annotated[
        float, _help("extreme tachycardia above this rate, 1/min", ge=100, le=300)
    ] = 140.0
    extreme_bradycardia: Annotated[
        float, _help("extreme bradycardia below this rate, 1/min", ge=15, le=60)
    ] = 40.0
    vt_beats: Annotated[
        int, _help("ventricular tachycardia: so many ventricular beats in a row", ge=3, le=12)
    ] = 6
    vt_rate: Annotated[float, _help("ventricular tachycardia from this rate, 1/min", ge=100, le=200)] = 130.0
    vt_sustained_s: Annotated[
        float, _help("ventricular tachycardia is sustained after so many seconds", ge=15, le=60)
    ] = 30.0
    pvc_per_min: Annotated[int, _help("frequent PVCs: more than so many in a minute", ge=1, le=60)] = 10
    svt_beats: Annotated[
        int, _help("supraventricular tachycardia: so many premature beats in a row", ge=3, le=12)
    ] = 5
    svt_rate: Annotated[
        float, _help("supraventricular tachycardia from this rate, 1/min", ge=100, le=250)
    ] = 150.0
    ventricular_bradycardia: Annotated[
        float, _help("ventricular rhythm below this rate is a bradycardia, 1/min", ge=20, le=60)
    ] = 40.0


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """Every setting of every role."""

    bus: Annotated[
        str,
        _form(
            "the message bus: a file on this machine, or a Kafka cluster",
            "local:PATH or kafka://HOST:PORT[,HOST:PORT...]",
            rf"\A(local:.+|kafka://{_HOST_PORT}(,{_HOST_PORT})*)\Z",
        ),
    ] = "local:leadwire-data/bus.sqlite"
    archive: Annotated[
        str,
        _form(
            "the archive's database",
            "sqlite:///PATH or postgresql://USER:PASSWORD@HOST:PORT/NAME",
            r"\A(sqlite:///.+|postgresql(\+psycopg2)?://\S*/\S+)\Z",
        ),
    ] = "sqlite:///leadwire-data/archive.sqlite"
    keep_days: Annotated[
        float, _help("days that the archive keeps waveforms; 0: for ever", ge=0, le=36500)
    ] = 0.0
    gateway_host: Annotated[str, _help("address the gateway listens on")] = "127.0.0.1"
    gateway_port: Annotated[int, _help("port of the gateway; 0: any free one", ge=0, le=65535)] = 8071
    gateway_tokens: Annotated[str, _help("file with one 'device token' pair a line; empty: any token")] = ""
    dashboard_host: Annotated[str, _help("address the dashboard listens on")] = "127.0.0.1"
    dashboard_port: Annotated[int, _help("port of the dashboard; 0: any free one", ge=0, le=65535)] = 8070
    open_as: Annotated[
        str, _help("demonstrations only: whoever has not logged in is this user; loopback addresses only")
    ] = ""
    session_secret_file: Annotated[
        str, _help("file with the secret that signs sessions; made on the first start")
    ] = "leadwire-data/session.key"
    time_zone: Annotated[
        str, _help("the hub's time zone, for rosters, times in messages, days and months of statistics")
    ] = "Asia/Shanghai"
    metrics_host: Annotated[str, _help("address that this process serves /metrics on")] = "127.0.0.1"
    metrics_port: Annotated[
        int, _help("port of /metrics, for Prometheus and health checks; 0: none", ge=0, le=65535)
    ] = 0
    public_url: Annotated[
        str,
        _form(
            "address of the pages as people reach them, for links in messages; empty: no links",
            "https://HOST or http://HOST:PORT",
            r"\A(https?://[^\s/]+(/\S*)?)?\Z",
        ),
    ] = ""
    channels_file: Annotated[
        str, _help("file with the secrets of the channels (docs/channels.md); empty: none")
    ] = ""
    watch_s: Annotated[
        float, _help("seconds that a clinic may be without anybody who sees and hears it", ge=10, le=600)
    ] = 30.0
    snapshot_s: Annotated[float, _help("seconds between snapshots of the detectors", ge=0.1, le=60)] = 5.0
    reorder_s: Annotated[
        float, _help("seconds that the gateway waits for data that overtook", ge=0, le=30)
    ] = 2.0
    rule_pack: Annotated[
        str, _help("rules of what is announced, unless a clinic has its own: a shipped pack, or a file")
    ] = "monitor-adult"
    pack_folder: Annotated[
        str, _help("folder with rule packs of one's own (NAME.toml), which clinics may name; empty: none")
    ] = ""
    limits: Limits = Limits()


@dataclass(frozen=True)
class Row:
    """One line of the table: dotted name, value, where it came from, allowed range, help."""

    name: str
    value: object
    source: str
    allowed: str
    help: str


def _fields(kind: type[Struct], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        if isinstance(hint, type) and issubclass(hint, Struct):
            found |= _fields(hint, f"{prefix}{name}.")
        else:
            found[prefix + name] = hint
    return found


_FIELDS = _fields(Settings)


def _allowed(name: str) -> str:
    kind, meta = get_args(_FIELDS[name])
    if kind is str:
        return meta.title or "text"
    return f"{'a whole number' if kind is int else 'a number'}, {meta.ge:g} to {meta.le:g}"


def _env_name(name: str) -> str:
    return "LEADWIRE_" + name.replace(".", "_").upper()


def option_name(name: str) -> str:
    """The command-line option of the setting `name`."""
    return "--" + name.replace(".", "-").replace("_", "-")


# Read by the tests, the demo and this file themselves; not settings of a role.
_NOT_SETTINGS = frozenset({"LEADWIRE_CONFIG", "LEADWIRE_DATA"})


def load(
    env: Mapping[str, str] | None = None,
    file: Path | None = None,
    options: Mapping[str, str] | None = None,
) -> tuple[Settings, list[Row]]:
    """Read the settings.

    Parameters
    ----------
    env
        The environment; `os.environ` by default. ``LEADWIRE_TEST_*`` belongs to the tests.
    file
        The TOML file; by default ``LEADWIRE_CONFIG`` or, if it exists, ``leadwire.toml`` here.
    options
        Dotted name -> text, from the command line.

    Returns
    -------
    settings, rows
        The values, and one `Row` a setting that tells where each came from.

    Raises
    ------
    SettingError
        An unknown name or an impossible value, with its place and what is allowed.
    """
    env = os.environ if env is None else env
    if file is None and "LEADWIRE_CONFIG" in env:
        file = Path(env["LEADWIRE_CONFIG"])
    elif file is None and Path("leadwire.toml").exists():
        file = Path("leadwire.toml")

    values: dict[str, object] = {}
    sources: dict[str, str] = {}
    if file is not None:
        for name, value, where in _from_file(file):
            values[name] = _check(name, value, where)
            sources[name] = where
    by_env_name = {_env_name(name): name for name in _FIELDS}
    for key, text in env.items():
        if not key.startswith("LEADWIRE_") or key in _NOT_SETTINGS or key.startswith("LEADWIRE_TEST_"):
            continue
        if key not in by_env_name:
            raise SettingError(f"environment: {_unknown(key, by_env_name)}")
        name = by_env_name[key]
        values[name] = _check(name, text, key, strict=False)
        sources[name] = key
    for name, text in (options or {}).items():
        sources[name] = option_name(name)
        values[name] = _check(name, text, sources[name], strict=False)

    nested: dict[str, Any] = {}
    for name, value in values.items():
        target = nested
        *path, last = name.split(".")
        for part in path:
            target = target.setdefault(part, {})
        target[last] = value
    settings = msgspec.convert(nested, Settings)
    rows = [
        Row(
            name,
            attrgetter(name)(settings),
            sources.get(name, "default"),
            _allowed(name),
            get_args(_FIELDS[name])[1].description,
        )
        for name in _FIELDS
    ]
    _check_together({row.name: row for row in rows})
    return settings, rows


# Each must be less than the next.
_RISING = (
    ("limits.extreme_bradycardia", "limits.bradycardia", "limits.tachycardia", "limits.extreme_tachycardia"),
    ("limits.pause_s", "limits.asystole_s"),
)


_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def _check_together(rows: Mapping[str, Row]) -> None:
    def said(row: Row) -> str:
        return f"{row.name} = {row.value} ({row.source})"

    for names in _RISING:
        for low, high in pairwise(rows[name] for name in names):
            if not low.value < high.value:  # type: ignore[operator]
                raise SettingError(f"{said(low)} and {said(high)} came; the first must be less")
    if rows["open_as"].value and rows["dashboard_host"].value not in _LOOPBACK:
        raise SettingError(
            f"{said(rows['open_as'])} and {said(rows['dashboard_host'])} came; open_as is for a dashboard "
            f"that only this machine reaches ({', '.join(_LOOPBACK)})"
        )
    gateway, dashboard = rows["gateway_port"], rows["dashboard_port"]
    same_host = rows["gateway_host"].value == rows["dashboard_host"].value
    if same_host and gateway.value == dashboard.value != 0:
        raise SettingError(f"{said(gateway)} and {said(dashboard)} came; two ports were expected")


def _unknown(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"{name} is no setting; {f'{near[0]} is' if near else '`leadwire settings` lists them'}"


def without_password(url: str) -> str:
    """`url` with its password, if it has one, as ``***``: fit for a screen or a log."""
    return re.sub(r"(://[^:/@]*:)[^@]*@", r"\1***@", url)


def table() -> list[Row]:
    """Every setting with its default."""
    return load(env={}, file=Path(os.devnull))[1]


def _from_file(file: Path) -> list[tuple[str, object, str]]:
    try:
        text = file.read_text(encoding="utf-8")
        tree = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as why:
        raise SettingError(f"{file}: {why}") from None
    found: list[tuple[str, object, str]] = []

    def walk(node: dict[str, Any], prefix: str) -> None:
        for key, value in node.items():
            name = prefix + key
            where = f"{file}, line {line_of(text, name)}"
            if any(field.startswith(name + ".") for field in _FIELDS):
                if not isinstance(value, dict):
                    raise SettingError(f"{where}: {name} = {value!r} came; a table [{name}] was expected")
                walk(value, name + ".")
            elif name not in _FIELDS:
                raise SettingError(f"{where}: {_unknown(name, _FIELDS)}")
            else:
                found.append((name, value, where))

    walk(tree, "")
    return found


def _check(name: str, value: object, where: str, strict: bool = True) -> object:
    try:
        checked: object = msgspec.convert(value, _FIELDS[name], strict=strict)
    except msgspec.ValidationError:
        shown = without_password(value) if isinstance(value, str) else value
        raise SettingError(f"{where}: {name} = {shown!r} came; {_allowed(name)} was expected") from None
    return checked
