"""Every page in a real browser: no violation of WCAG A or AA, and no request to another host.

Checked by axe-core (https://github.com/dequelabs/axe-core), which the package brings along.
"""

from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from shared.errors import Language
from visitors import Visitor, browser, healthy, served

__all__ = ["browser", "served"]
pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

#: Every page with something on it, and the details of each kind of thing.
PATHS = (
    "/", "/submit", "/submit?kind=fuse", "/job?id=native", "/job?id=too-big", "/compare",
    "/compare?name=first-look", "/playground", "/adapters", "/adapters?name=fused", "/datasets",
    "/datasets?name=instructions", "/knowledge", "/knowledge?name=notes", "/models", "/hosts",
)  # fmt: skip
LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
#: What holds is not listed element by element.
OPTIONS = {"runOnly": {"type": "tag", "values": LEVELS}, "resultTypes": ["violations"]}
_DRAWN = """() => document.querySelector('[data-test-script-state=notRunning]')
    && !document.querySelector('[data-testid*=keleton]')"""


def violations(page: Page) -> set[str]:
    """The rules that the page breaks now, and where."""
    checked = Axe().run(page, options=OPTIONS)
    return {
        f"{each['id']}: {node['target']}: {node['failureSummary']}"
        for each in checked.response["violations"]
        for node in each["nodes"]
    }


# What a theme breaks it breaks in either language, so each language is looked at on one of them.
@pytest.mark.parametrize(("language", "theme"), [("en", "light"), ("zh", "dark")])
def test_no_page_breaks_a_rule_of_wcag_and_none_asks_another_host(
    served: Visitor, language: Language, theme: Literal["light", "dark"]
) -> None:
    page = served.open("/", language, theme)
    found: list[str] = []
    for path in PATHS:
        page.goto(served.url + path)
        page.get_by_role("heading", level=1).first.wait_for()
        page.wait_for_function(_DRAWN)
        if "too-big" not in path:
            healthy(page)
        broken = violations(page)
        if broken:
            # What is there only while the page draws a part of it anew is paler, and not the page.
            page.wait_for_function(_DRAWN)
            broken &= violations(page)
        found += [f"{path}: {each}" for each in sorted(broken)]
    page.context.close()
    assert found == []
    assert served.outside == []
