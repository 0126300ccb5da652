"""Waveform blocks give back what they were given, whatever it was."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from leadwire.errors import BugError
from leadwire.model import INVALID_SAMPLE
from storage import blocks
from storage.blocks import BINS, Clock, OpenBlock
from storage.tables import BLOCK_SAMPLES

int16 = npst.arrays(np.int16, st.integers(0, 600), elements=st.integers(-32768, 32767))


@given(values=int16)
def test_any_samples_come_back(values):
    assert np.array_equal(blocks.decode(blocks.encode(values)), values)


@pytest.mark.parametrize("n", [1, 2, 16, 17, 255, 256, *range(510, 530), 1024 + 3, 65024 + 12, BLOCK_SAMPLES])
@pytest.mark.parametrize("kind", ["flat", "full scale", "walk", "spikes"])
def test_awkward_lengths_and_signals_come_back(n, kind):
    rng = np.random.default_rng(n)
    values = {
        "flat": np.full(n, 7),
        "full scale": np.where(np.arange(n) % 2, 32767, -32767),
        "walk": np.cumsum(rng.integers(-9, 10, n)).clip(-30_000, 30_000),
        "spikes": np.where(rng.random(n) < 0.01, INVALID_SAMPLE, 1000),
    }[kind].astype(np.int16)
    data = blocks.encode(values)
    assert np.array_equal(blocks.decode(data), values)
    assert len(data) < 2 * n + 200


def test_a_signal_is_packed_well_below_its_twelve_bits():
    t = np.arange(BLOCK_SAMPLES) / 360
    noise = np.random.default_rng(0).normal(0, 2, BLOCK_SAMPLES)
    values = np.rint(200 * np.sin(2 * np.pi * 1.1 * t) ** 15 + noise).astype(np.int16)
    assert 8 * len(blocks.encode(values)) / BLOCK_SAMPLES < 3.6  # the noise alone has 3.05 bit


@given(data=st.binary(max_size=200))
def test_bytes_that_are_no_block_are_refused(data):
    with pytest.raises(BugError):
        blocks.decode(data)


@given(at=st.integers(0, 10_000), wrong=st.integers(1, 255))
def test_a_damaged_block_is_refused(at, wrong):
    values = np.cumsum(np.random.default_rng(3).integers(-5, 6, 2000)).astype(np.int16)
    data = bytearray(blocks.encode(values))
    data[at % len(data)] ^= wrong
    with pytest.raises(BugError, match="a damaged waveform block came"):
        blocks.decode(bytes(data))


@given(mask=npst.arrays(np.bool_, st.integers(0, 60)), first=st.integers(0, 1000))
def test_runs_say_what_a_mask_says(mask, first):
    runs = blocks.runs_of(mask, first)
    said = [n - first for a, b in runs for n in range(a, b)]
    assert said == np.flatnonzero(mask).tolist()
    assert all(b < c for (_, b), (c, _) in pairwise(runs))
    if runs:
        assert blocks.decode_runs(blocks.encode_runs(runs), runs[0][0], runs[-1][1]) == runs


@given(
    pieces=st.lists(st.tuples(st.integers(0, 900), int16), max_size=5),
    first=st.sets(st.integers(1, 1500), max_size=8),
)
def test_extremes_are_those_of_the_valid_samples(pieces, first):
    block = OpenBlock.empty(2)
    for at, values in pieces:
        new = ~block.present[at : at + len(values)]
        block.put(block.base + at, values, new, Clock(0.0, 0.0, 250.0))
    starts = np.array([0, *sorted(first)])
    ends = [*starts[1:], BLOCK_SAMPLES]
    for (low, high), a, b in zip(block.extremes(starts), starts, ends, strict=True):
        there = block.values[a:b][block.present[a:b]]
        there = there[there != INVALID_SAMPLE]
        assert (low, high) == ((there.min(), there.max()) if len(there) else (32767, -32768))
    if block.present.any():
        row = block.to_row()
        assert len(row["envelope"]) == 4 * BINS
        assert row["n_samples"] == block.present.sum()


def test_a_blocks_time_is_that_of_its_first_sample_in_whatever_order_they_came():
    block = OpenBlock.empty(0)
    ten, all_new = np.zeros(10, np.int16), np.ones(10, bool)
    block.put(100, ten, all_new, Clock(1000.0, 2000.0, 10.0))
    block.put(200, ten, all_new, Clock(1100.0, 2100.0, 10.0))
    assert (block.device_time, block.receive_time) == (1000.0, 2000.0)
    later_half = np.arange(10) >= 5
    block.put(50, ten, later_half, Clock(995.0, 2500.0, 10.0))
    assert (block.device_time, block.receive_time) == (995.5, 2500.0)
