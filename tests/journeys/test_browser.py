"""Real clicks in a real Chromium: every page, every button, and the whole way to a comparison."""

import csv
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

import filled
import pools
from infra.local.pool import LocalPool
from processes import until
from shared import base_models, db, jobs, schema, votes
from shared.errors import Language
from shared.storage import seal, store
from shared.tables import Adapter
from tiny_bases import write_adapter

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

CHROMIUM = Path("/usr/bin/chromium")
LOCALES: dict[Language, str] = {"en": "en-GB", "zh": "zh-CN"}
PAGES: dict[Language, tuple[str, ...]] = {
    "en": ("Jobs", "New job", "Compare", "Adapters", "Datasets", "Knowledge", "Base models",
           "Hosts"),
    "zh": ("任务", "新建任务", "对比", "适配器", "数据集", "知识库", "底座模型", "主机"),
}  # fmt: skip
#: Milliseconds; a machine that also trains draws slowly.
PATIENCE = 60_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, as Debian installs it."""
    if not CHROMIUM.exists():
        message = f"{CHROMIUM} is not installed; infra/install-test-servers.sh installs it"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield launched
        launched.close()


class Visitor:
    """A browser window on one dashboard; it remembers every request that left the machine."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.browser = browser
        self.url = url.rstrip("/")
        self.outside: list[str] = []

    def open(self, path: str = "/", language: Language = "en") -> Page:
        """A fresh session of a visitor of that language."""
        context = self.browser.new_context(
            locale=LOCALES[language], viewport={"width": 1440, "height": 1000}
        )
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda request: self._note(request.url))
        page.on("websocket", lambda opened: self._note(opened.url))
        page.goto(self.url + path)
        return page

    def _note(self, url: str) -> None:
        if urlsplit(url).scheme not in ("data", "blob") and (
            urlsplit(url).netloc != urlsplit(self.url).netloc
        ):
            self.outside.append(url)


def heading(page: Page, text: str) -> None:
    """Wait until the page's title is this."""
    expect(page.get_by_role("heading", level=1)).to_have_text(text, timeout=PATIENCE)


def healthy(page: Page) -> None:
    """No exception box and no error message."""
    expect(page.get_by_test_id("stException")).to_have_count(0)
    expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)


#: Pixels of a row of a table, its heading included: 2.2 rem of the theme's 15 px.
ROW = 33


def cell(page: Page, text: str) -> None:
    """Click the button of this text in the first column of the first table.

    Tables are drawn on a canvas; the texts beneath it are for screen readers and say the row.
    """
    table = page.get_by_test_id("stDataFrame").first
    row = table.locator("tr", has=page.locator(f'td:text-is("{text}")')).first
    row.wait_for(state="attached")
    place, box = row.get_attribute("aria-rowindex"), table.bounding_box()
    assert box is not None
    assert place is not None
    page.mouse.click(box["x"] + 60, box["y"] + ROW * (int(place) - 0.5))


def badge(page: Page, text: str) -> Locator:
    """The badge with this word; its icon is text too."""
    return page.get_by_test_id("stMarkdown").filter(has_text=re.compile(rf"{text}$")).first


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def served(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    """`python -m dashboard` on a pool that has been used."""
    home, port = tmp_path_factory.mktemp("served"), _free_port()
    with pytest.MonkeyPatch.context() as patch:
        pools.use(patch, home, dashboard_port=str(port), user=filled.USER)
        schema.upgrade()
        filled.fill(home)
        with (home / "dashboard.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dashboard"], cwd=home, stdout=log, stderr=log
            )
        try:
            until(lambda: _answers(port) or process.poll() is not None, "the dashboard answers")
            assert process.poll() is None, (home / "dashboard.log").read_text()
            yield Visitor(browser, f"http://127.0.0.1:{port}")
        finally:
            process.terminate()
            process.wait(20)
            pools.forget()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("language", PAGES)
def test_every_page_opens_by_a_click_and_nothing_leaves_the_machine(
    served: Visitor, language: Language
) -> None:
    page = served.open("/", language)
    for title in PAGES[language]:
        page.get_by_test_id("stTopNavLinkContainer").get_by_text(title, exact=True).click()
        heading(page, title)
        page.get_by_test_id("stStatusWidget").wait_for(state="detached")
        healthy(page)
    page.context.close()
    assert served.outside == []


def test_a_click_on_a_job_opens_that_job_and_its_language_can_be_changed(served: Visitor) -> None:
    with db.reading() as session:
        job = jobs.find(session, "longer")
    page = served.open("/")
    heading(page, "Jobs")
    cell(page, job.id)
    heading(page, "longer")
    expect(page.get_by_text("training · 30 / 100 steps")).to_be_visible()
    page.get_by_role("radio", name="中文").click()
    expect(page.get_by_text("训练 · 30 / 100 步")).to_be_visible()
    healthy(page)
    page.reload()
    heading(page, "longer")
    page.context.close()


def test_a_filter_chosen_in_chinese_is_a_link_for_english(served: Visitor) -> None:
    page = served.open("/", "zh")
    page.get_by_role("button", name="失败 2").click()
    page.wait_for_url(re.compile(r"state=failed"))
    expect(page.get_by_text("第 1–2 条，共 2 条")).to_be_visible()
    page.get_by_role("radio", name="EN").click()
    expect(page.get_by_text("1–2 of 2")).to_be_visible()
    other = served.open("/?" + urlsplit(page.url).query, "en")
    expect(other.get_by_text("1–2 of 2")).to_be_visible()
    page.context.close()
    other.context.close()


def test_cancel_asks_names_the_job_and_ends_it(served: Visitor) -> None:
    with db.reading() as session:
        job = jobs.find(session, "waiting-0")
    page = served.open(f"/job?id={job.id}", "zh")
    expect(page.get_by_text("排队中，第 1 位。")).to_be_visible()
    page.get_by_role("button", name="取消任务").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text(f"waiting-0 ({job.id})")).to_be_visible()
    dialog.get_by_role("button", name="取消任务").click()
    expect(badge(page, "已取消")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    with db.reading() as session:
        assert jobs.find(session, job.id).state == "cancelled"
    page.context.close()


def test_retry_opens_the_new_job(served: Visitor) -> None:
    with db.reading() as session:
        old = jobs.find(session, "dropped")
    page = served.open(f"/job?id={old.id}")
    page.get_by_role("button", name="Retry").click()
    page.get_by_role("dialog").get_by_role("button", name="Retry").click()
    page.wait_for_url(lambda url: "id=" in url and old.id not in url)
    expect(page.get_by_text(re.compile(r"Queued, \d\w\w in line"))).to_be_visible()
    page.context.close()


def test_a_comparison_opens_from_the_list_exports_and_changes_its_baseline(
    served: Visitor,
) -> None:
    page = served.open("/compare")
    heading(page, "Compare")
    cell(page, filled.COMPARISON)
    heading(page, filled.COMPARISON)
    expect(page.get_by_role("table").get_by_text("▲ better").first).to_be_visible()
    expect(page.get_by_test_id("stVegaLiteChart").first).to_be_visible()
    with page.expect_download() as download:
        # The comparison itself; further down single items are offered as CSV too.
        page.get_by_role("button", name="CSV").first.click()
    content = download.value.path().read_bytes()
    assert content.startswith("\ufeffcomparison,baseline,arm".encode())
    page.get_by_role("combobox", name=re.compile("Baseline")).click()
    page.get_by_role("option", name="native").click()
    page.wait_for_url(re.compile(r"baseline=native"))
    expect(page.get_by_text("against native: better on 0 of 3, worse on 3").first).to_be_visible()
    healthy(page)
    assert served.outside == []
    page.context.close()


def test_a_failed_page_of_the_address_is_a_message_and_the_rest_still_works(
    served: Visitor,
) -> None:
    page = served.open("/adapters?name=nothing")
    expect(page.get_by_test_id("stAlertContentError")).to_contain_text("no adapter named")
    page.get_by_test_id("stMain").get_by_role("button", name="Adapters").click()
    heading(page, "Adapters")
    healthy(page)
    page.context.close()


@pytest.fixture
def working(
    browser: Browser, tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Visitor]:
    """A real pool (broker, worker, dashboard) with one base registered and nothing else."""
    pools.use(monkeypatch, tmp_path / "home", user=filled.USER)
    schema.upgrade()
    with db.writing() as session:
        base_models.register(session, "tiny", str(tiny_llama), actor=filled.USER)
    with LocalPool() as pool:
        assert pool.url is not None
        yield Visitor(browser, pool.url)
    pools.forget()


def _upload(page: Page, file: Path, kind: str) -> None:
    """Upload and register a file on the datasets page."""
    page.get_by_test_id("stTopNavLinkContainer").get_by_text("Datasets", exact=True).click()
    heading(page, "Datasets")
    page.get_by_role("radio", name=kind).click()
    page.locator("input[type=file]").set_input_files(file)
    expect(page.get_by_text("rows can be used")).to_be_visible()
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_text(f"{file.stem} is registered.")).to_be_visible()


def _choose(page: Page, label: str, option: str) -> None:
    page.get_by_role("combobox", name=re.compile(label)).click()
    page.get_by_role("option", name=re.compile(rf"^{option}\b")).click()


def _type(page: Page, label: str, value: str) -> None:
    field = page.get_by_label(re.compile(rf"^{label}")).first
    field.fill(value)
    field.press("Tab")


def _submit_and_watch(page: Page, name: str) -> None:
    """Submit the form, open its job, and stay until it has succeeded."""
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_text(re.compile(f"{name}: (queued|running|succeeded)"))).to_be_visible()
    page.get_by_role("link", name="Open the job").click()
    heading(page, name)
    expect(badge(page, "succeeded")).to_be_visible(timeout=2 * PATIENCE)


@pytest.mark.journey
def test_a_training_is_submitted_watched_and_compared(working: Visitor, tmp_path: Path) -> None:
    rows = [{"instruction": f"Say {n}", "input": "", "output": f"{n} it is"} for n in range(32)]
    items = [
        {"prompt": f"Say {n}", "choices": [f"{n} it is", "no"], "answer": 0, "lang": "en"}
        for n in range(12)
    ]
    training, benchmark = tmp_path / "sayings.json", tmp_path / "quiz.jsonl"
    training.write_text(json.dumps(rows))
    benchmark.write_text("".join(json.dumps(item) + "\n" for item in items))
    page = working.open("/")
    _upload(page, training, "training")
    _upload(page, benchmark, "benchmark")

    page.get_by_test_id("stTopNavLinkContainer").get_by_text("New job", exact=True).click()
    heading(page, "New job")
    _type(page, "Adapter name", "sayer")
    _choose(page, "Base model", "tiny")
    _choose(page, "Dataset", "sayings")
    _type(page, "Epochs", "4")
    _submit_and_watch(page, "sayer")
    expect(page.get_by_test_id("stEChartsChart")).to_be_visible()
    page.get_by_role("link", name="Open the adapter").click()
    heading(page, "sayer")

    page.get_by_role("link", name="Evaluate").click()
    heading(page, "New job")
    _type(page, "Comparison name", "did-it-help")
    _choose(page, "Base model", "tiny")
    _choose(page, "Adapters", "sayer")
    page.keyboard.press("Escape")
    _choose(page, "Benchmarks", "quiz")
    page.keyboard.press("Escape")
    _submit_and_watch(page, "did-it-help")
    page.get_by_role("link", name="Open the comparison").click()
    heading(page, "did-it-help")
    row = page.get_by_role("row", name=re.compile("^sayer"))
    expect(row.get_by_text("too few items")).to_be_visible()
    healthy(page)
    assert working.outside == []
    page.context.close()


def _three_adapters(base: Path) -> list[str]:
    """Three random adapters of the base `tiny`, published."""
    names = ["ash", "elm", "oak"]
    with db.writing() as session:
        for seed, name in enumerate(names):
            folder = store().attempt_folder(f"made-{name}", 1) / "out"
            write_adapter(base, folder, seed=seed, scale=0.3)
            digest, uri = seal(folder), store().publish(folder, f"jobs/made-{name}/a1/out")
            own = base_models.find(session, "tiny").fingerprint
            row = Adapter(name=name, uri=uri, sha256=digest, rank=4, method="train",
                          base_model="tiny", base_fingerprint=own)  # fmt: skip
            session.add(row)
    return names


def _exported(page: Page) -> set[str]:
    """How the items changed that the download holds."""
    with page.expect_download() as saved:
        page.get_by_role("button", name="Items (CSV)").click()
    with saved.value.path().open(encoding="utf-8-sig", newline="") as file:
        return {row["flip"] for row in csv.DictReader(file)}


@pytest.mark.journey
def test_three_adapters_are_compared_read_by_flips_exported_and_voted_on(
    working: Visitor, tiny_llama: Path, tmp_path: Path
) -> None:
    made = _three_adapters(tiny_llama)
    words = ("river", "fox", "dog", "sea", "Paris", "brown", "quick", "lazy")
    quiz = [{"prompt": f"Say {n}", "choices": [words[n % 8], words[(n + 1 + n // 8) % 8]],
             "answer": n % 2, "lang": "en"} for n in range(24)]  # fmt: skip
    tell = [{"prompt": f"Tell {n}", "references": ["told"], "lang": "en"} for n in range(4)]
    page = working.open("/")
    for name, items in (("quiz", quiz), ("tell", tell)):
        file = tmp_path / f"{name}.jsonl"
        file.write_text("".join(json.dumps(item) + "\n" for item in items))
        _upload(page, file, "benchmark")
    page = working.open("/submit?kind=evaluate")
    heading(page, "New job")
    _type(page, "Comparison name", "three")
    _choose(page, "Base model", "tiny")
    for label, names in (("^Adapters", made), ("^Benchmarks", ["quiz", "tell"])):
        for name in names:
            _choose(page, label, name)
            page.keyboard.press("Escape")
    _type(page, "Answer length", "6")
    _submit_and_watch(page, "three")
    page.get_by_role("link", name="Open the comparison").click()
    heading(page, "three")
    page.get_by_text(re.compile(r"^(fixed|broken) \d+$")).first.click()
    until(lambda: _exported(page) in ({"fixed"}, {"broken"}), "only flips are exported")
    for count in range(1, 11):
        page.get_by_role("button", name="A is better" if count % 2 else "B is better").click()
        expect(page.get_by_text(f"{count} votes so far")).to_be_visible()
    healthy(page)
    with db.reading() as session:
        assert len(votes.votes(session, "three")) == 10
    page.context.close()
