"""Real clicks on the jobs page: ticks that stay with their jobs, actions on several, views."""

import re
from contextlib import suppress

import pytest
from playwright.sync_api import Page, expect
from playwright.sync_api import TimeoutError as Lost
from sqlmodel import select

import filled
from processes import until
from shared import db, events, jobs
from shared.tables import Attempt, JobState, LogLine, SavedView
from visitors import (
    ROW,
    Visitor,
    browser,
    confirm,
    heading,
    healthy,
    press,
    served,
    settled,
    write,
)  # fmt: skip

__all__ = ["browser", "served"]

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


def tick(page: Page, name: str, then: str) -> None:
    """Click the box before the row that has this text in it, until the page says `then`.

    The table moves when a line appears above it, and a click beside the box is lost.
    """
    said = page.get_by_text(then)
    table = page.get_by_test_id("stDataFrame").first
    row = table.locator("tr", has=page.locator(f'td:text-is("{name}")')).first
    for _ in range(5):
        row.wait_for(state="attached")
        settled(page)
        place, box = row.get_attribute("aria-rowindex"), table.bounding_box()
        assert box is not None
        assert place is not None
        page.mouse.click(box["x"] + 16, box["y"] + ROW * (int(place) - 0.5))
        with suppress(Lost):
            said.wait_for(timeout=12_000)
            return
    expect(said).to_be_visible()


def newcomer(name: str) -> str:
    """A job that somebody submits meanwhile; its id."""
    with db.writing() as session:
        now = session.scalar(filled.select(filled.db_now())) or 0.0
        return filled.add_job(session, filled.train_spec(name), now, JobState.QUEUED).id


def kept() -> list[str]:
    with db.reading() as session:
        return [view.name for view in session.exec(select(SavedView)).all()]


def state_of(name: str) -> str:
    with db.reading() as session:
        return jobs.find(session, name).state


def id_of(name: str) -> str:
    with db.reading() as session:
        return jobs.find(session, name).id


def test_ticks_stay_with_their_jobs_while_others_arrive_and_over_a_reload(served: Visitor) -> None:
    page = served.open("/")
    tick(page, "waiting-1", then="1 ticked")
    newcomer("meanwhile")
    expect(page.get_by_text("1 newer wait until you clear the ticks")).to_be_visible()
    tick(page, "waiting-2", then="2 ticked")
    # The address is written a moment later, and a reload goes by it.
    page.wait_for_url(lambda url: all(id_of(name) in url for name in ("waiting-1", "waiting-2")))
    page.reload()
    expect(page.get_by_text("2 ticked")).to_be_visible()
    press(page, "Cancel 2")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text(re.compile("waiting-1 "))).to_be_visible()
    expect(dialog.get_by_text(re.compile("waiting-2 "))).to_be_visible()
    expect(dialog.get_by_text(re.compile("meanwhile"))).to_have_count(0)
    confirm(page, "Cancel 2")
    expect(page.get_by_text("2 cancelled")).to_be_visible()
    expect(page.get_by_text("Tick jobs to cancel")).to_be_visible()
    assert (state_of("waiting-1"), state_of("waiting-2")) == ("cancelled", "cancelled")
    assert state_of("meanwhile") == "queued"
    healthy(page)
    page.context.close()


def test_several_are_retried_and_moved_and_others_jobs_need_a_word(served: Visitor) -> None:
    with db.writing() as session:
        dropped = jobs.find(session, "dropped")
        dropped.user = "somebody"
        session.add(dropped)
    newcomer("to-move")
    page = served.open("/", "zh")
    tick(page, "to-move", then="调整 1 个的优先级")
    press(page, "调整 1 个的优先级")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("slider").press("End")
    confirm(page, "应用到 1 个")
    expect(page.get_by_text("已调整 1 个", exact=False)).to_be_visible()
    with db.reading() as session:
        assert jobs.find(session, "to-move").priority == 9
    tick(page, "dropped", then="重试 1 个")
    tick(page, "too-big", then="重试 2 个")
    press(page, "重试 2 个")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("也包括他人的 1 个：somebody")).to_be_visible()
    confirm(page, "重试 1 个")
    expect(page.get_by_text("已重新排队 1 个")).to_be_visible()
    assert (state_of("too-big"), state_of("dropped")) == ("queued", "cancelled")
    page.context.close()


def test_a_saved_view_opens_the_same_rows_in_the_other_language(served: Visitor) -> None:
    page = served.open("/?state=succeeded&kind=fuse&columns=name&columns=priority", "zh")
    expect(page.get_by_text("第 1–2 条，共 2 条")).to_be_visible()
    press(page, "视图")
    write(page, page.get_by_label("视图名称"), "fusions that went well")
    press(page, "保存视图")
    until(lambda: bool(kept()), "the view is saved")
    other = served.open("/", "en")
    press(other, "Views")
    other.get_by_role("link", name="fusions that went well").click()
    expect(other.get_by_text("1–2 of 2")).to_be_visible()
    expect(other.get_by_test_id("stDataFrame").get_by_text("Priority")).to_be_attached()
    expect(other.get_by_test_id("stDataFrame").get_by_text("Host")).to_have_count(0)
    other.wait_for_url(re.compile(r"state=succeeded&kind=fuse"))
    page.context.close()
    other.context.close()


def test_progress_and_the_log_go_on_by_themselves_and_survive_a_reload(served: Visitor) -> None:
    with db.reading() as session:
        job = jobs.find(session, "longer")
    page = served.open(f"/job?id={job.id}")
    expect(page.get_by_text("training · 30 / 100 steps")).to_be_visible()
    with db.writing() as session:
        attempt = session.get_one(Attempt, (job.id, 1))
        attempt.done = 60
        session.add(attempt)
        session.add(LogLine(job_id=job.id, epoch=1, text="half of it is done", at=job.created_at))
    expect(page.get_by_text("training · 60 / 100 steps")).to_be_visible()
    expect(page.get_by_text("half of it is done")).to_be_visible()
    page.reload()
    expect(page.get_by_text("training · 60 / 100 steps")).to_be_visible()
    write(page, page.get_by_role("textbox", name="Search the log"), "HALF")
    expect(page.get_by_text("The last 1 lines that hold it, of 31")).to_be_visible()
    settled(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download", exact=True).click()
    assert download.value.path().read_text("utf-8").count("\n") == 31
    healthy(page)
    page.context.close()


def test_the_end_of_a_job_is_told_on_another_page_once_with_a_link(served: Visitor) -> None:
    job = newcomer("soon-done")
    page = served.open("/hosts", "zh")
    heading(page, "主机")
    settled(page)
    with db.writing() as session:
        jobs.find(session, job).state = JobState.SUCCEEDED
        events.record(session, "succeeded", actor="host-1", job=job)
    told = page.get_by_test_id("stToast").filter(has_text="soon-done 已成功。")
    with page.context.expect_page() as opened:
        told.get_by_role("link", name="打开任务").click()
    heading(opened.value, "soon-done")
    page.reload()
    for shown in (page, opened.value):
        settled(shown)
        expect(shown.get_by_test_id("stToast")).to_have_count(0)
    page.context.close()
