"""YAML as a tree in which everything knows its line, and text stays as it was written.

Aliases are refused (they make much of little), and so is a name that comes twice.
"""

import re
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

_MAX_DEPTH = 12


class FileProblem(ValueError):
    """Something in the file is wrong; `line` counts from 1."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(f"line {line}: {what}")
        self.line = line


def compose(text: str) -> Node:
    """The tree of `text`; `FileProblem` for what is no YAML, empty, or refused here."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as why:
        mark = why.problem_mark or why.context_mark
        raise FileProblem(mark.line + 1 if mark else 1, f"{why.problem}; YAML was expected") from None
    except (yaml.YAMLError, RecursionError, ValueError) as why:
        raise FileProblem(1, f"{str(why)[:200]} came; YAML was expected") from None
    if node is None:
        raise FileProblem(1, "nothing came; hub, clinics, users ... were expected")
    _check_tree(node, set(), 0)
    return node


def _check_tree(node: Node, seen: set[int], depth: int) -> None:
    """Neither aliases, which could make much of little, nor a depth that nothing here has."""
    if id(node) in seen:
        raise FileProblem(line(node), "an alias (*name) came; the thing itself was expected")
    if depth > _MAX_DEPTH:
        raise FileProblem(line(node), f"more than {_MAX_DEPTH} levels came; fewer were expected")
    seen.add(id(node))
    if isinstance(node, ScalarNode):
        return
    for child in node.value:
        for part in child if isinstance(child, tuple) else (child,):
            _check_tree(part, seen, depth + 1)


def line(node: Node) -> int:
    """The line that `node` begins in, from 1."""
    return int(node.start_mark.line) + 1


def mapping(node: Node) -> dict[str, tuple[Node, Node]]:
    """Each name of a mapping with its node and that of its value."""
    if not isinstance(node, MappingNode):
        raise FileProblem(line(node), f"{_what(node)} came; names with values were expected")
    found: dict[str, tuple[Node, Node]] = {}
    for key, value in node.value:
        if not isinstance(key, ScalarNode):
            raise FileProblem(line(key), f"{_what(key)} came as a name; a word was expected")
        if key.value in found:
            raise FileProblem(line(key), f"{key.value[:40]!r} came twice; once was expected")
        found[key.value] = (key, value)
    return found


def sequence(node: Node) -> list[Node]:
    """The items of a list; none of an empty value."""
    if isinstance(node, ScalarNode) and node.tag.endswith(":null"):
        return []
    if not isinstance(node, SequenceNode):
        raise FileProblem(line(node), f"{_what(node)} came; a list (lines with -) was expected")
    return list(node.value)


def _what(node: Node) -> str:
    if isinstance(node, ScalarNode):
        return repr(node.value[:40])
    return "a list" if isinstance(node, SequenceNode) else "names with values"


def resolved(node: Node) -> Any:
    """What plain YAML makes of `node`: numbers, true and false too."""
    return yaml.SafeLoader("").construct_document(node)


def plain(node: Node) -> Any:
    """Maps, lists and text: a phone number, an id, 08:00 stay as they are written."""
    if isinstance(node, MappingNode):
        return {name: plain(value) for name, (_, value) in mapping(node).items()}
    if isinstance(node, SequenceNode):
        return [plain(child) for child in node.value]
    return None if node.tag.endswith(":null") else node.value


def line_of(node: Node, why: str) -> int:
    """The line of an unknown field, or of the place that msgspec names (``... - at `$.users[0].to` ``)."""
    unknown = re.search(r"unknown field `([^`]*)`", why)
    place = re.search(r"at `\$([^`]*)`", why)
    steps = re.findall(r"\.(\w+)|\[(\d+)\]", place[1]) if place else []
    if unknown:
        steps.append((unknown[1], ""))
    found = line(node)
    for name, number in steps:
        if isinstance(node, MappingNode) and name in (fields := mapping(node)):
            key, node = fields[name]
            found = line(key)
        elif isinstance(node, SequenceNode) and number and int(number) < len(node.value):
            node = node.value[int(number)]
            found = line(node)
    return found
