"""The desk on the bus: ecg.commands in; ecg.register, and what was accepted of ecg.network, out.

ecg.commands has one partition, so whoever owns it decides alone. The new owner reads ecg.network and
ecg.register to their end and is where the last one was; an input that comes again is known by its cause.
"""

from collections.abc import Iterable, Iterator

import structlog
from prometheus_client import Counter, Gauge

from alerts.criteria import Packs
from alerts.engine import Decision, DeskEngine
from leadwire import codec
from leadwire.bus import Bus, Record, TopicPartition
from leadwire.bus.compacted import read_all, read_compacted
from leadwire.case import Command, NetworkItem, RegisterEntry
from leadwire.clock import Clock, SystemClock
from leadwire.errors import BugError, MessageRejected
from leadwire.model import Alert, State
from leadwire.network import Network
from leadwire.runner import Outgoing
from leadwire.topics import COMMANDS, DESK, NETWORK, REGISTER, Topic

log = structlog.get_logger(__name__)

LINES = Counter("leadwire_desk_lines_total", "Lines written into the register", ["line", "state"])
REFUSED = Counter("leadwire_desk_passed_over_total", "Inputs that made no entry", ["reason"])
OPEN = Gauge("leadwire_desk_open_cases", "Cases that are not closed", ["priority"])

FORGET_EVERY_S = 3600.0
MARK_EVERY = 500
"""So many entries lie between two places of the register that the desk may begin at."""


class DeskStage:
    """One `DeskEngine` for everything.

    Its time is the wall clock's as it was on taking over, or the register's last if that is later,
    carried on by the clock that never steps: setting a machine's time neither fires timers nor
    stretches them, and no entry is older than the one before.

    Parameters
    ----------
    bus
        Where ecg.network and ecg.register are read on assignment.
    clock
        The wall clock, and the one that never steps.
    packs
        Says whether the rules that somebody wishes for can be followed.
    """

    name = "desk"
    topics: tuple[Topic, ...] = (COMMANDS,)
    commit_every_s = 1.0

    def __init__(self, bus: Bus, clock: Clock | None = None, packs: Packs | None = None) -> None:
        self._bus = bus
        self._packs = packs
        self._clock = clock or SystemClock()
        self._engine: DeskEngine | None = None
        self._start = 0.0
        self._forgotten = 0.0
        self._marks: list[tuple[float, int]] = []  # rising: nothing before this time stands after this offset
        self._begins = 0

    @property
    def engine(self) -> DeskEngine:
        """The desk, while its partition is owned."""
        if self._engine is None:
            raise BugError("the desk was asked without owning its partition")
        return self._engine

    def now(self) -> float:
        """The desk's time in s, epoch; never runs back."""
        return self._start + self._clock.monotonic()

    def assigned(self, partitions: frozenset[TopicPartition]) -> None:
        engine = DeskEngine(self._network(), self._packs)
        self._begins = self._begin()
        self._marks = [(float("-inf"), self._begins)]
        last = self._clock.now()

        def entries() -> Iterator[RegisterEntry]:
            nonlocal last
            latest = float("-inf")
            for record in read_all(self._bus, REGISTER, start={0: self._begins}):
                if record.value is None:
                    continue
                entry = codec.decode_as(record.value, RegisterEntry)
                if all(line.line == "access" for line in entry.lines):
                    continue  # by the clock of whoever wrote it, and no case is changed by it
                if record.offset >= self._marks[-1][1] + MARK_EVERY:
                    self._marks.append((latest, record.offset))
                latest = max(latest, entry.at)
                yield entry
            last = max(last, latest)

        engine.rebuild(entries())
        self._start = last - self._clock.monotonic()
        self._forgotten = last
        self._engine = engine
        log.info("the desk is open", cases=sum(1 for _ in engine.open_cases()))

    def _network(self) -> Network:
        network = Network()
        for value in read_compacted(self._bus, NETWORK).values():
            network.apply(codec.decode_as(value, NetworkItem))
        return network

    def _begin(self) -> int:
        """Where in the register that begins which is still needed."""
        value = read_compacted(self._bus, DESK).get(self.name)
        return codec.decode_as(value, State).next_sample if value is not None else 0

    def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        self._engine = None

    def process(self, record: Record, now: float) -> Iterable[Outgoing]:
        message = codec.decode(record.value or b"")
        at = self.now()
        if isinstance(message, Alert | Command | NetworkItem):
            # What was due before it comes before it; after a crash also what the last owner had no time for.
            before = self._due(at)
            if isinstance(message, Alert):
                return before + _out(self.engine.on_event(message, at))
            if isinstance(message, Command):
                return before + _out(self.engine.on_command(message, at))
            return before + _out(self.engine.on_network(message, at))
        raise MessageRejected(
            f"a {type(message).__name__} came; an Alert, a Command or a NetworkItem was expected"
        )

    def idle(self, now: float) -> Iterable[Outgoing]:
        return self._due(self.now()) if self._engine is not None else []

    def _due(self, now: float) -> list[Outgoing]:
        at = self.engine.notify_at()
        return _out(self.engine.on_time(now)) if at is not None and at <= now else []

    def checkpoint(self) -> Iterable[Outgoing]:
        for priority, number in self._open().items():
            OPEN.labels(priority).set(number)
        if self._engine is None or self.now() - self._forgotten <= FORGET_EVERY_S:
            return []
        now = self._forgotten = self.now()
        self._engine.forget(now)
        self._marks.append((now, self._bus.end_offsets(REGISTER)[0]))
        # The last place before which nothing of what is remembered began.
        since = self._engine.since(now)
        self._marks = self._marks[max(n for n, mark in enumerate(self._marks) if mark[0] < since) :]
        if self._marks[0][1] == self._begins:
            return []
        self._begins = self._marks[0][1]
        state = State(stream=self.name, stage=self.name, next_sample=self._begins, snapshot=b"")
        return [Outgoing(DESK, self.name, codec.encode(state))]

    def _open(self) -> dict[str, int]:
        found = dict.fromkeys(("high", "medium", "low"), 0)
        for case in self._engine.open_cases() if self._engine is not None else ():
            found[case.priority] += 1
        return found


def _out(decision: Decision) -> list[Outgoing]:
    for refusal in decision.refusals:
        REFUSED.labels(refusal.reason).inc()
        log.info("passed over", id=refusal.id, reason=refusal.reason)
    for entry in decision.entries:
        for line in entry.lines:
            LINES.labels(line.line, line.state).inc()
        log.info("register", id=entry.id, by=entry.by, lines=[f"{x.line}/{x.state}" for x in entry.lines])
    # The facts first: an entry that says "changed" must not stand there without them.
    facts = [
        Outgoing(NETWORK, f"{item.kind}/{item.id}", codec.encode(item) if item.body is not None else None)
        for item in decision.network
    ]
    return facts + [Outgoing(REGISTER, e.alert or e.cause, codec.encode(e)) for e in decision.entries]
