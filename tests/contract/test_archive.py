"""What every archive promises of waveforms: SQLite, PostgreSQL and TimescaleDB run the same suite."""

import signal as signals
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leadwire.model import INVALID_SAMPLE, Beat, HeartRate, LinkEvent, Quarantined
from storage.tables import BLOCK_SAMPLES
from tests.contract.archives import (
    LATER,
    NOW,
    alert,
    chunk,
    compact,
    content,
    episode,
    new_stream,
    put,
    signal,
)

BASE = BLOCK_SAMPLES - 200  # so that what is short still crosses a block's end
SPAN = 400


def everything(reader, stream):
    return content(reader, stream), reader.beats(stream), reader.episodes(stream), reader.qualities(stream)


deliveries = st.lists(
    st.tuples(
        st.integers(0, SPAN - 1),  # where
        st.integers(0, 120),  # how long
        st.sampled_from([0, 0, 0, 1]),  # which content: 1 contradicts what came first
        st.sampled_from(["", "", "", "flush", "flush", "compact", "reopen"]),  # and then
    ),
    min_size=1,
    max_size=12,
)


@given(deliveries=deliveries, invalid=st.sets(st.integers(0, SPAN - 1), max_size=5), seed=st.integers(0, 9))
@settings(
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_comes_back_as_it_came_first_however_it_was_cut_repeated_and_reordered(
    archive, reader, deliveries, invalid, seed
):
    stream = new_stream()
    contents = [signal(SPAN, 2, seed), signal(SPAN, 2, seed + 100)]
    contents[0][list(invalid), 0] = INVALID_SAMPLE
    expected: dict[int, tuple[int, ...]] = {}

    def deliver(where, length, which, then):
        rows = contents[which][where : where + length]
        archive.add(chunk(stream, BASE + where, rows, late=bool(which)))
        for i, row in enumerate(rows):
            expected.setdefault(BASE + where + i, tuple(row))
        if then in ("flush", "compact"):
            archive.flush(NOW)
        if then == "compact":
            archive.compact(LATER, limit=50)
        if then == "reopen":
            archive.discard()
            return False
        return True

    kept = []
    for delivery in deliveries:
        kept.append(delivery)
        if not deliver(*delivery):
            for again in kept:  # the bus delivers again what was not committed, from the start at worst
                deliver(*again[:3], "")
    archive.flush(NOW)
    assert content(reader, stream) == expected
    compact(archive)
    assert content(reader, stream) == expected
    for delivery in deliveries:
        deliver(*delivery[:3], "")
    archive.flush(NOW)
    assert content(reader, stream) == expected


def test_the_same_bytes_twice_add_no_row_and_change_none(archive, reader):
    stream = new_stream()
    messages = [
        chunk(stream, BASE, signal(SPAN)),
        Beat(stream=stream, sample=BASE + 7, detected=BASE + 50),
        HeartRate(stream=stream, sample=BASE + 7, rate=71.5),
        episode(stream, 100),
        episode(stream, 100, end=1500),
        alert(stream),
        LinkEvent(stream=stream, kind="gap", sample=5, n_samples=9, time=NOW),
        Quarantined(source=f"archive ecg.events/0@{stream}", reason="bad", time=NOW, data=b"\xff"),
    ]
    put(archive, *messages)
    compact(archive)
    once, counts = everything(reader, stream), reader.counts()
    put(archive, *messages)
    compact(archive)
    assert (everything(reader, stream), reader.counts()) == (once, counts)
    assert len(reader.episodes(stream)) == 1
    assert reader.episodes(stream)[0].end == 1500


def test_a_gap_is_a_gap_and_an_invalid_sample_is_an_invalid_sample(archive, reader):
    stream = new_stream()
    samples = signal(300, 3)
    samples[10:20, 1] = INVALID_SAMPLE
    put(archive, chunk(stream, 1000, samples[:100]), chunk(stream, 1200, samples[200:]))
    for _ in range(2):
        first, second = reader.read_waveform(stream, 0, 10_000)
        assert (first.first_sample, first.end_sample) == (1000, 1100)
        assert (second.first_sample, second.end_sample) == (1200, 1300)
        assert np.array_equal(first.d_signal, samples[:100])
        assert np.isnan(first.p_signal()[10:20, 1]).all()
        assert np.isfinite(first.p_signal()[:, [0, 2]]).all()
        compact(archive)


def test_another_calibration_is_another_segment_and_nothing_is_converted(archive, reader):
    stream = new_stream()
    samples = signal(300, 2)
    put(
        archive,
        chunk(stream, 0, samples[:100]),
        chunk(stream, 100, samples[100:200], adc_gain=(100.0, 1e6), baseline=(-5, 1024), units=("mV", "V")),
        chunk(stream, 200, samples[200:, :1], sig_name=("V1",), units=("uV",), fs=500.0),
    )
    for _ in range(2):
        a, b, c = reader.read_waveform(stream, 0, 1000)
        assert (a.adc_gain, b.adc_gain, b.baseline) == ((200.0, 200.0), (100.0, 1e6), (-5, 1024))
        assert (c.sig_name, c.fs, c.units) == (("V1",), 500.0, ("uV",))
        assert np.array_equal(np.concatenate([a.d_signal, b.d_signal]), samples[:200])
        assert np.allclose(b.p_signal()[:, 0], (samples[100:200, 0] + 5) / 100)
        assert [s.sig_name for s in reader.read_waveform(stream, 0, 1000, leads=["V1"])] == [("V1",)]
        compact(archive)


def test_a_row_is_archived_once_even_in_two_calibrations(archive, reader):
    stream = new_stream()
    samples = signal(100, 1)
    put(archive, chunk(stream, 0, samples))
    put(archive, chunk(stream, 50, samples, adc_gain=(50.0,)))
    for _ in range(2):
        a, b = reader.read_waveform(stream, 0, 1000)
        assert (a.end_sample, b.first_sample, b.end_sample) == (100, 100, 150)
        assert np.array_equal(b.d_signal, samples[50:])
        compact(archive)


@pytest.mark.parametrize("n_columns", [1, 3, 40, 900, 10**9])
def test_the_envelope_is_the_lowest_and_the_highest_sample(archive, reader, n_columns):
    stream = new_stream()
    samples = signal(3000 if n_columns > 1000 else 150_000, 2, seed=4)
    samples[500:900, 1] = INVALID_SAMPLE
    start, stop = 300, len(samples) - 77
    put(archive, chunk(stream, 0, samples[:1000]))
    for at in range(1100, len(samples), 30_000):
        put(archive, chunk(stream, at, samples[at : at + 30_000]))
    for _ in range(2):
        envelope = reader.envelope(stream, start, stop, n_columns)
        assert len(envelope.edges) == min(n_columns, stop - start) + 1
        assert envelope.edges[0] <= start
        assert envelope.edges[-1] >= stop
        physical = samples / 200.0
        physical[1000:1100] = np.nan
        physical[samples == INVALID_SAMPLE] = np.nan
        for i, (a, b) in enumerate(zip(envelope.edges, envelope.edges[1:], strict=False)):
            for lead in range(2):
                there = physical[a:b, lead]
                there = there[~np.isnan(there)]
                if len(there):
                    assert envelope.low[i, lead] == pytest.approx(there.min())
                    assert envelope.high[i, lead] == pytest.approx(there.max())
                else:
                    assert np.isnan(envelope.low[i, lead])
                    assert np.isnan(envelope.high[i, lead])
        compact(archive)


def test_an_envelope_of_nothing_is_empty(archive, reader):
    assert reader.envelope("never.seen", 0, 1000, 10).low.shape == (10, 0)
    assert reader.envelope("never.seen", 5, 5, 10).low.shape == (1, 0)
    assert reader.read_waveform("never.seen", 0, 1000) == []
    assert reader.stream("never.seen") is None
    assert reader.time_of("never.seen", 0) is None


def test_the_time_of_a_sample_follows_the_devices_clock(archive, reader):
    stream = new_stream()
    samples = signal(500)
    put(archive, chunk(stream, 0, samples[:250]), chunk(stream, 250, samples[250:], device_time=NOW + 61.0))
    assert reader.time_of(stream, 125) == pytest.approx(NOW + 0.5)
    assert reader.time_of(stream, 375) == pytest.approx(NOW + 61.5)


WRITER = """
import sys
from storage import open_archive
from tests.contract.archives import NOW, chunk, signal
from leadwire.model import Beat
url, stream = sys.argv[1:]
archive = open_archive(url)
samples = signal(100_000)
for first in range(0, 100_000, 500):
    archive.add(chunk(stream, first, samples[first:first + 500]))
    archive.add(Beat(stream=stream, sample=first, detected=first + 50))
    archive.flush(NOW)
    print(first + 500, flush=True)
    if first % 8000 == 0:
        archive.compact(NOW + 1e6)
"""


def test_nothing_flushed_is_lost_by_a_kill_and_doing_it_again_gives_the_same(archive, reader, archive_url):
    stream = new_stream()
    command = [sys.executable, "-c", WRITER, archive_url, stream]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        flushed = 0
        for line in process.stdout:
            flushed = int(line)
            if flushed >= 20_000:
                process.send_signal(signals.SIGKILL)
                break
    samples = signal(100_000)
    (segment,) = reader.read_waveform(stream, 0, 100_000)
    assert segment.first_sample == 0
    assert segment.end_sample >= flushed
    assert len(reader.beats(stream)) >= flushed // 500
    # The offset was not committed: the next owner is given everything from the start again.
    for first in range(0, 40_000, 333):
        archive.add(chunk(stream, first, samples[first : first + 333]))
    for first in range(0, 40_000, 500):
        archive.add(Beat(stream=stream, sample=first, detected=first + 50))
    archive.flush(NOW)
    for _ in range(2):
        (segment,) = reader.read_waveform(stream, 0, 40_000)
        assert np.array_equal(segment.d_signal, samples[:40_000])
        assert [beat.sample for beat in reader.beats(stream, 0, 40_000)] == list(range(0, 40_000, 500))
        compact(archive)
