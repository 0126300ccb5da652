"""The chain of the register: each line's hash covers its text and the hash of the line before.

Pure: the arithmetic of links, and what a broken chain is told by. The hash of a line is SHA-256 over the
hash of the line before (64 hex digits, of line 0: `GENESIS`) followed by the line's canonical JSON in UTF-8.
Anybody can compute it again from an export. Whoever can write to the database can also forge a whole chain:
against that help only heads that are kept elsewhere (`Anchor`).
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from leadwire.case import RegisterEntry
from leadwire.errors import MessageRejected

GENESIS = "0" * 64


@dataclass(frozen=True, slots=True)
class Link:
    """One line as it is stored; `data` is the entry's canonical JSON. `id` ... `by` repeat what it says."""

    seq: int
    id: str
    alert: str
    cause: str
    at: float
    by: str
    prev_hash: str
    hash: str
    data: str


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the register at `seq`."""

    seq: int
    kind: Literal["changed", "missing", "reordered", "head"]
    what: str


@dataclass(frozen=True, slots=True)
class Anchor:
    """A line's number and hash, kept where the database's administrator cannot change it."""

    seq: int
    hash: str


def canonical(entry: RegisterEntry) -> str:
    """The one text of `entry`: keys sorted, no blanks, UTF-8.

    Raises
    ------
    MessageRejected
        It holds something that JSON has no word for (NaN, bytes, names that are no text).
    """
    try:
        return canonical_json(msgspec.to_builtins(entry, builtin_types=(bytes, bytearray)))
    except (ValueError, TypeError, RecursionError) as why:
        raise MessageRejected(f"a register entry came that JSON cannot hold: {why}") from None


def canonical_json(value: Any) -> str:
    """`value` (plain maps, lists, text, numbers) as canonical JSON."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def link_hash(prev_hash: str, data: str) -> str:
    """The hash of a line with text `data` after one with `prev_hash`; 64 hex digits."""
    return hashlib.sha256((prev_hash + data).encode()).hexdigest()


def link(entry: RegisterEntry, seq: int, prev_hash: str) -> Link:
    """The line `seq` that holds `entry`."""
    data = canonical(entry)
    return Link(
        seq=seq,
        id=entry.id,
        alert=entry.alert,
        cause=entry.cause,
        at=entry.at,
        by=entry.by,
        prev_hash=prev_hash,
        hash=link_hash(prev_hash, data),
        data=data,
    )


def faults(
    links: Iterable[Link],
    before: Anchor,
    find: Callable[[str], int | None] = lambda _: None,
    anchors: Iterable[Anchor] = (),
) -> Iterator[Fault]:
    """What is wrong with `links`, which come by `seq`.

    Parameters
    ----------
    before
        The line before the first of them; of a whole register ``Anchor(0, GENESIS)``.
    find
        The number of the line with this hash, None if there is none.
    anchors
        Lines kept aside; those that come before the first link are passed over.
    """
    kept = {anchor.seq: anchor.hash for anchor in anchors if anchor.seq > before.seq}
    seq, prev_hash = before.seq, before.hash
    for line in links:
        if line.seq != seq + 1:
            gap = f"line {seq + 1} is" if line.seq == seq + 2 else f"lines {seq + 1} to {line.seq - 1} are"
            yield Fault(seq + 1, "missing", f"{gap} missing")
        elif line.prev_hash != prev_hash:
            yield _misplaced(line, find(line.prev_hash))
        if wrong := _changed(line):
            yield Fault(line.seq, "changed", f"line {line.seq} was changed: {wrong}")
        if kept.pop(line.seq, line.hash) != line.hash:
            yield Fault(line.seq, "head", f"line {line.seq} has another hash than the one kept aside")
        seq, prev_hash = line.seq, line.hash
    for lost in sorted(kept):
        yield Fault(
            lost, "missing", f"line {lost}, whose hash was kept aside, is missing: the last line is {seq}"
        )


def _misplaced(line: Link, follows: int | None) -> Fault:
    if follows is not None:
        return Fault(
            line.seq, "reordered", f"line {line.seq} stands in the wrong place: it follows line {follows}"
        )
    return Fault(
        line.seq,
        "missing",
        f"line {line.seq} does not follow line {line.seq - 1}: what it follows is missing or was changed",
    )


def _changed(line: Link) -> str:
    """What does not fit inside one line, in words; empty: nothing."""
    if link_hash(line.prev_hash, line.data) != line.hash:
        return "its text does not give its hash"
    try:
        said = json.loads(line.data)
    except ValueError:
        return "its text is no JSON"
    for name in ("id", "alert", "cause", "at", "by"):
        expected = said.get(name, "") if isinstance(said, dict) else None
        if expected != getattr(line, name):
            return f"{name} is not what its text says"
    return ""
