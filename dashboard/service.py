"""Runs the dashboard under uvicorn in a thread of its own. Start and stop from any thread."""

import socket
import threading

import uvicorn

from dashboard.app import create_app
from dashboard.messages import MAX_CLIENT_MESSAGE
from dashboard.watching import Watching
from leadwire.bus import Bus
from leadwire.clock import Clock
from leadwire.errors import BugError, SettingError
from leadwire.settings import Settings
from storage import Reader

_SEND_BUFFER = 1 << 18
"""Bytes the kernel may hold for a client: more would hide a slow one, and age its waveforms."""


class DashboardService:
    """The dashboard as a running server.

    Parameters
    ----------
    bus, reader, settings, clock
        As for `dashboard.app.create_app`; host and port come from the settings.

    Attributes
    ----------
    watchers
        Who has pages open now; may be asked from any thread.
    """

    def __init__(
        self,
        bus: Bus,
        reader: Reader | None = None,
        settings: Settings | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings or Settings()
        watching = Watching()
        self._app = create_app(bus, reader, self._settings, clock, watching)
        self.watchers = watching.watchers
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self.address = ""

    def start(self) -> str:
        """Listen, and return the page's address once it answers.

        Raises
        ------
        SettingError
            The address is taken or not ours.
        """
        listener = _listen(self._settings.dashboard_host, self._settings.dashboard_port)
        host, port = listener.getsockname()[:2]
        host = f"[{host}]" if ":" in host else host
        config = uvicorn.Config(
            self._app,
            log_level="warning",
            access_log=False,
            server_header=False,
            ws_max_size=MAX_CLIENT_MESSAGE,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=2,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name="dashboard", daemon=True
        )
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise BugError("the dashboard ended while it started; its log says why")
            self._thread.join(0.02)
        self.address = f"http://{host}:{port}/"
        return self.address

    def alive(self) -> bool:
        """Whether the server's thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def stop(self) -> None:
        """Close the websockets, stop the feed, and return when the server has ended."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()


def serve(
    bus: Bus,
    stop: threading.Event,
    reader: Reader | None = None,
    settings: Settings | None = None,
    clock: Clock | None = None,
) -> None:
    """Run the dashboard until `stop` is set.

    Raises
    ------
    SettingError
        The address is taken or not ours.
    BugError
        The server ended by itself.
    """
    service = DashboardService(bus, reader, settings, clock)
    service.start()
    try:
        while not stop.wait(0.5):
            if not service.alive():
                raise BugError("the dashboard's server ended by itself; its log says why")
    finally:
        service.stop()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Accepted connections inherit it.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        listener.bind((host, port))
    except OSError as why:
        listener.close()
        raise SettingError(f"dashboard_host {host}, dashboard_port {port}: {why.strerror or why}") from None
    return listener
