"""What the parts of the Kafka adapter share: how they connect, and what the library's errors mean."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kafka import errors as kafka_errors

from leadwire.errors import BusUnavailable

ANSWER_MS = 10_000
"""How long one question to the broker may take, in ms."""
BATCH_BYTES = 64 << 10
"""What small messages are gathered to."""

CONNECTION: dict[str, Any] = {
    "request_timeout_ms": ANSWER_MS,
    "bootstrap_timeout_ms": ANSWER_MS,
    "reconnect_backoff_max_ms": 1000,
}


@contextmanager
def unavailable(address: str) -> Iterator[None]:
    """Turn what the library says about the world into `BusUnavailable`; our misuse stays a bug."""
    try:
        yield
    except (kafka_errors.KafkaConfigurationError, kafka_errors.IllegalStateError):
        raise
    except kafka_errors.KafkaError as why:
        raise BusUnavailable(f"Kafka at {address}: {type(why).__name__}: {why}") from why
