"""Real clicks on the submit page: a command that follows the form, a plan, and then the job."""

import pytest
from playwright.sync_api import expect

import filled
from shared import db, jobs
from shared.errors import Language
from visitors import Visitor, browser, heading, healthy, press, served

__all__ = ["browser", "served"]

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


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
        page.get_by_role("combobox", name=label).first.click()
        page.get_by_role("option", name=value).first.click()
    field = page.get_by_role("textbox", name={"en": "Adapter name", "zh": "适配器名"}[language])
    field.fill(name)
    field.press("Enter")
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
