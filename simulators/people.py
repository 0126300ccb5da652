"""The demonstration's people: their network (`demo_network.yml`), put in through the desk as any other."""

from importlib.resources import files
from zoneinfo import ZoneInfo

from leadwire.bus import Bus
from leadwire.clock import Clock
from leadwire.errors import BugError
from leadwire.network_file import read_network
from leadwire.network_wishes import wishes
from leadwire.wishing import Answer, publish_wishes, read_facts

TECHNICIAN = "wang"
"""Whoever opens a page of the demonstration is this user until they log in as another."""

HINT = "people wang (technician), chen (cardiologist), guo (chief), zhou (clinic): demo-password"
"""A line for whoever starts the demonstration."""

WAIT_S = 60.0
# The passwords stand in the file: a strong hash of them would protect nothing.
_COST = 1 << 4
_WEEKS = 4


def admit_people(bus: Bus, clock: Clock) -> None:
    """Have the desk put in whatever of the demonstration's network is not there yet.

    Raises
    ------
    BugError
        The desk refuses something of it.
    """
    text = files("simulators").joinpath("demo_network.yml").read_text(encoding="utf-8")
    entries = read_network(text, ZoneInfo("UTC"), clock.now(), _WEEKS)
    refused: list[Answer] = []

    def answered(answer: Answer) -> None:
        if answer.refused:
            refused.append(answer)

    publish_wishes(bus, wishes(entries, read_facts(bus), clock.now(), _COST), clock, WAIT_S, answered)
    if refused:
        raise BugError(
            f"{refused[0].item.kind} {refused[0].item.id} of the demonstration: {refused[0].refused}"
        )
