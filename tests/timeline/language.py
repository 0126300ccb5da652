"""Stories as text: what happens when, and what must follow.

A line is one of ("#" begins a comment; times in s from the beginning; a bed stands for its last case):

    nobody on duty: cardiologist second        before everything else: these duties (or users) are empty
    at 12 ventricular_fibrillation on A        an alert begins; "... ends" ends it, "... late (ends)" is late
    at 14 tech: accept A take_over=true        a command of a user ("channel:" is Leadwire itself)
    at 14 tech: test_alarm clinic=V
    at 14 handover technician tech to tech2    "reading nothing": without having read the open cases
    at 20 restart                              the desk dies and is built from the register

    at 12 red on A                             a case is raised (red, yellow, cyan: high, medium, low)
    between 12 and 13 page card                somebody is paged ("page card upgraded": for that reason)
    between 0 and 60 no page card
    at 14 cancel tech2                         a page of theirs ends
    at 15 refused read_back_missing
    at 70 line callback/overdue A what=attempt a line of the register, with these data
    at 80 no line responsibility/escalated A
    at 15 A has owner=tech signal=sounding     how the case stands then, after everything of that moment
    at 99 A has cases=2                        so many cases of that bed since the beginning
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leadwire.case import Line
from leadwire.network import Handover
from leadwire.story import Case
from tests.timeline.world import DUTIES, FS, T0, Story, alert, people, shifts

COLOURS = {"red": "high", "yellow": "medium", "cyan": "low"}
SLACK_S = 1e-3

_LINE = re.compile(r"(?:at (?P<at>[\d.]+)|between (?P<a>[\d.]+) and (?P<b>[\d.]+)) (?P<what>.+)")
_ALERT = re.compile(r"(?P<kind>[a-z_]{4,}) on (?P<bed>\w+)(?P<late> late)?(?P<ends> ends)?")
_COMMAND = re.compile(r"(?P<user>[a-z_0-9]+): (?P<action>[a-z_]+) ?(?P<rest>.*)")
_HANDOVER = re.compile(r"handover (?P<duty>\w+) (?P<a>\w+) to (?P<b>\w+)(?P<unread> reading nothing)?")


@dataclass(frozen=True)
class Said:
    """One line of a story."""

    number: int
    text: str
    a: float
    b: float
    what: str

    @property
    def is_input(self) -> bool:
        if self.what == "restart" or _HANDOVER.fullmatch(self.what) or _COMMAND.fullmatch(self.what):
            return True
        found = _ALERT.fullmatch(self.what)
        return found is not None and found["kind"] not in COLOURS


def read(file: Path) -> tuple[list[str], list[Said]]:
    """Who is not on duty, and the lines of `file`, in order of time as far as they are inputs."""
    away: list[str] = []
    said: list[Said] = []
    for number, raw in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        text = raw.split("#")[0].strip()
        if not text:
            continue
        if text.startswith("nobody on duty:"):
            away += text.split(":")[1].split()
            continue
        found = _LINE.fullmatch(text)
        assert found, f"{file.name}, line {number}: {text!r} came; at T ... or between T and T ... expected"
        a, b = (found["at"], found["at"]) if found["at"] else (found["a"], found["b"])
        said.append(Said(number, text, float(a), float(b), found["what"]))
    return away, said


def play(file: Path, **settings: Any) -> Story:
    """Let the story of `file` happen and check it. `settings`: of `Story`."""
    away, said = read(file)
    story = Story(items=[*people(), *shifts(away)], **settings)
    inputs = sorted((s for s in said if s.is_input), key=lambda s: s.a)
    checks = [s for s in said if not s.is_input]
    states = sorted((s for s in checks if " has " in s.what), key=lambda s: s.a)
    for at in sorted({s.b for s in said}):
        story.until(at - SLACK_S / 2)
        for one in (s for s in inputs if s.a == at):
            story.until(at)
            _happen(story, one)
        story.until(at)
        for one in (s for s in states if s.a == at):
            _check_state(story, one, file)
    for one in (s for s in checks if " has " not in s.what):
        _check(story, one, file)
    return story


def _happen(story: Story, said: Said) -> None:
    if said.what == "restart":
        story.restart()
    elif (found := _HANDOVER.fullmatch(said.what)) is not None:
        read_ids = () if found["unread"] else tuple(c.id for c in story.cases.values() if not c.closed)
        story.wish(
            Handover(
                id=f"h{said.number}",
                duty=found["duty"],  # type: ignore[arg-type]
                from_user=found["a"],
                to_user=found["b"],
                at=story.now,
                read=read_ids,
            ),
            by=found["b"],
        )
    elif (found := _ALERT.fullmatch(said.what)) is not None:
        _alert(story, found, said.a)
    else:
        found = _COMMAND.fullmatch(said.what)
        assert found
        words = shlex.split(found["rest"])
        bed = words.pop(0) if words and "=" not in words[0] else ""
        data = dict(_value(word) for word in words)
        case = _last(story, bed).id if bed in BED_NAMES else bed
        user = "" if found["user"] == "channel" else found["user"]
        if "page" in data and "/" not in str(data["page"]):
            data["page"] = _page_of(_last(story, bed), str(data["page"]))
        for name in ("at",):
            if name in data:
                data[name] = T0 + float(data[name])
        story.command(found["action"], case, user, data)


BED_NAMES = ("A", "B", "C")


def _value(word: str) -> tuple[str, Any]:
    name, _, value = word.partition("=")
    if name in ("seconds", "at"):
        return name, float(value)
    return name, {"true": True, "false": False}.get(value, value)


def _page_of(case: Case, user: str) -> str:
    """The last page of `user`."""
    return [p.id for p in case.pages.values() if p.user == user][-1]


def _alert(story: Story, found: re.Match[str], at: float) -> None:
    kind, bed = found["kind"], found["bed"]
    old = [m for c in story.of_bed(bed) for m in c.members.values() if m.kind == kind and m.active]
    late, ends = bool(found["late"]), bool(found["ends"])
    if ends and old:
        member = old[-1]
        onset = int(member.id.split(":")[1])
        story.event(
            alert(kind, bed, at, onset=onset, version=story.versions[member.id] + 1, ended=True, late=late)
        )
    else:
        onset = round((at - 3600) * FS) if late else round(at * FS)
        story.event(alert(kind, bed, at, onset=max(onset, 0), ended=ends, late=late))


def _last(story: Story, bed: str) -> Case:
    cases = story.of_bed(bed)
    assert cases, f"there is no case of bed {bed} yet"
    return cases[-1]


def _lines(story: Story, said: Said) -> Iterator[tuple[Line, Case | None, float, str]]:
    """The lines of the register in the span of `said`: the line, its case at the end, when, cause."""
    for entry in story.register:
        at = entry.at - T0
        if said.a - SLACK_S <= at <= said.b + SLACK_S:
            for line in entry.lines:
                yield line, story.cases.get(entry.alert), at, entry.cause


def _check(story: Story, said: Said, file: Path) -> None:
    words = shlex.split(said.what)
    wanted = words[0] != "no"
    found = any(_is(line, case, words[not wanted :]) for line, case, _, _ in _lines(story, said))
    assert found == wanted, f"{file.name}, line {said.number}: {said.text!r} does not hold.\n{tell(story)}"


def _is(line: Line, case: Case | None, words: list[str]) -> bool:
    what, *rest = words
    if what in COLOURS:
        raised = line.line == "condition" and line.state in ("raised", "upgraded")
        return raised and case is not None and case.bed == rest[1] and line.data["priority"] == COLOURS[what]
    if what == "page":
        if line.line != "page" or line.state != "requested" or line.data["user"] != rest[0]:
            return False
        return len(rest) < 2 or line.data["kind"] == rest[1]
    if what == "cancel":
        page = case.pages.get(line.data["page"]) if case is not None and line.line == "page" else None
        return line.state == "cancelled" and page is not None and page.user == rest[0]
    if what == "refused":
        return line.line == "refused" and line.state == rest[0]
    if what == "line":
        name, *more = rest
        if f"{line.line}/{line.state}" != name:
            return False
        if more and more[0] in BED_NAMES and (case is None or case.bed != more.pop(0)):
            return False
        return all(str(line.data.get(k)) == v for k, v in (word.split("=", 1) for word in more))
    raise AssertionError(f"{what} came; page, cancel, refused, line or a colour was expected")


def _check_state(story: Story, said: Said, file: Path) -> None:
    bed, _, rest = said.what.partition(" has ")
    for word in shlex.split(rest):
        name, _, value = word.partition("=")
        if name == "cases":
            is_now: Any = len(story.of_bed(bed))
        else:
            is_now = _last(story, bed)
            for part in name.split("."):
                is_now = getattr(is_now, part)
        where = f"{file.name}, line {said.number}: {said.text!r}"
        assert str(is_now) == value, f"{where}: {name} is {is_now!r}.\n{tell(story)}"


def tell(story: Story) -> str:
    """The register in words, for whoever reads a failure."""
    lines = []
    for entry in story.register:
        for line in entry.lines:
            data = {k: v for k, v in line.data.items() if k not in ("alert", "chain", "timers", "page")}
            timers = {k: v and round(v - T0, 1) for k, v in line.data.get("timers", {}).items()}
            lines.append(
                f"{entry.at - T0:9.1f} {entry.by or '-':8} {line.line}/{line.state} {data} {timers or ''}"
            )
    return "\n".join(lines[-80:])


__all__ = ["DUTIES", "play", "read", "tell"]
