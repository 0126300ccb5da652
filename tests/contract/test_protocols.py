"""What every device protocol must do; it is found by itself, a new one needs no line here."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.protocols import protocols
from ingest.protocols.port import Ack, Bye, Close, CloseCode, Data, Hello, Resend, Status, Welcome
from leadwire.errors import ProtocolRejected
from tests.unit.ingest.devices import STARTED, hello, samples

every_protocol = pytest.mark.parametrize("protocol", protocols().values(), ids=lambda p: p.name)


class Wire:
    """A device and a gateway's side, and everything that went between them."""

    def __init__(self, protocol, hello=hello()):  # noqa: B008
        self.protocol = protocol
        self.device = protocol.device_side(hello)
        self.connect()

    def connect(self):
        self.gateway = self.protocol.gateway_side()
        self.device.connect(STARTED + 61)

    def up(self, limit=None):
        """Events at the gateway of what the device sends now."""
        messages = self.device.data_to_send(limit)
        assert all(len(m) <= self.protocol.max_bytes for m in messages)
        return [e for m in messages for e in self.gateway.receive_data(m)]

    def down(self):
        """Events at the device of what the gateway sends now."""
        messages = self.gateway.data_to_send()
        assert all(len(m) <= self.protocol.max_bytes for m in messages)
        return [e for m in messages for e in self.device.receive_data(m)]

    def open(self, resume=0):
        """Shake hands; what the device sends at once."""
        assert isinstance(self.up()[0], Hello)
        self.gateway.welcome(resume, STARTED + 62, 30)
        assert self.down() == [
            Welcome(
                resume=resume, server_time=STARTED + 62, idle_timeout_s=30, max_bytes=self.protocol.max_bytes
            )
        ]
        return self.up()


def test_there_is_a_protocol():
    assert protocols()
    assert all(path == p.path and p.path.startswith("/") for path, p in protocols().items())


@every_protocol
def test_a_recording_goes_through_from_hello_to_bye(protocol):
    wire = Wire(protocol)
    wire.device.status(STARTED, lead_off=(1,), battery=80.0)
    wire.device.add(samples(0, 250), STARTED)
    assert wire.up() == [
        Hello(**{f: getattr(hello(), f) for f in Hello.__dataclass_fields__} | {"device_time": STARTED + 61})
    ]
    assert wire.up() == [], "nothing but hello before the welcome"
    wire.gateway.welcome(0, STARTED + 62, 30)
    wire.down()
    status, data = wire.up()
    assert status == Status(sample=0, device_time=STARTED, lead_off=(1,), battery=80.0)
    assert data == Data(
        seq=0, first_sample=0, oldest=0, device_time=STARTED, samples=samples(0, 250), n_samples=250
    )
    wire.gateway.acknowledge(250)
    assert wire.down() == [Ack(250)]
    wire.device.finish()
    assert wire.up() == [Bye(250, 250)]
    wire.gateway.close(CloseCode.FINISHED, "every sample is safe")
    assert wire.down() == [Close(CloseCode.FINISHED, "every sample is safe")]
    assert wire.device.done
    assert wire.up() == []


@every_protocol
def test_a_device_goes_on_from_the_welcome_s_sample_after_a_reconnect(protocol):
    wire = Wire(protocol)
    wire.open()
    for n in range(0, 1000, 100):
        wire.device.add(samples(n, n + 100), STARTED + n / 250)
    assert len(wire.up()) == 10
    wire.gateway.acknowledge(250)
    wire.down()
    assert wire.up() == [], "an acknowledgement inside a block sends nothing again"
    wire.connect()
    data = wire.open(resume=420)
    assert [(d.first_sample, d.end_sample) for d in data][:2] == [(420, 500), (500, 600)]
    assert data[0].oldest == 420
    assert data[0].device_time == pytest.approx(STARTED + 420 / 250)
    assert b"".join(d.samples for d in data) == samples(420, 1000)
    assert [d.seq for d in data] == list(range(6))
    assert wire.device.acknowledged == 420


@every_protocol
def test_the_electrodes_of_an_outage_are_told_with_the_samples_they_belong_to(protocol):
    wire = Wire(protocol)
    for n in range(0, 1000, 100):
        wire.device.status(STARTED + n / 250, lead_off=(1,) if 300 <= n < 600 else (), battery=50.0)
        wire.device.add(samples(n, n + 100), STARTED + n / 250)
    wire.open()
    for resume, told in ((450, [(300, (1,)), (600, ())]), (700, [(600, ())])):
        wire.connect()
        sent = wire.open(resume=resume)
        assert [(e.sample, e.lead_off) for e in sent if isinstance(e, Status)] == told
        seen = ()
        for event in sent:
            if isinstance(event, Status):
                seen = event.lead_off
            else:
                assert seen == ((1,) if 300 <= event.first_sample < 600 else ())
    wire.device.status(STARTED, battery=49.0)
    (sign_of_life,) = wire.up()
    assert (sign_of_life.sample, sign_of_life.battery) == (1000, 49.0)


@every_protocol
def test_a_device_sends_again_from_where_it_is_asked_to(protocol):
    wire = Wire(protocol)
    wire.open()
    for n in range(0, 1000, 100):
        wire.device.add(samples(n, n + 100), STARTED + n / 250)
    wire.up()
    wire.gateway.acknowledge(250)
    wire.gateway.resend(330)
    assert wire.down() == [Ack(250), Resend(330)]
    again = wire.up()
    assert again[0].first_sample <= 330 < again[0].end_sample
    assert again[-1].end_sample == 1000
    assert wire.up() == []


@every_protocol
@settings(max_examples=30)
@given(data=st.data())
def test_no_sample_is_lost_whatever_is_acknowledged_asked_for_and_cut_off(protocol, data):
    """A gateway that knows nothing but the device's word, at a line that breaks at any message."""
    wire = Wire(protocol)
    made, got, safe = 0, {}, 0
    welcomed = False
    for _ in range(data.draw(st.integers(0, 25))):
        act = data.draw(st.sampled_from(["add", "send", "ack", "resend", "break"]))
        if act == "add":
            n = data.draw(st.integers(1, 40))
            wire.device.add(samples(made, made + n), STARTED + made / 250)
            made += n
        elif act == "break":
            wire.device.data_to_send(data.draw(st.integers(0, 3)))  # these are lost on the way
            wire.connect()
            welcomed = False
        elif not welcomed:
            (greeting,) = [e for e in wire.up(1) if isinstance(e, Hello)]
            safe = max(safe, greeting.acknowledged)
            wire.gateway.welcome(safe, STARTED, 30)
            wire.down()
            welcomed = True
        elif act == "send":
            for event in wire.up(data.draw(st.integers(1, 4))):
                for i in range(event.n_samples):
                    row = event.samples[4 * i : 4 * i + 4]
                    assert got.setdefault(event.first_sample + i, row) == row
        elif act == "ack":
            while safe in got and data.draw(st.booleans()):
                safe += 1
            wire.gateway.acknowledge(safe)
            wire.down()
        elif act == "resend":
            wire.gateway.resend(data.draw(st.integers(0, made)))
            wire.down()
    wire.connect()
    wire.up(1)
    wire.gateway.welcome(safe, STARTED, 30)
    wire.down()
    for event in wire.up():
        for i in range(event.n_samples):
            got[event.first_sample + i] = event.samples[4 * i : 4 * i + 4]
    assert b"".join(got[n] for n in range(made)) == samples(0, made)


@every_protocol
def test_a_block_of_any_size_is_cut_into_messages_within_the_limit(protocol):
    wire = Wire(protocol, hello(n_sig=12))
    wire.open()
    wire.device.add(samples(0, 10_000, 12), STARTED)
    data = wire.up()
    assert b"".join(d.samples for d in data) == samples(0, 10_000, 12)
    assert [d.device_time for d in data] == pytest.approx([STARTED + d.first_sample / 250 for d in data])


@every_protocol
@given(st.binary(max_size=200))
def test_random_bytes_are_refused_by_both_sides(protocol, data):
    wire = Wire(protocol)
    for side in (wire.gateway, wire.device):
        with pytest.raises(ProtocolRejected):
            side.receive_data(data)
    wire.open()
    for side in (wire.gateway, wire.device):
        with pytest.raises(ProtocolRejected):
            side.receive_data(data)


@every_protocol
@given(data=st.data())
def test_a_mutated_message_is_refused_and_nothing_else_happens(protocol, data):
    wire = Wire(protocol)
    wire.open()
    wire.device.add(samples(0, 5), STARTED)
    wire.device.status(STARTED)
    messages = wire.device.data_to_send()
    message = bytearray(data.draw(st.sampled_from(messages)))
    for _ in range(data.draw(st.integers(1, 5))):
        message[data.draw(st.integers(0, len(message) - 1))] ^= data.draw(st.integers(1, 255))
    del message[data.draw(st.integers(0, len(message))) :]
    if bytes(message) not in messages:
        with pytest.raises(ProtocolRejected):
            wire.gateway.receive_data(bytes(message))


@every_protocol
def test_a_message_over_the_limit_is_refused(protocol):
    with pytest.raises(ProtocolRejected, match=str(protocol.max_bytes)):
        protocol.gateway_side().receive_data(bytes(protocol.max_bytes + 1))


@every_protocol
def test_nothing_but_hello_opens_a_connection_and_it_opens_once(protocol):
    wire = Wire(protocol)
    wire.device.add(samples(0, 10), STARTED)
    (greeting,) = wire.device.data_to_send()
    wire.gateway.receive_data(greeting)
    with pytest.raises(ProtocolRejected, match="hello"):
        wire.gateway.receive_data(greeting)
    wire.gateway.welcome(0, STARTED, 30)
    wire.down()
    (data,) = wire.device.data_to_send()
    with pytest.raises(ProtocolRejected, match="hello was expected"):
        protocol.gateway_side().receive_data(data)
    wire.gateway.acknowledge(1)
    (ack,) = wire.gateway.data_to_send()
    with pytest.raises(ProtocolRejected, match="welcome or close was expected"):
        Wire(protocol).device.receive_data(ack)


@every_protocol
def test_data_and_status_must_fit_the_signals_of_the_hello(protocol):
    wire, wide = Wire(protocol), Wire(protocol, hello(n_sig=3))
    wire.open()
    wide.open()
    wide.device.add(samples(0, 10, 3), STARTED)
    wide.device.status(STARTED, lead_off=(2,))
    for message in wide.device.data_to_send():
        with pytest.raises(ProtocolRejected, match="came"):
            wire.gateway.receive_data(message)


@every_protocol
def test_a_bye_is_the_last_word_of_a_device_and_a_close_that_of_a_gateway(protocol):
    wire = Wire(protocol)
    wire.open()
    wire.device.finish()
    (bye,) = wire.device.data_to_send()
    wire.gateway.receive_data(bye)
    with pytest.raises(ProtocolRejected, match="ended by bye"):
        wire.gateway.receive_data(bye)
    wire.gateway.close(CloseCode.BUSY, "later")
    wire.gateway.acknowledge(10)
    wire.gateway.close(CloseCode.STOPPING, "twice")
    assert wire.down() == [Close(CloseCode.BUSY, "later")]


@every_protocol
def test_a_device_that_has_lost_its_numbering_does_not_go_on(protocol):
    wire = Wire(protocol)
    wire.up()
    wire.gateway.welcome(5000, STARTED, 30)
    with pytest.raises(ProtocolRejected, match="begin a new stream"):
        wire.down()


@every_protocol
def test_no_secret_is_left_in_bytes_for_the_quarantine(protocol):
    wire = Wire(protocol)
    (greeting,) = wire.device.data_to_send()
    secret = hello().token.encode()
    assert secret in greeting
    for broken in (greeting, greeting[:-1], greeting[:100], greeting + b"x"):
        kept = wire.gateway.redact(broken)
        assert secret not in kept
        assert len(kept) == len(broken)
