"""Who is watching, on the bus: ecg.watch, ecg.streams, ecg.network in; alerts out, and to the desk.

ecg.watch has one partition, so one process decides; what it published stands on ecg.alerts.
"""

from collections.abc import Iterable
from typing import TypeVar

import structlog

from alerts.pack_files import DEFAULT, Pack, shipped_pack
from alerts.watch import NO_DATA, STREAM, Watch, WatchLimits
from leadwire import codec
from leadwire.bus import Bus, Record, TopicPartition
from leadwire.bus.compacted import read_all, read_compacted
from leadwire.bus.follow import Follower
from leadwire.case import WatchReport
from leadwire.clock import Clock, SteadyClock, SystemClock
from leadwire.errors import RejectError
from leadwire.facts import network_fact
from leadwire.model import Alert, AlertRule, Priority, StreamInfo
from leadwire.network import Network
from leadwire.runner import Outgoing
from leadwire.topics import ALERTS, COMMANDS, NETWORK, STREAMS, WATCH, Topic

log = structlog.get_logger(__name__)

M = TypeVar("M", Alert, WatchReport)


class WatchStage:
    """One `Watch` for everything.

    Parameters
    ----------
    bus
        Where ecg.streams, ecg.network and ecg.alerts are followed.
    pack
        Says how urgent each of its alerts is.
    """

    name = "watch"
    topics: tuple[Topic, ...] = (WATCH,)
    commit_every_s = 1.0

    def __init__(
        self, bus: Bus, pack: Pack, limits: WatchLimits | None = None, clock: Clock | None = None
    ) -> None:
        self._bus = bus
        self._pack = pack
        self._limits = limits or WatchLimits()
        self._clock = clock or SystemClock()
        self._watch: Watch | None = None
        self._follower: Follower | None = None

    def assigned(self, partitions: frozenset[TopicPartition]) -> None:
        self._steady = SteadyClock(self._clock)
        watch = Watch(self._limits, self._rule)
        self._network = Network()
        ours = (
            _read(record.value, Alert)
            for record in read_all(self._bus, ALERTS)
            if record.value is not None and record.key.startswith(STREAM)
        )
        reports = {
            process: _read(value, WatchReport) for process, value in read_compacted(self._bus, WATCH).items()
        }
        watch.take_over(
            (alert for alert in ours if alert is not None),
            {process: report for process, report in reports.items() if report is not None},
            self._steady.now(),
        )
        self._watch = watch
        self._follower = Follower(self._bus, (NETWORK, STREAMS, ALERTS), self._learn)

    def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        self._watch = None
        if self._follower is not None:
            self._follower.close()
            self._follower = None

    def process(self, record: Record, now: float) -> Iterable[Outgoing]:
        report = None if record.value is None else codec.decode_as(record.value, WatchReport)
        if self._watch is not None:
            self._watch.on_report(record.key, report, self._steady.now())
        return []

    def idle(self, now: float) -> Iterable[Outgoing]:
        if self._watch is None or self._follower is None:
            return []
        self._follower.poll()
        made = self._watch.on_time(self._steady.now())
        for alert in made:
            log.warning("watch", kind=alert.kind, state=alert.state, of=alert.evidence.detail)
        return [out for alert in made for out in _published(alert)]

    def checkpoint(self) -> Iterable[Outgoing]:
        if self._watch is None:
            return []
        return [Outgoing(WATCH, process, None) for process in self._watch.forgettable(self._steady.now())]

    def _rule(self, kind: str) -> tuple[Priority, AlertRule]:
        """As the site's pack says; a pack that does not know the kind cannot switch it off."""
        pack = self._pack if self._pack.rule(kind) else shipped_pack(DEFAULT)
        rule = pack.rules[kind][-1]
        return rule.priority, rule.frozen(pack.label)

    def _learn(self, record: Record) -> None:
        watch = self._watch
        if watch is None:
            return
        try:
            if record.topic == STREAMS.name:
                if record.value is None:
                    watch.forget_stream(record.key)
                else:
                    watch.on_stream(codec.decode_as(record.value, StreamInfo))
                return
            if record.topic == ALERTS.name:
                # Most are not wanted, and a year of them is many: only these are decoded.
                if record.value is not None and NO_DATA.encode() in record.value:
                    watch.on_alert(codec.decode_as(record.value, Alert))
                return
            self._network.apply(network_fact(record))
        except (RejectError, ValueError) as why:
            log.warning("passed over", topic=record.topic, offset=record.offset, why=str(why))
        watch.has_people = any(user.active for user in self._network.users.values())


def _read(value: bytes, kind: type[M]) -> M | None:
    """The message; None if it is none: it was quarantined when it came."""
    try:
        return codec.decode_as(value, kind)
    except RejectError as why:
        log.warning("passed over", why=str(why))
        return None


def _published(alert: Alert) -> tuple[Outgoing, Outgoing]:
    value = codec.encode(alert)
    return Outgoing(ALERTS, alert.stream, value), Outgoing(COMMANDS, alert.id, value)
