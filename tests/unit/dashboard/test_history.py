"""History as the patient page gets it, from a real archive."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dashboard import history
from dashboard.history import MAX_SAMPLES, Span
from storage import Reader, open_archive, open_reader
from tests.services.ward import alert, chunk, info

PATIENT = info("s1", leads=("II", "V1"), started=1000.0)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """1000 samples of a ramp, a hole of 500, 500 samples more."""
    url = f"sqlite:///{tmp_path}/archive.sqlite"
    archive = open_archive(url)
    archive.add(PATIENT)
    mv = np.stack([np.linspace(0, 1, 1000), np.linspace(1, 0, 1000)], axis=1)
    archive.add(chunk(PATIENT, 0, mv, now=1004.0))
    archive.add(chunk(PATIENT, 1500, mv[:500], now=1008.0))
    archive.add(alert(PATIENT))
    archive.flush(1010.0)
    reader = open_reader(url)
    yield reader
    reader.close()
    archive.close()


def test_samples_come_back_in_millivolts_with_holes_as_null(reader: Reader) -> None:
    found = history.samples(reader, Span("s1", 900, 1600, ("V1",)))
    assert (found.start, found.stop, found.fs) == (900, 1600, 250.0)
    values = found.leads["V1"]
    assert len(values) == 700
    assert values[100:600] == [None] * 500
    expected = np.linspace(1, 0, 1000)
    np.testing.assert_allclose([v for v in values[:100] if v is not None], expected[900:], atol=0.005)
    np.testing.assert_allclose([v for v in values[600:] if v is not None], expected[:100], atol=0.005)


def test_the_envelope_bounds_every_sample_and_keeps_the_hole(reader: Reader) -> None:
    found = history.envelope(reader, Span("s1", 0, 2000, ("II",)), 40)
    assert len(found.edges) == len(found.low) + 1 == len(found.high) + 1
    for left, right, low, high in zip(found.edges, found.edges[1:], found.low, found.high, strict=False):
        samples = history.samples(reader, Span("s1", left, right, ("II",))).leads["II"]
        present = [v for v in samples if v is not None]
        assert (low, high) == ((min(present), max(present)) if present else (None, None))
    assert None in found.low


def test_a_lead_or_stream_the_archive_does_not_have_is_empty_not_an_error(reader: Reader) -> None:
    assert set(history.samples(reader, Span("s1", 0, 10, ("aVF",))).leads["aVF"]) == {None}
    assert history.envelope(reader, Span("s9", 0, 10, ("II",)), 5).low == []
    assert history.stream(reader, "s9") is None


def test_more_values_than_a_page_needs_are_refused(reader: Reader) -> None:
    with pytest.raises(ValueError, match="at most"):
        history.samples(reader, Span("s1", 0, MAX_SAMPLES + 1, ("II",)))


@pytest.mark.parametrize(("start", "stop"), [(5, 5), (9, 3), (-1, 4)])
def test_a_span_without_samples_is_refused(start: int, stop: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        Span("s1", start, stop, ())


def test_an_archived_stream_tells_where_it_was_and_where_it_ends(reader: Reader) -> None:
    found = history.stream(reader, "s1")
    assert found is not None
    assert (found.bed, found.leads, found.fs, found.end_sample) == ("01", ("II", "V1"), 250.0, 2000)
    assert [a.kind for a in history.alerts(reader, "s1")] == ["asystole"]
