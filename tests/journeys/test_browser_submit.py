"""Real clicks on the submit page: plan, submit, clone; what is filled in stays, and is saved."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

import filled
from processes import until
from shared import db, jobs, saved_specs
from shared.errors import Language
from visitors import Visitor, browser, choose, heading, healthy, press, served, settled, write

__all__ = ["browser", "served"]

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


@pytest.mark.parametrize(
    ("language", "title", "plan", "send", "place", "queued"),
    [
        ("en", "New job", "Plan", "Submit", "Place in the queue", "planned-en: queued"),
        ("zh", "新建任务", "规划", "提交", "队列位置", "planned-zh：排队中"),
    ],
)
def test_a_job_is_planned_then_submitted(
    served: Visitor, language: Language, title: str, plan: str, send: str, place: str, queued: str
) -> None:
    name = f"planned-{language}"
    page = served.open("/submit?kind=train", language)
    heading(page, title)
    for label, value in (
        ({"en": "Base model", "zh": "底座模型"}[language], filled.HOST_BASE),
        ({"en": "Dataset", "zh": "数据集"}[language], filled.TRAINING),
    ):
        choose(page, label, value)
    field = page.get_by_role("textbox", name={"en": "Adapter name", "zh": "适配器名"}[language])
    write(page, field, name)
    expect(page.get_by_test_id("stCode")).to_contain_text(f"--name={name}")
    press(page, plan)
    expect(page.get_by_text(place)).to_be_visible()
    with db.reading() as session:
        assert name not in {job.name for job in jobs.listing(session, limit=100)}
    press(page, send)
    expect(page.get_by_text(queued)).to_be_visible()
    with db.reading() as session:
        assert jobs.find(session, name).state == "queued"
    healthy(page)
    page.context.close()


def test_a_job_is_cloned_changed_found_again_after_a_reload_and_saved(
    served: Visitor, tmp_path: Path
) -> None:
    page = served.open(f"/job?id={_id('native')}")
    heading(page, "native")
    page.get_by_role("link", name="Clone and edit").click()
    heading(page, "New job")
    name = page.get_by_role("textbox", name="Adapter name")
    expect(name).to_have_value("native-2")
    write(page, page.get_by_role("spinbutton", name="Rank"), "5")
    expect(page.get_by_test_id("stCode")).to_contain_text("--rank=5")
    page.reload()
    expect(name).to_have_value("native-2")
    expect(page.get_by_role("spinbutton", name="Rank")).to_have_value("5")
    press(page, "Saved specs")
    write(page, page.get_by_role("textbox", name="Name", exact=True), "rank five")
    press(page, "Save the form")
    until(lambda: "rank five" in _saved(), "the spec is saved")
    settled(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as JSON").click()
    page.keyboard.press("Escape")
    press(page, "Start over")
    expect(name).to_have_value("")
    press(page, "Saved specs")
    press(page, "rank five")
    expect(page.get_by_role("spinbutton", name="Rank")).to_have_value("5")
    press(page, "Start over")
    expect(page.get_by_role("spinbutton", name="Rank")).to_have_value("8")
    press(page, "Saved specs")
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    page.get_by_test_id("stFileUploader").locator("input").set_input_files(file)
    expect(page.get_by_text("Filled in from native-2.json.")).to_be_visible()
    expect(name).to_have_value("native-2")
    expect(page.get_by_role("spinbutton", name="Rank")).to_have_value("5")
    healthy(page)
    assert served.outside == []
    page.context.close()


def test_each_use_of_an_adapter_opens_a_form_that_is_filled_in(served: Visitor) -> None:
    page = served.open("/adapters")
    wanted = {
        "Evaluate it": "submit evaluate --base-model=tiny-llama --adapters=fused",
        "Compare it with native, second": "--adapters=fused --adapters=native --adapters=second",
        "Fuse it with others": "submit fuse --method weighted_sum --adapters=fused",
        "Transfer it to another base": "submit fuse --method refresh --adapters=fused",
    }
    for link, command in wanted.items():
        page.goto(f"{served.url}/adapters?name=fused")
        heading(page, "fused")
        press(page, "Use in…")
        page.get_by_role("link", name=link).click()
        heading(page, "New job")
        expect(page.get_by_test_id("stCode")).to_contain_text(command)
    page.goto(f"{served.url}/adapters?name=fused")
    press(page, "Use in…")
    page.get_by_role("link", name="Chat with it").click()
    heading(page, "Playground")
    expect(page.get_by_label("Selected values").get_by_text("fused")).to_be_visible()
    healthy(page)
    page.context.close()


def test_several_values_become_a_grid_whose_jobs_are_listed_together(served: Visitor) -> None:
    page = served.open(f"/submit?like={_id('second')}", "zh")
    heading(page, "新建任务")
    settled(page)
    page.get_by_text("尝试多个取值").click()
    page.get_by_role("combobox", name="字段").wait_for()
    choose(page, "字段", "秩 · rank", search="rank")
    page.keyboard.press("Escape")
    write(page, page.get_by_role("textbox", name="秩的取值"), "2，4")
    expect(page.get_by_test_id("stCode")).to_contain_text("--sweep=rank=2,4")
    press(page, "提交 2 个任务")
    page.get_by_role("link", name="查看全部").click()
    heading(page, "任务")
    expect(page.get_by_text("第 1–2 条，共 2 条")).to_be_visible()
    healthy(page)
    page.context.close()


def _id(name: str) -> str:
    with db.reading() as session:
        return jobs.find(session, name).id


def _saved() -> list[str]:
    with db.reading() as session:
        return [each.name for each in saved_specs.listing(session, filled.USER, "train")]
