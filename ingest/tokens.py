"""Which device may come in: the tokens file, ``device token`` a line.

The token stands there itself or as ``sha256:`` and the 64 hex digits of its hash. Empty lines and
those that begin with # are passed over. The file is read again when it has changed, so a device is paired
or revoked without a restart.
"""

import hashlib
import hmac
import re
from pathlib import Path

import structlog

from leadwire.errors import SettingError

log = structlog.get_logger(__name__)

_HASH = re.compile(r"sha256:([0-9a-f]{64})\Z")
_MIN_TOKEN = 8


class Tokens:
    """The tokens of `file`.

    Raises
    ------
    SettingError
        The file cannot be read, or a line of it makes no sense; the text names the line.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._version = self._look()
        self._hashes = _read(file)

    def allow(self, device: str, token: str) -> bool:
        """Whether `token` is the device's; takes as long for a wrong one as for a right one."""
        self._read_again()
        known = self._hashes.get(device)
        same = hmac.compare_digest(_hash(token), known or bytes(32))
        return same and known is not None

    def _look(self) -> tuple[int, int]:
        try:
            stat = self._file.stat()
        except OSError:
            return (0, 0)
        return (stat.st_mtime_ns, stat.st_size)

    def _read_again(self) -> None:
        version = self._look()
        if version == self._version:
            return
        self._version = version
        try:
            self._hashes = _read(self._file)
        except SettingError as why:
            # A typing error must not lock every device out: what was read before stays.
            log.error("the tokens file is wrong, the old tokens stay", why=str(why))


def _read(file: Path) -> dict[str, bytes]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as why:
        raise SettingError(f"{file}: {why}") from None
    hashes: dict[str, bytes] = {}
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        where = f"{file}, line {number}"
        if len(words) != 2:
            raise SettingError(f"{where}: {len(words)} words came; 'device token' was expected")
        device, token = words
        if device in hashes:
            raise SettingError(f"{where}: device {device} came twice; one line each was expected")
        known = _HASH.match(token)
        if token.startswith("sha256:") and known is None:
            raise SettingError(f"{where}: an unreadable hash came; sha256: and 64 hex digits were expected")
        if not _MIN_TOKEN <= len(token.encode()) <= 64 and known is None:
            raise SettingError(
                f"{where}: a token of {len(token.encode())} bytes came; {_MIN_TOKEN} to 64 were expected"
            )
        hashes[device] = bytes.fromhex(known[1]) if known else _hash(token)
    return hashes


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
