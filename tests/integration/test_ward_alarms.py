"""The demonstration's beds alarm within a minute where they are meant to, and not on a quiet bed."""

from dsp.pipeline import StreamAnalyzer
from leadwire import codec
from leadwire.model import RhythmEpisode, SampleChunk
from leadwire.settings import Limits
from simulators import ward
from simulators.source import Source


def conditions(source: Source, seconds: float) -> set[str]:
    analyzer = StreamAnalyzer(Limits())
    found = set()
    step = round(source.fs)
    for first in range(0, round(seconds * source.fs), step):
        chunk = SampleChunk(
            stream="x.1",
            first_sample=first,
            fs=source.fs,
            sig_name=source.sig_name,
            units=source.units,
            adc_gain=source.adc_gain,
            baseline=source.baseline,
            samples=source.read(first, first + step).tobytes(),
            device_time=first / source.fs,
            receive_time=first / source.fs,
            lead_off=source.lead_off(first),
        )
        events = analyzer.process(chunk)
        assert all(codec.encode(e) for e in events)
        found |= {e.kind for e in events if isinstance(e, RhythmEpisode) and not e.withheld}
    return found


def test_the_first_minute_alarms_on_the_beds_that_are_meant_to_and_not_on_the_quiet_one() -> None:
    beds = {b.identity.patient: b for b in ward.demo_beds(None, 14)}
    for patient, condition in [
        ("asystole", "asystole"),
        ("tachycardia", "extreme_tachycardia"),
        ("bradycardia", "extreme_bradycardia"),
        ("electrodes", "lead_off"),
        ("pauses", "pause"),
    ]:
        bed = beds[patient]
        assert condition in conditions(bed.faults.source(bed.source()), 60), patient
    assert conditions(beds["quiet"].source(), 60) == set()
