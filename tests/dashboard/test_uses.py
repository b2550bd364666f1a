"""From an adapter's page to the forms, with the adapter filled in and the rest left as it was."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import filled
from pages import Open


@pytest.fixture
def small(empty_pool: Path) -> Path:
    """A pool of this test's own, whose drafts are this test's alone."""
    filled.fill(empty_pool, items=3, arms=("base", "native"))
    return empty_pool


def _links(app: AppTest) -> dict[str, str]:
    """The page and query of each link, by its label."""
    found = [each.proto for each in app.get("page_link")]
    return {each.label: f"{each.page}?{each.query_string}" for each in found}


def test_an_adapter_is_used_in_every_form_by_a_link(small: Path, open_page: Open) -> None:
    links = _links(open_page("adapters", name="fused"))
    assert links["Evaluate it"] == "submit?kind=evaluate&adapter=fused"
    wanted = "submit?kind=evaluate&adapter=fused&adapter=native&adapter=second"
    assert links["Compare it with native, second"] == wanted
    assert links["Fuse it with others"] == "submit?kind=fuse&adapter=fused"
    assert links["Transfer it to another base"] == "submit?kind=fuse&adapter=fused&method=refresh"
    assert links["Chat with it"] == "playground?adapter=fused"
    links = _links(open_page("adapters", "zh", name="native"))
    # It has no parents: the newest ones of its base.
    assert "与 refreshed, fused, second 对比" in links
    # The only one of its base has nothing to be compared with.
    assert not any("对比" in each for each in _links(open_page("adapters", "zh", name="donor")))


def test_an_evaluation_gets_the_adapters_and_their_base_and_keeps_the_rest(
    small: Path, open_page: Open
) -> None:
    app = open_page("submit", kind="evaluate")
    app.multiselect(key="draft.evaluate.benchmarks").set_value(["capitals"]).run()
    app = open_page("submit", kind="evaluate", adapter=["fused", "native"])
    assert app.multiselect(key="draft.evaluate.adapters").value == ["fused", "native"]
    assert app.selectbox(key="draft.evaluate.base_model").value == filled.HOST_BASE
    assert app.multiselect(key="draft.evaluate.benchmarks").value == ["capitals"]
    assert "adapter" not in app.query_params
    app.multiselect(key="draft.evaluate.adapters").set_value(["fused"]).run()
    assert app.multiselect(key="draft.evaluate.adapters").value == ["fused"]


def test_a_transfer_and_a_fusion_get_a_method_that_fits(small: Path, open_page: Open) -> None:
    app = open_page("submit", kind="fuse", adapter="donor", method="refresh")
    assert app.selectbox(key="draft.fuse.method").value == "refresh"
    assert app.multiselect(key="draft.fuse.adapters").value == ["donor"]
    app = open_page("submit", kind="fuse", adapter="native")
    assert app.selectbox(key="draft.fuse.method").value == "weighted_sum"
    app.selectbox(key="draft.fuse.method").set_value("ties").run()
    app = open_page("submit", kind="fuse", adapter="native")
    assert app.selectbox(key="draft.fuse.method").value == "ties"


def test_a_comparison_asks_a_judge_with_itself_filled_in(small: Path, open_page: Open) -> None:
    asked = _links(open_page("compare", name=filled.COMPARISON))
    [address] = [each for each in asked.values() if "kind=judge" in each]
    assert address == f"submit?kind=judge&comparison={filled.COMPARISON}"
    app = open_page("submit", kind="judge", comparison=filled.COMPARISON)
    assert app.selectbox(key="draft.judge.comparison").value == filled.COMPARISON
    assert "comparison" not in app.query_params


def test_a_link_with_an_adapter_that_is_gone_says_so(small: Path, open_page: Open) -> None:
    app = open_page("submit", kind="evaluate", adapter="gone")
    assert "Adapters: gone" in app.warning[0].value.replace("\\", "")
    assert not app.exception
