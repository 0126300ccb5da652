"""The trace of a tile in a real browser: true to scale, at true speed, and a gap stays a gap."""

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page, expect

from tests.services.browser import OpenPage, until
from tests.services.ward import Ward

pytestmark = pytest.mark.browser

PX_PER_MM = 4.0

# Per column of a tile's canvas: first and last row of the trace's colour (-1: none), whether it is hatched.
COLUMNS = """() => {
  const canvas = document.querySelector(".tile canvas");
  const { width, height } = canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  const columns = [];
  for (let x = 0; x < width; x++) {
    let top = -1, bottom = -1, hatch = false;
    for (let y = 0; y < height; y++) {
      const [r, g, b, a] = data.subarray(4 * (y * width + x), 4 * (y * width + x) + 4);
      if (a > 120 && g > 150 && r < 120) { if (top < 0) top = y; bottom = y; }
      else if (a > 60 && Math.abs(r - 0x46) < 25 && Math.abs(g - 0x52) < 25) hatch = true;
    }
    columns.push([top, bottom, hatch ? 1 : 0]);
  }
  return columns;
}"""


def square(t: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 mV for half a second, 0 for half a second."""
    return (t % 1.0 < 0.5).astype(np.float64)


def flat(t: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.1 * np.sin(2 * np.pi * t)


def _columns(page: Page) -> NDArray[np.int64]:
    return np.array(page.evaluate(COLUMNS))


def _head(page: Page) -> float:
    return float(page.evaluate("[...leadwire.tiles.values()][0]?.buffer.head ?? -1"))


def _full_sweep(page: Page, fs: float = 250.0) -> None:
    """Wait until the trace has gone round the tile once."""
    width = page.evaluate("document.querySelector('.tile canvas').width")
    begin = _head(page)
    until(lambda: _head(page) - begin > width / (25 * PX_PER_MM) * fs)


def test_a_second_is_25_mm_wide_and_a_millivolt_10_mm_high(ward: Ward, open_page: OpenPage) -> None:
    ward.admit("s1")
    page = open_page(px_per_mm=PX_PER_MM, width=500)
    with ward.playing("s1", wave=square):
        page.wait_for_selector(".tile[data-link=live]")
        _full_sweep(page)
        columns = _columns(page)
    traced = columns[columns[:, 0] >= 0]
    # A flank spans both levels; its rows give the height of 1 mV.
    heights = traced[:, 1] - traced[:, 0]
    flanks = np.flatnonzero((columns[:, 1] - columns[:, 0] > 20) & (columns[:, 0] >= 0))
    flanks = flanks[np.concatenate(([True], np.diff(flanks) > 5))]
    assert heights.max() == pytest.approx(10 * PX_PER_MM, abs=3)  # the line itself is 1.5 px wide
    level = (traced[:, 0] + traced[:, 1]) / 2
    low, high = level[level > np.median(level) + 10].mean(), level[level < np.median(level) - 10].mean()
    quiet = level[heights < 4]
    assert quiet.max() - quiet.min() == pytest.approx(10 * PX_PER_MM, abs=1.5)
    assert low > high
    # Half a second between flanks; where the sweep begins anew the distance is another.
    distances = np.diff(flanks)
    assert len(distances) >= 4
    assert np.median(distances) == pytest.approx(0.5 * 25 * PX_PER_MM, abs=1)
    assert np.sum(np.abs(distances - 0.5 * 25 * PX_PER_MM) > 2) <= 1
    expect(page.locator(".scale")).to_have_text("25 mm/s · 10 mm/mV")


# A playhead's steps on the page's own clock: [s, samples], while data were ahead of it.
STEPS = """async () => {
  const { buffer } = [...leadwire.tiles.values()][0];
  const steps = [];
  while (steps.length < 100) {
    const before = { ...buffer };
    await new Promise(requestAnimationFrame);
    const passed = buffer.lastStep - before.lastStep;
    if (passed > 0 && passed < 1 && buffer.head < buffer.end) steps.push([passed, buffer.head - before.head]);
  }
  return steps;
}"""

# Two seconds of a playhead on a manual clock, 60 frames a second, five packets a second: samples passed.
MANUAL = """async () => {
  const { StreamBuffer } = await import("/static/buffer.js");
  const buffer = new StreamBuffer();
  const frame = (i) => ({ first: 50 * i, n: 50, fs: 250, taken: 0, received: 0, leads: [] });
  let begin = 0;
  for (let k = 0; k < 22 * 60; k++) {
    if (k % 12 === 0) buffer.write(frame(k / 12), k / 60);
    buffer.step(k / 60);
    if (k === 20 * 60 - 1) begin = buffer.head;
  }
  return buffer.head - begin;
}"""


def test_the_trace_moves_at_true_speed_behind_an_erase_bar_of_8_to_10_px(
    ward: Ward, open_page: OpenPage
) -> None:
    ward.admit("s1")
    page = open_page(px_per_mm=PX_PER_MM, width=500)
    with ward.playing("s1", wave=flat):
        page.wait_for_selector(".tile[data-link=live]")
        _full_sweep(page)
        steps = np.array(page.evaluate(STEPS))
        columns = _columns(page)
    assert page.evaluate(MANUAL) == pytest.approx(2 * 250, rel=0.01)
    # However late frames and packets are: never slower than 0.9 nor faster than 1.25 times, but for a jump.
    speed = steps[:, 1] / (250 * steps[:, 0])
    assert np.mean((speed > 0.899) & (speed < 1.251)) > 0.9
    empty = columns[:, 0] < 0
    empty = np.roll(empty, -int(np.flatnonzero(~empty)[0]))  # the bar may lie across the tile's edge
    edges = np.flatnonzero(np.diff(np.concatenate(([0], empty, [0]))))
    runs = edges[1::2] - edges[::2]
    assert runs.max() in range(7, 13)
    assert np.sum(runs > 3) == 1


def test_a_gap_is_hatched_for_its_whole_length_and_never_joined(ward: Ward, open_page: OpenPage) -> None:
    ward.admit("s1")
    page = open_page(px_per_mm=PX_PER_MM, width=500)
    all_drawn = "[...leadwire.tiles.values()].every(({ buffer: b }) => b.head === b.end)"
    with ward.playing("s1", wave=flat):
        page.wait_for_selector(".tile[data-link=live]")
    until(lambda: page.evaluate(all_drawn))
    before = _head(page)
    ward.skip("s1", 250)
    for i in range(5):
        ward.send("s1", flat((before + np.arange(50 * i, 50 * i + 50)) / 250))
    until(lambda: _head(page) == before + 500)
    columns = _columns(page)
    hatched = columns[:, 2] == 1
    assert np.sum(hatched) == pytest.approx(25 * PX_PER_MM, abs=4)
    first, last = np.flatnonzero(hatched)[[0, -1]]
    if last - first == np.sum(hatched) - 1:  # it does not lie across the edge of the tile
        assert np.all(columns[first + 2 : last - 1, 0] < 0)
