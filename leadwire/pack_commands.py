"""``leadwire alerts packs`` and ``leadwire alerts diff``: rule packs, and what they would have announced.

Here archive, detectors and condition line come together: the archived samples go through the detectors
again, set wide enough for both packs, and what they say through both packs.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from msgspec import structs

from leadwire.errors import SettingError
from leadwire.local_time import moment, utc, zone_of
from leadwire.model import SampleChunk, StreamEvent, StreamInfo
from leadwire.settings import Limits, Settings

if TYPE_CHECKING:
    from alerts.diff import Alarm, Difference
    from storage import Reader

LEAD_IN_S = 120.0
"""The detectors begin so long before the time asked for, to know the patient by then."""
PIECE_S = 600.0
"""So much is read from the archive at once."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-commands of ``leadwire alerts``; without one it is the role."""
    commands = parser.add_subparsers(dest="what", metavar="[packs | diff]")
    packs = commands.add_parser("packs", help="list the rule packs")
    packs.add_argument("--json", action="store_true", help="as JSON")
    diff = commands.add_parser("diff", help="what two packs would have announced of archived streams")
    diff.add_argument("a", metavar="PACK_A", help="name of a pack, or a file")
    diff.add_argument("b", metavar="PACK_B", help="likewise")
    diff.add_argument(
        "--from", dest="start", required=True, metavar="T", help="2026-11-21 or 2026-11-21T22:00"
    )
    diff.add_argument("--to", dest="stop", required=True, metavar="T", help="likewise")
    diff.add_argument("--clinic", help="only streams of this clinic")
    diff.add_argument("--patient", help="only streams of this patient")
    diff.add_argument("--json", action="store_true", help="as JSON, with every alarm that differs")
    diff.add_argument(
        "--archive", dest="setting:archive", default=argparse.SUPPRESS, metavar="URL", help="the archive"
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Run the sub-command; returns the exit status."""
    return _packs(args, settings) if args.what == "packs" else _diff(args, settings)


def _packs(args: argparse.Namespace, settings: Settings) -> int:
    from alerts.pack_files import available

    rows = []
    for name, pack in available(settings.pack_folder).items():
        try:
            pack.check_found(settings.limits)
            needs = ""
        except SettingError as why:
            needs = str(why)
        rows.append(
            {
                "name": name,
                "version": pack.version,
                "issuer": pack.issuer,
                "date": pack.date,
                "rules": sum(len(rules) for rules in pack.rules.values()),
                "needs": needs,
                "notes": pack.notes.strip(),
            }
        )
    if args.json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
        return 0
    for row in rows:
        print(
            f"{row['name']:<26}{row['version']:<10}{row['date']:<12}{row['rules']:>3} rules  {row['issuer']}"
        )
        if row["needs"]:
            print(f"{'':<26}with these settings: {row['needs']}")
    return 0


def _diff(args: argparse.Namespace, settings: Settings) -> int:
    from alerts.diff import Difference, announced, spelled_out, wide_limits
    from alerts.pack_files import load_pack
    from storage import open_reader

    a, b = (load_pack(name, settings.pack_folder) for name in (args.a, args.b))
    start, stop = _time(args.start, "--from", settings), _time(args.stop, "--to", settings)
    if not start < stop:
        raise SettingError(f"--from {args.start} and --to {args.stop} came; the first must be earlier")
    wide = wide_limits(settings.limits, (a, b))
    packs = [spelled_out(pack, settings.limits) for pack in (a, b)]
    found = Difference(a.label, b.label)
    with closing(open_reader(settings.archive)) as reader:
        for stream in reader.streams():
            info = stream.info
            if (
                info is None
                or args.clinic not in (None, info.clinic)
                or args.patient not in (None, info.patient)
            ):
                continue
            first = max(0, round((start - stream.started) * info.fs))
            last = min(stream.end_sample, round((stop - stream.started) * info.fs))
            if first >= last:
                continue
            print(f"{stream.stream} {(last - first) / info.fs / 3600:.1f} h", file=sys.stderr, flush=True)
            begin = max(0, first - round(LEAD_IN_S * info.fs))
            replay = Replay(reader, info, begin, last, wide)
            alarms = announced(_at(info, stream.started), replay.events(), packs)
            edge = stream.started + first / info.fs
            within = [[x for x in many if x.raised >= edge] for many in alarms]
            found.add(within[0], within[1], replay.measured_after(first) / info.fs)
    if args.json:
        print(json.dumps(_as_json(found, wide), ensure_ascii=False, indent=2))
    else:
        _print(found)
    return 0


def _at(info: StreamInfo, started: float) -> StreamInfo:
    """By the archive's clock, which is the gateway's."""
    return structs.replace(info, started=started)


class Replay:
    """Archived samples through the detectors, once.

    Parameters
    ----------
    reader, info
        Where they are, and of which stream.
    start, stop
        Which samples.
    limits
        Of the detectors.
    """

    def __init__(self, reader: "Reader", info: StreamInfo, start: int, stop: int, limits: Limits) -> None:
        self._reader = reader
        self._info = info
        self._start = start
        self._stop = stop
        self._limits = limits
        self._pieces: list[tuple[int, int]] = []

    def measured_after(self, sample: int) -> int:
        """How many samples there were from `sample` on."""
        return sum(max(0, b - max(a, sample)) for a, b in self._pieces)

    def events(self) -> Iterator[StreamEvent]:
        """What the detectors say, and what the device said of itself, in order."""
        from dsp.pipeline import StreamAnalyzer

        analyzer = StreamAnalyzer(self._limits)
        statuses = self._reader.device_statuses(self._info.stream, 0, self._stop)
        off: tuple[str, ...] = ()
        for chunk in self._chunks():
            while statuses and statuses[0].sample <= chunk.first_sample:
                status = statuses.pop(0)
                off = tuple(name for name in status.lead_off if name in chunk.sig_name)
                if status.sample >= self._start:
                    yield status
            yield from analyzer.process(_with_off(chunk, off))

    def _chunks(self) -> Iterator[SampleChunk]:
        second, piece = round(self._info.fs), round(PIECE_S * self._info.fs)
        for a in range(self._start, self._stop, piece):
            for segment in self._reader.read_waveform(self._info.stream, a, min(a + piece, self._stop)):
                self._pieces.append((segment.first_sample, segment.end_sample))
                for row in range(0, len(segment.d_signal), second):
                    rows = segment.d_signal[row : row + second]
                    at = self._info.started + (segment.first_sample + row) / segment.fs
                    yield SampleChunk(
                        stream=self._info.stream,
                        first_sample=segment.first_sample + row,
                        fs=segment.fs,
                        sig_name=segment.sig_name,
                        units=segment.units,
                        adc_gain=segment.adc_gain,
                        baseline=segment.baseline,
                        samples=rows.astype("<i2").tobytes(),
                        device_time=at,
                        receive_time=at,
                    )


def _with_off(chunk: SampleChunk, off: tuple[str, ...]) -> SampleChunk:
    return structs.replace(chunk, lead_off=off) if off else chunk


def _time(text: str, option: str, settings: Settings) -> float:
    try:
        return moment(text, zone_of(settings.time_zone))
    except ValueError as why:
        raise SettingError(f"{option}: {why}") from None


def _as_json(found: "Difference", wide: Limits) -> dict[str, Any]:
    return {
        "a": found.a,
        "b": found.b,
        "streams": found.streams,
        "patient_days": found.patient_days,
        "limits": structs.asdict(wide),
        "kinds": found.table(),
        "lost": [asdict(alarm) for alarm in found.only_a],
        "gained": [asdict(alarm) for alarm in found.only_b],
        "changed": [{"a": asdict(x), "b": asdict(y)} for x, y in found.changed],
    }


def _print(found: "Difference") -> None:
    print(f"A {found.a}   B {found.b}   streams: {found.streams}, patient-days: {found.patient_days:.2f}")
    print(f"{'kind':<36}{'A':>6}{'B':>6}{'lost':>6}{'gained':>8}{'changed':>9}{'A/day':>8}{'B/day':>8}")
    for row in found.table():
        per_day = "".join(
            f"{'-' if row[name] is None else format(row[name], '.1f'):>8}"
            for name in ("a_per_patient_day", "b_per_patient_day")
        )
        counts = f"{row['a']:>6}{row['b']:>6}{row['lost']:>6}{row['gained']:>8}{row['changed']:>9}"
        print(f"{row['kind'] or 'all':<36}{counts}{per_day}")
    for sign, alarms in (("-", found.only_a), ("+", found.only_b)):
        for alarm in sorted(alarms, key=lambda x: x.onset):
            print(f"{sign} {_line(alarm)}")
    for x, y in found.changed:
        print(f"~ {_line(x)} -> {' '.join(word for word in y.manner if word)}")


def _line(alarm: "Alarm") -> str:
    how = " ".join(word for word in alarm.manner if word)
    value = f"{alarm.value:g} {alarm.unit}".strip()
    return f"{utc(alarm.onset)} {alarm.stream} {alarm.kind} ({value}) {how}"
