"""Archive: bit per sample at rest with everything in it, and how fast it writes and reads.

Each record is archived as it would be live: second by second, with the beats, heart rates, qualities
and episodes our own analyzer finds in it, flushed every ``--flush`` seconds of signal, compacted when
settled. `bit_per_sample` is the whole database (tables, keys, indexes, beats, episodes; without pages
that SQLite keeps free for reuse) over the samples of all signals; the parts of it are told beside it:
`waveform`, `envelope`, `beats` and `trends` (heart rate and quality), all in bit/sample, per record as
the bytes of their blocks. Every sample read back is compared with the record. The peers are what else
could have packed the samples, without any table: format 212, zlib and xz of the differences.
"""

import argparse
import lzma
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.frame import Result, record_names, track
from dsp.pipeline import StreamAnalyzer
from leadwire.errors import BugError
from leadwire.messages import Message
from leadwire.model import SampleChunk, StreamEvent
from leadwire.settings import Limits
from simulators.records import RecordSource
from storage import Archive, Reader, open_archive, open_reader

START = 1_700_000_000.0
N_COLUMNS = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--flush", type=float, default=10.0, metavar="S", help="s of signal between flushes")
    parser.add_argument("--url", help="archive to use (empty); default: an SQLite file, removed afterwards")


def run(args: argparse.Namespace) -> Result:
    """Archive the records, read them back, and weigh the database."""
    rows: list[dict[str, Any]] = []
    peers = dict.fromkeys(PEERS, 0) if args.peers else {}
    samples_total = 0
    with tempfile.TemporaryDirectory(prefix="leadwire-bench-") as folder:
        url = args.url or f"sqlite:///{folder}/archive.sqlite"
        archive, reader = open_archive(url), open_reader(url)
        empty = reader.size()
        for name in track(record_names(args), "storage"):
            source = RecordSource(Path(args.data) / name)
            chunks = list(_chunks(source, name))
            events = _events(chunks)
            row = {"record": name} | _write(archive, chunks, events, args.flush)
            row |= _read(reader, name, source) | _weigh(reader, name, row["samples"])
            rows.append(row)
            samples_total += row["samples"]
            for peer in peers:
                peers[peer] += len(PEERS[peer](source.read(0, source.n_samples or 0)))
        size = reader.size()
        archive.close()
        reader.close()
    total: dict[str, Any] = {"samples": samples_total, "bit_per_sample": 8 * size / samples_total}
    for part in ("waveform", "envelope", "beats", "trends"):
        total[part] = sum(r[part] * r["samples"] for r in rows) / samples_total
    total["empty"] = 8 * empty / samples_total
    for rate in ("write_Msample_s", "compact_Msample_s", "read_Msample_s"):
        total[rate] = samples_total / sum(r["samples"] / r[rate] for r in rows)
    total["x_realtime"] = sum(r["seconds"] for r in rows) / sum(r["seconds"] / r["x_realtime"] for r in rows)
    total["envelope_ms"] = float(np.median([r["envelope_ms"] for r in rows]))
    weighed = {peer: {"bit_per_sample": 8 * n / samples_total} for peer, n in peers.items()}
    return Result(total, [{k: v for k, v in r.items() if k != "seconds"} for r in rows], weighed)


def _chunks(source: RecordSource, stream: str) -> Iterator[SampleChunk]:
    """The record in chunks of a second."""
    n = source.n_samples or 0
    step = round(source.fs)
    for first in range(0, n, step):
        yield SampleChunk(
            stream=stream,
            first_sample=first,
            fs=source.fs,
            sig_name=source.sig_name,
            units=source.units,
            adc_gain=source.adc_gain,
            baseline=source.baseline,
            samples=source.read(first, min(first + step, n)).astype("<i2").tobytes(),
            device_time=START + first / source.fs,
            receive_time=START + first / source.fs,
        )


def _events(chunks: list[SampleChunk]) -> list[list[StreamEvent]]:
    """What the analyzer says to each chunk."""
    analyzer = StreamAnalyzer(Limits())
    return [list(analyzer.process(chunk)) for chunk in chunks]


def _write(
    archive: Archive, chunks: list[SampleChunk], events: list[list[StreamEvent]], flush_s: float
) -> dict[str, Any]:
    samples = sum(chunk.n_samples * chunk.n_sig for chunk in chunks)
    next_flush = START + flush_s
    compacting = 0.0
    begin = time.perf_counter()
    for chunk, said in zip(chunks, events, strict=True):
        messages: list[Message] = [chunk, *said]
        for message in messages:
            archive.add(message)
        if chunk.device_time >= next_flush:
            archive.flush(chunk.device_time)
            next_flush += flush_s
            compacting += _compact(archive, chunk.device_time)
    archive.flush(chunks[-1].device_time)
    compacting += _compact(archive, chunks[-1].device_time + 3600)
    whole = time.perf_counter() - begin
    seconds = sum(chunk.n_samples for chunk in chunks) / chunks[0].fs
    return {
        "samples": samples,
        "seconds": seconds,
        "x_realtime": seconds / whole,
        "write_Msample_s": samples / (whole - compacting) / 1e6,
        "compact_Msample_s": samples / compacting / 1e6,
    }


def _compact(archive: Archive, now: float) -> float:
    begin = time.perf_counter()
    while archive.compact(now):
        pass
    return time.perf_counter() - begin


def _read(reader: Reader, stream: str, source: RecordSource) -> dict[str, Any]:
    n = source.n_samples or 0
    begin = time.perf_counter()
    segments = reader.read_waveform(stream, 0, n)
    read_s = time.perf_counter() - begin
    begin = time.perf_counter()
    reader.envelope(stream, 0, n, N_COLUMNS)
    envelope_s = time.perf_counter() - begin
    if len(segments) != 1 or not np.array_equal(segments[0].d_signal, source.read(0, n)):
        raise BugError(f"record {stream} did not come back as it was archived")
    return {
        "read_Msample_s": segments[0].d_signal.size / read_s / 1e6,
        "envelope_ms": 1e3 * envelope_s,
    }


def _weigh(reader: Reader, stream: str, samples: int) -> dict[str, float]:
    """Bit/sample of the stream's blocks, by what is in them; `bit_per_sample` is their sum."""
    weight = {name: 8 * n / samples for name, n in reader.weight(stream).items()}
    return {"bit_per_sample": sum(weight.values())} | weight


def _differences(x: NDArray[np.int16]) -> bytes:
    return np.diff(x, axis=0, prepend=x[:1] * 0).astype("<i2").T.tobytes()


PEERS = {
    "format 212": lambda x: bytes(-(-x.size * 12 // 8)),
    "zlib of differences": lambda x: zlib.compress(_differences(x), 6),
    "xz of differences": lambda x: lzma.compress(_differences(x), preset=6),
}
"""Bytes of a record's samples, shape (n_samples, n_sig), packed otherwise."""
