"""What may go wrong with a device: in its samples, on its link, in its clock.

Each fault is one small struct, listed in `FAULTS` by the name that ``--fault NAME:key=value,...``
uses; what they do is in `faulty.py`. Times are in s and count from sample 0 (sample and clock
faults) or from the first connection (link faults).
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from leadwire.errors import SettingError

FOR_EVER = 1e9
Seconds = Annotated[float, Meta(ge=0, le=FOR_EVER)]
Millivolts = Annotated[float, Meta(ge=0, le=100)]
Probability = Annotated[float, Meta(ge=0, le=1)]
Leads = tuple[str, ...]


class _Fault(Struct, frozen=True, forbid_unknown_fields=True, rename={"for_s": "for", "at_s": "at"}):
    pass


class _Stretch(_Fault, frozen=True):
    """From `at` on, for `for` seconds, on `leads` (none named: all)."""

    at_s: Seconds = 0.0
    for_s: Seconds = FOR_EVER
    leads: Leads = ()


class LeadOff(_Stretch, frozen=True):
    """Electrodes fall off: nothing is measured, and the device says so (`silent`: it does not)."""

    silent: bool = False


class Mains(_Stretch, frozen=True):
    """Hum of `mv` amplitude at `hz`."""

    mv: Millivolts = 0.2
    hz: Annotated[float, Meta(gt=0, le=1000)] = 50.0


class Noise(_Stretch, frozen=True):
    """White noise of `mv` standard deviation."""

    mv: Millivolts = 0.1


class Saturation(_Stretch, frozen=True):
    """The amplifier sticks to its rail (`mv` either way) outside it: values are cut off there."""

    mv: Millivolts = 0.3


class GainStep(_Stretch, frozen=True):
    """The amplitude is `factor` times the true one."""

    factor: Annotated[float, Meta(ge=-100, le=100)] = 0.2


class Flat(_Stretch, frozen=True):
    """The value 0 mV, though no electrode is reported off."""


class Invalid(_Stretch, frozen=True):
    """A share `p` of the samples is marked as not measured, each for itself."""

    p: Probability = 0.01


class Loss(_Fault, frozen=True):
    """A share `p` of the data messages is sent and never arrives."""

    p: Probability = 0.01


class Duplicate(_Fault, frozen=True):
    """A share `p` of the data messages arrives twice."""

    p: Probability = 0.01


class Reorder(_Fault, frozen=True):
    """A share `p` of the data messages is overtaken by up to `depth` others."""

    p: Probability = 0.01
    depth: Annotated[int, Meta(ge=1, le=100)] = 3


class Corrupt(_Fault, frozen=True):
    """A share `p` of the data messages arrives with one bit changed."""

    p: Probability = 0.001


class Disconnect(_Fault, frozen=True):
    """The link goes down `at` s after the first connection, for `for` s."""

    at_s: Seconds = 30.0
    for_s: Seconds = 10.0


class Storm(_Fault, frozen=True):
    """From `at`, for `for` s, the link breaks `every` s after each connection."""

    at_s: Seconds = 0.0
    for_s: Seconds = 30.0
    every: Annotated[float, Meta(gt=0, le=FOR_EVER)] = 1.0


class Skew(_Fault, frozen=True):
    """The device's clock runs `ppm` millionths fast (negative: slow); it samples by that clock."""

    ppm: Annotated[float, Meta(ge=-100_000, le=100_000)] = 100.0


class ClockJump(_Fault, frozen=True):
    """Somebody sets the device's clock by `by` s; the samples go on without a hole."""

    at_s: Seconds = 30.0
    by: Annotated[float, Meta(ge=-FOR_EVER, le=FOR_EVER)] = 3600.0


SampleFault = LeadOff | Mains | Noise | Saturation | GainStep | Flat | Invalid
LinkFault = Loss | Duplicate | Reorder | Corrupt | Disconnect | Storm
ClockFault = Skew | ClockJump
Fault = SampleFault | LinkFault | ClockFault

FAULTS: dict[str, type[Fault]] = {
    "lead-off": LeadOff,
    "mains": Mains,
    "noise": Noise,
    "saturation": Saturation,
    "gain-step": GainStep,
    "flat": Flat,
    "invalid": Invalid,
    "loss": Loss,
    "duplicate": Duplicate,
    "reorder": Reorder,
    "corrupt": Corrupt,
    "disconnect": Disconnect,
    "storm": Storm,
    "skew": Skew,
    "clock-jump": ClockJump,
}


def parse_fault(text: str) -> Fault:
    """The fault of ``NAME`` or ``NAME:key=value,key=value``; leads are joined by ``+``.

    Raises
    ------
    SettingError
        An unknown name or key, or an impossible value.
    """
    name, _, rest = text.partition(":")
    if name not in FAULTS:
        raise SettingError(f"fault {name!r} came; one of {', '.join(FAULTS)} was expected")
    values: dict[str, Any] = {}
    for item in filter(None, rest.split(",")):
        key, equals, value = item.partition("=")
        if not equals:
            raise SettingError(f"fault {name}: {item!r} came; key=value was expected")
        values[key] = tuple(value.split("+")) if key == "leads" else value
    try:
        return msgspec.convert(values, FAULTS[name], strict=False)
    except msgspec.ValidationError as why:
        raise SettingError(f"fault {text!r}: {why}") from None
