"""Passwords as salted scrypt hashes, and the signed tokens that a login gives.

A hash says with which parameters it was made, so that stronger ones can come without a new login for
all. A token says who and until when, signed with HMAC-SHA256 by a secret of this installation.
"""

import base64
import hashlib
import hmac
import os
import re
import secrets
from pathlib import Path

from leadwire.errors import SettingError

COST = 1 << 15
"""scrypt's n: 32 MiB and a tenth of a second for each try (RFC 7914; OWASP's advice of 2023 is 2**15 to
2**17 with r = 8). Tests take less."""

MIN_PASSWORD, MAX_PASSWORD = 8, 200
"""Characters of a password."""

_BLOCK = 8
_SALT_BYTES, _KEY_BYTES = 16, 32
_MAX_COST = 1 << 18
_HASH = re.compile(r"\Ascrypt\$(\d{1,7})\$([A-Za-z0-9+/]{22}==)\$([A-Za-z0-9+/]{43}=)\Z", re.ASCII)
_MAX_TOKEN = 500
_SECRET_BYTES = 32


def check_length(password: str) -> None:
    """Raise ValueError unless `password` is long enough, and not too long to be hashed."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise ValueError(
            f"a password of {len(password)} characters came; {MIN_PASSWORD} to {MAX_PASSWORD} were expected"
        )


def hash_password(password: str, cost: int = COST, salt: bytes | None = None) -> str:
    """The hash of `password`, as `check_password` takes it.

    Parameters
    ----------
    cost
        scrypt's n, a power of two; memory is 1 KiB times n.
    salt
        16 random bytes by default.

    Raises
    ------
    ValueError
        See `check_length`.
    """
    check_length(password)
    salt = secrets.token_bytes(_SALT_BYTES) if salt is None else salt
    return f"scrypt${cost}${_b64(salt)}${_b64(_scrypt(password, salt, cost))}"


def check_password(password: str, hashed: str, cost: int = COST) -> bool:
    """Whether `password` is the one that `hashed` was made from.

    The comparison takes the same time wherever they differ; without a readable hash (no such user,
    no password) the same work is done, at `cost`, so that the time tells nothing.
    """
    found = _HASH.match(hashed)
    if found is None or not _possible(int(found[1])):
        _scrypt(password[:MAX_PASSWORD], b"\0" * _SALT_BYTES, cost)
        return False
    expected = base64.b64decode(found[3])
    made = _scrypt(password[:MAX_PASSWORD], base64.b64decode(found[2]), int(found[1]))
    return hmac.compare_digest(made, expected) and len(password) <= MAX_PASSWORD


def sign_token(user: str, secret: bytes, expires: float) -> str:
    """A token for `user` that holds until `expires` (s since 1970)."""
    said = f"{_url64(user.encode())}.{int(expires)}"
    return f"{said}.{_signature(said, secret)}"


def check_token(token: str, secret: bytes, now: float) -> str | None:
    """The user that `token` was signed for; None: not by us, changed, or expired at `now`."""
    said, _, signature = token.rpartition(".")
    if len(token) > _MAX_TOKEN or not token.isascii():
        return None
    if not hmac.compare_digest(signature, _signature(said, secret)):
        return None
    user, _, expires = said.partition(".")
    if now >= int(expires):
        return None
    return base64.urlsafe_b64decode(user + "=" * (-len(user) % 4)).decode()


def read_secret(file: Path) -> bytes:
    """The secret in `file`, made there (only its owner may read it) if there is none yet.

    Raises
    ------
    SettingError
        The file cannot be read or made, or is too short to be a secret.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            _make_secret(file)
        secret = bytes.fromhex(file.read_text(encoding="ascii").strip())
    except (OSError, ValueError) as why:
        raise SettingError(
            f"session_secret_file {file} came: {why}; a file with {_SECRET_BYTES} bytes as hex, or a place "
            "for one, was expected"
        ) from None
    if len(secret) < _SECRET_BYTES:
        raise SettingError(
            f"session_secret_file {file} holds {len(secret)} bytes; {_SECRET_BYTES} as hex expected"
        )
    return secret


def _make_secret(file: Path) -> None:
    # Complete before it has its name, so that two first starts at once end up with one secret.
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as out:
        out.write(secrets.token_hex(_SECRET_BYTES) + "\n")
        out.flush()
        os.fsync(out.fileno())
    try:
        os.link(draft, file)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _scrypt(password: str, salt: bytes, cost: int) -> bytes:
    return hashlib.scrypt(
        password.encode(errors="surrogatepass"),
        salt=salt,
        n=cost,
        r=_BLOCK,
        p=1,
        maxmem=256 * _BLOCK * cost + (1 << 20),
        dklen=_KEY_BYTES,
    )


def _possible(cost: int) -> bool:
    return 2 <= cost <= _MAX_COST and cost & (cost - 1) == 0


def _signature(said: str, secret: bytes) -> str:
    return _url64(hmac.digest(secret, said.encode(), "sha256"))


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
