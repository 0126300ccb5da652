"""Chromium for the pages' tests, and a ward with a running dashboard for them to look at."""

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.services.need import need
from tests.services.ward import Ward

ARGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A machine for tests has no sound card; what a page plays goes nowhere, in time.
    "--disable-audio-output",
    # Sound only after a click. No --disable-features here: it would replace Playwright's own.
    "--autoplay-policy=document-user-activation-required",
]

# A busy machine is no failure.
expect.set_options(timeout=60_000)


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    """An empty ward: a local bus of its own, a dashboard on a free port, no archive."""
    made = Ward(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Chromium's program: ``LEADWIRE_TEST_CHROMIUM``, or Debian's."""
    named = os.environ.get("LEADWIRE_TEST_CHROMIUM")
    found = named or shutil.which("chromium") or shutil.which("chromium-browser")
    if not found or not Path(found).exists():
        need("Chromium", f"{named} is no program" if named else "there is no chromium in PATH")
    return found


# Playwright keeps an asyncio loop running in this thread: no longer than a module, for other tests' sake.
@pytest.fixture(scope="module")
def chromium(chromium_path: str) -> Iterator[Browser]:
    """One running Chromium; each page gets a fresh profile."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=ARGS, timeout=180_000)
        yield browser
        browser.close()


# What a page's console says of a server that has gone, and of nothing else.
GONE = re.compile(
    r"WebSocket connection to .* failed"
    r"|Failed to load resource: net::ERR_(CONNECTION_(REFUSED|RESET|CLOSED)|EMPTY_RESPONSE)$"
)

OpenPage = Callable[..., Page]


def until(true: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until `true()`."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not so within {seconds} s"
        time.sleep(0.05)


def untouched(page: Page) -> Callable[[str], Any]:
    """``untouched(page)(expression)``: what `expression` is in the page, as if nobody had touched it.

    Whatever else Playwright asks a page, a locator's text too, it asks with ``userGesture: true``: to the
    page that is a user's hand, after which it may sound.
    """
    session = page.context.new_cdp_session(page)

    def ask(expression: str) -> Any:
        command = {"expression": expression, "returnByValue": True, "userGesture": False}
        answer = session.send("Runtime.evaluate", command)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    return ask


REFUSED = re.compile(r"Failed to load resource: the server responded with a status of 409 ")


def watch_page(
    page: Page, address: str, faults: list[str], outage: bool = False, refusals: bool = False
) -> None:
    """From now on `faults` gets whatever `page` asks of anybody but `address`, and what its console says.

    `outage` allows for the network errors of a server that is taken away, `refusals` for commands that the
    desk refuses.
    """
    host = urlsplit(address).netloc

    def request(url: str) -> None:
        if urlsplit(url).netloc != host and not url.startswith("data:"):
            faults.append(f"a request to {url}")

    def console(kind: str, text: str) -> None:
        allowed = (outage and GONE.match(text)) or (refusals and REFUSED.match(text))
        if kind == "error" and not allowed:
            faults.append(f"console: {text}")

    page.on("request", lambda r: request(r.url))
    page.on("websocket", lambda w: request(w.url.replace("ws", "http", 1)))
    page.on("console", lambda m: console(m.type, m.text))
    page.on("pageerror", lambda e: faults.append(f"error: {e}"))


@pytest.fixture
def open_page(chromium: Browser, ward: Ward) -> Iterator[OpenPage]:
    """``open_page(path, width, height, locale, px_per_mm, outage)``: a page of the ward's dashboard.

    At the end every page must have asked nobody but the dashboard, and its console must be clean;
    `outage` allows for the network errors of a server that the test takes away.
    """
    faults: list[str] = []
    contexts = []

    def open_(
        path: str = "",
        width: int = 1440,
        height: int = 900,
        locale: str = "en-GB",
        px_per_mm: float | None = None,
        outage: bool = False,
    ) -> Page:
        context = chromium.new_context(viewport={"width": width, "height": height}, locale=locale)
        contexts.append(context)
        if px_per_mm is not None:
            context.add_init_script(f"localStorage.setItem('leadwire.px_per_mm', '{px_per_mm}')")
        page = context.new_page()
        page.set_default_timeout(60_000)
        watch_page(page, ward.address, faults, outage)
        page.goto(ward.address + path)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not faults
