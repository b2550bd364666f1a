"""What a person with a browser waits for: first rows, the next page, a curve that grows."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Browser, Page, TimeoutError, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
#: Milliseconds before a page counts as broken.
PATIENCE = 90_000
#: Milliseconds a page may draw on after its first rows.
SETTLING = 5_000
#: Notes every name that a table draws on its canvas, and when rows are first seen, in milliseconds
#: since the navigation began. What is drawn in a frame is seen when the next one begins.
_FIRST = """
window.longest = [];
new PerformanceObserver(list => window.longest.push(...list.getEntries().map(e => e.duration)))
  .observe({type: 'longtask'});
window.drawn = new Set();
const fill = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
  if (/^[a-z]+-[0-9]+$/.test(text)) window.drawn.add(text);
  return fill.call(this, text, ...place);
};
const look = () => requestAnimationFrame(
  window.drawn.size || document.querySelector('SELECTOR')
    ? () => { window.firstRows = performance.now(); }
    : look
);
requestAnimationFrame(look);
"""
#: Presses the button that says so, once it is scrolled to; milliseconds until a new name is seen.
_NEXT = """
async ([label, rows, scrolled]) => {
  const names = () => [...document.querySelectorAll(rows)].map(e => e.textContent.trim())
    .filter(text => /^[a-z]+-[0-9]+$/.test(text)).concat(...window.drawn);
  const button = () => [...document.querySelectorAll('button')]
    .find(e => e.textContent.includes(label) && !e.disabled);
  const frame = () => new Promise(requestAnimationFrame);
  const until = async (found, what) => {
    const started = performance.now();
    while (!found()) {
      if (performance.now() - started > 60000) throw new Error('no ' + what);
      await frame();
    }
    await frame();
    return performance.now() - started;
  };
  await until(() => {
    const box = scrolled && document.querySelector(scrolled);
    if (box) box.scrollTop = box.scrollHeight;
    return button();
  }, 'button ' + label);
  const before = new Set(names());
  button().click();
  return await until(() => names().some(name => !before.has(name)), 'next page');
}
"""


@dataclass(frozen=True)
class Site:
    """A page with a table: where it is, what a row is, what brings the next ones."""

    url: str
    rows: str
    more: str
    #: What a person scrolls to its end to find the button there.
    scrolled: str = ""


@dataclass(frozen=True)
class Seen:
    """Medians over visits: seconds to the first rows, ms to the next page, bytes, heap."""

    cold_s: float
    warm_s: float
    next_page_ms: float
    kilobytes: float
    heap_mb: float


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a GPU."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        try:
            yield browser
        finally:
            browser.close()


def visit(browser: Browser, site: Site, times: int) -> Seen:
    """Open the page with an empty cache, again with a full one, and go on to the next rows."""
    seen = [_visit(browser, site) for _ in range(times)]
    values = zip(*((s.cold_s, s.warm_s, s.next_page_ms, s.kilobytes, s.heap_mb) for s in seen),
                 strict=True)  # fmt: skip
    return Seen(*(median(each) for each in values))


def _visit(browser: Browser, site: Site) -> Seen:
    context = browser.new_context(viewport={"width": 1440, "height": 1000}, locale="en-GB")
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.add_init_script(_FIRST.replace("SELECTOR", site.rows))
    page.goto(site.url)
    cold = _first_rows(page)
    sizes = "performance.getEntriesByType('resource').reduce((sum, e) => sum + e.transferSize, 0)"
    kilobytes = page.evaluate(sizes) / 1024
    page.reload()
    warm = _first_rows(page)
    _settled(page)
    following = [page.evaluate(_NEXT, [site.more, site.rows, site.scrolled]) for _ in range(3)]
    heap = page.evaluate("performance.memory.usedJSHeapSize") / 2**20
    context.close()
    return Seen(cold, warm, median(following), kilobytes, heap)


def _first_rows(page: Page) -> float:
    page.wait_for_function("window.firstRows")
    return page.evaluate("window.firstRows") / 1000


def _settled(page: Page) -> None:
    """What draws itself after the rows is no part of the next page.

    A page that keeps asking its server is never idle; it has had its time.
    """
    with suppress(TimeoutError):
        page.wait_for_load_state("networkidle", timeout=SETTLING)


@dataclass(frozen=True)
class Blocked:
    """What kept the page's main thread from a person's clicks."""

    #: Tasks of more than 50 ms by the clock; other programs on the machine count too.
    long_tasks: list[float]
    #: The longest task, milliseconds of processor time.
    longest_cpu_ms: float


def blocking(browser: Browser, url: str, grow: Callable[[], None], seconds: float) -> Blocked:
    """The page's tasks while `grow` adds to its curve every second."""
    page = browser.new_page(viewport={"width": 1440, "height": 1000}, locale="en-GB")
    page.set_default_timeout(PATIENCE)
    page.add_init_script(_FIRST.replace("SELECTOR", "canvas"))
    page.goto(url)
    _first_rows(page)
    page.wait_for_timeout(4000)
    page.evaluate("window.longest = []")
    done = threading.Event()
    writer = threading.Thread(target=_every_second, args=(grow, done))
    browser.start_tracing(page=page, categories=["devtools.timeline", "toplevel", "__metadata"])
    writer.start()
    page.wait_for_timeout(seconds * 1000)
    done.set()
    writer.join()
    tasks = _tasks(json.loads(browser.stop_tracing())["traceEvents"])
    found = page.evaluate("window.longest")
    page.close()
    return Blocked(found, max(tasks))


def _tasks(events: list[dict[str, Any]]) -> list[float]:
    """Processor milliseconds of every task of the page's main thread."""
    main = {
        (each["pid"], each["tid"])
        for each in events
        if each["name"] == "thread_name" and each["args"]["name"] == "CrRendererMain"
    }
    return [
        each.get("tdur", 0) / 1000
        for each in events
        if each["name"].endswith("RunTask") and (each["pid"], each["tid"]) in main
    ]


def _every_second(grow: Callable[[], None], done: threading.Event) -> None:
    while not done.is_set():
        started = time.monotonic()
        grow()
        done.wait(max(0.0, 1.0 - (time.monotonic() - started)))
