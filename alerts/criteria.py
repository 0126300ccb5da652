"""Which rule pack holds for a stream: the default, its clinic's, its device's, its patient's.

A clinic names a pack (`Clinic.pack`); `Criteria`, signed by their author, name one or change rules for a
clinic, a device or a patient. The narrower word wins, rule by rule. What cannot be followed (no such
pack, a lethal condition switched off, more than the detectors are set to find) is passed over loudly, and
the wider word stands: nobody is left without rules.
"""

from collections.abc import Iterator

import structlog
from prometheus_client import Gauge

from alerts.pack_files import DEFAULT, Pack, named_pack, shipped_pack
from leadwire.case import NetworkItem
from leadwire.errors import SettingError
from leadwire.model import StreamInfo
from leadwire.network import Clinic, Criteria, Item, Network
from leadwire.settings import Limits

log = structlog.get_logger(__name__)

PASSED_OVER = Gauge("leadwire_criteria_passed_over", "Packs and criteria that cannot be followed")


class Packs:
    """The packs of all streams.

    Parameters
    ----------
    default
        Where nothing else is said.
    limits
        How the detectors are set: a pack must not ask for more.
    folder
        Where the hospital's own packs are, besides those that come along; empty: nowhere.
    """

    def __init__(self, default: Pack | None = None, limits: Limits | None = None, folder: str = "") -> None:
        self._folder = folder
        self._default = default or shipped_pack(DEFAULT)
        self._limits = limits or Limits()
        self._network = Network()
        self._known: dict[tuple[str, str, str], Pack] = {}
        self._told: set[str] = set()

    def anew(self) -> None:
        """Forget the network; all of it is about to be told again."""
        self._network = Network()
        self._known.clear()
        self._told.clear()

    def learn(self, item: NetworkItem) -> None:
        """Take a fact of the network; one that is of no shape raises ValueError."""
        self._network.apply(item)
        if item.kind in ("clinic", "criteria"):
            self._known.clear()
            self._told.clear()
            PASSED_OVER.set(0)

    def of(self, stream: str, info: StreamInfo | None) -> Pack:
        """The pack that holds for `stream` now."""
        if info is None:
            return self._default
        key = (info.clinic, info.device, info.patient)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._find(info)
        return found

    def check(self, item: Item) -> None:
        """Raise ValueError if `item`, a wish, names a pack or rules that cannot be followed."""
        try:
            if isinstance(item, Criteria):
                self._followed(self._default, item)
            elif isinstance(item, Clinic) and item.pack:
                self._named(item.pack)
        except SettingError as why:
            raise ValueError(str(why)) from None

    def _find(self, info: StreamInfo) -> Pack:
        pack = self._default
        clinic = self._network.clinics.get(info.clinic)
        if clinic is not None and clinic.pack:
            try:
                pack = self._named(clinic.pack)
            except SettingError as why:
                self._tell(f"clinic {clinic.id}", str(why))
        for criteria in self._given(info):
            try:
                pack = self._followed(pack, criteria)
            except SettingError as why:
                self._tell(f"criteria {criteria.id}", str(why))
        return pack

    def _given(self, info: StreamInfo) -> Iterator[Criteria]:
        """The criteria for a stream, the widest first, of equally wide ones the oldest."""
        targets = (
            ("clinic", info.clinic),
            ("device", info.device),
            ("patient", info.patient),
            ("patient", f"{info.clinic}/{info.patient}"),
        )
        every = sorted(self._network.criteria.values(), key=lambda c: (c.at, c.id))
        for scope, target in targets:
            if target and (scope != "patient" or info.patient):
                yield from (c for c in every if (c.scope, c.target) == (scope, target))

    def _named(self, name: str) -> Pack:
        pack = named_pack(name, self._folder)
        pack.check_found(self._limits)
        return pack

    def _followed(self, pack: Pack, criteria: Criteria) -> Pack:
        if criteria.pack:
            pack = self._named(criteria.pack)
        if not criteria.rules:
            return pack
        changed = pack.changed(criteria.rules, f"criteria {criteria.id}")
        changed.check_found(self._limits)
        return changed

    def _tell(self, whose: str, why: str) -> None:
        if whose not in self._told:
            self._told.add(whose)
            PASSED_OVER.set(len(self._told))
            log.error("not followed; the wider rules stand", whose=whose, why=why)
