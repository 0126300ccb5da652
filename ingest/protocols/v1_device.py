"""The device's side of protocol v1: the store of unacknowledged samples and each connection's talk.

It is what a firmware does, in Python and sans-I/O; simulators and tests speak through it.
"""

import bisect
from collections import deque
from dataclasses import dataclass, replace

from ingest.protocols.port import (
    Ack,
    Bye,
    Close,
    CloseCode,
    Data,
    FromGateway,
    Hello,
    Resend,
    Status,
    Welcome,
    check_time,
)
from ingest.protocols.v1_wire import DATA_OVERHEAD, MAX_BYTES, decode, encode
from leadwire.errors import ProtocolRejected

MAX_STATUSES = 4096


@dataclass(frozen=True, slots=True)
class _Block:
    first_sample: int
    device_time: float
    samples: bytes


class Device:
    """A device with its store and forward; see `DeviceSide`.

    Parameters
    ----------
    hello
        Who it is. `acknowledged` is where its numbering begins (0 for a new stream).
    max_held_bytes
        Size of the store. When it is full the oldest block is lost, and counted in `lost`.

    Attributes
    ----------
    next_sample
        The number that the next added row gets.
    acknowledged
        Every sample below it was acknowledged.
    lost
        Rows that the full store had to drop.
    closed
        The gateway's last word on this connection, None while it is open.
    """

    def __init__(self, hello: Hello, max_held_bytes: int = 64 << 20) -> None:
        self._hello = hello
        self._row = 2 * len(hello.signals)
        self._max_rows = (MAX_BYTES - DATA_OVERHEAD) // self._row
        self._max_held = max_held_bytes
        self._held: deque[_Block] = deque()
        self._held_bytes = 0
        self._unsent = 0  # index in _held of the next block to send on this connection
        self._seq = 0
        self._out: deque[bytes] = deque()
        self._statuses: list[Status] = []  # the one that holds at `acknowledged`, and all since
        self._unsent_status = 0
        self._welcomed = False
        self._finished = False
        self._bye_sent = False
        self.next_sample = hello.acknowledged
        self.acknowledged = hello.acknowledged
        self.lost = 0
        self.closed: Close | None = None

    @property
    def oldest(self) -> int:
        """The oldest sample in the store; `next_sample` when it is empty."""
        return self._held[0].first_sample if self._held else self.next_sample

    @property
    def done(self) -> bool:
        """The gateway confirmed the end of the stream."""
        return self.closed is not None and self.closed.code is CloseCode.FINISHED

    def connect(self, device_time: float) -> None:
        self._out.clear()
        self._out.append(
            encode(replace(self._hello, acknowledged=self.acknowledged, device_time=device_time))
        )
        self._unsent = self._unsent_status = self._seq = 0
        self._welcomed = self._bye_sent = False
        self.closed = None

    def add(self, samples: bytes, device_time: float) -> None:
        if self._finished:
            raise ValueError("samples came after finish")
        if not samples or len(samples) % self._row:
            raise ValueError(f"{len(samples)} bytes came; one or more rows of {self._row} were expected")
        check_time("device_time", device_time)
        step = self._max_rows * self._row
        for start in range(0, len(samples), step):
            part = samples[start : start + step]
            time = device_time + start // self._row / self._hello.fs
            self._held.append(_Block(self.next_sample, time, part))
            self._held_bytes += len(part)
            self.next_sample += len(part) // self._row
        while self._held_bytes > self._max_held:
            self.lost += len(self._pop().samples) // self._row

    def status(
        self, device_time: float, lead_off: tuple[int, ...] = (), battery: float | None = None
    ) -> None:
        status = Status(sample=self.next_sample, device_time=device_time, lead_off=lead_off, battery=battery)
        waits = self._unsent_status < len(self._statuses) or not self._welcomed
        if waits and self._statuses and self._statuses[-1].lead_off == lead_off:
            self._statuses[-1] = replace(status, sample=self._statuses[-1].sample)
            return
        self._statuses.append(status)
        if len(self._statuses) > MAX_STATUSES:
            self._forget_status()

    def finish(self) -> None:
        self._finished = True

    def receive_data(self, data: bytes) -> list[FromGateway]:
        event = decode(data)
        if isinstance(event, Welcome) and not self._welcomed:
            if event.resume > self.next_sample:
                raise ProtocolRejected(
                    f"welcome with sample {event.resume} came; at most {self.next_sample} was expected: "
                    "the numbering is lost, begin a new stream"
                )
            self._welcomed = True
            self._forget_below(event.resume)
        elif isinstance(event, Ack) and self._welcomed:
            if event.sample > self.next_sample:
                raise ProtocolRejected(
                    f"ack of sample {event.sample} came; at most {self.next_sample} was expected"
                )
            self._forget_below(event.sample)
        elif isinstance(event, Resend) and self._welcomed:
            if not self._bye_sent:  # after a bye the gateway closes, and asks in the next welcome
                at = bisect.bisect_right(self._held, event.sample, key=lambda b: b.first_sample)
                self._unsent = min(self._unsent, max(0, at - 1))
        elif isinstance(event, Close):
            self.closed = event
        else:
            raise ProtocolRejected(
                f"{type(event).__name__.lower()} came out of turn; "
                f"{'ack or close' if self._welcomed else 'welcome or close'} was expected"
            )
        return [event]

    def data_to_send(self, limit: int | None = None) -> list[bytes]:
        messages: list[bytes] = []
        while limit is None or len(messages) < limit:
            if self._out:
                messages.append(self._out.popleft())
            elif not self._welcomed or self.closed is not None:
                break
            elif self._status_is_next():
                messages.append(encode(self._statuses[self._unsent_status]))
                self._unsent_status += 1
            elif self._unsent < len(self._held):
                messages.append(self._data(self._held[self._unsent]))
                self._unsent += 1
            elif self._finished and not self._bye_sent:
                self._bye_sent = True
                messages.append(encode(Bye(self.next_sample, self.oldest)))
            else:
                break
        return messages

    def _status_is_next(self) -> bool:
        """Whether a status is due before the next block: it holds from a sample of that block, or before."""
        if self._unsent_status == len(self._statuses):
            return False
        if self._unsent == len(self._held):
            return True
        block = self._held[self._unsent]
        return (
            self._statuses[self._unsent_status].sample < block.first_sample + len(block.samples) // self._row
        )

    def _data(self, block: _Block) -> bytes:
        message = Data(
            seq=self._seq,
            first_sample=block.first_sample,
            oldest=self.oldest,
            device_time=block.device_time,
            samples=block.samples,
            n_samples=len(block.samples) // self._row,
        )
        self._seq += 1
        return encode(message)

    def _forget_below(self, sample: int) -> None:
        self.acknowledged = max(self.acknowledged, sample)
        while len(self._statuses) > 1 and self._statuses[1].sample <= self.acknowledged:
            self._forget_status()
        while self._held and self._held[0].first_sample < sample:
            sent = self._unsent > 0
            block = self._pop()
            keep = (sample - block.first_sample) * self._row
            if keep < len(block.samples):
                rest = _Block(
                    sample,
                    block.device_time + (sample - block.first_sample) / self._hello.fs,
                    block.samples[keep:],
                )
                self._held.appendleft(rest)
                self._unsent += sent
                self._held_bytes += len(rest.samples)

    def _forget_status(self) -> None:
        del self._statuses[0]
        self._unsent_status = max(0, self._unsent_status - 1)

    def _pop(self) -> _Block:
        block = self._held.popleft()
        self._held_bytes -= len(block.samples)
        self._unsent = max(0, self._unsent - 1)
        return block
