"""Statistics say what the register says, told by stories that the real desk wrote down."""

import math
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadwire.intervals import INTERVALS, NAMES
from leadwire.statistics import BY, TOTAL, statistics
from tests.timeline.language import play
from tests.timeline.world import T0

ZONE = ZoneInfo("Asia/Shanghai")

ACCEPTED = """
at 10 ventricular_fibrillation on A
at 25 tech: accept A
at 26 dr_wang: seen A
at 35 tech: confirm A
at 50 tech: attempt A contact=Wang result=answered
at 70 tech: read_back A words="start CPR" by=Wang
at 80 dr_wang: clinic_acknowledge A
at 100 dr_wang: state_action A text=CPR
"""

SLOW = """
at 10 ventricular_fibrillation on A
at 100 card: accept A
at 120 card: triage A verdict=artefact
at 130 card: close A reason=artefact
"""

NOBODY = """
at 10 ventricular_fibrillation on A
"""


def story(tmp_path, text):
    file = tmp_path / "story.timeline"
    file.write_text(text, encoding="utf-8")
    return play(file).register


def table(entries, by="kind", now=T0 + 5000, **options):
    return {g.name: g.as_dict() for g in statistics(entries, by, ZONE, now, **options)}


def test_times_are_those_between_the_lines(tmp_path):
    total = table(story(tmp_path, ACCEPTED))[TOTAL]
    assert {name: total[f"{name}_median_s"] for name in NAMES if total[f"{name}_n"]} == {
        "accepted": 15.0,
        "clinic_answered": 16.0,
        "first_attempt": 15.0,
        "reached": 15.0,
        "read_back": 20.0,
        "action": 20.0,
    }
    assert all(
        total[f"{name}_in_target"] == 1.0 for name in ("accepted", "first_attempt", "read_back", "action")
    )
    assert (total["cases"], total["alerts"], total["high"], total["true_actionable"]) == (1, 1, 1, 1)


def test_an_alarm_that_nobody_accepts_is_missed_once_its_target_is_over(tmp_path):
    entries = story(tmp_path, NOBODY)
    early, late = (table(entries, now=T0 + at)[TOTAL] for at in (60, 80))
    assert (early["accepted_n"], early["accepted_missed"], early["accepted_in_target"]) == (0, 0, None)
    assert (late["accepted_n"], late["accepted_missed"], late["accepted_in_target"]) == (0, 1, 0.0)
    assert late["accepted_median_s"] is None
    assert late["unlabelled"] == 1


def test_ppv_is_of_what_was_labelled_true_or_artefact(tmp_path):
    entries = [e for text in (ACCEPTED, SLOW, NOBODY) for e in renamed(story(tmp_path, text), text)]
    rows = table(entries)
    total = rows[TOTAL]
    assert rows["ventricular_fibrillation"]["cases"] == total["cases"] == 3
    assert (total["true_actionable"], total["artefact"], total["unlabelled"]) == (1, 1, 1)
    assert total["ppv"] == 0.5
    assert (total["accepted_n"], total["accepted_missed"]) == (2, 1)
    assert total["accepted_in_target"] == pytest.approx(1 / 3, abs=1e-3)
    assert total["accepted_median_s"] == 52.5
    assert total["accepted_p90_s"] == 90.0


def renamed(entries, text):
    """The same story of another patient."""
    from msgspec import structs

    mark = f"{hash(text) & 0xFFFF:x}-"
    return [structs.replace(e, id=mark + e.id, alert=mark + e.alert) for e in entries if e.alert]


def test_a_person_has_what_they_labelled_and_ended(tmp_path):
    entries = [e for text in (ACCEPTED, SLOW) for e in renamed(story(tmp_path, text), text)]
    rows = table(entries, by="person")
    assert rows["tech"]["accepted_median_s"] == 15.0
    assert rows["card"]["accepted_median_s"] == 90.0
    assert rows["card"]["artefact"] == 1
    assert rows["card"]["ppv"] == 0.0
    assert rows["dr_wang"]["clinic_answered_n"] == 1
    assert rows["dr_wang"]["cases"] == 0
    assert "" not in rows


def test_months_are_local_and_a_span_takes_the_cases_opened_in_it(tmp_path):
    entries = story(tmp_path, ACCEPTED)
    assert set(table(entries, by="month")) == {TOTAL, "2023-11"}
    assert table(entries, since=T0 + 10, until=T0 + 11)[TOTAL]["cases"] == 1
    assert table(entries, since=T0 + 11)[TOTAL]["cases"] == 0
    assert table(entries, until=T0 + 10)[TOTAL]["cases"] == 0


def test_a_clinics_alarms_a_patient_day(tmp_path):
    entries = story(tmp_path, ACCEPTED)
    (clinic,) = set(table(entries, by="clinic")) - {TOTAL}
    rows = table(entries, by="clinic", patient_days={clinic: 0.5, "quiet": 1.5})
    assert rows[clinic]["alerts_per_patient_day"] == 2.0
    assert rows["quiet"]["alerts_per_patient_day"] == 0.0
    assert rows[TOTAL]["alerts_per_patient_day"] == 0.5
    assert table(entries)[TOTAL]["alerts_per_patient_day"] is None


def test_seconds_to_the_alarm_count_from_the_onset_where_it_is_known(tmp_path):
    entries = story(tmp_path, ACCEPTED)
    known = table(entries, onset_at=lambda case: case.opened_at - 7.5)[TOTAL]
    assert (known["raised_n"], known["raised_median_s"], known["raised_in_target"]) == (1, 7.5, 1.0)
    slow = table(entries, onset_at=lambda case: case.opened_at - 12)[TOTAL]
    assert slow["raised_in_target"] == 0.0
    assert table(entries, onset_at=lambda case: case.opened_at + 60)[TOTAL]["raised_n"] == 0


def test_tests_tasks_and_late_data_hurry_nobody(tmp_path):
    text = """
at 10 test_alarm on A
at 10 tech: test_alarm clinic=V
at 20 atrial_fibrillation on B
"""
    text = "\n".join(line for line in text.splitlines() if not line.endswith("on A"))
    total = table(story(tmp_path, text))[TOTAL]
    assert total["tests"] == 1
    assert total["cases"] == 1
    assert total["accepted_missed"] == 0


def test_the_stemi_clock_is_measured_between_its_marks(tmp_path):
    text = """
at 600 infarction_acute on A
at 610 card: clock A mark=first_medical_contact at=0
at 611 card: clock A mark=ecg at=590
at 613 card: clock A mark=diagnosis at=613
at 4000 card: clock A mark=arrival at=3900
at 9900 card: clock A mark=wire at=9800
"""
    total = table(story(tmp_path, text), now=T0 + 20_000)[TOTAL]
    assert (total["contact_to_ecg_median_s"], total["contact_to_ecg_in_target"]) == (590.0, 1.0)
    assert total["ecg_to_diagnosis_median_s"] == 23.0
    assert (total["arrival_to_wire_median_s"], total["arrival_to_wire_in_target"]) == (5900.0, 0.0)
    assert total["diagnosis_to_activation_n"] == 0


def test_sending_a_message_counts_from_the_page_to_its_receipt(tmp_path):
    text = """
at 10 ventricular_fibrillation on A
at 13 channel: receipt A page=dr_wang state=sent channel=sms
at 14 channel: receipt A page=tech state=sent channel=sms
"""
    total = table(story(tmp_path, text))[TOTAL]
    assert (total["notified_median_s"], total["notified_in_target"]) == (4.0, 1.0)


@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_entries_that_come_again_count_once(tmp_path_factory, data):
    entries = story(tmp_path_factory.mktemp("story"), ACCEPTED)
    doubled = list(entries)
    for at in data.draw(st.lists(st.integers(0, len(entries) - 1), max_size=8)):
        place = doubled.index(entries[at])
        doubled.insert(data.draw(st.integers(place, len(doubled))) + 1, entries[at])
    for by in BY:
        assert table(doubled, by) == table(entries, by)


def test_nothing_gives_a_total_of_nothing():
    (total,) = statistics([], "clinic", ZONE, math.inf)
    row = total.as_dict()
    assert row["cases"] == 0
    assert row["ppv"] is None
    assert set(row) >= {f"{i.name}_in_target" for i in INTERVALS}
