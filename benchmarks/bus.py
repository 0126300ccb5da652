"""Messages a second and processor time a message through the bus: local file and Apache Kafka.

Messages of 1.5 kB (a second of two leads at 360 Hz) of many streams go to `ecg.chunks` and are
read again by a consumer in a group that commits once a second. Processor time is that of this
process alone, all of its threads; Kafka's broker and the disk are left out of it, but not out of
the messages a second. Latency is from `publish` to the return of a waiting `poll`, one message
every 10 ms, producer and consumer in one process.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.frame import Result
from leadwire.bus import Bus, open_bus
from leadwire.errors import BusUnavailable
from leadwire.topics import CHUNKS

_STREAMS = 64
_PACED = 300
_SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "kafka"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be chosen."""
    parser.add_argument("--messages", type=int, default=50_000, metavar="N", help="how many (default 50000)")
    parser.add_argument("--bytes", type=int, default=1500, metavar="N", help="of what size (default 1500)")
    parser.add_argument(
        "--kafka",
        metavar="HOST:PORT",
        nargs="?",
        const="",
        help="measure Kafka too: that broker, or without an address one that scripts/kafka starts",
    )


def run(args: argparse.Namespace) -> Result:
    """Measure the local bus, and Kafka if asked for."""
    with tempfile.TemporaryDirectory() as folder:
        measured = [{"record": "local", **measure(f"local:{folder}/bus.sqlite", args.messages, args.bytes)}]
    if args.kafka is not None:
        with _broker(args.kafka) as address:
            measured.append({"record": "kafka", **measure(f"kafka://{address}", args.messages, args.bytes)})
    return Result(total={"messages": args.messages, "bytes": args.bytes}, records=measured)


def measure(address: str, messages: int, size: int) -> dict[str, Any]:
    """Return what one bus does with `messages` messages of `size` bytes.

    Returns
    -------
    dict
        `produce_per_s`, `consume_per_s`: messages a second; `produce_us`, `consume_us`: processor
        time a message in us; `p50_ms`, `p99_ms`: latency at 100 messages a second.
    """
    bus = open_bus(address)
    try:
        bus.create_topics([CHUNKS])
        _produce(bus, 1000, size)  # connections, caches and the file's first pages
        group = f"bench-{time.time_ns()}"
        consumer = bus.consumer([CHUNKS], group, start="latest")
        while len(consumer.assignment()) < CHUNKS.partitions:
            consumer.poll(0.1)
        produce_s, produce_cpu = _produce(bus, messages, size)
        began, cpu = time.perf_counter(), _cpu_s()
        seen, committed = 0, began
        while seen < messages:
            seen += len(consumer.poll(1.0))
            if time.perf_counter() - committed > 1.0:
                consumer.commit()
                committed = time.perf_counter()
        consumer.commit()
        consume_s, consume_cpu = time.perf_counter() - began, _cpu_s() - cpu
        consumer.close()
        late = _latency(bus)
    finally:
        bus.close()
    return {
        "produce_per_s": messages / produce_s,
        "produce_us": 1e6 * produce_cpu / messages,
        "consume_per_s": messages / consume_s,
        "consume_us": 1e6 * consume_cpu / messages,
        "p50_ms": float(np.percentile(late, 50)),
        "p99_ms": float(np.percentile(late, 99)),
    }


def _produce(bus: Bus, messages: int, size: int) -> tuple[float, float]:
    producer = bus.producer()
    value = np.random.default_rng(0).bytes(size)
    keys = [f"stream-{n}" for n in range(_STREAMS)]
    producer.publish(CHUNKS, keys[0], value).result(30)
    began, cpu = time.perf_counter(), _cpu_s()
    for n in range(messages - 1):
        producer.publish(CHUNKS, keys[n % _STREAMS], value)
        if n % 5000 == 4999:
            producer.flush()  # a gateway waits for acknowledgements too; memory stays bounded
    producer.flush()
    took = time.perf_counter() - began, _cpu_s() - cpu
    producer.close()
    return took


def _latency(bus: Bus) -> list[float]:
    consumer = bus.consumer([CHUNKS], start="latest")
    consumer.poll(0.1)
    late: list[float] = []

    def read() -> None:
        while len(late) < _PACED:
            for record in consumer.poll(1.0):
                late.append(1e3 * (time.perf_counter() - float(record.value or b"0")))

    reader = threading.Thread(target=read)
    reader.start()
    producer = bus.producer()
    for n in range(_PACED):
        producer.publish(CHUNKS, f"stream-{n % _STREAMS}", repr(time.perf_counter()).encode())
        time.sleep(0.01)
    reader.join()
    producer.close()
    consumer.close()
    return late


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


@contextmanager
def _broker(address: str) -> Iterator[str]:
    if address:
        yield address
        return
    with tempfile.TemporaryDirectory() as folder:
        where = ["--dir", f"{folder}/broker"]
        started = subprocess.run(
            [sys.executable, str(_SCRIPT), "start", *where], stdout=subprocess.PIPE, text=True
        )
        if started.returncode != 0:
            raise BusUnavailable("scripts/kafka could not start a broker")
        try:
            yield started.stdout.strip()
        finally:
            subprocess.run([sys.executable, str(_SCRIPT), "stop", *where], check=True)
