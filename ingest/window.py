"""Blocks of numbered rows in any order -> the same rows in order, each once; and what was odd.

Pure bookkeeping on row numbers and bytes. What the rows mean, and who is told what, stands in
`session.py`.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

MAX_WAITING_BYTES = 1 << 20
MAX_WAITING_BLOCKS = 1024
MAX_GAPS = 256


class Moment(NamedTuple):
    """Now: by the wall clock (s since the Unix epoch) and by a clock that never steps (s)."""

    time: float
    monotonic: float


@dataclass(frozen=True, slots=True)
class Block:
    """Rows `first` <= n < `end`; `device_time` in s belongs to row `first`."""

    first: int
    end: int
    samples: bytes
    device_time: float
    arrived: Moment


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows to pass on, `late` if their place was already passed as a gap."""

    block: Block
    late: bool


@dataclass(frozen=True, slots=True)
class Gap:
    """Rows `first` <= n < `end` did not come; `fillable` if some may still."""

    first: int
    end: int
    fillable: bool


@dataclass(frozen=True, slots=True)
class Overlap:
    """`n_rows` rows from `first` on came again with different content; the first content holds."""

    first: int
    n_rows: int


Result = Rows | Gap | Overlap


class Window:
    """Orders the rows of one stream.

    Parameters
    ----------
    row_bytes
        Bytes of one row.
    fs
        Rows per second, to move device times with the rows.
    start
        The first row expected.
    wait_s
        How long a hole is waited for once something behind it has come, in s.
    compared_rows
        How many of the last rows are kept, to compare repeated ones with.

    Attributes
    ----------
    next_row
        Everything below was passed on or is a gap.
    duplicates
        Rows that came again, counted.
    """

    def __init__(self, row_bytes: int, fs: float, start: int, wait_s: float, compared_rows: int) -> None:
        self.next_row = start
        self.duplicates = 0
        self._row = row_bytes
        self._fs = fs
        self._wait_s = wait_s
        self._held_from = start  # the sender no longer has anything below
        self._waiting: list[Block] = []  # by first row, disjoint, all at or above next_row
        self._waiting_bytes = 0
        self._gaps: list[tuple[int, int]] = []  # what did not come, in order, disjoint
        self._tail = bytearray()  # content of the last rows below next_row
        self._max_tail = compared_rows * row_bytes

    @property
    def first_missing(self) -> int:
        """The lowest row that has not come and still may."""
        for first, end in self._gaps:
            if end > self._held_from:
                return max(first, self._held_from)
        return self.next_row

    @property
    def end(self) -> int:
        """One past the highest row that has come."""
        return self._waiting[-1].end if self._waiting else self.next_row

    @property
    def wake_at(self) -> float | None:
        """The monotonic time, in s, at which a hole has been waited for long enough; None: no hole."""
        if not self._waiting:
            return None
        return min(b.arrived.monotonic for b in self._waiting) + self._wait_s

    def put(self, block: Block) -> list[Result]:
        """Take a block."""
        results = self._repeated(block) if block.first < self.next_row else []
        if block.end > self.next_row:
            results += self._wait_for_turn(block)
        results += self._pass_on(self._held_from)
        while self._waiting_bytes > MAX_WAITING_BYTES or len(self._waiting) > MAX_WAITING_BLOCKS:
            results += self._pass_on(self._waiting[0].first)
        return results

    def held_from(self, row: int) -> list[Result]:
        """The sender holds nothing below `row` any more: nothing there is waited for."""
        self._held_from = max(self._held_from, row)
        return self._pass_on(self._held_from)

    def tick(self, monotonic: float) -> list[Result]:
        """Give up on holes that were waited for long enough."""
        due = [b.first for b in self._waiting if b.arrived.monotonic + self._wait_s <= monotonic]
        return self._pass_on(due[-1]) if due else []

    def give_up(self) -> list[Result]:
        """Give up on all holes."""
        return self._pass_on(self._waiting[-1].first) if self._waiting else []

    def skip_to(self, row: int) -> None:
        """Rows below `row` were taken care of elsewhere: neither a gap nor to be compared."""
        if row <= self.next_row:
            return
        self.next_row = row
        self._tail.clear()
        waiting = [self.part(b, max(b.first, row), b.end) for b in self._waiting if b.end > row]
        self._waiting = waiting
        self._waiting_bytes = sum(len(b.samples) for b in waiting)

    def _repeated(self, block: Block) -> list[Result]:
        stop = min(block.end, self.next_row)
        results: list[Result] = self._compare(block, self.next_row - len(self._tail) // self._row, self._tail)
        self.duplicates += stop - block.first
        gaps = []
        for a, b in self._gaps:
            x, y = max(a, block.first), min(b, stop)
            if x >= y:
                gaps.append((a, b))
                continue
            self.duplicates -= y - x
            results.append(Rows(self.part(block, x, y), late=True))
            gaps += [(p, q) for p, q in ((a, x), (y, b)) if p < q]
        self._gaps = gaps
        return results

    def _wait_for_turn(self, block: Block) -> list[Result]:
        results: list[Result] = []
        fresh: list[Block] = []
        covered = max(block.first, self.next_row)
        for other in self._waiting:
            if other.end <= covered:
                continue
            if other.first >= block.end:
                break
            if covered < other.first:
                fresh.append(self.part(block, covered, other.first))
            results += self._compare(block, other.first, other.samples)
            self.duplicates += min(block.end, other.end) - max(covered, other.first)
            covered = other.end
        if covered < block.end:
            fresh.append(self.part(block, covered, block.end))
        if fresh:
            self._waiting = sorted([*self._waiting, *fresh], key=lambda b: b.first)
            self._waiting_bytes += sum(len(b.samples) for b in fresh)
        return results

    def _pass_on(self, up_to: int) -> list[Result]:
        """What can go now; holes below `up_to` or below what the sender holds become gaps."""
        limit = max(up_to, self._held_from)
        results: list[Result] = []
        passed = 0
        for block in self._waiting:
            if block.first > self.next_row and self.next_row < limit:
                results.append(self._gap(min(block.first, limit)))
            if block.first > self.next_row:
                break
            results.append(Rows(block, late=False))
            self.next_row = block.end
            self._tail += block.samples
            self._waiting_bytes -= len(block.samples)
            passed += 1
        del self._waiting[:passed]
        if not self._waiting and self.next_row < limit:
            results.append(self._gap(limit))
        if len(self._tail) > 2 * self._max_tail:
            del self._tail[: len(self._tail) - self._max_tail]
        return results

    def _gap(self, end: int) -> Gap:
        first, self.next_row = self.next_row, end
        self._tail.clear()
        self._gaps.append((first, end))
        if len(self._gaps) > MAX_GAPS and self._gaps[0][1] <= self._held_from:
            del self._gaps[0]  # nobody has it any more
        elif len(self._gaps) > MAX_GAPS:
            # What lies between may then come twice: harmless, and nothing is lost.
            (a, _), (_, b) = self._gaps[-2:]
            self._gaps[-2:] = [(a, b)]
        return Gap(first, end, fillable=end > self._held_from)

    def _compare(self, block: Block, first: int, samples: bytes | bytearray) -> list[Result]:
        """An `Overlap` if `block` contradicts `samples`, which begin at row `first`."""
        a = max(block.first, first)
        b = min(block.end, first + len(samples) // self._row)
        if a >= b:
            return []
        old = bytes(samples[(a - first) * self._row : (b - first) * self._row])
        new = block.samples[(a - block.first) * self._row : (b - block.first) * self._row]
        if old == new:
            return []
        rows = (np.frombuffer(old, np.uint8) != np.frombuffer(new, np.uint8)).reshape(-1, self._row)
        differ = np.flatnonzero(rows.any(axis=1))
        return [Overlap(a + int(differ[0]), len(differ))]

    def part(self, block: Block, first: int, end: int) -> Block:
        """Rows `first` <= n < `end` of `block`."""
        if (first, end) == (block.first, block.end):
            return block
        skipped = first - block.first
        return replace(
            block,
            first=first,
            end=end,
            samples=block.samples[skipped * self._row : (end - block.first) * self._row],
            device_time=block.device_time + skipped / self._fs,
        )
