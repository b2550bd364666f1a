"""The hosts page in a real browser: free memory, and whose turn it is, in both languages."""

import pytest
from playwright.sync_api import expect

import filled
from shared.errors import Language
from visitors import Visitor, browser, healthy, served

__all__ = ["browser", "served"]

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


@pytest.mark.parametrize(
    ("language", "link", "memory", "people", "column"),
    [
        ("en", "Hosts", "Memory free", "People", "GPU-hours, 30 days"),
        ("zh", "主机", "空闲显存", "使用者", "近 30 天 GPU 小时"),
    ],
)
def test_the_hosts_page_says_what_is_free_and_who_uses_it(
    served: Visitor, language: Language, link: str, memory: str, people: str, column: str
) -> None:
    page = served.open("/", language)
    page.get_by_role("link", name=link, exact=True).click()
    expect(page.get_by_text(memory)).to_be_visible()
    expect(page.get_by_text("23.4 GiB / 23.4 GiB")).to_be_visible()
    expect(page.get_by_role("heading", name=people)).to_be_visible()
    table = page.get_by_test_id("stDataFrame")
    expect(table.get_by_text(column)).to_be_attached()
    expect(table.locator("td", has_text=filled.USER)).to_be_attached()
    page.get_by_role("link", name="longer").click()
    page.wait_for_url(lambda url: "/job?id=" in url)
    healthy(page)
    page.context.close()
