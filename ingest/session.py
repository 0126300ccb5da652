"""One stream as the gateway knows it: what a device says -> what goes on the bus, and how far it is safe.

Pure logic, told the time by its caller; it outlives connections. Not here: bytes
(`ingest/protocols`), the order of rows (`window.py`), the network and the bus (`gateway.py`).

The promises, with `tests/unit/test_session.py` to hold them:

- chunks that are not late come out in order and never twice; the first content of a sample wins;
- a hole is waited for `reorder_s`, then it is a gap: a `LinkEvent`, and a jump of `first_sample`;
- what fills a gap afterwards comes out with ``late=True``;
- `acknowledged` never passes a sample that is not durable, unless the device says that it no
  longer has it; so a device that keeps what is not acknowledged loses nothing, whoever is killed;
- memory is bounded, whatever comes.
"""

import bisect
from typing import Literal

from msgspec import structs

from ingest.protocols.port import Bye, Data, Hello, Status
from ingest.window import Block, Gap, Moment, Overlap, Result, Rows, Window
from leadwire.errors import ProtocolRejected
from leadwire.model import DeviceStatus, LinkEvent, SampleChunk, StreamInfo

MAX_STATUSES = 64
COMPARED_S = 10.0
"""How far back, in s, a repeated sample's content is compared with the first."""
CLOCK_TOLERANCE_S = 0.5
CLOCK_DRIFT = 5e-4
"""A device clock may drift so many s per s from its samples before that counts as a jump."""

LinkKind = Literal["connected", "disconnected", "ended", "gap", "overlap", "clock_jump", "late"]
Output = SampleChunk | LinkEvent | DeviceStatus


class Session:
    """The state of one stream, across connections.

    Parameters
    ----------
    hello
        What the stream is. Its numbering goes on at `hello.acknowledged`: all that a gateway
        without memory needs to know, for the device still has everything from there on.
    reorder_s
        How long a hole is waited for, in s.

    Attributes
    ----------
    hello
        The last one.
    acknowledged
        Every sample below is durable on the bus, or can never come.
    resume
        The sample that the device must resume from on the present connection.
    resend_from
        Set when a gap was found that the device may still fill; the caller asks for it and clears this.
    """

    def __init__(self, hello: Hello, reorder_s: float) -> None:
        self.hello = hello
        self.acknowledged = hello.acknowledged
        self.resend_from: int | None = None
        self._template = SampleChunk(
            stream=hello.stream,
            first_sample=0,
            fs=hello.fs,
            sig_name=tuple(s.name for s in hello.signals),
            units=tuple(s.units for s in hello.signals),
            adc_gain=tuple(s.adc_gain for s in hello.signals),
            baseline=tuple(s.baseline for s in hello.signals),
            samples=b"",
            device_time=hello.device_time,
            receive_time=hello.device_time,
        )
        self._window = Window(
            row_bytes=2 * len(hello.signals),
            fs=hello.fs,
            start=hello.acknowledged,
            wait_s=reorder_s,
            compared_rows=round(COMPARED_S * hello.fs),
        )
        self.resume = hello.acknowledged
        self._not_held = hello.acknowledged  # the device has nothing below any more
        self._undurable: dict[int, SampleChunk] = {}  # by id()
        self._clock: tuple[int, float] | None = None  # a sample and its device time
        self._lead_off: list[tuple[int, tuple[str, ...]]] = []  # (from sample, names), in order
        self._late_end = -1

    def info(self, ended: float | None = None) -> StreamInfo:
        """What the stream is, for `ecg.streams`."""
        h, t = self.hello, self._template
        return StreamInfo(
            stream=h.stream, device=h.device, clinic=h.clinic, bed=h.bed, patient=h.patient, fs=h.fs,
            sig_name=t.sig_name, units=t.units, started=h.started, ended=ended, firmware=h.firmware,
        )  # fmt: skip

    def check(self, hello: Hello) -> None:
        """Raise ProtocolRejected if `hello` brings another device, fs or signals than before."""
        old = self.hello
        if (old.device, old.fs, old.signals) != (hello.device, hello.fs, hello.signals):
            raise ProtocolRejected(
                f"stream {hello.stream} came with another fs or other signals than before; "
                "the same, or a new stream, were expected"
            )

    def connect(self, hello: Hello, now: Moment) -> list[Output]:
        """The stream's device has connected again, with a `hello` that passes `check`."""
        self.hello = hello
        if hello.acknowledged > self._window.next_row:
            # Another gateway went on with the stream meanwhile.
            self._window.skip_to(hello.acknowledged)
        out = self._not_held_below(hello.acknowledged, now)
        self.resend_from = None
        self.resume = self.acknowledged
        return out

    @property
    def next_sample(self) -> int:
        """Everything below was given out, is a gap, or was acknowledged before this session."""
        return self._window.next_row

    @property
    def duplicates(self) -> int:
        """Rows that came more than once."""
        return self._window.duplicates

    @property
    def undurable(self) -> int:
        """Chunks given out and not yet durable."""
        return len(self._undurable)

    @property
    def wake_at(self) -> float | None:
        """The monotonic time, in s, at which `tick` has something to do; None: nothing to wait for."""
        return self._window.wake_at

    def durable(self, chunk: SampleChunk) -> None:
        """The bus has `chunk`, the very object given out."""
        del self._undurable[id(chunk)]
        self._acknowledge()

    def data(self, data: Data, now: Moment) -> list[Output]:
        """Take a block.

        Raises
        ------
        ProtocolRejected
            The block lies below what this connection was asked to resume from: the device has
            lost its numbering, and dropping it as a duplicate would lose a patient's samples.
        """
        if data.end_sample <= self.resume:
            raise ProtocolRejected(
                f"samples {data.first_sample} to {data.end_sample} came after a welcome with sample "
                f"{self.resume}; later ones were expected: if the numbering is lost, begin a new stream"
            )
        block = Block(data.first_sample, data.end_sample, data.samples, data.device_time, now)
        out = self._outputs(self._window.put(block), now)
        return out + self._not_held_below(data.oldest, now)

    def status(self, status: Status, now: Moment) -> list[Output]:
        """Take a report of electrodes and battery; it holds for all rows from its sample on."""
        names = tuple(self._template.sig_name[i] for i in status.lead_off)
        at = bisect.bisect_right(self._lead_off, status.sample, key=lambda entry: entry[0])
        if at and self._lead_off[at - 1][0] == status.sample:
            self._lead_off[at - 1] = (status.sample, names)
        else:
            self._lead_off.insert(at, (status.sample, names))
        del self._lead_off[:-MAX_STATUSES]
        return [
            DeviceStatus(
                stream=self.hello.stream,
                sample=status.sample,
                time=now.time,
                lead_off=names,
                battery=status.battery,
            )
        ]

    def bye(self, bye: Bye, now: Moment) -> list[Output]:
        """The device has sent everything. The stream is over once `acknowledged` is `bye.end_sample`.

        Raises
        ------
        ProtocolRejected
            Samples past the end have been received.
        """
        if self._window.end > bye.end_sample:
            raise ProtocolRejected(
                f"bye at sample {bye.end_sample} came; {self._window.end} or more was expected"
            )
        return self._not_held_below(bye.oldest, now)

    def missing(self, end: int) -> int | None:
        """The first sample below `end` that has not come and still may; None: all have come."""
        first = self._window.first_missing
        return first if first < end else None

    def tick(self, now: Moment) -> list[Output]:
        """Give up on holes that were waited for long enough."""
        return self._outputs(self._window.tick(now.monotonic), now)

    def flush(self, now: Moment) -> list[Output]:
        """Give up on all holes: the device is gone, and this may be all that ever comes."""
        return self._outputs(self._window.give_up(), now)

    def event(self, kind: LinkKind, now: Moment, detail: str = "") -> LinkEvent:
        """A `LinkEvent` about the connection, at the next sample."""
        return self._event(kind, self.next_sample, 0, now, detail)

    def _event(self, kind: LinkKind, sample: int, n_samples: int, now: Moment, detail: str) -> LinkEvent:
        return LinkEvent(
            stream=self.hello.stream,
            kind=kind,
            sample=sample,
            n_samples=n_samples,
            time=now.time,
            detail=detail,
        )

    def _not_held_below(self, sample: int, now: Moment) -> list[Output]:
        """The device has nothing below `sample` any more: what is missing there never comes."""
        out = self._outputs(self._window.held_from(sample), now)
        self._not_held = max(self._not_held, sample)
        self._acknowledge()
        return out

    def _acknowledge(self) -> None:
        safe = min((c.first_sample for c in self._undurable.values()), default=self._window.first_missing)
        safe = max(min(safe, self._window.first_missing), self._not_held)
        self.acknowledged = max(self.acknowledged, safe)

    def _outputs(self, results: list[Result], now: Moment) -> list[Output]:
        out: list[Output] = []
        for result in results:
            match result:
                case Rows(block, late):
                    out += self._rows(block, late, now)
                case Gap(first, end, fillable):
                    out.append(self._event("gap", first, end - first, now, ""))
                    if fillable and self.resend_from is None:
                        self.resend_from = self._window.first_missing
                case Overlap(first, n_rows):
                    out.append(
                        self._event("overlap", first, n_rows, now, "other content came; the first one holds")
                    )
        return out

    def _rows(self, block: Block, late: bool, now: Moment) -> list[Output]:
        out: list[Output] = []
        if late:
            if block.first != self._late_end:
                out.append(self._event("late", block.first, block.end - block.first, now, "back-fill begins"))
            self._late_end = block.end
        else:
            out += self._check_clock(block, now)
        # A chunk has one set of lead_off: it is cut where a status took effect.
        starts = [s for s, _ in self._lead_off if block.first < s < block.end]
        for first, end in zip([block.first, *starts], [*starts, block.end], strict=True):
            at = bisect.bisect_right(self._lead_off, first, key=lambda entry: entry[0])
            part = self._window.part(block, first, end)
            chunk = structs.replace(
                self._template,
                first_sample=first,
                samples=part.samples,
                device_time=part.device_time,
                receive_time=block.arrived.time,
                lead_off=self._lead_off[at - 1][1] if at else (),
                late=late,
            )
            self._undurable[id(chunk)] = chunk
            out.append(chunk)
        return out

    def _check_clock(self, block: Block, now: Moment) -> list[Output]:
        before, self._clock = self._clock, (block.first, block.device_time)
        if before is None:
            return []
        passed = (block.first - before[0]) / self.hello.fs
        jump = block.device_time - before[1] - passed
        if abs(jump) <= CLOCK_TOLERANCE_S + CLOCK_DRIFT * passed:
            return []
        return [self._event("clock_jump", block.first, 0, now, f"the device clock jumped by {jump:+.3f} s")]
