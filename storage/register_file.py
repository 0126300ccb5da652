"""The register in a file: one line of JSON a line, checked without any database; and heads kept aside.

Each line is ``{"seq":1,"prev_hash":"...","hash":"...","entry":{...}}``; the hash is SHA-256 over `prev_hash`
and the entry as canonical JSON (keys sorted, no blanks, UTF-8).
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO, TypeVar

from storage.chain import GENESIS, Anchor, Fault, Link, canonical_json, faults

T = TypeVar("T")

_MAX_LINE = 8 << 20
_ANCHOR = re.compile(r"\A(\d{1,18}):([0-9a-f]{64})\Z", re.ASCII)


def write_links(out: TextIO, links: Iterable[Link]) -> int:
    """Write `links`; return how many."""
    count = 0
    for line in links:
        count += 1
        head = f'{{"seq":{line.seq},"prev_hash":"{line.prev_hash}","hash":"{line.hash}","entry":'
        out.write(f"{head}{line.data}}}\n")
    return count


@dataclass
class CheckedFile:
    """A file being checked: `faults` reads it, the rest is true once it is read."""

    path: Path
    anchors: list[Anchor]
    first: int = 0
    last: int = 0
    _hash: str = field(default=GENESIS)

    @property
    def faults(self) -> Iterator[Fault]:
        links = self._links()
        first = next(links, None)
        if first is None:
            yield from faults((), Anchor(0, GENESIS), anchors=self.anchors)
            return
        self.first = first.seq
        # A part of the register begins where it begins; a whole one with line 1 after nothing.
        before = Anchor(first.seq - 1, first.prev_hash if first.seq > 1 else GENESIS)

        def all_links() -> Iterator[Link]:
            yield first
            yield from links

        yield from faults(all_links(), before, anchors=self.anchors)

    def head(self) -> Anchor:
        return Anchor(self.last, self._hash)

    def _links(self) -> Iterator[Link]:
        with self.path.open(encoding="utf-8", newline="\n") as lines:
            for number, text in enumerate(iter(lambda: lines.readline(_MAX_LINE + 1), ""), 1):
                link = _link(text, number)
                self.last, self._hash = link.seq, link.hash
                yield link


def check_file(path: Path, anchors: Iterable[Anchor] = ()) -> CheckedFile:
    """The check of an exported file."""
    return CheckedFile(path, list(anchors))


def _link(text: str, number: int) -> Link:
    if len(text) > _MAX_LINE:
        raise ValueError(f"line {number} of the file is longer than {_MAX_LINE} characters")
    try:
        said = json.loads(text)
        entry = said["entry"]
        return Link(
            seq=_typed(said["seq"], int),
            id=_typed(entry["id"], str),
            alert=_typed(entry["alert"], str),
            cause=_typed(entry["cause"], str),
            at=float(entry["at"]),
            by=_typed(entry.get("by", ""), str),
            prev_hash=_typed(said["prev_hash"], str),
            hash=_typed(said["hash"], str),
            data=canonical_json(entry),
        )
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as why:
        raise ValueError(
            f"line {number} of the file is no line of a register ({type(why).__name__}: {str(why)[:100]}); "
            "one that `leadwire audit export` wrote was expected"
        ) from None


def _typed(value: object, kind: type[T]) -> T:
    if not isinstance(value, kind):
        raise TypeError(f"{str(value)[:40]!r} came; {kind.__name__} was expected")
    return value


def parse_anchor(text: str) -> Anchor:
    """``SEQ:HASH`` as a line kept aside; ValueError for anything else."""
    found = _ANCHOR.match(text.strip())
    if found is None:
        raise ValueError(f"{text[:80]!r} came; SEQ:HASH as `leadwire audit head` prints it was expected")
    return Anchor(int(found[1]), found[2])


def read_anchors(path: Path) -> list[Anchor]:
    """The heads in a file of `leadwire audit head --keep`: the last word of each line."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [parse_anchor(line.split()[-1]) for line in lines if line.strip()]
