"""Which pages are open, for whom, whether they can be seen and heard: what `alerts/watch.py` judges by."""

from dataclasses import dataclass
from threading import Lock
from typing import Literal

from dashboard.callers import Caller
from leadwire.case import Watcher


@dataclass(eq=False, slots=True)
class OpenPage:
    """One page on `/ws/cases`; until it says otherwise nobody sees or hears it."""

    caller: Caller
    visible: bool = False
    audio: Literal["on", "paused", "blocked"] = "blocked"


class Watching:
    """The open pages. `watchers` may be asked from any thread."""

    def __init__(self) -> None:
        self._pages: set[OpenPage] = set()
        self._lock = Lock()

    def join(self, caller: Caller) -> OpenPage:
        """A page of `caller` was opened."""
        page = OpenPage(caller)
        with self._lock:
            self._pages.add(page)
        return page

    def leave(self, page: OpenPage) -> None:
        """The page was closed, or its link broke."""
        with self._lock:
            self._pages.discard(page)

    def watchers(self) -> tuple[Watcher, ...]:
        """The open pages of people who are logged in; `clinics` empty: all of them."""
        with self._lock:
            pages = list(self._pages)
        return tuple(
            Watcher(
                user=p.caller.user,
                clinics=tuple(sorted(p.caller.clinics or ())),
                visible=p.visible,
                audio=p.audio,
            )
            for p in pages
            if p.caller.user
        )
