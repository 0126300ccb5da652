"""The secrets of the channels: a file of the operator's, never on the bus, never in a log.

One ``name value`` pair a line, ``#`` begins a comment::

    webhook:HOST      KEY        signs what goes to this host (HOST:PORT if it has a port); no other host
    mail              URL        the mail server: mailtos://USER:PASSWORD@HOST?from=ADDRESS
    sms               URL        the SMS gateway, with {to} where the number goes
    @NAME             URL        what the address named://NAME of channel "apprise" stands for
"""

import re
from collections.abc import Mapping
from pathlib import Path

from leadwire.errors import SettingError

_NAME = re.compile(r"\A(mail|sms|webhook:[A-Za-z0-9._:\[\]-]+|@[A-Za-z0-9._-]{1,64})\Z")
_FORM = "mail, sms, webhook:HOST or @NAME, and its value"
_MAX_BYTES = 1 << 20


class ChannelSecrets:
    """Values by name; shows only its names.

    Parameters
    ----------
    values
        As in the file.
    """

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = dict(values or {})

    def get(self, name: str) -> str:
        """The value of `name`; empty: there is none."""
        return self._values.get(name, "")

    def __repr__(self) -> str:
        return f"ChannelSecrets({', '.join(sorted(self._values))})"


def read_secrets(file: str) -> ChannelSecrets:
    """The secrets in `file`; none if no file is named.

    Raises
    ------
    SettingError
        It cannot be read, or a line is none: which one, and what was expected, never what stood there.
    """
    if not file:
        return ChannelSecrets()
    try:
        with Path(file).open(encoding="utf-8") as source:
            text = source.read(_MAX_BYTES + 1)
    except (OSError, UnicodeDecodeError) as why:
        reason = why.strerror if isinstance(why, OSError) else "not UTF-8"
        raise SettingError(f"channels_file {file}: {reason}") from None
    if len(text) > _MAX_BYTES:
        raise SettingError(f"channels_file {file}: more than {_MAX_BYTES} bytes came")
    values: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        name, _, value = line.strip().partition(" ")
        value = value.strip()
        if not name or name.startswith("#"):
            continue
        where = f"channels_file {file}, line {number}"
        if not _NAME.match(name) or not value:
            raise SettingError(f"{where}: {_FORM} was expected")
        if name in values:
            raise SettingError(f"{where}: {name} came twice")
        if name == "sms" and "{to}" not in value:
            raise SettingError(f"{where}: sms came without {{to}}, the place of the number")
        values[name.lower() if name.startswith("webhook:") else name] = value
    return ChannelSecrets(values)
