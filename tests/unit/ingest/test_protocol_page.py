"""docs/protocol.md says what the code does: its tables, its numbers and its worked example."""

import re
import struct
from pathlib import Path

import pytest

from ingest import window
from ingest.link import HELLO_S
from ingest.protocols import v1_wire
from ingest.protocols.port import (
    SAMPLE_LIMIT,
    TIME_LIMIT,
    Ack,
    Bye,
    Close,
    CloseCode,
    Data,
    Hello,
    Signal,
    Status,
    Welcome,
)
from ingest.protocols.v1 import V1, State
from ingest.protocols.v1_wire import DATA_OVERHEAD, MAX_BYTES, Type, decode, encode
from ingest.session import CLOCK_DRIFT, CLOCK_TOLERANCE_S
from leadwire.ranges import MAX_FS, MAX_SIG, MIN_FS

PAGE = (Path(__file__).parents[3] / "docs" / "protocol.md").read_text(encoding="utf-8")
T0 = 1_700_000_000.0

EXAMPLE = [
    Hello(
        device="bed-7",
        token="correct-horse",
        stream="bed-7.20231114a",
        clinic="青山镇",
        bed="7",
        patient="P-1",
        firmware="1.4.2",
        fs=250.0,
        signals=(Signal("II", "mV", 200.0, -5),),
        acknowledged=250,
        device_time=T0 + 2,
        started=T0,
    ),
    Welcome(resume=250, server_time=T0 + 2.5, idle_timeout_s=30, max_bytes=65536),
    Data(
        seq=0,
        first_sample=250,
        oldest=250,
        device_time=T0 + 1,
        samples=struct.pack("<4h", -5, 195, -32768, 1),
        n_samples=4,
    ),
    Status(sample=254, device_time=T0 + 2, lead_off=(0,), battery=80.0),
    Ack(254),
    Bye(254, 254),
    Close(CloseCode.FINISHED, "every sample is safe"),
]

LETTERS = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "i32": "i", "i64": "q", "f64": "d"}
LAYOUTS = {
    "hello": [v1_wire._HELLO, v1_wire._SIGNAL],
    "data": [v1_wire._DATA],
    "status": [v1_wire._STATUS],
    "bye": [v1_wire._BYE],
    "welcome": [v1_wire._WELCOME],
    "ack": [v1_wire._ACK],
    "resend": [v1_wire._ACK],
    "close": [v1_wire._CLOSE],
}


def section(title: str) -> str:
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#+ |\Z)", PAGE, re.M | re.S)
    assert found, title
    return found[1]


def tables(text: str) -> list[list[list[str]]]:
    """The rows of each table, without heads."""
    found = []
    for block in re.findall(r"(?:^\|.*\n)+", text, re.M):
        rows = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in block.splitlines()]
        found.append(rows[2:])
    return found


def example_bytes() -> list[bytes]:
    messages = []
    for block in re.findall(r"^```hex\n(.*?)^```", PAGE, re.M | re.S):
        data = b""
        for line in block.splitlines():
            for token in line.partition(";")[0].split():
                byte, _, times = token.partition("*")
                data += bytes.fromhex(byte) * int(times or 1)
        messages.append(data)
    return messages


def test_the_worked_example_decodes_to_what_it_says():
    assert [decode(m) for m in example_bytes()] == EXAMPLE
    assert example_bytes() == [encode(m) for m in EXAMPLE]


@pytest.mark.parametrize("message", LAYOUTS)
def test_every_offset_and_type_is_the_code_s(message):
    layouts = [t for t in tables(section(message)) if t[0][1] in LETTERS or t[0][1].startswith("char[")]
    for rows, layout in zip(layouts, LAYOUTS[message], strict=True):
        written = "<"
        for offset, kind, _, _ in rows:
            assert struct.calcsize(written) == int(offset)
            chars = re.fullmatch(r"char\[(\d+)\]", kind)
            written += f"{chars[1]}s" if chars else LETTERS[kind]
        assert written == layout.format
    assert int(layouts[0][0][3], 16) == Type[message.upper()]


def test_the_table_of_messages_is_complete_and_its_lengths_are_right():
    (rows,) = tables(section("Messages"))
    assert {name: int(code, 16) for code, name, _, _ in rows} == {t.name.lower(): t.value for t in Type}
    for code, name, sender, length in rows:
        assert sender == ("gateway" if int(code, 16) & 0x80 else "device")
        fixed = LAYOUTS[name][0].size + 4
        assert length.split(" + ")[0] == str(fixed)
    assert DATA_OVERHEAD == 40
    assert len(encode(EXAMPLE[0])) == 476 + 64


def test_every_close_code_is_explained_and_says_rightly_whether_to_come_again():
    rows = tables(section("close"))[1]
    assert {int(code): name for code, name, _, _ in rows} == {c.value: c.name.lower() for c in CloseCode}
    for code, _, _, what in rows:
        assert what.startswith("connects again") == CloseCode(int(code)).retry_allowed


def test_every_state_is_in_the_table():
    (rows,) = tables(section("A connection's states"))
    names = {"waiting for welcome": "waiting for the gateway's welcome", "ended": "ended by bye"}
    assert {names.get(r[0], r[0]) for r in rows} == {s.value for s in State}


def test_the_limits_are_the_code_s():
    text = section("Limits")
    assert f"8 to {MAX_BYTES:,} bytes" in text
    assert f"{MIN_FS:g} to {MAX_FS:,g} Hz" in text
    assert f"1 to {MAX_SIG} |" in text
    assert f"{HELLO_S:g} s" in text
    assert f"{window.MAX_WAITING_BYTES >> 20} MiB or {window.MAX_WAITING_BLOCKS:,} messages" in text
    assert SAMPLE_LIMIT == 2**52
    assert "below 2^52" in PAGE
    assert TIME_LIMIT * 1e6 == 10**16
    assert f"more than {CLOCK_TOLERANCE_S:g} s" in PAGE
    assert f"below {CLOCK_DRIFT * 1e6:g} ppm" in PAGE
    assert V1.path in PAGE
