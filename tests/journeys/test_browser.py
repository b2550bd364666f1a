"""Real clicks in a real Chromium on a pool that has been used: every page and button."""

import io
import re
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

import filled
from shared import db, jobs
from shared.errors import Language
from visitors import (
    Visitor,
    badge,
    browser,
    cell,
    choose,
    confirm,
    heading,
    healthy,
    press,
    served,
    settled,
)  # fmt: skip

__all__ = ["browser", "served"]

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

PAGES: dict[Language, tuple[str, ...]] = {
    "en": ("Jobs", "New job", "Compare", "Playground", "Adapters", "Datasets", "Knowledge",
           "Base models", "Hosts"),
    "zh": ("任务", "新建任务", "对比", "试聊", "适配器", "数据集", "知识库", "底座模型", "主机"),
}  # fmt: skip


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
    press(page, "失败 2")
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
    press(page, "取消任务")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text(f"waiting-0 ({job.id})")).to_be_visible()
    confirm(page, "取消任务")
    expect(badge(page, "已取消")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    with db.reading() as session:
        assert jobs.find(session, job.id).state == "cancelled"
    page.context.close()


def test_retry_opens_the_new_job(served: Visitor) -> None:
    with db.reading() as session:
        old = jobs.find(session, "dropped")
    page = served.open(f"/job?id={old.id}")
    press(page, "Retry")
    confirm(page, "Retry")
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
    choose(page, "Baseline", "native")
    page.wait_for_url(re.compile(r"baseline=native"))
    sentence = "fused is worse than native on 3 of 3 benchmarks."
    expect(page.get_by_text(sentence).first).to_be_visible()
    healthy(page)
    assert served.outside == []
    page.context.close()


#: A browser that fetches the file behind a button only when it is told to.
_SLOW = """() => {
  const click = HTMLAnchorElement.prototype.click;
  HTMLAnchorElement.prototype.click = function () { window.fetchNow = () => click.call(this); };
}"""


def _downloaded(page: Page, label: str) -> bytes:
    """The file behind a button."""
    settled(page)
    with page.expect_download() as download:
        page.get_by_role("button", name=label).first.click()
    return download.value.path().read_bytes()


def _downloaded_slowly(page: Page, label: str, other: Page) -> bytes:
    """The file behind a button, fetched after another visitor's page was drawn anew."""
    page.evaluate(_SLOW)
    press(page, label)
    page.wait_for_function("() => Boolean(window.fetchNow)")
    for _ in range(2):
        other.reload()
        heading(other, filled.COMPARISON)
        settled(other)
    with page.expect_download() as download:
        page.evaluate("window.fetchNow()")
    return download.value.path().read_bytes()


def test_a_chinese_reader_keeps_every_file_votes_and_sends_the_link_to_an_english_one(
    served: Visitor,
) -> None:
    page = served.open(f"/compare?name={filled.COMPARISON}&baseline=native", "zh")
    heading(page, filled.COMPARISON)
    begins = {"JSON": b"{", "Markdown": b"# first-look", "PNG": b"\x89PNG"}
    for label, start in begins.items():
        assert _downloaded(page, label).startswith(start), label
    with zipfile.ZipFile(io.BytesIO(_downloaded(page, "全部 (zip)"))) as archive:
        assert archive.testzip() is None
        kept = {Path(name).name for name in archive.namelist()}
    assert kept == {
        "report.en.md", "report.zh.md", "first-look.en.png", "first-look.zh.png",
        "first-look.csv", "first-look.json",
    }  # fmt: skip
    press(page, "A 更好")
    expect(page.get_by_text("目前共 1 票")).to_be_visible()
    healthy(page)
    other = served.open("/compare?" + urlsplit(page.url).query, "en")
    expect(other.get_by_text("fused is worse than native on 3 of 3 benchmarks.")).to_be_visible()
    expect(other.get_by_text("How often the row was preferred").first).to_be_visible()
    assert _downloaded_slowly(page, "JSON", other).startswith(b"{")
    page.context.close()
    other.context.close()


def test_a_failed_page_of_the_address_is_a_message_and_the_rest_still_works(
    served: Visitor,
) -> None:
    page = served.open("/adapters?name=nothing")
    expect(page.get_by_test_id("stAlertContentError")).to_contain_text("no adapter named")
    page.get_by_test_id("stMain").get_by_role("button", name="Adapters").click()
    heading(page, "Adapters")
    healthy(page)
    page.context.close()
