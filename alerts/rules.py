"""A rule: how one kind of condition is announced, once a pack says that it is.

Here are a rule's fields, their bounds, and whether it may stand; files are `pack_files.py`'s, and what
holds in a stream at a moment is `conditions.py`'s.

Priorities are IEC 60601-1-8's.
"""

from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from alerts.kinds import GROUPS, KINDS, NEEDED, KindInfo
from leadwire.model import AlertRule, Priority
from leadwire.ranges import Kind
from leadwire.settings import Limits

_HOUR_S, _DAY_S = 3600.0, 86_400.0


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How a kind of condition is announced. A kind may have several: the first whose criterion holds.

    Attributes
    ----------
    priority, tier
        Its urgency, and whether its issuer calls it a critical value or a major positive finding.
    off
        Not announced; the refusal says so.
    says
        Announced as this kind; "": as its own. So one detector's condition can be two of a pack's.
    at_least, at_most, unit
        Criterion on the value of the evidence; `unit` must be that of the kind (`kinds.py`).
    rate_at_least, rate_at_most
        Criterion on the heart rate while the condition lasts, in 1/min.
    delay_s
        The condition must have lasted so long (of samples) before it is announced. For ``no_data``:
        the silence.
    clear_s
        It must have been gone so long (of samples) before its end is announced; back within, it is the
        same alert.
    latching, family, rank, inhibits, reminder_s, group_s, notify, can_be_off
        See `AlertRule`. Family and rank are those of the kind unless given.
    source
        Where in the issuer's document this stands, or why it is ours.
    """

    priority: Priority
    tier: Literal["", "critical", "major"] = ""
    off: bool = False
    says: Annotated[str, Meta(pattern=r"\A([a-z][a-z0-9_]{0,63})?\Z")] = ""
    at_least: Annotated[float, Meta(ge=0, le=_DAY_S)] | None = None
    at_most: Annotated[float, Meta(ge=0, le=_DAY_S)] | None = None
    unit: str = ""
    rate_at_least: Annotated[float, Meta(ge=60, le=300)] | None = None
    rate_at_most: Annotated[float, Meta(ge=15, le=140)] | None = None
    delay_s: Annotated[float, Meta(ge=0, le=600)] = 0.0
    clear_s: Annotated[float, Meta(ge=0, le=600)] = 0.0
    latching: bool = False
    family: Kind = "other"
    rank: Annotated[int, Meta(ge=0, le=100)] = 0
    inhibits: tuple[Kind, ...] = ()
    reminder_s: Annotated[float, Meta(ge=0, le=_HOUR_S)] = 0.0
    group_s: Annotated[float, Meta(ge=0, le=_DAY_S)] = 0.0
    notify: Literal["siren", "task"] = "siren"
    can_be_off: bool = True
    source: Annotated[str, Meta(max_length=300)] = ""

    @property
    def conditional(self) -> bool:
        """Whether it asks for more than the detectors' word."""
        criteria = (self.at_least, self.at_most, self.rate_at_least, self.rate_at_most)
        return any(c is not None for c in criteria)

    def frozen(self, pack: str) -> AlertRule:
        """What of it an alert carries; `pack`: name and version."""
        return AlertRule(
            pack=pack,
            tier=self.tier,
            latching=self.latching,
            family=self.family,
            rank=self.rank,
            reminder_s=self.reminder_s,
            group_s=self.group_s,
            inhibits=self.inhibits,
            notify=self.notify,
            can_be_off=self.can_be_off,
        )


_HINTS = get_type_hints(Rule, include_extras=True)
FIELDS = tuple(_HINTS)


def expected(field: str) -> str:
    """What the field `field` of a rule may be, in words."""
    hint = _HINTS[field]
    inner = next((a for a in get_args(hint) if get_origin(a) is Annotated), hint)
    plain, meta = get_args(inner) if get_origin(inner) is Annotated else (inner, None)
    if plain is bool:
        return "true or false"
    if get_origin(plain) is Literal:
        return f"one of {', '.join(repr(word) for word in get_args(plain))}"
    if plain in (int, float) and isinstance(meta, Meta):
        return f"a {'whole ' if plain is int else ''}number, {meta.ge:g} to {meta.le:g}"
    if field == "inhibits":
        return f"a list of kinds, or of {', '.join(GROUPS)}"
    if field in ("family", "says"):
        return "a word of a-z and _"
    return "text" if meta is None else f"text of at most {meta.max_length} characters"


def check_field(field: str, value: Any) -> Any:
    """Return `value` as the field `field` takes it; ValueError says what came and was expected."""
    if field not in _HINTS:
        raise ValueError(f"{field} is no field of a rule; those are {', '.join(FIELDS)}")
    try:
        return msgspec.convert(value, _HINTS[field])
    except msgspec.ValidationError:
        raise ValueError(f"{field} = {value!r} came; {expected(field)} was expected") from None


def make(kind: str, fields: dict[str, Any]) -> Rule:
    """A rule for `kind` from checked fields: what is not given is the kind's own; groups are written out."""
    given = dict(fields)
    info = KINDS.get(given.get("says") or kind, KINDS[kind])
    inhibits: list[str] = []
    for word in given.pop("inhibits", ()):
        inhibits += [k for k in GROUPS.get(word, (word,)) if k != kind and k not in inhibits]
    given.setdefault("family", info.family)
    given.setdefault("rank", info.rank)
    if kind in NEEDED:
        given.setdefault("can_be_off", False)
    return Rule(inhibits=tuple(inhibits), **given)


def check_rules(kind: str, rules: tuple[Rule, ...]) -> None:
    """Raise ``(field, text)`` as a `RuleProblem` if these rules of `kind` may not stand."""
    info = KINDS[kind]
    for number, rule in enumerate(rules):
        _check_criterion(info, number, rule)
        for field, words in (("inhibits", rule.inhibits), ("says", (rule.says,) if rule.says else ())):
            for word in words:
                if word not in KINDS:
                    raise RuleProblem(number, field, f"{word!r} is no kind of condition")
        if rule.says and KINDS[rule.says].category != info.category:
            raise RuleProblem(number, "says", f"{rule.says} is {KINDS[rule.says].category}; this is not")
        if number + 1 < len(rules) and not rule.conditional:
            raise RuleProblem(number + 1, "", "it can never be reached: the one before asks for nothing")
        if kind in NEEDED:
            _check_needed(kind, number, rule)
    if kind in NEEDED and rules[-1].conditional and not (kind == "asystole" and _only_at_least(rules[-1])):
        raise RuleProblem(
            len(rules) - 1, "", f"{kind} is always announced: the last rule for it must ask for nothing more"
        )


class RuleProblem(ValueError):
    """Rule `number` of a kind may not stand because of `field` ("": all of it)."""

    def __init__(self, number: int, field: str, text: str) -> None:
        super().__init__(text)
        self.number = number
        self.field = field


def _only_at_least(rule: Rule) -> bool:
    return rule.at_most is None and rule.rate_at_least is None and rule.rate_at_most is None


def _check_criterion(info: KindInfo, number: int, rule: Rule) -> None:
    for field in ("at_least", "at_most"):
        value = getattr(rule, field)
        if value is None:
            continue
        if not info.unit:
            raise RuleProblem(number, field, f"{field} came; this kind has no value to compare with")
        if rule.unit != info.unit:
            place = "unit" if rule.unit else field
            raise RuleProblem(
                number, place, f"unit = {rule.unit!r} came with {field}; {info.unit!r} was expected"
            )
        if not info.low <= value <= info.high:
            raise RuleProblem(
                number,
                field,
                f"{field} = {value:g} came; {info.low:g} to {info.high:g} {info.unit} was expected",
            )
    if rule.at_least is not None and rule.at_most is not None and rule.at_least > rule.at_most:
        raise RuleProblem(number, "at_most", "at_most is less than at_least; nothing could be both")


def _check_needed(kind: str, number: int, rule: Rule) -> None:
    info = KINDS[kind]
    if rule.off or rule.can_be_off:
        field = "off" if rule.off else "can_be_off"
        raise RuleProblem(number, field, f"{kind} cannot be switched off")
    if rule.says:
        raise RuleProblem(number, "says", f"{kind} cannot be called something else")
    if rule.notify != "siren":
        raise RuleProblem(number, "notify", f"{kind} cannot be a task; it sounds")
    if not info.protected:
        if not info.low <= rule.delay_s <= 60:
            raise RuleProblem(
                number, "delay_s", f"delay_s = {rule.delay_s:g} came; {info.low:g} to 60 was expected"
            )
        return
    if rule.priority != "high":
        raise RuleProblem(number, "priority", f"priority = {rule.priority!r} came; {kind} is always 'high'")
    if rule.delay_s:
        raise RuleProblem(number, "delay_s", f"delay_s = {rule.delay_s:g} came; {kind} is never delayed")


def check_found(kind: str, number: int, rule: Rule, limits: Limits) -> None:
    """`RuleProblem` if the rule asks for what the detectors, as they are set, never say.

    What they say as the kind that the rule calls it (`Rule.says`) counts too: at 45/min they say
    bradycardia, and nothing is missing because they do not call it extreme.
    """
    info = KINDS[kind]
    field = "at_most" if info.slow else "at_least"
    value = getattr(rule, field)
    if value is None or not info.setting:
        return
    for setting in {info.setting, KINDS[rule.says or kind].setting}:
        found = float(getattr(limits, setting.removeprefix("limits.")))
        if value <= found if info.slow else value >= found:
            return
    found = float(getattr(limits, info.setting.removeprefix("limits.")))
    raise RuleProblem(
        number,
        field,
        f"{field} = {value:g} {info.unit} came, but the detectors say {kind} only "
        f"{'below' if info.slow else 'from'} {found:g}; set {info.setting} to {value:g}",
    )
