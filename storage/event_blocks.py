"""What comes about every second, packed by column: beats, heart rates, qualities <-> bytes. Pure.

A row a beat costs 40 to 60 bytes in any database, as much as a sixth of the waveform itself. Packed
by column, many minutes at a time, it is a few bytes, and gives back exactly the same messages: each
field becomes a column of integers, decimals or table entries, and each column goes through pcodec.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray
from pcodec import ChunkConfig

from leadwire.errors import BugError
from leadwire.model import Beat, HeartRate, SignalQuality
from storage.seal import seal, unseal
from storage.squeeze import expand, squeeze
from storage.tables import EVENT_BLOCK_SAMPLES

E = TypeVar("E", bound=Beat | HeartRate | SignalQuality)
DenseEvent = Beat | HeartRate | SignalQuality
KINDS: dict[str, type[DenseEvent]] = {"beat": Beat, "heart_rate": HeartRate, "quality": SignalQuality}
KIND_OF: dict[type, str] = {kind: name for name, kind in KINDS.items()}
_FORMAT = 1
_CONFIG = ChunkConfig(compression_level=10)
_part_decoder = msgspec.msgpack.Decoder(list[DenseEvent])

Column = tuple[Any, ...]
"""How a column is kept: ("c", value), ("i", ints), ("d", decimals, ints), ("f", floats), ("n", where None
is, the rest), ("t", table, ints) or ("x", values)."""


def block_of(sample: int) -> int:
    """The number of the event block that `sample` belongs to."""
    return sample // EVENT_BLOCK_SAMPLES


def kind_of(event: DenseEvent) -> str:
    """The word for `event` in `event_blocks.kind`."""
    return KIND_OF[type(event)]


def encode_part(events: Sequence[DenseEvent]) -> bytes:
    """Bytes of what one flush brought, as it came."""
    return msgspec.msgpack.encode(events)


def decode_part(data: bytes) -> list[DenseEvent]:
    """What `encode_part` was given."""
    return _part_decoder.decode(data)


def merged(events: Iterable[E]) -> list[E]:
    """One event a sample, the last that came, in ascending order. All of one kind."""
    by_sample = {event.sample: event for event in events}
    return [by_sample[sample] for sample in sorted(by_sample)]


def pack(events: Sequence[DenseEvent], fs: float) -> bytes:
    """Bytes of `events` (one stream, one kind, ascending samples); `unpack` gives them back exactly.

    `fs` in Hz only helps: an rr that is the distance to the beat before costs nothing.
    """
    columns: dict[str, Column] = {}
    samples = [event.sample for event in events]
    for name in events[0].__struct_fields__:
        values = [getattr(event, name) for event in events]
        if name == "stream":
            continue
        if name == "sample":
            columns[name] = _pack_ints([samples[0], *(b - a for a, b in pairwise(samples))])
        elif name == "detected":
            columns[name] = _pack_ints([v - s for v, s in zip(values, samples, strict=True)])
        elif name == "rr":
            expected = _expected_rr(samples, fs)
            odd = {i: v for i, (v, e) in enumerate(zip(values, expected, strict=True)) if not _same(v, e)}
            columns[name] = (fs, list(odd), list(odd.values()))
        else:
            columns[name] = _pack_column(values)
    return seal(msgspec.msgpack.encode((_FORMAT, kind_of(events[0]), len(events), columns)))


def unpack(data: bytes, stream: str) -> list[DenseEvent]:
    """The events in `data`.

    Raises
    ------
    BugError
        Not made by `pack`, or damaged.
    """
    body = unseal(data, "event block")
    form, kind, n, columns = msgspec.msgpack.decode(body, type=tuple[int, str, int, dict[str, Column]])
    if form != _FORMAT:
        raise BugError(f"an event block of format {form} came; {_FORMAT} was expected")
    samples = np.cumsum(_unpack_column(columns["sample"], n)).tolist()
    fields: dict[str, list[Any]] = {"sample": samples, "stream": [stream] * n}
    for name, column in columns.items():
        if name == "detected":
            fields[name] = [d + s for d, s in zip(_unpack_column(column, n), samples, strict=True)]
        elif name == "rr":
            fs, where, odd = column
            fields[name] = _expected_rr(samples, fs)
            for i, value in zip(where, odd, strict=True):
                fields[name][i] = value
        elif name != "sample":
            fields[name] = _unpack_column(column, n)
    rows = [dict(zip(fields, values, strict=True)) for values in zip(*fields.values(), strict=True)]
    return [msgspec.convert(row, KINDS[kind]) for row in rows]


def _expected_rr(samples: list[int], fs: float) -> list[float | None]:
    return [None, *((b - a) / fs for a, b in pairwise(samples))]


def _same(a: Any, b: Any) -> bool:
    """Equal to the last bit: 0.0 is not -0.0, and NaN is NaN."""
    return type(a) is type(b) and (a is None or msgspec.msgpack.encode(a) == msgspec.msgpack.encode(b))


def _pack_ints(values: Sequence[int]) -> Column:
    array = np.array(values, np.int64)
    if (array == array[0]).all():
        return ("c", int(array[0]))
    small = next(t for t in (np.int16, np.int32, np.int64) if (array == array.astype(t)).all())
    return _squeezed("i", array.astype(small))


def _pack_floats(values: Sequence[float]) -> Column:
    array = np.array(values, np.float64)
    bits = array.view(np.int64)
    if (bits == bits[0]).all():
        return ("c", float(array[0]))
    for decimals in range(5):
        scaled = array * 10**decimals
        if not (np.abs(scaled) < 2**31).all():  # NaN and infinity too
            break
        whole = np.rint(scaled).astype(np.int64)
        if ((whole / 10**decimals).view(np.int64) == bits).all():
            return ("d", decimals, *_pack_ints(whole.tolist()))
    with np.errstate(over="ignore", invalid="ignore"):
        single = array.astype(np.float32)
        exact = (single.astype(np.float64).view(np.int64) == bits).all()
    return _squeezed("f", single if exact else array)


def _squeezed(form: str, array: NDArray[Any]) -> Column:
    packed = squeeze(array, _CONFIG)
    return ("x", array.tolist()) if packed is None else (form, packed)


def _pack_column(values: Sequence[Any]) -> Column:
    missing = [i for i, value in enumerate(values) if value is None]
    if missing:
        rest = [value for value in values if value is not None]
        return ("n", missing, _pack_column(rest) if rest else ("x", []))
    if all(type(value) is float for value in values):
        return _pack_floats(values)
    table = list(dict.fromkeys(values))
    if len(table) == 1:
        return ("c", table[0])
    if len(table) < len(values):
        index = {value: i for i, value in enumerate(table)}
        return ("t", table, *_pack_ints([index[value] for value in values]))
    return ("x", list(values))


def _unpack_column(column: Column, n: int) -> list[Any]:
    form = column[0]
    if form == "c":
        return [column[1]] * n
    if form in ("i", "f"):
        values: list[Any] = expand(column[1]).tolist()
        return values
    if form == "d":
        return [v / 10 ** column[1] for v in _unpack_column(column[2:], n)]
    if form == "t":
        return [column[1][i] for i in _unpack_column(column[2:], n)]
    if form == "n":
        given = iter(_unpack_column(column[2], n - len(column[1])))
        missing = set(column[1])
        return [None if i in missing else next(given) for i in range(n)]
    if form == "x":
        return list(column[1])
    raise BugError(f"a column of form {form!r} came; one of c i d f t n x was expected")
