"""Short runs and silences behind a tachycardia, on drawn seconds: no signal, only beats and odds."""

import numpy as np

from dsp.abstract import Second
from dsp.rhythm.no_qrs import NoQrs
from dsp.rhythm.ventricular import PLAIN_ODDS, Ventricular
from leadwire.model import RhythmEpisode
from leadwire.settings import Limits

FS = 250.0
VT, VF = "ventricular_tachycardia", "ventricular_fibrillation"


def second(k: int) -> Second:
    now = Second(stream="t", fs=FS, leads=("II",), start=round(k * FS), stop=round((k + 1) * FS))
    now.known, now.usable, now.measured, now.seeing = now.stop - round(0.5 * FS), True, True, True
    now.flags, now.wave_vf, now.wave_vt, now.wave_rate = (
        [0],
        np.array([-4.0]),
        np.array([-4.0]),
        np.array([0.0]),
    )
    return now


def ventricular(n: int, odds: float) -> list[RhythmEpisode]:
    """What is said of n fast V among slow N, while the waveform has these odds."""
    r = [(0.8 * k, "N") for k in range(10)] + [(7.9 + 0.4 * k, "V") for k in range(n)]
    r += [(r[-1][0] + 1.0 + 0.8 * k, "N") for k in range(8)]
    beats = [(round(at * FS), c) for at, c in r]
    rule, out = Ventricular(Limits()), list[RhythmEpisode]()
    for k in range(18):
        now = second(k)
        now.wave_vt = np.array([odds if 7 < k < 12 else -4.0])
        now.wave_rate = np.array([150.0])
        now.classes = [b for b in beats if b[0] < now.stop][-32:]
        now.classed = [b for b in beats if now.start <= b[0] < now.stop]
        out += rule.second(now)
    return [e for e in out if e.kind == VT and e.end is None]


def test_a_run_shorter_than_the_limit_is_no_tachycardia_and_one_as_long_is() -> None:
    need = Limits().vt_beats
    assert ventricular(need - 2, PLAIN_ODDS + 0.2) == []
    [e] = ventricular(need, PLAIN_ODDS - 0.2)
    assert e.onset == round(7.9 * FS)
    assert e.detected / FS < 13


def silence(overruled: str, last_beat: float) -> float:
    """When asystole is told, s, of a heart that stops in a rhythm that is said to last until 20 s."""
    rule = NoQrs(Limits())
    for k in range(60):
        now = second(k)
        now.overruled = overruled if 5 <= k < 20 else ""
        now.fresh = [
            round(b * FS) for b in np.arange(0.2, last_beat, 0.4) if now.start <= round(b * FS) < now.stop
        ]
        for e in rule.second(now):
            if e.kind == "asystole" and e.end is None:
                return e.detected / FS
    return float("inf")


def test_a_heart_that_stops_out_of_a_tachycardia_is_alarmed_soon_after_its_end() -> None:
    assert silence(VT, 16.0) <= 22.0
    assert silence(VT, 19.5) <= 25.0


def test_where_complexes_were_not_found_the_count_begins_with_the_end_of_the_rhythm() -> None:
    for overruled, last_beat in ((VF, 19.5), (VT, 5.0)):
        assert 23.9 <= silence(overruled, last_beat) <= 25.0


def test_no_beat_is_an_alarm_by_the_end_of_a_tachycardia_alone() -> None:
    assert silence(VT, 30.0) > 33.0
