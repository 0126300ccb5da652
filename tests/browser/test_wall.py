"""The wall in a real browser: what is drawn is true to scale, what is missing seen, what is urgent loud."""

import time

import pytest
from playwright.sync_api import expect

from tests.services.browser import OpenPage, until, untouched
from tests.services.ward import Ward

pytestmark = pytest.mark.browser

PX_PER_MM = 4.0

# What the page shows of each alert when it has taken it, and after each of its four ticks a second.
WATCH = """() => {
  window.seen = [];
  const cards = () => document.querySelectorAll(".card[data-priority=high]").length;
  const { alerts } = leadwire.shell, take = alerts.on.alert, tick = leadwire.shell.ontick;
  alerts.on.alert = (view) => {
    take(view);
    window.seen.push({ announced: document.querySelectorAll("#live p").length, ticks: 0, cards: cards() });
  };
  leadwire.shell.ontick = (...args) => {
    tick(...args);
    const last = window.seen.at(-1);
    if (!last || last.cards === window.seen.length) return;
    last.ticks++;
    last.cards = cards();
  };
}"""


def test_a_high_alert_is_announced_at_once_and_seen_with_the_next_tick(
    ward: Ward, open_page: OpenPage
) -> None:
    ward.admit("s1", bed="07")
    page = open_page()
    page.wait_for_selector(".tile")
    expect(page.locator(".rail-calm")).to_have_text("No active alarms")
    page.evaluate(WATCH)
    for onset, kind in enumerate(("asystole", "extreme_tachycardia", "extreme_bradycardia")):
        ward.alert("s1", kind=kind, onset=onset)
        page.wait_for_selector(f".card[data-priority=high] >> nth={onset}")
    assert page.evaluate("window.seen") == [{"announced": n, "ticks": 1, "cards": n} for n in (1, 2, 3)]
    assert page.locator("#live").get_attribute("aria-live") == "assertive"
    expect(page.locator("#live p").first).to_have_text("High priority alarm. Asystole. Bed 07, Linxi.")
    expect(page.locator(".tile[data-priority=high] .word")).to_contain_text("EXTREME BRADY")


def test_only_new_high_alarms_are_announced(ward: Ward, open_page: OpenPage) -> None:
    ward.admit("s1")
    ward.alert("s1", onset=1)
    page = open_page()
    page.wait_for_selector(".card[data-priority=high]")
    ward.alert("s1", kind="tachycardia", priority="medium", onset=2)
    ward.alert("s1", kind="lead_off", priority="low", onset=3)
    ward.alert("s1", onset=1, version=2, state="ended", end=100)
    page.wait_for_selector(".card[data-state=ended]")
    assert page.locator("#live p").count() == 0


def test_priority_is_said_by_shape_and_stars_not_by_colour_alone(ward: Ward, open_page: OpenPage) -> None:
    ward.admit("s1")
    page = open_page()
    for onset, (kind, priority) in enumerate(
        [("asystole", "high"), ("tachycardia", "medium"), ("noisy", "low")]
    ):
        ward.alert("s1", kind=kind, priority=priority, onset=onset)
    page.wait_for_selector(".card >> nth=2")
    stars = page.locator(".card .mark b").all_text_contents()
    shapes = page.evaluate(
        "[...document.querySelectorAll('.card .shape')].map(s => s.firstChild.tagName + s.innerHTML)"
    )
    assert stars == ["***", "**", "*"]
    assert len(set(shapes)) == 3


def test_the_number_of_hidden_alarms_is_always_on_the_screen(ward: Ward, open_page: OpenPage) -> None:
    ward.admit("s1")
    page = open_page()
    expect(page.locator(".rail-hidden")).to_have_text("Hidden alarms: 0")
    for onset in range(20):
        ward.alert("s1", kind="pause", priority="medium", onset=onset)
    page.wait_for_selector(".card >> nth=19")
    visible = page.evaluate("""() => {
      const box = document.querySelector(".rail-cards").getBoundingClientRect();
      return [...document.querySelectorAll(".card")].filter(c => {
        const b = c.getBoundingClientRect();
        return b.top >= box.top - 1 && b.bottom <= box.bottom + 1 && b.right <= box.right + 1;
      }).length;
    }""")
    assert 0 < visible < 20
    expect(page.locator(".rail-hidden")).to_have_text(f"Hidden alarms: {20 - visible}")
    page.click(".rail-hidden")
    expect(page.locator(".rail-hidden")).to_have_text("Hidden alarms: 0")


def test_a_lost_server_is_loud_and_on_its_return_no_alert_is_lost_or_doubled(
    ward: Ward, open_page: OpenPage
) -> None:
    ward.admit("s1")
    page = open_page(outage=True)
    page.wait_for_selector(".tile")
    page.evaluate("""() => {
      window.got = [];
      const take = leadwire.shell.alerts.on.alert;
      leadwire.shell.alerts.on.alert = (view) => { window.got.push(view.seq); take(view); };
    }""")
    for onset in range(5):
        ward.alert("s1", onset=onset)
    until(lambda: page.evaluate("window.got.length === 5"))
    ward.service.stop()
    expect(page.locator("#banner")).to_contain_text("CONNECTION TO THE SERVER LOST")
    for onset in range(5, 10):
        ward.alert("s1", onset=onset)
    ward.restart()
    until(lambda: page.evaluate("window.got.length >= 10"))
    expect(page.locator("#banner")).to_be_hidden()
    for onset in range(10, 13):
        ward.alert("s1", onset=onset)
    until(lambda: page.evaluate("window.got.length >= 13"))
    assert page.evaluate("window.got") == list(range(13))
    # A slow machine may have a card for the missing data, too.
    expect(page.locator(".card[data-priority=high]")).to_have_count(13)


def test_tiles_keep_their_places_when_beds_alarm_come_and_change_recordings(
    ward: Ward, open_page: OpenPage
) -> None:
    for bed in ("10", "2", "1"):
        ward.admit(f"s{bed}", bed=bed)
    page = open_page()
    beds = page.locator(".tile .bed")
    expect(beds).to_have_text(["1", "2", "10"])
    ward.alert("s10")
    ward.admit("s0", bed="0")
    expect(beds).to_have_text(["1", "2", "10", "0"])
    ward.admit("s2-again", bed="2")
    page.wait_for_selector(".tile[href$='s2-again']")
    expect(beds).to_have_text(["1", "2", "10", "0"])


def test_the_language_switches_while_it_runs_and_is_kept(ward: Ward, open_page: OpenPage) -> None:
    ward.admit("s1")
    ward.alert("s1")
    page = open_page()
    expect(page.locator(".card-kind")).to_have_text("Asystole")
    page.click(".language")
    expect(page.locator(".card-kind")).to_have_text("心脏停搏")
    expect(page.locator(".tile .word")).to_contain_text("停搏")
    expect(page.locator("footer strong")).to_have_text("非经认证的医疗器械")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    page.reload()
    expect(page.locator(".card-kind")).to_have_text("心脏停搏")
    page.keyboard.press("l")
    expect(page.locator(".card-kind")).to_have_text("Asystole")


def test_a_chinese_browser_gets_chinese(ward: Ward, open_page: OpenPage) -> None:
    page = open_page(locale="zh-CN")
    expect(page.locator("#empty h2")).to_have_text("尚无床位连接")
    expect(page.locator(".rail-calm")).to_have_text("无活动报警")


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
def test_a_phone_shows_everything_without_scrolling_sideways(
    ward: Ward, open_page: OpenPage, locale: str
) -> None:
    ward.admit("s1", bed="A very long bed name 17", clinic="Clinic with a name that does not end soon")
    ward.admit("s2", bed="02")
    ward.alert("s1", kind="extreme_bradycardia")
    ward.alert("s2", kind="tachycardia", priority="medium")
    for path in ("", "patient?stream=s1"):
        page = open_page(path, width=390, height=844, locale=locale)
        page.wait_for_selector(".card")
        time.sleep(0.3)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        expect(page.locator("footer strong")).to_be_visible()
        expect(page.locator(".rail-hidden")).to_be_visible()


def test_sound_that_the_browser_blocks_is_said_until_a_click(ward: Ward, open_page: OpenPage) -> None:
    page = open_page()
    ask = untouched(page)
    says = "document.querySelector('.audio')?.textContent"
    until(lambda: ask(says) == "NO SOUND — click to enable")
    left, top = ask("""(() => {
      addEventListener("click", () => { window.clicked = true; });
      const box = document.querySelector(".audio").getBoundingClientRect();
      return [box.x + box.width / 2, box.y + box.height / 2];
    })()""")
    assert not ask("navigator.userActivation.hasBeenActive")
    # A slow press: sound is on before the finger is up, and the click must not pause it again.
    page.mouse.move(left, top)
    page.mouse.down()
    until(lambda: ask(says) == "Audio on")
    page.mouse.up()
    until(lambda: ask("window.clicked"))
    expect(page.locator(".audio")).to_have_text("Audio on")
    page.keyboard.press("a")
    expect(page.locator(".audio")).to_contain_text("AUDIO PAUSED")
    page.keyboard.press("a")
    expect(page.locator(".audio")).to_have_text("Audio on")
    ward.admit("s1")
    ward.alert("s1")
    until(lambda: page.evaluate("leadwire.shell.sound.played > 0"))


def test_the_wall_is_worked_by_keyboard(ward: Ward, open_page: OpenPage) -> None:
    for i in range(3):
        ward.admit(f"s{i}", bed=f"{i}")
    page = open_page()
    page.wait_for_selector(".tile >> nth=2")
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    page.wait_for_url("**/patient?stream=s1")
    page.wait_for_selector("#tools button")
    page.keyboard.press("Escape")
    page.wait_for_selector(".tile")


def test_a_screen_that_was_never_measured_says_so_until_it_is(ward: Ward, open_page: OpenPage) -> None:
    page = open_page()
    expect(page.locator(".scale")).to_contain_text("not to scale")
    page.click(".scale")
    page.locator("dialog input").fill("5.2")
    assert page.locator(".card-bar").bounding_box()["width"] == pytest.approx(5.2 * 85.6, abs=1)  # type: ignore[index]
    page.click("dialog .primary")
    expect(page.locator(".scale")).to_have_text("25 mm/s · 10 mm/mV")
    page.reload()
    expect(page.locator(".scale")).to_have_text("25 mm/s · 10 mm/mV")
