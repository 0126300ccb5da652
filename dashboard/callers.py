"""Who asks: the user behind a request, what that user may see, and the limits on guessing a password.

A session is a signed token with an expiry (`leadwire.passwords`), in a cookie that no script can read or in
an ``Authorization: Bearer`` header. As long as the network has no users (`leadwire admin load` brings them)
anybody who reaches the page may look, as on a bedside monitor, and nobody may act.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

from leadwire.network import HUB_ROLES, Network, User
from leadwire.passwords import check_password, check_token, sign_token

COOKIE = "leadwire_session"
SESSION_S = 12 * 3600.0
"""A session lasts a long shift, in s."""

MAX_TRIES = 5
TRIES_S = 60.0
"""So many wrong passwords of one user within so many seconds, and further ones are not even looked at."""


@dataclass(frozen=True)
class Caller:
    """A user as the routes know it; `user` empty: nobody logged in, on a network without users."""

    user: str = ""
    name: str = ""
    roles: tuple[str, ...] = ()
    clinics: frozenset[str] | None = None

    def sees(self, clinic: str) -> bool:
        """Whether the patients of `clinic` are this caller's business."""
        return self.clinics is None or clinic in self.clinics

    @property
    def is_administrator(self) -> bool:
        return "administrator" in self.roles


NOBODY = Caller()


class Door:
    """Lets callers in.

    Parameters
    ----------
    secret
        Signs the sessions; the same for every dashboard of one network.
    open_as
        The user that whoever has no session is (a demonstration); empty: they must log in.
    """

    def __init__(self, secret: bytes, open_as: str = "") -> None:
        self._secret = secret
        self._open_as = open_as
        self._tries: dict[str, list[float]] = {}

    def caller(self, network: Network, headers: Mapping[str, str], now: float) -> Caller | None:
        """The caller of a request with these headers; None: it must log in."""
        users = network.users
        if not users:
            return NOBODY
        token = token_of(headers)
        name = check_token(token, self._secret, now) if token else self._open_as
        user = users.get(name) if name else None
        return caller_of(user) if user is not None and user.active else None

    def blocked(self, user: str, now: float) -> bool:
        """Whether too many wrong passwords of `user` came lately."""
        recent = [t for t in self._tries.get(user, []) if now - t < TRIES_S]
        if recent:
            self._tries[user] = recent
        else:
            self._tries.pop(user, None)
        return len(recent) >= MAX_TRIES

    def login(self, network: Network, name: str, password: str, now: float) -> str | None:
        """A session's token, or None: no such user, or not this password. Takes a tenth of a second."""
        user = network.users.get(name)
        # The same work for a name that does not exist: the time must not tell which names do.
        right = check_password(password, user.password if user is not None else "")
        if user is None or not user.active or not right:
            self._tries.setdefault(name, []).append(now)
            while len(self._tries) > 1000:
                self._tries.pop(next(iter(self._tries)))
            return None
        self._tries.pop(name, None)
        return sign_token(user.id, self._secret, now + SESSION_S)


def caller_of(user: User) -> Caller:
    """What `user` is to the routes."""
    # A person of the hub without named clinics cares for all of them.
    everything = not user.clinics and bool(HUB_ROLES & set(user.roles))
    return Caller(user.id, user.name, tuple(user.roles), None if everything else frozenset(user.clinics))


def token_of(headers: Mapping[str, str]) -> str:
    """The session token in a request's headers, empty if there is none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return cookie.value if cookie else ""
