"""The desk in a real browser: a case from the alarm to its end by hand, on both sides of the call."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.services.browser import watch_page
from tests.services.hospital import CLINIC, PASSWORD, Hospital, eventually, give

pytestmark = pytest.mark.browser

LogIn = Callable[..., Page]
PHONE = {"width": 390, "height": 844}


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Hospital]:
    made = Hospital(tmp_path)
    made.admit("s1", clinic=CLINIC, bed="3")
    yield made
    made.close()


@pytest.fixture
def log_in(chromium: Browser, hospital: Hospital) -> Iterator[LogIn]:
    """``log_in(user, locale, width, height, refusals)``: the desk as `user` sees it, by the login page."""
    faults: list[str] = []
    contexts = []

    def open_(
        user: str, locale: str = "en-GB", width: int = 1440, height: int = 900, refusals: bool = False
    ) -> Page:
        context = chromium.new_context(viewport={"width": width, "height": height}, locale=locale)
        contexts.append(context)
        page = context.new_page()
        page.goto(hospital.address + "desk")
        page.wait_for_selector("#login")
        watch_page(page, hospital.address, faults, refusals=refusals)
        page.fill("input[name=user]", user)
        page.fill("input[name=password]", PASSWORD)
        page.click("#login button.primary")
        page.wait_for_url("**/desk")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not faults


def test_a_wrong_password_is_said_and_lets_nobody_in(hospital: Hospital, chromium: Browser) -> None:
    page = chromium.new_page(locale="zh-CN")
    page.goto(hospital.address)
    page.wait_for_url("**/login?next=*")
    page.fill("input[name=user]", "tan")
    page.fill("input[name=password]", "not the password")
    page.click("#login button.primary")
    expect(page.locator("#why")).to_have_text("用户名或密码不正确。")
    page.close()


def test_a_call_back_by_hand_on_both_sides(hospital: Hospital, log_in: LogIn) -> None:
    hub = log_in("tan", refusals=True)
    clinic = log_in("wang", "zh-CN", **PHONE)
    alert = hospital.raise_alert("s1", "ventricular_fibrillation")

    banner = clinic.locator(".call")
    expect(banner).to_contain_text("心室颤动")
    expect(banner).to_contain_text("正在通知医院")
    row = hub.locator(".row")
    expect(row).to_contain_text("Ventricular fibrillation")
    expect(row).to_contain_text("nobody has it yet")
    expect(row).to_contain_text("next person in")
    row.click()
    hub.get_by_role("button", name="Accept").click()
    expect(row).to_contain_text("谭技师 has it")
    expect(banner).to_contain_text("医院已看到：谭技师")

    hub.get_by_role("button", name="Real, act").click()
    hub.get_by_role("button", name="Confirm & call").click()
    expect(hub.locator(".phone")).to_have_text("13800000001")
    expect(banner).to_have_attribute("data-state", "call")
    hub.get_by_role("textbox", name="Reason").fill("done")
    hub.get_by_role("button", name="Close", exact=True).click()
    expect(hub.locator("#case > .why")).to_contain_text("has not read it back")

    hub.get_by_role("button", name="No answer").click()
    hub.get_by_role("button", name="Answered").click()
    hub.get_by_label("Read back, in their words").fill("3床室颤，除颤")
    hub.get_by_role("button", name="Read back").click()
    expect(banner).to_contain_text("电话已复述：3床室颤，除颤")
    banner.get_by_role("button", name="我在患者身边").click()
    banner.get_by_role("button", name="我们已知悉").click()
    banner.get_by_role("link").click()
    clinic.get_by_label("处理措施").fill("心肺复苏，已呼叫120")
    clinic.get_by_role("button", name="报告措施").click()
    expect(banner).to_contain_text("已记录：心肺复苏，已呼叫120")
    expect(hub.locator(".story")).to_contain_text("action stated — 心肺复苏，已呼叫120")

    hub.get_by_label("Outcome").fill("ROSC")
    hub.get_by_role("button", name="Record outcome").click()
    hospital.raise_alert("s1", "ventricular_fibrillation", version=2, state="ended", end=500)
    hub.get_by_role("textbox", name="Reason").fill("transferred")
    hub.get_by_role("button", name="Close", exact=True).click()
    expect(hub.locator(".row")).to_have_count(0)
    expect(hub.locator("#calm")).to_have_text("No open cases")
    case = hospital.case(hospital.client("tan"), alert.id)
    assert (case["clinical"], case["close_reason"]) == ("closed", "transferred")


def test_an_acknowledged_alarm_is_quiet_and_stays_in_sight(hospital: Hospital, log_in: LogIn) -> None:
    page = log_in("tan")
    hospital.raise_alert("s1")
    page.locator(".row").click()
    eventually(lambda: page.evaluate("leadwire.shell.sound.played") > 0)
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.locator(".case-head")).to_contain_text("acknowledged")
    expect(page.locator(".counter[data-priority=high] .n")).to_have_text("1")
    quiet = page.evaluate(
        "leadwire.shell.alarms.counts((a) => leadwire.shell.cases.of(a.id).audible ? 'high' : null)"
    )
    assert quiet == {"high": 0, "medium": 0, "low": 0}


def test_an_open_page_is_the_receipt_of_who_was_paged(hospital: Hospital, log_in: LogIn) -> None:
    log_in("tan")
    alert = hospital.raise_alert("s1")
    client = hospital.client("chen")

    def states() -> set[str]:
        return {p["state"] for p in hospital.case(client, alert.id)["pages"].values() if p["user"] == "tan"}

    eventually(lambda: states() == {"seen"})
    assert hospital.case(client, alert.id)["owner"] == ""


def test_a_banner_on_a_screen_is_not_yet_an_answer_of_the_clinic(hospital: Hospital, log_in: LogIn) -> None:
    page = log_in("wang")
    alert = hospital.raise_alert("s1")
    client = hospital.client("tan")
    page.wait_for_selector(".call")
    eventually(lambda: "seen" in {p["state"] for p in hospital.case(client, alert.id)["pages"].values()})
    assert hospital.case(client, alert.id)["clinic_side"] == "told"
    page.locator(".call").get_by_role("button", name="Seen").click()
    eventually(lambda: hospital.case(client, alert.id)["clinic_side"] == "seen")


def test_the_login_page_and_the_desk_fit_a_phone(hospital: Hospital, log_in: LogIn) -> None:
    hospital.raise_alert("s1")
    page = log_in("tan", "zh-CN", **PHONE)
    page.locator(".row").click()
    page.wait_for_selector(".case-head h2")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_wall_says_who_has_an_alarm(hospital: Hospital, log_in: LogIn) -> None:
    page = log_in("tan")
    alert = hospital.raise_alert("s1")
    page.goto(hospital.address)
    card = page.locator("#rail .card")
    expect(card).to_have_attribute("data-owned", "false")
    chen = hospital.client("chen")
    hospital.case(chen, alert.id)
    assert give(chen, alert.id, "accept").status_code == 200
    expect(card.locator(".card-owner")).to_have_text("陈医生")
    expect(card).to_have_attribute("data-owned", "true")
