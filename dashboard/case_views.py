"""A case as pages and programs get it: the `Case` itself, and the names that belong to its ids."""

from collections.abc import Sequence
from typing import Any

import msgspec

from leadwire.case import RegisterEntry
from leadwire.network import Network
from leadwire.story import Case


def case_summary(case: Case, network: Network) -> dict[str, Any]:
    """Every field of `case`, what follows from them, and the names of its clinic and people."""
    plain: dict[str, Any] = msgspec.to_builtins(case)
    clinic = network.clinics.get(case.clinic)
    hub = network.hub
    people = {case.owner, *(p.user for p in case.pages.values())} - {""}
    return plain | {
        "closed": case.closed,
        "audible": case.audible,
        "shown_priority": case.shown_priority,
        "next_escalation": case.next_escalation,
        "clinic_name": clinic.name if clinic else case.clinic,
        "clinic_phone": clinic.phone if clinic else "",
        "hub_phone": hub.phone if hub else "",
        "contacts": [msgspec.to_builtins(c) for c in clinic.contacts] if clinic else [],
        "people": {user: network.users[user].name for user in people if user in network.users},
    }


def case_view(case: Case, entries: Sequence[RegisterEntry], network: Network) -> dict[str, Any]:
    """The summary, and the story: every entry of the register in its order."""
    return case_summary(case, network) | {"entries": [msgspec.to_builtins(e) for e in entries]}
