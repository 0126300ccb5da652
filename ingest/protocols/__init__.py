"""One file per device protocol, sans-I/O: bytes in, events out, bytes to send.

A new protocol is one new file in this folder with a class under `@device_protocol`, a test of its
bytes, and a page in `docs/`; the contract suite and the gateway find it by themselves.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol, TypeVar

from ingest.protocols.port import DeviceSide, GatewaySide, Hello
from leadwire.errors import BugError


class DeviceProtocol(Protocol):
    """What a protocol registers.

    Attributes
    ----------
    name
        Its name in logs and metrics.
    path
        The path of its websocket on the gateway.
    max_bytes
        The largest message of either side.
    """

    name: str
    path: str
    max_bytes: int

    @staticmethod
    def gateway_side() -> GatewaySide:
        """A fresh gateway's end for one connection."""
        ...

    @staticmethod
    def device_side(hello: Hello) -> DeviceSide:
        """A fresh device that introduces itself with `hello`."""
        ...


P = TypeVar("P", bound=type[DeviceProtocol])

_protocols: dict[str, type[DeviceProtocol]] = {}


def device_protocol(cls: P) -> P:
    """Register a protocol class by its path."""
    if _protocols.setdefault(cls.path, cls) is not cls:
        raise BugError(f"{cls.__name__} and {_protocols[cls.path].__name__} share the path {cls.path}")
    return cls


def protocols() -> Mapping[str, type[DeviceProtocol]]:
    """All protocols of this folder by path."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return MappingProxyType(_protocols)
