"""One file a channel: how a message gets to a person. A shell: here are sockets, and nothing is decided.

A new channel is one new file in this folder with a class under `@channel`, the form of its addresses in
`leadwire/network_items.py`, and a stand for it in `tests/contract/gateways.py`; the contract suite and the
notifier find it by themselves.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeVar

from alerts.channel_secrets import ChannelSecrets
from alerts.channels.port import Channel
from leadwire.errors import BugError

C = TypeVar("C", bound=type[Channel])

_channels: dict[str, type[Channel]] = {}


def channel(cls: C) -> C:
    """Register a channel class by its name."""
    if _channels.setdefault(cls.name, cls) is not cls:
        raise BugError(f"{cls.__name__} and {_channels[cls.name].__name__} share the name {cls.name}")
    return cls


def channels() -> Mapping[str, type[Channel]]:
    """All channels of this folder by name."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return MappingProxyType(_channels)


def open_channels(secrets: ChannelSecrets) -> dict[str, Channel]:
    """One of each, ready to send."""
    return {name: cls(secrets) for name, cls in channels().items()}
