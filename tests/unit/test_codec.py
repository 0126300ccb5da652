"""Bytes <-> messages: what was once written stays readable, and nothing hostile gets through."""

import math
import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadwire import codec
from leadwire.errors import MessageRejected
from leadwire.messages import Message
from leadwire.model import SCHEMA_VERSION, Beat, HeartRate
from tests.golden.make import HERE, MESSAGES

GOLDEN = sorted(HERE.glob("*.msgpack"))


def test_every_message_type_has_golden_bytes():
    assert set(MESSAGES) == set(codec.TYPES)
    assert {f"{name}.v{SCHEMA_VERSION}.msgpack" for name in MESSAGES} <= {file.name for file in GOLDEN}


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.name)
def test_golden_bytes_stay_readable(file):
    assert codec.decode(file.read_bytes()) == MESSAGES[file.name.split(".")[0]]


@pytest.mark.parametrize("name", MESSAGES)
def test_a_golden_message_differs_from_every_default(name):
    """Otherwise a field that is lost on the way would go unseen."""
    for field in msgspec.structs.fields(MESSAGES[name]):
        if field.name != "v" and field.default is not msgspec.NODEFAULT:
            assert getattr(MESSAGES[name], field.name) != field.default, field.name


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_what_is_written_is_what_is_read(message: Message):
    assert codec.decode(codec.encode(message)) == message


@pytest.mark.parametrize("name", MESSAGES)
def test_any_language_reads_type_version_and_the_names_of_the_model(name):
    plain = msgspec.msgpack.decode(codec.encode(MESSAGES[name]))
    assert plain.pop("type") == name
    assert plain["v"] == SCHEMA_VERSION
    assert list(plain) == [field.name for field in msgspec.structs.fields(MESSAGES[name])]


def test_a_field_of_a_later_program_is_ignored():
    plain = _plain(Beat(stream="a", sample=1, detected=2)) | {"added_later": [{"x": 1}]}
    assert codec.decode(msgspec.msgpack.encode(plain)) == Beat(stream="a", sample=1, detected=2)


def _plain(message: Message) -> dict[str, object]:
    plain: dict[str, object] = msgspec.msgpack.decode(codec.encode(message))
    return plain


def _rejected(plain: object) -> str:
    with pytest.raises(MessageRejected) as caught:
        codec.decode(msgspec.msgpack.encode(plain))
    return str(caught.value)


BEAT = _plain(Beat(stream="a", sample=1, detected=2))


@pytest.mark.parametrize(
    ("change", "came", "expected"),
    [
        ({"v": 2}, "version 2", "version 1"),
        ({"v": "1"}, "`str`", "`int`"),
        ({"type": "beet"}, "'beet'", "heart_rate"),
        ({"sample": -1}, "-1", ">= 0"),
        ({"sample": 2**63}, str(2**63), "<= 9007199254740991"),
        ({"sample": 1.5}, "1.5", "`int`"),
        ({"sample": True}, "`bool`", "`int`"),
        ({"sample": None}, "None", "`int`"),
        ({"quality": 1.01}, "1.01", "<= 1"),
        ({"quality": math.nan}, "nan", ">= 0"),
        ({"amplitude": math.inf}, "inf", "<= 1e+300"),
        ({"rr": 0.0}, "0.0", "> 0"),
        ({"leads": ["II", 3]}, "`int`", "`str`"),
        ({"stream": ""}, "str", "regex"),
        ({"stream": "../../etc"}, "str", "regex"),
        ({"stream": "a\n"}, "str", "regex"),
    ],
)
def test_a_refusal_says_what_came_and_what_was_expected(change, came, expected):
    reason = _rejected(BEAT | change)
    assert came in reason
    assert expected in reason


@pytest.mark.parametrize("field", ["type", "v", "stream", "sample"])
def test_a_missing_field_is_named(field):
    assert f"`{field}`" in _rejected({k: v for k, v in BEAT.items() if k != field})


def test_a_refusal_never_shows_text_from_inside_a_message():
    info = _plain(MESSAGES["stream"]) | {"patient": "Zhang Wei", "device": 7}
    assert "Zhang" not in _rejected(info)
    assert "Zhang" not in _rejected(_plain(MESSAGES["stream"]) | {"patient": "Zhang Wei " * 50})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\x80",
        b"\x00",
        b"{}",
        b"\xdf\xff\xff\xff\xff",  # maps, arrays, texts and blobs that promise 4 GiB
        b"\xdd\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\x82\xa4type\xa4beat\xa1x" + b"\x91" * 100_000 + b"\x01",  # deeper than any stack
        b"\x82\xa4type\xa4\xff\xfe\xfd\xfc\xa1v\x01",  # no UTF-8
        b"\x82\xa4type\xa4beat\xa1v\xd7\xff" + b"\xff" * 8,  # a time stamp out of all ages
    ],
    ids=lambda data: data[:8].hex(),
)
def test_hostile_bytes_are_rejected_and_measured(data):
    with pytest.raises(MessageRejected, match=rf"^{len(data)} bytes"):
        codec.decode(data)


def test_bytes_after_a_message_are_rejected():
    with pytest.raises(MessageRejected):
        codec.decode(codec.encode(MESSAGES["beat"]) + b"\x00")


@given(st.binary(max_size=300))
def test_random_bytes_raise_nothing_but_a_rejection(data):
    with pytest.raises(MessageRejected):
        codec.decode(data)


@given(
    name=st.sampled_from(sorted(MESSAGES)),
    edits=st.lists(st.tuples(st.integers(0, 10_000), st.binary(max_size=9), st.integers(0, 9)), max_size=4),
    keep=st.floats(0, 1),
)
def test_a_damaged_message_is_rejected_or_still_sound(name, edits, keep):
    """Never another exception; and what gets through can be written and read again."""
    data = bytearray(codec.encode(MESSAGES[name]))
    for at, new, removed in edits:
        at %= len(data) + 1
        data[at : at + removed] = new
    data = data[: math.ceil(len(data) * keep)]
    try:
        message = codec.decode(bytes(data))
    except MessageRejected:
        return
    assert codec.decode(codec.encode(message)) == message


_NUMBERS = [-(2**63), -1, 0, 2**31, 2**53, 2**63 - 1, 2**64 - 1, math.nan, math.inf, -math.inf, 1e308, -1e308]


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize("value", [*_NUMBERS, None, "", "\x00", b"", [], {}, [[]], [math.nan]], ids=repr)
def test_no_extreme_value_in_any_field_gets_past_the_decoder(name, value):
    """Every number in a message that is read is finite and fits a signed 64-bit integer."""
    plain = _plain(MESSAGES[name])
    for field in plain:
        try:
            message = codec.decode(msgspec.msgpack.encode(plain | {field: value}))
        except MessageRejected:
            continue
        for number in _numbers(msgspec.to_builtins(message)):
            assert math.isfinite(number), field
            assert abs(number) <= 2**63 - 1 or isinstance(number, float), field


def _numbers(value: object) -> list[float]:
    if isinstance(value, dict):
        return [n for v in value.values() for n in _numbers(v)]
    if isinstance(value, list | tuple):
        return [n for v in value for n in _numbers(v)]
    return [value] if isinstance(value, int | float) else []


def test_decode_as_refuses_another_message():
    data = codec.encode(MESSAGES["beat"])
    assert codec.decode_as(data, Beat) == MESSAGES["beat"]
    with pytest.raises(MessageRejected, match="a Beat came; a HeartRate was expected"):
        codec.decode_as(data, HeartRate)


def test_samples_travel_as_plain_little_endian_int16():
    assert struct.pack("<6h", -32768, 32767, 1, -1, 2, -2) in codec.encode(MESSAGES["chunk"])
