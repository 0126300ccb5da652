"""Waveforms out of the archive: segments with their gaps, envelopes, and when a sample was taken."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from leadwire.model import INVALID_SAMPLE, UNIT_IN_MV
from storage.blocks import BIN_SAMPLES, BINS, OpenBlock, Samples, block_of, put_parts
from storage.lines import Line
from storage.tables import BLOCK_SAMPLES, signals, streams, waveform_blocks, waveform_parts


@dataclass(frozen=True, slots=True)
class Segment:
    """Samples without a hole, of one calibration, as they came.

    Attributes
    ----------
    first_sample, fs
        Sample number of the first row; sampling frequency in Hz.
    sig_name, units, adc_gain, baseline
        One a column; physical = (digital - baseline) / adc_gain, in `units`.
    d_signal
        int16, shape (n_samples, n_sig); `INVALID_SAMPLE` where the device had no measurement.
    """

    first_sample: int
    fs: float
    sig_name: tuple[str, ...]
    units: tuple[str, ...]
    adc_gain: tuple[float, ...]
    baseline: tuple[int, ...]
    d_signal: Samples

    @property
    def end_sample(self) -> int:
        """The number one past the last sample."""
        return self.first_sample + len(self.d_signal)

    def p_signal(self) -> NDArray[np.float64]:
        """Physical samples, shape (n_samples, n_sig): mV for ECG leads, NaN where invalid."""
        scale = np.array([UNIT_IN_MV.get(u, 1.0) for u in self.units], np.float64) / np.array(self.adc_gain)
        p: NDArray[np.float64] = (self.d_signal.astype(np.float64) - np.array(self.baseline)) * scale
        p[self.d_signal == INVALID_SAMPLE] = np.nan
        return p


@dataclass(frozen=True, slots=True)
class Envelope:
    """Lowest and highest sample a column.

    Attributes
    ----------
    edges
        Sample numbers, shape (n_columns + 1,): column i covers edges[i] <= n < edges[i + 1].
    sig_name, units
        One a signal. ECG leads are in mV, whatever unit they came in.
    low, high
        Shape (n_columns, n_sig), physical; NaN where the column has no valid sample.
    """

    edges: NDArray[np.int64]
    sig_name: tuple[str, ...]
    units: tuple[str, ...]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Signal:
    """A row of the table `signals`."""

    id: int
    stream_id: int
    name: str
    units: str
    adc_gain: float
    baseline: int
    fs: float
    place: int

    @property
    def shown(self) -> tuple[str, str]:
        """Name and unit as an envelope gives them."""
        return self.name, "mV" if self.units in UNIT_IN_MV else self.units

    def physical(self, digital: Samples) -> NDArray[np.float64]:
        scale = UNIT_IN_MV.get(self.units, 1.0) / self.adc_gain
        values: NDArray[np.float64] = (digital.astype(np.float64) - self.baseline) * scale
        return values


def read(
    connection: sa.Connection, stream: str, start: int, stop: int, leads: Sequence[str] | None
) -> list[Segment]:
    """See `Reader.read_waveform`."""
    known = _signals(connection, stream)
    wanted = _wanted(known, leads)
    pieces: list[list[Segment]] = []
    for block in _blocks(connection, known, start, stop):
        opened = _open(connection, known, wanted, block)
        base = block * BLOCK_SAMPLES
        for segment in _segments(opened, wanted, max(start - base, 0), min(stop - base, BLOCK_SAMPLES)):
            last = pieces[-1][-1] if pieces else None
            if last is not None and last.end_sample == segment.first_sample and _alike(last, segment):
                pieces[-1].append(segment)
            else:
                pieces.append([segment])
    return [
        run[0] if len(run) == 1 else replace(run[0], d_signal=np.concatenate([s.d_signal for s in run]))
        for run in pieces
    ]


def envelope(
    connection: sa.Connection,
    stream: str,
    start: int,
    stop: int,
    n_columns: int,
    leads: Sequence[str] | None,
) -> Envelope:
    """See `Reader.envelope`."""
    known = _signals(connection, stream)
    wanted = _wanted(known, leads)
    edges, coarse = _edges(start, stop, n_columns)
    shown = list(dict.fromkeys(signal.shown for signal in wanted.values()))
    low = np.full((len(edges) - 1, len(shown)), np.nan)
    high = low.copy()
    for block in _blocks(connection, known, int(edges[0]), int(edges[-1])):
        base = block * BLOCK_SAMPLES
        for signal_id, (first, digital) in _extremes(connection, known, wanted, block, edges, coarse):
            signal = wanted[signal_id]
            column = np.searchsorted(edges, base + first, "right") - 1
            column_ok = (column >= 0) & (column < len(low)) & (digital[:, 0] <= digital[:, 1])
            at, lead = column[column_ok], shown.index(signal.shown)
            np.fmin.at(low[:, lead], at, signal.physical(digital[column_ok, 0]))
            np.fmax.at(high[:, lead], at, signal.physical(digital[column_ok, 1]))
    return Envelope(edges, tuple(n for n, _ in shown), tuple(u for _, u in shown), low, high)


def time_of(connection: sa.Connection, stream: str, sample: int, received: bool = False) -> float | None:
    """See `Reader.time_of`."""
    row = connection.execute(sa.select(streams).where(streams.c.stream == stream)).one_or_none()
    if row is None:
        return None
    line = Line(row.epoch, row.clock_fs)
    known = _signals(connection, stream)
    found = (0, line.epoch, line.fs)
    b, p = waveform_blocks.c, waveform_parts.c
    in_block = connection.execute(
        sa.select(b.first_sample, b.receive_time if received else b.device_time, b.signal_id)
        .where(b.signal_id.in_(known), b.first_sample <= sample)
        .order_by(b.block.desc(), b.first_sample.desc())
        .limit(1)
    ).one_or_none()
    if in_block is not None:
        found = (in_block.first_sample, in_block[1], known[in_block.signal_id].fs)
    in_part = connection.execute(
        sa.select(p.first_sample, p.receive_time if received else p.device_time, p.signal_ids)
        .where(p.stream_id == row.id, p.first_sample <= sample)
        .order_by(p.first_sample.desc())
        .limit(1)
    ).one_or_none()
    if in_part is not None and in_part.first_sample > found[0]:
        fs = known[int(in_part.signal_ids.strip("[]").split(",")[0])].fs
        found = (in_part.first_sample, in_part[1], fs)
    first, time, fs = found
    return time + (sample - first) / fs


def _signals(connection: sa.Connection, stream: str) -> dict[int, _Signal]:
    query = (
        sa.select(signals)
        .join(streams, streams.c.id == signals.c.stream_id)
        .where(streams.c.stream == stream)
        .order_by(signals.c.place, signals.c.id)
    )
    return {row.id: _Signal(*row) for row in connection.execute(query)}


def _wanted(known: dict[int, _Signal], leads: Sequence[str] | None) -> dict[int, _Signal]:
    return {i: signal for i, signal in known.items() if leads is None or signal.name in leads}


def _blocks(connection: sa.Connection, known: dict[int, _Signal], start: int, stop: int) -> list[int]:
    """The numbers of the blocks, or of blocks to be, that touch start <= n < stop."""
    if not known or start >= stop:
        return []
    b, p = waveform_blocks.c, waveform_parts.c
    stream_id = next(iter(known.values())).stream_id
    span = (block_of(start), block_of(stop - 1))
    found = sa.union(
        sa.select(b.block).where(b.signal_id.in_(known), b.block.between(*span)),
        sa.select(p.block).where(p.stream_id == stream_id, p.block.between(*span)),
    )
    return sorted(connection.scalars(found))


def _open(
    connection: sa.Connection, known: dict[int, _Signal], wanted: dict[int, _Signal], block: int
) -> dict[int, OpenBlock]:
    """The signals of one block as compaction would leave them; values of the wanted ones only."""
    stream_id = next(iter(known.values())).stream_id
    b, p = waveform_blocks.c, waveform_parts.c
    opened = {
        row.signal_id: OpenBlock.from_row(row, with_values=row.signal_id in wanted)
        for row in connection.execute(
            sa.select(waveform_blocks).where(b.signal_id.in_(known), b.block == block)
        )
    }
    parts = sa.select(waveform_parts).where(p.stream_id == stream_id, p.block == block).order_by(p.id)
    fs_of = {signal.id: signal.fs for signal in known.values()}
    put_parts(opened, connection.execute(parts), block, fs_of)
    return opened


def _extremes(
    connection: sa.Connection,
    known: dict[int, _Signal],
    wanted: dict[int, _Signal],
    block: int,
    edges: NDArray[np.int64],
    coarse: bool,
) -> Iterator[tuple[int, tuple[NDArray[np.int64], Samples]]]:
    """Per wanted signal where stretches of the block begin, and the lowest and highest sample of each."""
    b, p = waveform_blocks.c, waveform_parts.c
    stream_id = next(iter(known.values())).stream_id
    open_ = connection.scalar(sa.select(sa.func.count()).where(p.stream_id == stream_id, p.block == block))
    bins = np.arange(BINS) * BIN_SAMPLES
    if coarse and not open_:
        rows = sa.select(b.signal_id, b.envelope).where(b.signal_id.in_(wanted), b.block == block)
        for row in connection.execute(rows):
            yield row.signal_id, (bins, np.frombuffer(row.envelope, np.int16).reshape(-1, 2))
        return
    base = block * BLOCK_SAMPLES
    inner = edges[(edges > base) & (edges < base + BLOCK_SAMPLES)] - base
    first = np.unique(np.concatenate((np.zeros(1, np.int64), inner)))
    for signal_id, opened in _open(connection, known, wanted, block).items():
        if signal_id in wanted:
            yield signal_id, (first, opened.extremes(first))


def _edges(start: int, stop: int, n_columns: int) -> tuple[NDArray[np.int64], bool]:
    """Where columns begin and end, and whether they are made of whole bins."""
    n_columns = max(1, min(n_columns, stop - start))
    coarse = (stop - start) >= 2 * BIN_SAMPLES * n_columns
    unit = BIN_SAMPLES if coarse else 1
    a, b = start // unit, -(-max(stop, start) // unit)
    return np.rint(np.linspace(a, b, n_columns + 1)).astype(np.int64) * unit, coarse


def _segments(
    opened: dict[int, OpenBlock], wanted: dict[int, _Signal], start: int, stop: int
) -> Iterator[Segment]:
    """Stretches of a block, from its sample `start` to `stop`, over which the same signals are there."""
    columns = [signal for signal in wanted.values() if signal.id in opened]
    if not columns:
        return
    present = np.stack([opened[s.id].present[start:stop] for s in columns])
    change = np.flatnonzero((present[:, 1:] != present[:, :-1]).any(axis=0)) + 1
    ends = [0, *change.tolist(), stop - start]
    for a, b in pairwise(ends):
        here = [s for s, there in zip(columns, present[:, a], strict=True) if there]
        if here and a < b:
            yield Segment(
                first_sample=opened[here[0].id].base + start + a,
                fs=here[0].fs,
                sig_name=tuple(s.name for s in here),
                units=tuple(s.units for s in here),
                adc_gain=tuple(s.adc_gain for s in here),
                baseline=tuple(s.baseline for s in here),
                d_signal=np.stack([opened[s.id].values[start + a : start + b] for s in here], axis=1),
            )


def _alike(a: Segment, b: Segment) -> bool:
    return (a.fs, a.sig_name, a.units, a.adc_gain, a.baseline) == (
        b.fs,
        b.sig_name,
        b.units,
        b.adc_gain,
        b.baseline,
    )
