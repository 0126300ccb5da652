"""Rule packs: files that say which conditions are announced, and how (``packs/*.toml``, docs/packs.md).

A pack has a name, a version, an issuer, a date, and for each kind of condition one or several
rules. It may extend another one: the kinds it names replace those of the other. Whatever is wrong in a
file is refused with the file and the line.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from alerts.kinds import KINDS, NEEDED
from alerts.rules import Rule, RuleProblem, check_field, check_found, check_rules, expected, make
from leadwire.errors import SettingError
from leadwire.settings import Limits
from leadwire.toml_lines import line_of

FOLDER = Path(__file__).parent / "packs"
DEFAULT = "monitor-adult"
MAX_BYTES = 1 << 20
MAX_GRADES = 8
MAX_DEPTH = 8
Where = Callable[[str], str]
"""What tells the file and line of a name."""
_HEAD: dict[str, type | tuple[type, ...]] = {
    "name": str,
    "version": str,
    "issuer": str,
    "date": (str, date),
    "notes": str,
    "extends": str,
}


@dataclass(frozen=True)
class Pack:
    """A rule pack as read, with what it extends already in it.

    Attributes
    ----------
    name, version, issuer, date, notes
        As its file says; `date` as YYYY-MM-DD, as far as it is known.
    rules
        By kind, in the order they are tried.
    places
        By kind: what says where a rule of it stands, for errors that show later.
    """

    name: str
    version: str
    issuer: str
    date: str
    notes: str = ""
    rules: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)
    places: Mapping[str, Where] = field(default_factory=dict, compare=False, repr=False)

    @property
    def label(self) -> str:
        """Name and version, as alerts carry it."""
        return f"{self.name} {self.version}"

    def rule(self, kind: str) -> Rule | None:
        """The last, least demanding rule for `kind`; None: it has none, or is off."""
        found = self.rules.get(kind)
        return found[-1] if found and not found[-1].off else None

    def check_found(self, limits: Limits) -> None:
        """Raise `SettingError` if a rule asks for what detectors set to `limits` never say."""
        for kind, rules in self.rules.items():
            for number, rule in enumerate(rules):
                try:
                    if not rule.off:
                        check_found(kind, number, rule, limits)
                except RuleProblem as why:
                    raise SettingError(f"{self._place(kind, why)}: rules.{kind}: {why}") from None

    def changed(self, overrides: Mapping[str, Any], where: str) -> "Pack":
        """This pack with rules changed for one patient, device or clinic.

        Parameters
        ----------
        overrides
            By kind the fields to change (in all its rules), or under ``rules`` a list that replaces
            them all.
        where
            Whose words these are, for errors.

        Raises
        ------
        SettingError
            An unknown kind or field, a value out of bounds, or something that cannot be switched off.
        """
        rules = dict(self.rules)
        for kind, change in overrides.items():
            if kind not in KINDS:
                raise SettingError(f"{where}: {_unknown(kind)}")
            rules[kind] = self._changed(kind, change, f"{where}: rules.{kind}")
        places = {kind: at for kind, at in self.places.items() if kind not in overrides}
        return replace(self, rules=rules, places=places)

    def _changed(self, kind: str, change: Any, where: str) -> tuple[Rule, ...]:
        before = self.rules.get(kind, ())
        new = change.get("rules") if isinstance(change, Mapping) else None
        if new is not None:
            return _rules_of(kind, new, lambda _: where)
        if not isinstance(change, Mapping):
            raise SettingError(f"{where} = {change!r} came; fields of a rule were expected")
        if not before:
            return _rules_of(kind, [dict(change)], lambda _: where)
        if change.get("off") and not all(rule.can_be_off for rule in before):
            raise SettingError(f"{where}: off = true came; {self.label} does not let it be switched off")
        old = [_given(rule) for rule in before]
        return _rules_of(kind, [rule | dict(change) for rule in old], lambda _: where)

    def _place(self, kind: str, why: RuleProblem) -> str:
        return self.places[kind](_inside(why)) if kind in self.places else self.label


def shipped() -> list[str]:
    """The names of the packs that come with Leadwire."""
    return sorted(file.stem for file in FOLDER.glob("*.toml"))


@lru_cache(maxsize=64)
def shipped_pack(name: str) -> Pack:
    """A pack that comes with Leadwire, by name; `SettingError` if there is none."""
    if name not in shipped():
        near = get_close_matches(name, shipped(), n=1)
        hint = f"did you mean {near[0]}?" if near else f"those that come along are {', '.join(shipped())}"
        raise SettingError(f"rule pack {name!r} is not known; {hint}")
    return read_pack(FOLDER / f"{name}.toml")


def load_pack(name: str, folder: str = "") -> Pack:
    """A pack by the path of a file (with a ``/`` or ending in .toml), or by name (`named_pack`).

    Raises
    ------
    SettingError
        No such pack, or something in it is wrong: the file, the line, what came and what was expected.
    """
    if name.endswith(".toml") or "/" in name:
        return read_pack(Path(name))
    return named_pack(name, folder)


def named_pack(name: str, folder: str = "") -> Pack:
    """A pack by name alone, as people write it on a page: ``folder/name.toml``, else a shipped one.

    Raises
    ------
    SettingError
        As `load_pack`; a name that is a path is refused.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", name) or name.endswith(".toml"):
        raise SettingError(f"rule pack {name[:100]!r} came; the name of a pack, no path, was expected")
    own = Path(folder) / f"{name}.toml"
    return read_pack(own) if folder and own.is_file() else shipped_pack(name)


def available(folder: str = "") -> dict[str, Pack]:
    """Every pack that can be named: those that come along, and those in `folder`."""
    own = sorted(file.stem for file in Path(folder).glob("*.toml")) if folder else []
    return {name: named_pack(name, folder) for name in sorted({*shipped(), *own})}


def read_pack(file: Path, depth: int = 0) -> Pack:
    """Read and check one file; see `load_pack`."""
    try:
        data = file.read_bytes()
        if len(data) > MAX_BYTES:
            raise SettingError(f"{file}: {len(data)} bytes came; at most {MAX_BYTES} were expected")
        text = data.decode("utf-8")
        tree = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as why:
        raise SettingError(f"{file}: {why}") from None

    def where(name: str) -> str:
        return f"{file}, line {line_of(text, name)}"

    head = _head(tree, where, file)
    rules: dict[str, tuple[Rule, ...]] = {}
    places: dict[str, Where] = {}
    base = str(tree.get("extends", ""))
    if base:
        if depth >= MAX_DEPTH:
            raise SettingError(f"{where('extends')}: packs extend each other more than {MAX_DEPTH} deep")
        parent = _parent(file, base, depth, where)
        rules.update(parent.rules)
        places.update(parent.places)
    given = tree.get("rules", {})
    if not isinstance(given, dict):
        raise SettingError(f"{where('rules')}: rules = {given!r} came; tables [rules.KIND] were expected")
    for kind, value in given.items():
        if kind not in KINDS:
            raise SettingError(f"{where(f'rules.{kind}')}: {_unknown(kind)}")
        many = isinstance(value, list)
        path = f"rules.{kind}"

        def at(place: str, path: str = path, many: bool = many) -> str:
            return where(path + (place if many else place.partition("]")[2]))

        rules[kind] = _rules_of(kind, value if many else [value], at)
        places[kind] = at
    for kind in NEEDED:
        if kind not in rules:
            raise SettingError(f"{file}: no rule for {kind} came; it cannot be switched off")
    return Pack(rules=rules, places=places, **head)


def _parent(file: Path, base: str, depth: int, where: Where) -> Pack:
    try:
        if base.endswith(".toml"):
            return read_pack(file.parent / base, depth + 1)
        if base not in shipped():
            raise SettingError(f"{base!r} is no pack that comes along")
        return read_pack(FOLDER / f"{base}.toml", depth + 1)
    except SettingError as why:
        raise SettingError(f"{where('extends')}: {why}") from None


def _head(tree: dict[str, Any], where: Where, file: Path) -> dict[str, str]:
    for name in tree:
        if name != "rules" and name not in _HEAD:
            raise SettingError(f"{where(name)}: {name} is nothing of a pack; {', '.join(_HEAD)}, rules are")
    head: dict[str, str] = {}
    for name, kind in _HEAD.items():
        value = tree.get(name)
        if value is None:
            if name in ("notes", "extends"):
                continue
            raise SettingError(f"{file}: no {name} came; a pack has name, version, issuer and date")
        if not isinstance(value, kind) or (value == "" and name != "extends"):
            raise SettingError(f"{where(name)}: {name} = {value!r} came; text was expected")
        if name != "extends":
            head[name] = str(value)
    if not re.fullmatch(r"\d{4}(-\d\d(-\d\d)?)?", came := head["date"]):
        raise SettingError(f"{where('date')}: date = {came!r} came; YYYY, YYYY-MM or YYYY-MM-DD was expected")
    if len(f"{head['name']} {head['version']}") > 100:
        raise SettingError(f"{where('name')}: name and version have more than 100 characters")
    return head


def _rules_of(kind: str, given: Any, where: Where) -> tuple[Rule, ...]:
    """Checked rules; `where` turns ``[n].field`` into a place."""
    if not isinstance(given, list) or not 1 <= len(given) <= MAX_GRADES:
        raise SettingError(f"{where('[0]')}: 1 to {MAX_GRADES} rules for {kind} were expected")
    made: list[Rule] = []
    for number, fields in enumerate(given):
        if not isinstance(fields, dict):
            raise SettingError(f"{where(f'[{number}]')}: {fields!r} came; fields of a rule were expected")
        checked: dict[str, Any] = {}
        for name, value in fields.items():
            try:
                checked[name] = check_field(name, value)
            except ValueError as why:
                raise SettingError(f"{where(f'[{number}].{name}')}: {why}") from None
        if "priority" not in checked:
            raise SettingError(
                f"{where(f'[{number}]')}: no priority came; {expected('priority')} was expected"
            )
        made.append(make(kind, checked))
    rules = tuple(made)
    try:
        check_rules(kind, rules)
    except RuleProblem as why:
        raise SettingError(f"{where(_inside(why))}: {why}") from None
    return rules


def _inside(why: RuleProblem) -> str:
    return f"[{why.number}]" + (f".{why.field}" if why.field else "")


def _given(rule: Rule) -> dict[str, Any]:
    """The fields of `rule` as a file would give them."""
    fields: dict[str, Any] = msgspec.to_builtins(rule)
    return fields


def _unknown(kind: str) -> str:
    near = get_close_matches(kind, KINDS, n=1)
    hint = f"did you mean {near[0]}?" if near else "docs/packs.md lists them"
    return f"{kind} is no kind of condition; {hint}"
