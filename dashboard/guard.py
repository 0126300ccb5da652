"""Who may talk to the dashboard, and the headers every answer carries. Pure functions.

The pages need nothing from anywhere else, so the policy allows only this origin. Host is checked against DNS
rebinding: a foreign site can make a browser resolve its own name to our address, but not an address literal.
Origin is checked on websockets, which browsers let any site open.
"""

import ipaddress
from collections.abc import Collection
from typing import Final

SECURITY_HEADERS: Final[dict[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
}


def host_name(host: str) -> str | None:
    """The name in a Host header without its port, in lower case; None if it is malformed."""
    host = host.strip().lower()
    if host.startswith("["):
        name, bracket, port = host[1:].partition("]")
        port = port.removeprefix(":")
    else:
        name, bracket, port = host.partition(":")
        bracket = "]"
    if not name or not bracket or (port and not port.isascii()) or (port and not port.isdigit()):
        return None
    return name


def host_allowed(host: str | None, names: Collection[str]) -> bool:
    """Whether a request with this Host header is for us: an address literal, localhost or one of `names`."""
    name = host_name(host or "")
    if name is None:
        return False
    if name == "localhost" or name in names:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def origin_allowed(origin: str | None, host: str | None) -> bool:
    """Whether a websocket may be opened: from a page of this very host, or by no browser at all."""
    if origin is None:
        return True
    scheme, _, rest = origin.strip().lower().partition("://")
    return scheme in ("http", "https") and host is not None and rest == host.strip().lower()
