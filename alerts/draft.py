"""A register entry in the making: each line added changes the case at once, so the next one builds on it.

What may follow from an input is written as functions that take a `Draft`, read `draft.case` and add
lines. Nothing else changes a case, and nothing is changed before the whole entry stands.
"""

from collections.abc import Callable, Container, Iterable
from typing import Any

from msgspec import structs

from leadwire.case import AlertId, Line, LineName, RegisterEntry, UserId
from leadwire.model import Priority
from leadwire.roster import Directory
from leadwire.story import Case, after, apply_line


class Refuse(Exception):
    """A command is not carried out.

    Parameters
    ----------
    reason
        One word of the table in `docs/alerts.md`: read_back_missing, not_on_duty, not_owner ...
    detail
        What came and what was expected; no patient data.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Draft:
    """What one input brings about in one case.

    Parameters
    ----------
    case
        As it stands; None: it is just being raised.
    alert, cause, at, by
        The entry's head. `at` in s, epoch, by the desk's clock.
    directory
        Who is on duty, and whom to tell.
    is_case
        Whether an id is one of a case that is known.
    """

    def __init__(
        self,
        case: Case | None,
        *,
        alert: AlertId,
        cause: str,
        at: float,
        by: UserId = "",
        directory: Directory,
        is_case: Callable[[str], bool] = lambda alert: False,
    ) -> None:
        self._case = case
        self._head = RegisterEntry(id=f"{cause}@{alert}", alert=alert, cause=cause, at=at, by=by, lines=())
        self.lines: list[Line] = []
        self.directory = directory
        self.is_case = is_case

    @property
    def case(self) -> Case:
        """The case with all lines so far."""
        assert self._case is not None, "the first line raises the case"
        return self._case

    @property
    def now(self) -> float:
        return self._head.at

    @property
    def by(self) -> UserId:
        return self._head.by

    def add(self, line: LineName, state: str, **data: Any) -> None:
        """Add a line. A value None is left out, but in `timers`, where it ends the timer that runs."""
        if (timers := data.get("timers")) is not None:
            runs = self._case.timers if self._case is not None else {}
            data["timers"] = {k: v for k, v in timers.items() if v is not None or k in runs} or None
        made = Line(line=line, state=state, data={k: v for k, v in data.items() if v is not None})
        self.lines.append(made)
        self._case = apply_line(self._case, made, self._head)

    def page(
        self,
        users: Iterable[UserId],
        kind: str,
        *,
        side: str = "hub",
        level: int = 0,
        duty: str = "",
        priority: Priority | None = None,
    ) -> None:
        """Ask `users` to look, each on all of their channels; a page of theirs of the same kind ends."""
        for user in users:
            for page in self.case.open_pages(side):
                if page.user == user and page.kind == kind:
                    self.add("page", "cancelled", page=page.id, reason="replaced")
            self.add(
                "page",
                "requested",
                page=f"{self._head.alert}/p{self.case.paged + 1}",
                user=user,
                side=side,
                level=level,
                duty=duty,
                priority=priority or self.case.priority,
                kind=kind,
            )

    def cancel_pages(
        self,
        reason: str,
        *,
        side: str | None = None,
        user: UserId | None = None,
        kinds: Container[str] | None = None,
    ) -> None:
        """End all open pages, on all channels (of one side, of one user, for some reasons)."""
        for page in self.case.open_pages(side):
            if user in (None, page.user) and (kinds is None or page.kind in kinds):
                self.add("page", "cancelled", page=page.id, reason=reason)

    def entry(self) -> tuple[RegisterEntry, Case]:
        """The entry with all lines, and the case after it."""
        return structs.replace(self._head, lines=tuple(self.lines)), after(self.case, self._head)
