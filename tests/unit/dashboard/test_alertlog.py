"""The alert log: in order, each once, and honest about what it no longer has."""

from hypothesis import given
from hypothesis import strategies as st

from dashboard.alertlog import ENDED_SHOWN_S, AlertLog
from tests.services.ward import alert, info

PATIENT = info("s1")


def _log(seqs: list[int], kept: int = 100) -> AlertLog:
    log = AlertLog(kept)
    for seq in seqs:
        log.add(seq, alert(PATIENT, onset=seq))
    return log


@given(
    gaps=st.lists(st.integers(1, 3), max_size=30),
    again=st.lists(st.integers(0, 29), max_size=10),
    stops=st.lists(st.integers(1, 5), max_size=60),
)
def test_a_client_that_resumes_after_any_cuts_gets_every_transition_once_in_order(
    gaps: list[int], again: list[int], stops: list[int]
) -> None:
    seqs = [sum(gaps[: i + 1]) for i in range(len(gaps))]
    log = AlertLog(100)
    received: list[int] = []
    at = seqs[0] if seqs else 0
    for i, seq in enumerate(seqs):
        assert log.add(seq, alert(PATIENT, onset=seq))
        for old in again:  # the bus delivers at least once
            if old <= i:
                assert not log.add(seqs[old], alert(PATIENT, onset=seqs[old]))
        if stops and i % stops[0] == 0:
            for entry in log.since(at, stops.pop(0)) or []:
                received.append(entry.seq)
                at = entry.seq + 1
    while entries := log.since(at, 3):
        received += [e.seq for e in entries]
        at = received[-1] + 1
    assert received == seqs


def test_a_sequence_number_that_is_no_longer_kept_or_never_was_is_refused() -> None:
    log = _log(list(range(10)), kept=4)
    assert log.oldest == 6
    assert log.since(5, 10) is None
    assert [e.seq for e in log.since(6, 10) or []] == [6, 7, 8, 9]
    assert log.since(10, 10) == []
    assert log.since(11, 10) is None


def test_an_empty_log_can_be_resumed_from_its_beginning_only() -> None:
    assert AlertLog().since(0, 10) == []
    assert AlertLog().since(1, 10) is None


def test_the_present_state_of_an_alert_outlives_its_transitions() -> None:
    log = AlertLog(kept=2)
    log.add(0, alert(PATIENT, onset=5))
    for seq in range(1, 10):
        log.add(seq, alert(PATIENT, kind="pause", onset=seq))
    assert log.since(0, 1) is None
    assert 5 in [e.alert.onset for e in log.present(0.0) if e.alert.kind == "asystole"]


def test_an_older_version_published_again_does_not_bring_an_ended_alert_back() -> None:
    log = AlertLog()
    log.add(0, alert(PATIENT))
    log.add(1, alert(PATIENT, version=2, state="ended", end=100, changed_at=1000.0))
    log.add(2, alert(PATIENT))
    [entry] = log.present(1000.0)
    assert entry.alert.state == "ended"


def test_ended_alerts_leave_the_present_after_a_while_and_active_ones_never() -> None:
    log = AlertLog()
    log.add(0, alert(PATIENT, state="ended", changed_at=1000.0, version=2))
    log.add(1, alert(PATIENT, kind="pause", changed_at=0.0))
    assert len(log.present(1000.0 + ENDED_SHOWN_S)) == 2
    assert [e.alert.kind for e in log.present(1001.0 + ENDED_SHOWN_S)] == ["pause"]


def test_what_is_no_alert_holds_nobody_up() -> None:
    log = AlertLog()
    log.skip(0)
    log.add(1, alert(PATIENT))
    assert [e.seq for e in log.since(0, 10) or []] == [1]
