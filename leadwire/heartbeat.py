"""A process's sign of life on `ecg.watch`: its roles, its open pages, how far its stages are behind.

A thread of its own says it every few seconds, so that a stage that hangs is told of by the others. What
becomes of it `alerts/watch.py` decides. A clean stop says goodbye (deletes the report): only then is
silence no alarm.
"""

import os
import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress

import structlog

from leadwire import codec
from leadwire.bus import Bus, Producer
from leadwire.case import Watcher, WatchReport
from leadwire.clock import Clock, SystemClock
from leadwire.errors import RetryError
from leadwire.topics import WATCH

log = structlog.get_logger(__name__)

EVERY_S = 5.0
TIMEOUT_S = 10.0
TURN_S = 5.0
"""A stage's loop turns several times a second; one that has not for longer hangs, in s."""

Watchers = Callable[[], Iterable[Watcher]]


class Progress:
    """How a stage gets on: told by its runner, read by the heartbeat's thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._turned = clock.monotonic()
        self._oldest: float | None = None

    def turned(self) -> None:
        """The loop has gone round."""
        self._turned = self._clock.monotonic()

    def waiting(self, oldest: float | None) -> None:
        """Messages wait, not older than `oldest` (s since 1970); None: none does, or it is not known."""
        self._oldest = oldest

    def lag_s(self) -> int:
        """How old the oldest message is that waits, in s; of a loop that hangs: since when."""
        hangs = self._clock.monotonic() - self._turned
        behind = 0.0 if self._oldest is None else self._clock.now() - self._oldest
        return max(0, int(behind), int(hangs) if hangs > TURN_S else 0)


class Heartbeat:
    """Reports one process until it is stopped.

    Parameters
    ----------
    bus, roles
        Where to, and of what.
    process
        Its name, one of its own; by default host and process number.

    Attributes
    ----------
    watchers
        Asked, in the heartbeat's thread, who has pages open here. The dashboard sets it.
    """

    def __init__(
        self,
        bus: Bus,
        roles: Iterable[str],
        clock: Clock | None = None,
        process: str | None = None,
        every_s: float = EVERY_S,
    ) -> None:
        self.watchers: Watchers = tuple
        self.process = process or f"{socket.gethostname()[:96]}/{os.getpid()}"
        self._bus = bus
        self._roles = tuple(roles)
        self._clock = clock or SystemClock()
        self._every_s = every_s
        self._progress: dict[str, Progress] = {}
        self._halt = threading.Event()
        self._thread: threading.Thread | None = None
        self._producer: Producer | None = None

    def progress(self, stage: str) -> Progress:
        """What the runner of `stage` is to tell."""
        return self._progress.setdefault(stage, Progress(self._clock))

    def report(self) -> WatchReport:
        """How the process is now."""
        try:
            watchers = tuple(self.watchers())
        except Exception:  # pages that cannot be counted are not watched; the report must go out all the same
            log.exception("the open pages cannot be told")
            watchers = ()
        lag = {stage: progress.lag_s() for stage, progress in dict(self._progress).items()}
        return WatchReport(
            process=self.process, at=self._clock.now(), roles=self._roles, watchers=watchers, lag=lag
        )

    def start(self) -> None:
        """Report from now on."""
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Say goodbye, and return when that is done or the bus is away."""
        self._halt.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            self._say(codec.encode(self.report()))
            if self._halt.wait(self._every_s):
                break
        self._say(None)
        if self._producer is not None:
            self._producer.close()

    def _say(self, value: bytes | None) -> None:
        try:
            if self._producer is None:
                self._producer = self._bus.producer()
            self._producer.publish(WATCH, self.process, value)
            self._producer.flush(TIMEOUT_S)
        except RetryError as why:
            log.warning("no heartbeat", why=str(why))
            if self._producer is not None:
                with suppress(RetryError):
                    self._producer.close()
            self._producer = None
