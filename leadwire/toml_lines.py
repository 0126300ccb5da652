"""Where in a TOML text a name is set: errors point at the line."""

import re


def line_of(text: str, name: str) -> int:
    """The line of `text` that sets `name`, or the nearest table around it; 1 if there is none.

    `name` is dotted; the tables of an array are ``name[0]``, ``name[1]`` ...
    """
    section, best, line = "", 0, 1
    seen: dict[str, int] = {}
    for number, content in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*(\[\[?)([^\]]+)\]", content)
        key = header[2] if header else content.split("=")[0]
        key = re.sub(r"[\s\"']", "", key)
        if header:
            if header[1] == "[[":
                key = f"{key}[{seen.setdefault(key, 0)}]"
                seen[key.rpartition("[")[0]] += 1
            section = key + "."
        full = key if header else section + key
        if len(full) > best and (
            name == full or name.startswith((full + ".", full + "[")) or _first(full, name)
        ):
            best, line = len(full), number
    return line


def _first(full: str, name: str) -> bool:
    """Whether `full` is the first table of the array `name`."""
    return full == name + "[0]"
