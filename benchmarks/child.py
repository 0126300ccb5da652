"""A Leadwire of one's own: `leadwire up` as a child process, with its own bus, archive and free ports."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from leadwire.errors import RetryError


class Child:
    """One `leadwire COMMAND` process; leave the `with` block and it has stopped.

    Parameters
    ----------
    folder
        Where bus and archive go; a second child on the same folder goes on where the first ended.
    settings
        Further settings, by environment name without ``LEADWIRE_``.
    command
        Role or command and its options.

    Attributes
    ----------
    addresses
        What it printed while starting: ``gateway`` and ``dashboard`` -> address.

    Raises
    ------
    RetryError
        It ended, or said nothing for `START_S`, before it was running.
    """

    START_S = 400.0  # a first start compiles the detectors

    def __init__(
        self, folder: Path, settings: Mapping[str, str] | None = None, command: Sequence[str] = ("up",)
    ) -> None:
        env = {k: v for k, v in os.environ.items() if not k.startswith("LEADWIRE_")}
        env |= {
            "LEADWIRE_BUS": f"local:{folder / 'bus.sqlite'}",
            "LEADWIRE_ARCHIVE": f"sqlite:///{folder / 'archive.sqlite'}",
            "LEADWIRE_GATEWAY_PORT": "0",
            "LEADWIRE_DASHBOARD_PORT": "0",
            **{f"LEADWIRE_{k}": v for k, v in (settings or {}).items()},
        }
        self.log = folder / f"leadwire-{time.monotonic_ns()}.log"
        self.addresses: dict[str, str] = {}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "leadwire.cli", *command],
                env=env,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        running = threading.Event()
        threading.Thread(target=self._read, args=(running,), daemon=True).start()
        deadline = time.monotonic() + self.START_S
        while not running.wait(0.02):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RetryError(f"leadwire {' '.join(command)} did not start: {self.said()}")

    def _read(self, running: threading.Event) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            word, _, rest = line.strip().partition(" ")
            if word == "running":
                running.set()
            elif word in ("gateway", "dashboard"):
                self.addresses[word] = rest

    def said(self) -> str:
        """The end of its log."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-2000:]

    def kill(self) -> None:
        """SIGKILL: no goodbye, nothing flushed."""
        self.process.kill()
        self.process.wait()

    def stop(self, timeout_s: float = 60.0) -> int:
        """SIGINT, as Ctrl-C does; return the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout_s)

    def cpu_s(self) -> float:
        """Processor time it has used so far, in s (Linux; 0 elsewhere)."""
        try:
            text = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii")
        except OSError:
            return 0.0
        user, system = text.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def __enter__(self) -> "Child":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.kill()
