"""A simulated device loses nothing, sends nothing twice for good, and keeps its pace, whatever goes wrong.

The gateway here is a few lines around the real protocol's gateway side; time is a number.
"""

import re
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simulators.device
from ingest.protocols.port import Bye, CloseCode, Data, Hello, Status
from ingest.protocols.v1 import GatewayConnection
from leadwire.errors import ProtocolRejected
from simulators import faults as f
from simulators.device import MAX_SPEED, Identity, SimulatedDevice, device_id
from simulators.faulty import FaultPlan
from simulators.source import ArraySource, Looped, Source

FS = 100.0
EPOCH = 1_700_000_000.0
WHO = Identity(device="dev-1", clinic="Shiqiao", bed="3", token="secret")


def recording(seconds: float = 20.0, n_sig: int = 2) -> ArraySource:
    n = round(seconds * FS)
    x = np.arange(n * n_sig, dtype=np.int16).reshape(n, n_sig)
    return ArraySource(x, FS, ("I", "II")[:n_sig], ("mV",) * n_sig, (200.0,) * n_sig, (0,) * n_sig)


@dataclass
class Gateway:
    """Takes rows in any order, keeps the durable ones over a crash, acknowledges only those."""

    row: int = 4
    ack_delay_s: float = 0.0  # from receiving to durability
    rows: dict[int, bytes] = field(default_factory=dict)
    times: dict[int, float] = field(default_factory=dict)
    statuses: list[Status] = field(default_factory=list)
    ended: int | None = None
    refusal: CloseCode | None = None
    wire: GatewayConnection | None = None
    hellos: list[Hello] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    waiting: list[tuple[float, Data]] = field(default_factory=list)
    durable: int = 0  # every row below is kept

    def contiguous(self) -> int:
        while self.durable in self.rows:
            self.durable += 1
        return self.durable

    def connect(self) -> None:
        self.wire = GatewayConnection()

    def crash(self) -> None:
        self.wire = None
        self.waiting.clear()

    def tick(self, now: float) -> None:
        while self.waiting and self.waiting[0][0] <= now:
            self.keep(self.waiting.pop(0)[1])
        if self.wire is not None:
            self.wire.acknowledge(self.contiguous())

    def receive(self, message: bytes, now: float) -> None:
        if self.wire is None:
            return
        try:
            events = self.wire.receive_data(message)
        except ProtocolRejected as why:
            self.wire.close(CloseCode.MALFORMED, str(why))
            return
        for event in events:
            if isinstance(event, Hello):
                self.hellos.append(event)
                if self.refusal is not None:
                    self.wire.close(self.refusal, "no")
                else:
                    self.wire.welcome(self.contiguous(), EPOCH, 60)
            elif isinstance(event, Data):
                self.sizes.append(event.n_samples)
                self.waiting.append((now + self.ack_delay_s, event))
            elif isinstance(event, Status):
                self.statuses.append(event)
            elif isinstance(event, Bye):
                self.ended = event.end_sample
                assert self.contiguous() == event.end_sample  # a goodbye with debts would lose them
                self.wire.close(CloseCode.FINISHED, "goodbye")

    def keep(self, data: Data) -> None:
        for i in range(data.n_samples):
            samples = data.samples[i * self.row : (i + 1) * self.row]
            # What comes again must be what came before.
            assert self.rows.setdefault(data.first_sample + i, samples) == samples
            time = data.device_time + i / FS
            assert self.times.setdefault(data.first_sample + i, time) == pytest.approx(time, abs=1e-4)


def play(
    sim: SimulatedDevice,
    gateway: Gateway,
    until: float,
    crashes: tuple[float, ...] = (),
    end_at: float | None = None,
) -> float:
    """Let time pass until the device is done or `until`; return the time."""
    now, connected, todo = 0.0, False, sorted(crashes)
    while not sim.over(now) and now < until:
        if todo and now >= todo[0]:
            todo.pop(0)
            gateway.crash()
            if connected:
                connected = False
                sim.unlinked(now, "crash")
        if end_at is not None and now >= end_at:
            sim.end(now)
        if not connected and sim.wants_link(now):
            gateway.connect()
            sim.linked(now)
            connected = True
        for message in sim.poll(now):
            gateway.receive(message, now)
        gateway.tick(now)
        if gateway.wire is not None and connected:
            for message in gateway.wire.data_to_send():
                sim.receive(message, now)
        if connected and not sim.over(now) and sim.hang_up(now):
            connected = False
            gateway.crash()
            sim.unlinked(now, "hung up")
        # An acknowledgement wakes the device at once, in life; here after 10 ms at the latest.
        now = min(max(sim.wake_at(now), now + 0.001), now + 0.01)
    return now


def arrived(gateway: Gateway, sim: SimulatedDevice) -> np.ndarray:
    n = gateway.contiguous()
    assert len(gateway.rows) == n
    assert sim.device.acknowledged <= n
    return np.frombuffer(b"".join(gateway.rows[i] for i in range(n)), dtype="<i2").reshape(-1, 2)


def device(source: Source | None = None, **options: object) -> SimulatedDevice:
    return SimulatedDevice(WHO, source or recording(), EPOCH, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(("speed", "takes"), [(1.0, 20.0), (10.0, 2.0)])
def test_a_recording_arrives_whole_at_the_chosen_pace(speed: float, takes: float) -> None:
    sim, gateway = device(speed=speed), Gateway()
    assert play(sim, gateway, 100) == pytest.approx(takes, abs=0.1)
    np.testing.assert_array_equal(arrived(gateway, sim), recording().read(0, 2000))
    assert sim.finished
    assert gateway.ended == 2000


def test_at_full_speed_it_keeps_within_its_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulators.device, "WINDOW_BYTES", 8 << 10)
    source = recording(120)
    sim, gateway = device(source, speed=MAX_SPEED, chunk_s=1.0), Gateway(ack_delay_s=1.0)
    sim.linked(0.0)
    gateway.connect()
    ahead = 0
    for now in (0.0, 0.5, 1.0, 1.5, 2.0):
        for message in sim.poll(now):
            gateway.receive(message, now)
        ahead = max(ahead, sim.device.next_sample - sim.device.acknowledged)
        gateway.tick(now)
        assert gateway.wire is not None
        for message in gateway.wire.data_to_send():
            sim.receive(message, now)
    assert 0 < ahead * 4 <= 8 << 10
    assert sim.device.acknowledged > 0


def test_nothing_is_measured_at_full_speed_before_the_welcome() -> None:
    sim = device(speed=MAX_SPEED)
    sim.linked(0.0)
    assert len(sim.poll(0.0)) == 1
    assert sim.device.next_sample == 0


def test_samples_carry_the_device_time_at_which_they_were_measured() -> None:
    sim, gateway = device(), Gateway()
    play(sim, gateway, 100)
    assert gateway.times[0] == pytest.approx(EPOCH)
    assert gateway.times[1234] == pytest.approx(EPOCH + 12.34, abs=1e-4)
    assert gateway.hellos[0].started == EPOCH


def test_a_fast_clock_samples_faster_and_a_jump_moves_its_time() -> None:
    plan = FaultPlan((f.Skew(ppm=100_000), f.ClockJump(at_s=10, by=3600)))
    sim, gateway = device(faults=plan), Gateway()
    assert play(sim, gateway, 100) == pytest.approx(20 / 1.1, abs=0.1)
    assert gateway.times[999] == pytest.approx(EPOCH + 9.99, abs=1e-4)
    assert gateway.times[1000] == pytest.approx(EPOCH + 3610, abs=1e-4)


def test_what_was_measured_without_a_link_comes_later() -> None:
    plan = FaultPlan((f.Disconnect(at_s=5, for_s=8),))
    sim, gateway = device(faults=plan), Gateway()
    assert play(sim, gateway, 12.9) >= 12.9
    assert sim.device.next_sample > 1200  # it went on measuring
    assert gateway.contiguous() <= 500
    play(sim, gateway, 100)
    np.testing.assert_array_equal(arrived(gateway, sim), recording().read(0, 2000))
    assert len(gateway.hellos) == 2
    assert gateway.hellos[1].acknowledged == gateway.sizes[0] * (gateway.hellos[1].acknowledged // 50)


def test_a_full_store_loses_the_oldest_and_says_how_many() -> None:
    plan = FaultPlan((f.Disconnect(at_s=5, for_s=13),))
    sim, gateway = device(faults=plan, max_held_bytes=4 * 500), Gateway()
    play(sim, gateway, 19.1)
    assert sim.device.lost > 0
    assert sim.device.next_sample == 1900
    assert set(range(1500, 1850)) <= set(gateway.rows)
    assert 1000 not in gateway.rows


def test_it_tries_again_ever_more_slowly_while_nobody_answers() -> None:
    sim = device()
    now, tries = 0.0, []
    while now < 120:
        if sim.wants_link(now):
            tries.append(now)
            sim.unlinked(now, "refused")
        sim.poll(now)
        now = sim.wake_at(now) + 1e-3
    waits = np.diff(tries)
    assert waits[0] < 0.5
    assert 4 < waits[-1] < 17
    assert len(tries) < 40


def test_samples_lost_on_the_way_are_sent_again_when_patience_ends() -> None:
    sim, gateway = device(), Gateway()
    play(sim, gateway, 5.0)
    # The gateway goes deaf without closing.
    t = 5.0
    while not sim.hang_up(t):
        assert t < 20
        sim.poll(t)
        t += 0.1
    sim.unlinked(t, "no acknowledgement")
    assert 14 < t < 16


@pytest.mark.parametrize(
    "code", [c for c in CloseCode if not c.retry_allowed and c is not CloseCode.FINISHED]
)
def test_a_final_refusal_is_taken_as_final(code: CloseCode) -> None:
    sim, gateway = device(), Gateway(refusal=code)
    assert play(sim, gateway, 60) < 1
    assert sim.refused is not None
    assert sim.refused.code is code


@pytest.mark.parametrize("code", [c for c in CloseCode if c.retry_allowed])
def test_a_passing_refusal_is_waited_out(code: CloseCode) -> None:
    sim, gateway = device(), Gateway(refusal=code)
    play(sim, gateway, 3.0)
    assert sim.refused is None
    gateway.refusal = None
    play(sim, gateway, 100)
    assert sim.finished


def test_ended_early_it_delivers_what_it_has_and_says_goodbye() -> None:
    sim, gateway = device(Looped(recording())), Gateway()
    assert play(sim, gateway, 100, end_at=7.1) < 8
    assert sim.finished
    assert gateway.ended == gateway.contiguous() == sim.device.next_sample == 700


def test_ended_early_without_a_gateway_it_gives_up_in_time() -> None:
    sim = device(Looped(recording()))
    sim.poll(0.0)
    sim.poll(5.0)
    sim.end(5.0, drain_s=3.0)
    assert [sim.over(t) for t in (5.0, 7.9, 8.0)] == [False, False, True]
    assert not sim.finished


def test_electrodes_and_battery_are_reported_where_they_change() -> None:
    plan = FaultPlan((f.LeadOff(at_s=5, for_s=5, leads=("II",)),))
    sim, gateway = device(faults=plan, battery=80.0), Gateway()
    play(sim, gateway, 100)
    changes = [(s.sample, s.lead_off, s.battery) for s in gateway.statuses]
    assert changes == [(0, (), 80), (500, (1,), 80), (1000, (), 80)]


def test_a_quiet_device_still_shows_that_it_lives() -> None:
    sim, gateway = device(Looped(recording()), speed=1e-6), Gateway()
    play(sim, gateway, 100)
    assert len(gateway.statuses) in (5, 6)  # a third of the gateway's 60 s


LINK_FAULTS = st.one_of(
    st.builds(f.Loss, p=st.floats(0, 0.2)),
    st.builds(f.Duplicate, p=st.floats(0, 1)),
    st.builds(f.Reorder, p=st.floats(0, 0.3), depth=st.integers(1, 5)),
    st.builds(f.Corrupt, p=st.floats(0, 0.05)),
    st.builds(f.Disconnect, at_s=st.floats(0, 25), for_s=st.floats(0, 15)),
    st.builds(f.Storm, at_s=st.floats(0, 10), for_s=st.floats(0, 10), every=st.floats(0.1, 3)),
    st.builds(f.Skew, ppm=st.floats(-1000, 1000)),
    st.builds(f.Invalid, p=st.floats(0, 0.5)),
)


@settings(max_examples=60, deadline=None)
@given(
    faults=st.lists(LINK_FAULTS, max_size=4),
    seed=st.integers(0, 1000),
    crashes=st.lists(st.floats(0, 20), max_size=3),
    ack_delay_s=st.floats(0, 1.5),
    speed=st.sampled_from([1.0, 10.0, MAX_SPEED]),
)
def test_every_sample_arrives_exactly_once_whatever_goes_wrong(
    faults: list[f.Fault], seed: int, crashes: list[float], ack_delay_s: float, speed: float
) -> None:
    plan = FaultPlan(tuple(faults), seed)
    sim, gateway = device(speed=speed, faults=plan, patience_s=2.0), Gateway(ack_delay_s=ack_delay_s)
    play(sim, gateway, 1000, crashes=tuple(crashes))
    assert sim.finished
    expected = plan.source(recording()).read(0, 2000)
    np.testing.assert_array_equal(arrived(gateway, sim), expected)
    assert sim.device.lost == 0


def test_stream_and_device_ids_are_made_of_what_is_allowed() -> None:
    assert WHO.stream(EPOCH) == "dev-1.20231114T221320000Z"
    assert device_id("ward", "石桥/A 3") == "ward-A-3"
    assert device_id("石桥") == "device"
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,48}", device_id("x" * 100))
