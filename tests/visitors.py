"""Visitors of the dashboard for tests: Chromium, pages opened in a language, what people press."""

import logging
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from playwright.sync_api import TimeoutError as Lost

import filled
import pools
from benchmarks.chaos.servers import free_port
from infra.local.pool import LocalPool
from processes import until
from shared import base_models, db, schema
from shared.errors import Language
from shared.people.actors import Actor

_LOG = logging.getLogger(__name__)
CHROMIUM = Path("/usr/bin/chromium")
LOCALES: dict[Language, str] = {"en": "en-GB", "zh": "zh-CN"}
#: Milliseconds; a machine that also trains draws slowly.
PATIENCE = 120_000
#: Pixels of a row of a table, its heading included: 2.2 rem of the theme's 15 px.
ROW = 33
FLAGS = ("--no-sandbox", "--disable-gpu")
#: The states that Streamlit gives its outermost element, or what is there instead.
_STANDING = """() => {
    const app = document.querySelector('[data-testid="stApp"]');
    return app ? {...app.dataset} : document.body.innerHTML.slice(0, 1000);
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, as Debian installs it."""
    if not CHROMIUM.exists():
        message = f"{CHROMIUM} is not installed; infra/install-test-servers.sh installs it"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        expect.set_options(timeout=PATIENCE)
        yield launched
        launched.close()


class Visitor:
    """A browser window on one dashboard; it remembers every request that left the machine."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.browser = browser
        self.url = url.rstrip("/")
        self.outside: list[str] = []

    def open(
        self,
        path: str = "/",
        language: Language = "en",
        theme: Literal["light", "dark"] = "light",
    ) -> Page:
        """A fresh session of a visitor of that language, whose system is light or dark."""
        context = self.browser.new_context(
            locale=LOCALES[language], color_scheme=theme, reduced_motion="reduce",
            viewport={"width": 1440, "height": 1000},
        )  # fmt: skip
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda request: self._note(request.url))
        page.on("websocket", lambda opened: self._note(opened.url))
        page.on("requestfailed", lambda one: _LOG.warning("%s: %s", one.url, one.failure))
        page.on("crash", lambda one: _LOG.warning("the browser's process of %s died", one.url))
        page.on("pageerror", lambda error: _LOG.warning("the page threw %s", error))
        page.goto(self.url + path)
        return page

    def _note(self, url: str) -> None:
        if urlsplit(url).scheme not in ("data", "blob") and (
            urlsplit(url).netloc != urlsplit(self.url).netloc
        ):
            self.outside.append(url)


def heading(page: Page, text: str) -> None:
    """Wait until the page's title is this."""
    expect(page.get_by_role("heading", level=1)).to_have_text(text)


def settled(page: Page) -> None:
    """Wait until the page has drawn itself; before, a click may go to something former.

    A page that does not come to rest says in the test's log how it stands.
    """
    try:
        page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for()
    except Lost:
        _LOG.warning("%s is never at rest: %s", page.url, page.evaluate(_STANDING))
        raise


def press(page: Page, name: str) -> None:
    """Press a button of the page."""
    settled(page)
    page.get_by_role("button", name=name).click()


def confirm(page: Page, name: str) -> None:
    """Press a button of the dialog that has opened."""
    button = page.get_by_role("dialog").get_by_role("button", name=name)
    button.wait_for()
    settled(page)
    button.click()


def choose(page: Page, label: str, option: str, *, search: str = "") -> None:
    """Choose the option that begins with this word from the list with this label.

    `search` is typed first: a long list draws only the options that are in sight. A list that was
    opened while the page drew itself anew may close: then it is opened again.
    """
    box = page.get_by_role("combobox", name=re.compile(label)).first
    wanted = page.get_by_role("option", name=re.compile(rf"^{re.escape(option)}\b")).first

    def chosen() -> bool:
        settled(page)
        box.click()
        if search:
            box.fill(search)
        with suppress(Lost):
            wanted.click(timeout=10_000)
            return True
        page.keyboard.press("Escape")
        return False

    until(chosen, f"{option} is chosen")


def write(page: Page, field: Locator, text: str) -> None:
    """Fill in a field and leave it; what is typed while the page draws itself anew may be lost."""

    def written() -> bool:
        settled(page)
        field.fill(text)
        field.press("Tab")
        settled(page)
        return field.input_value() == text

    until(written, f"{text} is written")


def healthy(page: Page) -> None:
    """No exception box and no error message."""
    expect(page.get_by_test_id("stException")).to_have_count(0)
    expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)


def cell(page: Page, text: str) -> None:
    """Click the button of this text in the first column of the first table.

    Tables are drawn on a canvas; the texts beneath it are for screen readers and say the row.
    """
    table = page.get_by_test_id("stDataFrame").first
    row = table.locator("tr", has=page.locator(f'td:text-is("{text}")')).first
    row.wait_for(state="attached")
    settled(page)
    # A line that appears above moves the table, and a click beside the cell is lost.
    until(lambda: table.bounding_box() == table.bounding_box(), "the table rests")
    place, box = row.get_attribute("aria-rowindex"), table.bounding_box()
    assert box is not None
    assert place is not None
    page.mouse.click(box["x"] + 60, box["y"] + ROW * (int(place) - 0.5))


def badge(page: Page, text: str) -> Locator:
    """The badge with this word; its icon is text too."""
    return page.get_by_test_id("stMarkdown").filter(has_text=re.compile(rf"{text}$")).first


@pytest.fixture(scope="module")
def served(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    """`python -m dashboard` on a pool that has been used."""
    home, port = tmp_path_factory.mktemp("served"), free_port()
    with pytest.MonkeyPatch.context() as patch:
        pools.use(patch, home, dashboard_port=str(port), user=filled.USER)
        schema.upgrade()
        filled.fill(home)
        with running([sys.executable, "-m", "dashboard"], port, home / "dashboard.log"):
            yield Visitor(browser, f"http://127.0.0.1:{port}")
        pools.forget()


@contextmanager
def running(command: list[str], port: int, log: Path) -> Iterator[None]:
    """A server that listens at that port of this machine, until the block ends."""
    with log.open("wb") as file:
        process = subprocess.Popen(command, cwd=log.parent, stdout=file, stderr=file)
    try:
        until(lambda: _answers(port) or process.poll() is not None, f"{command} answers")
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.terminate()
        process.wait(60)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def working(
    browser: Browser, tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Visitor]:
    """A real pool (broker, worker, dashboard) with one base registered and nothing else."""
    # A port of its own: another process of the tests may run a pool too.
    home, port = tmp_path_factory.mktemp("working"), str(free_port())
    with pytest.MonkeyPatch.context() as patch:
        pools.use(patch, home, dashboard_port=port, user=filled.USER)
        schema.upgrade()
        with db.writing() as session:
            base_models.register(session, "tiny", str(tiny_llama), actor=Actor.admin(filled.USER))
        with LocalPool() as pool:
            assert pool.url is not None
            yield Visitor(browser, pool.url)
        pools.forget()
