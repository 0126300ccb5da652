"""One HTTP POST, bounded in time and size: what webhooks and chat robots share.

No redirect is followed: where a message goes is what the address says. Proxies of the environment are
not used, for the same reason.
"""

import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from socket import SHUT_RDWR
from urllib.parse import urlsplit

from leadwire.errors import GatewayUnavailable, PageRejected

MAX_BODY = 1 << 16
"""Most bytes of a message, and of what is read of its answer."""
_MAX_WAIT_S = 300.0
"""The longest that a gateway's wish to wait is heeded, in s."""
_LATER = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Target:
    """Where to post: parts of an address that was checked."""

    secure: bool
    host: str
    port: int | None
    path: str

    @property
    def place(self) -> str:
        """Host and port, fit for a log: a path may hold a secret."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"


def target_of(url: str) -> Target:
    """The parts of an http or https `url`.

    Raises
    ------
    PageRejected
        It is none; the text tells nothing of it.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or parts.scheme not in ("http", "https") or parts.username or not url.isascii():
        raise PageRejected("an address that is no http or https URL came; https://HOST/PATH was expected")
    if any(c <= " " or c == "\x7f" for c in url):
        raise PageRejected("an address with blanks came; https://HOST/PATH was expected")
    path = parts.path or "/"
    return Target(parts.scheme == "https", host, port, f"{path}?{parts.query}" if parts.query else path)


def post(target: Target, body: bytes, headers: Mapping[str, str], timeout_s: float) -> bytes:
    """POST `body` and return the answer's body (at most `MAX_BODY` bytes) if its status is 2xx.

    Raises
    ------
    GatewayUnavailable
        No answer within `timeout_s`, no connection, 5xx, 408, 425 or 429.
    PageRejected
        Any other status, or a body that is too long.
    """
    if len(body) > MAX_BODY:
        raise PageRejected(f"a message of {len(body)} bytes came; at most {MAX_BODY} were expected")
    connection: HTTPConnection
    if target.secure:
        connection = HTTPSConnection(
            target.host, target.port, timeout=timeout_s, context=ssl.create_default_context()
        )
    else:
        connection = HTTPConnection(target.host, target.port, timeout=timeout_s)

    over = threading.Event()

    def give_up() -> None:
        # A server that sends one byte now and then never runs into the socket's own time-out.
        over.set()
        if connection.sock is not None:
            with suppress(OSError):
                connection.sock.shutdown(SHUT_RDWR)

    watchdog = threading.Timer(timeout_s, give_up)
    watchdog.daemon = True
    watchdog.start()
    try:
        connection.request("POST", target.path, body, {"User-Agent": "Leadwire", **headers})
        answer = connection.getresponse()
        content = answer.read(MAX_BODY)
        status, after = answer.status, answer.getheader("Retry-After", "")
    except (OSError, HTTPException) as why:
        reason = f"no answer within {timeout_s:g} s" if over.is_set() else type(why).__name__
        raise GatewayUnavailable(f"{target.place}: {reason}") from None
    finally:
        watchdog.cancel()
        connection.close()
    if 200 <= status < 300:
        return content
    said = f"{target.place} answered with status {status}"
    if status >= 500 or status in _LATER:
        raise GatewayUnavailable(said, min(float(after), _MAX_WAIT_S) if after.isdecimal() else 0.0)
    if 300 <= status < 400:
        raise PageRejected(f"{said}; redirects are not followed, the final address was expected")
    raise PageRejected(said)
