"""The patient page in a real browser: every lead at scale, the past from a real archive."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from leadwire.runner import Runner
from storage import open_archive, open_reader
from storage.service import ArchiveStage
from tests.services.browser import OpenPage, until
from tests.services.ward import Ward

pytestmark = pytest.mark.browser

PX_PER_MM = 4.0
LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")

# Height of what has the colour of the trace, between two rows of its canvas.
EXTENT = """(top, bottom) => {
  const canvas = document.querySelector("canvas.traces");
  const { width } = canvas;
  const { data } = canvas.getContext("2d").getImageData(0, top, width, bottom - top);
  let first = -1, last = -1;
  for (let i = 0; i < data.length; i += 4)
    if (data[i + 3] > 120 && data[i + 1] > 150 && data[i] < 120) {
      const y = Math.floor(i / 4 / width);
      if (first < 0) first = y;
      last = y;
    }
  return last - first;
}"""


def square(t: np.ndarray) -> np.ndarray:
    return (t % 1.0 < 0.5).astype(np.float64)


def until_archived(ward: Ward, sample: int, ended: bool = False) -> None:
    """Wait until the archive holds s1 up to `sample`, and, if so asked, knows that it ended."""
    reader = ward.reader
    assert reader is not None

    def there() -> bool:
        known = reader.stream("s1")
        over = known is not None and known.info is not None and known.info.ended is not None
        return known is not None and known.end_sample >= sample and over >= ended

    until(there)


@pytest.fixture
def ward(tmp_path: Path, chromium: Browser) -> Iterator[Ward]:
    """A ward whose archive is fed by the real stage."""
    url = f"sqlite:///{tmp_path}/archive.sqlite"
    archive, reader = open_archive(url), open_reader(url)
    made = Ward(tmp_path, reader)
    stop = threading.Event()
    runner = threading.Thread(target=Runner(made.bus, ArchiveStage(archive, 0.5)).run, args=(stop,))
    runner.start()
    yield made
    stop.set()
    runner.join()
    made.close()
    reader.close()
    archive.close()


@pytest.mark.parametrize("gain", [5, 10, 20])
def test_every_lead_is_drawn_at_the_chosen_gain(ward: Ward, open_page: OpenPage, gain: int) -> None:
    ward.admit("s1", leads=("II",))
    page = open_page("patient?stream=s1", width=700, px_per_mm=PX_PER_MM)
    with ward.playing("s1", wave=square):
        page.get_by_role("button", name=str(gain), exact=True).first.click()
        expect(page.locator("#head")).to_have_attribute("data-link", "live")
        begin = page.evaluate("leadwire.buffer.head")
        # Both levels, and twice the way between.
        until(lambda: page.evaluate("leadwire.buffer.head") > begin + 500)
        height = page.evaluate(f"({EXTENT})(0, document.querySelector('canvas.traces').height)")
    assert height == pytest.approx(gain * PX_PER_MM, abs=3)
    expect(page.locator(".scale")).to_have_text(f"25 mm/s · {gain} mm/mV")


def test_twelve_leads_have_two_layouts_and_three_speeds(ward: Ward, open_page: OpenPage) -> None:
    ward.admit("s1", leads=LEADS)
    page = open_page("patient?stream=s1", px_per_mm=PX_PER_MM)
    sweeps = "leadwire.view.sweeps.map(s => s.lanes.length)"
    with ward.playing("s1", wave=square):
        expect(page.locator("#head")).to_have_attribute("data-link", "live")
        until(lambda: page.evaluate(sweeps) == [6, 6])
        page.get_by_role("button", name="12×1").click()
        until(lambda: page.evaluate(sweeps) == [12])
        assert page.evaluate("leadwire.view.sweeps[0].lanes.map(l => l.lead)") == list(range(12))
        for speed in ("12.5", "50"):
            page.get_by_role("button", name=speed, exact=True).click()
            per_second = "leadwire.view.sweeps[0].column(leadwire.buffer, 250)"
            wanted = pytest.approx(float(speed) * PX_PER_MM)
            until(lambda p=per_second, w=wanted: page.evaluate(p) == w)  # type: ignore[misc]


def test_beats_are_marked_where_they_are(ward: Ward, open_page: OpenPage) -> None:
    ward.admit("s1")
    page = open_page("patient?stream=s1", px_per_mm=PX_PER_MM)
    with ward.playing("s1", wave=square):
        expect(page.locator("#head")).to_have_attribute("data-link", "live")
        ward.beat("s1", 250, "N")
        ward.beat("s1", 300, "V")
        until(lambda: page.evaluate("[250, 300].every(s => leadwire.view.sweeps[0].marked.has(s))"))


def test_a_moment_of_the_past_is_shown_whole_and_the_live_trace_comes_back(
    ward: Ward, open_page: OpenPage
) -> None:
    ward.admit("s1", leads=("II", "V1"))
    with ward.playing("s1", wave=square):
        until_archived(ward, 700)
        ward.alert("s1", kind="pause", priority="medium", onset=250)
        page = open_page("patient?stream=s1", width=700, px_per_mm=PX_PER_MM)
        page.click("#list button")
        expect(page.locator("#recorded")).to_contain_text("Recorded")
        review = "leadwire.review"
        assert page.evaluate(f"{review}.start <= 250 && 250 < {review}.stop")
        # Sample by sample what was sent: half a second of 1 mV, half a second of 0.
        ring = page.evaluate(f"Array.from({review}.copy.leads.get(0).mv).slice(0, 400)")
        start = page.evaluate(f"{review}.start")
        expected = square((start + np.arange(400)) / 250.0)
        known = [i for i, v in enumerate(ring) if v is not None and v == v]
        assert len(known) > 200
        assert np.allclose([ring[i] for i in known], expected[known], atol=0.01)
        expect(page.locator("#list")).to_contain_text("Pause")
        page.keyboard.press("Escape")
        expect(page.locator("#recorded")).to_have_count(0)
        head = page.evaluate("leadwire.buffer.head")
        until(lambda: page.evaluate("leadwire.buffer.head") > head)


def test_a_recording_that_ended_long_ago_opens_from_the_archive(ward: Ward, open_page: OpenPage) -> None:
    ward.admit("s1", bed="05", started=time.time() - 90_000)
    ward.send("s1", square(np.arange(2500) / 250))
    ward.admit("s1", bed="05", started=time.time() - 90_000, ended=time.time() - 80_000)
    until_archived(ward, 2500, ended=True)
    page = open_page("patient?stream=s1")
    expect(page.locator("#head")).to_contain_text("Bed 05")
    expect(page.locator("#head .age")).to_contain_text("ended")
    # Not wait_for_function: it evaluates later what the page's policy forbids.
    until(lambda: page.evaluate("leadwire.past?.data?.edges.length > 0"))
    expect(page.locator(".history-note")).to_be_hidden()
    page.locator("#strip canvas").click()
    expect(page.locator("#recorded")).to_be_visible()


def test_other_patients_alarms_stay_in_sight(ward: Ward, open_page: OpenPage) -> None:
    ward.admit("s1", bed="01")
    ward.admit("s2", bed="02")
    page = open_page("patient?stream=s1")
    page.wait_for_selector("#tools button")
    ward.alert("s2")
    expect(page.locator(".card[data-priority=high]")).to_contain_text("Bed 02")
    expect(page.locator("#head")).to_have_attribute("data-priority", "none")
