"""The bytes of device protocol v1."""

import struct
import zlib
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest.protocols.port import Ack, Bye, Close, CloseCode, Data, Hello, Status, Welcome
from ingest.protocols.v1_wire import MAX_BYTES, Type, decode, encode
from leadwire.errors import ProtocolRejected
from tests.unit.ingest.devices import STARTED, from_device, from_gateway, hello, samples


def sealed(body: bytes) -> bytes:
    """`body` with a right check sum, so that what is wrong is found behind it."""
    return body + struct.pack("<I", zlib.crc32(body))


def changed(message: bytes, at: int, new: bytes) -> bytes:
    return sealed(message[:at] + new + message[at + len(new) : -4])


BLOCK = Data(
    seq=3, first_sample=500, oldest=250, device_time=STARTED, samples=samples(500, 510), n_samples=10
)


@given(from_device | from_gateway)
def test_what_is_encoded_is_what_is_decoded(message):
    assert decode(encode(message)) == message


@given(st.binary(max_size=300))
@example(b"")
@example(bytes([1, 1]) + bytes(600))
def test_random_bytes_are_refused_and_nothing_else_happens(data):
    with pytest.raises(ProtocolRejected):
        decode(data)


@given(from_device | from_gateway, st.data())
def test_a_changed_bit_is_noticed(message, data):
    good = bytearray(encode(message))
    at = data.draw(st.integers(0, len(good) * 8 - 1))
    good[at // 8] ^= 1 << at % 8
    with pytest.raises(ProtocolRejected):
        decode(bytes(good))


@given(from_device | from_gateway, st.data())
def test_a_wrong_message_with_a_right_check_sum_is_refused_or_means_something_allowed(message, data):
    body = bytearray(encode(message)[:-4])
    for _ in range(data.draw(st.integers(1, 8))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(body)))
    for hostile in (sealed(bytes(body)), sealed(bytes(body[:cut])), sealed(bytes(body) + bytes(cut))):
        try:
            meaning = decode(hostile)
        except ProtocolRejected:
            continue
        assert encode(meaning) == hostile, "bytes that say the same must be the same"


def test_a_message_is_at_most_64_kib_in_both_directions():
    n = (MAX_BYTES - 40) // 2
    biggest = replace(BLOCK, samples=bytes(2 * n), n_samples=n)
    assert len(encode(biggest)) == MAX_BYTES
    with pytest.raises(ValueError, match="at most 65536"):
        encode(replace(BLOCK, samples=bytes(2 * n + 2), n_samples=n + 1))
    with pytest.raises(ProtocolRejected, match="65537 bytes came"):
        decode(bytes(MAX_BYTES + 1))


@pytest.mark.parametrize(
    ("message", "at", "new", "said"),
    [
        (hello(), 1, b"\2", "version 2 came; 1 was expected"),
        (hello(), 0, b"\x77", "type 0x77"),
        (hello(), 2, b"\1", "flags 0100"),
        (hello(), 4, b"\3", "for 3 signals"),
        (hello(), 4, b"\0", "for 0 signals"),
        (hello(), 6, b"\1", "reserved"),
        (hello(), 72, b"a b\0", "bytes after its first zero"),
        (hello(), 72, b"a/b\0\0", "device id"),
        (hello(), 120, b"other", "stream id"),
        (hello(), 216, b"\xff\xfe", "utf-8"),
        (hello(), 280, b"\n", "control characters"),
        (hello(), 440, struct.pack("<d", float("nan")), "fs nan"),
        (hello(), 440, struct.pack("<d", 1e6), "fs 1000000.0"),
        (hello(), 448, b"\xff" * 8, "acknowledged"),
        (hello(), 456, struct.pack("<q", -1), "time -1"),
        (hello(), 472 + 48, struct.pack("<d", 0.0), "adc_gain"),
        (hello(), 472 + 64, b"L0", "names"),
        (hello(), 472 + 60, b"\1", "reserved"),
        (BLOCK, 8, b"\xff" * 8, "first_sample"),
        (BLOCK, 16, struct.pack("<Q", 501), "oldest 501"),
        (BLOCK, 24, b"\xff" * 8, "time"),
        (BLOCK, 32, b"\0\0", "for 0 rows"),
        (BLOCK, 32, b"\x0b", "44 bytes"),
        (BLOCK, 34, b"\0", "0 signals"),
        (Status(sample=0, device_time=STARTED, battery=50.0), 6, bytes([101]), "battery 101"),
        (Status(sample=0, device_time=STARTED), 7, b"\1", "reserved"),
        (Bye(10, 5), 16, bytes([11]), "oldest 11"),
        (Close(CloseCode.BUSY, "full"), 4, bytes([200]), "200 is not a valid CloseCode"),
    ],
)
def test_a_refusal_says_what_came_and_what_was_expected(message, at, new, said):
    with pytest.raises(ProtocolRejected, match=said):
        decode(changed(encode(message), at, new))


@pytest.mark.parametrize(
    "impossible",
    [
        replace(hello(), clinic="卫" * 22),
        replace(hello(), clinic="a\nb"),
        replace(BLOCK, samples=b"123"),
        replace(BLOCK, n_samples=0),
        replace(BLOCK, first_sample=-1),
        Status(sample=0, device_time=0.0, lead_off=(16,)),
        Status(sample=0, device_time=0.0, battery=300.0),
        Ack(-1),
    ],
)
def test_what_does_not_fit_is_not_sent(impossible):
    with pytest.raises(ValueError, match=r"came|fit"):
        encode(impossible)


def test_a_reason_for_closing_is_cut_between_characters_and_cleaned():
    reason = decode(encode(Close(CloseCode.MALFORMED, "心" * 60 + "\n"))).reason
    assert reason == "心" * 40
    assert decode(encode(Close(CloseCode.MALFORMED, "a\nb"))).reason == "a?b"


def test_microseconds_survive():
    for us in (0, 1, 1_700_000_000_123_457, 9_999_999_999_999_998):
        message = Welcome(resume=0, server_time=us / 1e6, idle_timeout_s=1, max_bytes=1)
        (sent,) = struct.unpack("<q", encode(message)[16:24])
        assert abs(sent - us) <= 1


def test_no_repr_shows_a_token():
    assert "secret" not in repr(hello())


def test_a_hello_of_an_impossible_device_cannot_be_made():
    for wrong in ({"device": "a.b"}, {"device": ""}, {"stream": "bed-7."}, {"stream": "bed-8.1"}):
        with pytest.raises(ValueError, match="came"):
            replace(hello(), **wrong)


def test_types_of_the_gateway_have_the_high_bit():
    assert {t.name for t in Type if t & 0x80} == {"WELCOME", "ACK", "RESEND", "CLOSE"}
    assert isinstance(decode(encode(hello())), Hello)
