"""What a client may send, and what happens to everything else."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.messages import MAX_CLIENT_MESSAGE, Ack, Subscribe, read_client
from leadwire.errors import RejectError


def test_a_subscription_names_streams_and_leads() -> None:
    message = read_client('{"type": "subscribe", "streams": {"s1": ["II", "V1"], "s2": []}}')
    assert message == Subscribe({"s1": ("II", "V1"), "s2": ()})


def test_an_acknowledgement_counts_bytes() -> None:
    assert read_client('{"type": "ack", "bytes": 70000}') == Ack(70_000)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"type": "subscribe"}',
        '{"type": "publish", "streams": {}}',
        '{"type": "subscribe", "streams": {"../etc": ["II"]}}',
        '{"type": "subscribe", "streams": {"s": "II"}}',
        '{"type": "subscribe", "streams": {"s": [1]}}',
        '{"type": "subscribe", "streams": {"s": [""]}}',
        '{"type": "subscribe", "streams": {}, "more": 1}',
        json.dumps({"type": "subscribe", "streams": {"s": ["I"] * 17}}),
        json.dumps({"type": "subscribe", "streams": {f"s{i}": [] for i in range(513)}}),
        '{"type": "subscribe", "streams": {"s": ["' + "x" * 33 + '"]}}',
        '{"type": "ack"}',
        '{"type": "ack", "bytes": -1}',
        '{"type": "ack", "bytes": 1.5}',
        " " * (MAX_CLIENT_MESSAGE + 1),
        "[" * 60_000,
        '{"type": "subscribe", "streams": {"s": ["\ud800"]}}',
    ],
)
def test_anything_else_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(RejectError, match="came"):
        read_client(text)


@given(st.text(max_size=200))
def test_no_text_does_worse_than_being_refused(text: str) -> None:
    with pytest.raises(RejectError):
        read_client(text)
