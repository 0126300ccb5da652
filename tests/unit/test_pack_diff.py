"""What two packs make of the same events."""

from alerts.diff import Difference, announced, spelled_out, wide_limits
from alerts.pack_files import Pack, load_pack
from leadwire.model import HeartRate, StreamEvent
from leadwire.settings import Limits
from tests.unit.condition_world import FS, T0, pack, said, stream_info


def night() -> list[StreamEvent]:
    """Five minutes: AF, a pause of 3.2 s, an asystole; the rate is 100 throughout."""
    events: list[StreamEvent] = []
    said_at = {
        100: said("atrial_fibrillation", 90, 0.9, detected=99.9),
        150: said("pause", 146, 3.2, detected=149.9),
        152: said("pause", 146, 3.2, end=149.2, detected=149.9),
        200: said("asystole", 195, 4.5, detected=199.9),
        210: said("asystole", 195, 4.5, end=209, detected=199.9),
        290: said("atrial_fibrillation", 90, 0.9, end=280, detected=99.9),
    }
    for second in range(1, 301):
        events.append(HeartRate(stream="a", sample=round(second * FS), rate=100.0))
        if second in said_at:
            events.append(said_at[second])
    return events


def compare(a: Pack, b: Pack) -> Difference:
    found = Difference(a.label, b.label)
    left, right = announced(stream_info(), night(), [a, b])
    found.add(left, right, 300.0)
    return found


def row(found: Difference, kind: str = "") -> dict[str, object]:
    return next(r for r in found.table() if r["kind"] == kind)


def test_a_pack_against_itself_differs_in_nothing() -> None:
    found = compare(pack(), pack())
    assert (found.only_a, found.only_b, found.changed) == ([], [], [])
    assert row(found)["a"] == row(found)["b"] == 3


def test_lost_gained_and_changed_are_told_apart() -> None:
    b = pack(pause={"priority": "high", "off": True}, asystole={"priority": "high", "latching": False})
    found = compare(pack(), b)
    assert [alarm.kind for alarm in found.only_a] == ["pause"]
    assert found.only_b == []
    back = compare(b, pack())
    assert [alarm.kind for alarm in back.only_b] == ["pause"]
    critical = compare(pack(), load_pack("critical-zhejiang"))
    changed = {x.kind: (x.manner, y.manner) for x, y in critical.changed}
    assert changed["pause"] == (("medium", "", "siren"), ("high", "critical", "siren"))
    assert "atrial_fibrillation" not in changed
    assert row(critical, "pause")["changed"] == 1


def test_alarms_are_counted_a_patient_day_and_timed() -> None:
    found = compare(pack(), pack(pause={"priority": "low", "notify": "task"}))
    assert found.patient_days == 300 / 86400
    assert row(found)["a_per_patient_day"] == 3 * 86400 / 300
    assert row(found)["b_sirens"] == {"high": 1, "low": 1}
    assert row(found, "asystole")["a_seconds_to_alarm"] == 5.0
    assert (found.all_a[1].onset, found.all_a[1].end) == (T0 + 146, T0 + 149.2)


def test_the_detectors_are_set_as_wide_as_both_packs_ask() -> None:
    wide = wide_limits(Limits(), (load_pack("monitor-adult"), load_pack("monitor-paediatric")))
    assert (wide.bradycardia, wide.extreme_bradycardia, wide.tachycardia) == (75.0, 40.0, 120.0)
    assert wide_limits(Limits(tachycardia=130.0), (load_pack("monitor-adult"),)).tachycardia == 120.0


def test_a_pack_that_leaves_a_limit_to_the_detectors_keeps_the_one_they_are_set_to() -> None:
    loose = pack(svt={"priority": "medium"}, bradycardia={"priority": "low"})
    meant = spelled_out(loose, Limits(svt_rate=170.0))
    assert (meant.rules["svt"][0].at_least, meant.rules["svt"][0].unit) == (170.0, "1/min")
    assert meant.rules["bradycardia"][0].at_most == 50.0
    assert meant.rules["pause"] == loose.rules["pause"]
