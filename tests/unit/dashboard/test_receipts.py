"""The receipts that a page gives: each page of a person has its own."""

from dashboard.case_socket import _safe


def test_pages_of_cases_with_long_names_are_told_apart() -> None:
    case = "d" * 170
    ids = {_safe(f"{case}/p{n}") for n in range(50)}
    assert len(ids) == 50
    assert all(len(i) <= 120 for i in ids)


def test_a_short_id_stays_readable() -> None:
    assert _safe("s1:0:asystole/p1") == "s1:0:asystole/p1"
