"""A team signs in: real clicks in a real Chromium on a pool whose people have accounts."""

import re

import pytest
from playwright.sync_api import Page, expect

from dashboard.visitor import COOKIE
from shared import db, jobs
from shared.people import accounts
from shared.people.actors import Actor, Role
from visitors import Visitor, badge, browser, confirm, heading, press, served

__all__ = ["browser", "served"]

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def team(served: Visitor) -> Visitor:
    """Accounts for a viewer, a member and an admin; jobs belong to somebody else."""
    with db.writing() as session:
        for name, role in (("eve", Role.VIEWER), ("bob", Role.MEMBER), ("root", Role.ADMIN)):
            accounts.create(session, name, role, actor=Actor.admin("setup"), password=PASSWORD)
    return served


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    page.get_by_label(re.compile("^(Name|账号)$")).fill(name)
    page.get_by_label(re.compile("^(Password|密码)$")).fill(password)
    page.get_by_role("button", name=re.compile("^(Sign in|登录)$")).click()


def waiting() -> str:
    with db.reading() as session:
        return jobs.find(session, "waiting-0").id


def test_a_stranger_sees_no_page_and_is_shown_where_to_sign_in(team: Visitor) -> None:
    page = team.open(f"/job?id={waiting()}", "zh")
    heading(page, "登录")
    expect(page.get_by_text("waiting-0")).to_have_count(0)
    page.get_by_test_id("stMain").get_by_role("link", name="登录").click()
    sign_in(page, "bob", "wrong")
    expect(page.get_by_role("alert")).to_have_text("账号或密码不正确。")
    sign_in(page, "bob")
    heading(page, "任务")
    expect(page.get_by_text("bob", exact=True)).to_be_visible()
    page.context.close()


@pytest.mark.parametrize("name", ["eve", "bob"])
def test_a_viewer_and_another_member_cannot_cancel_and_are_told_who_may(
    team: Visitor, name: str
) -> None:
    page = team.open("/sign-in")
    sign_in(page, name)
    heading(page, "Jobs")
    page.goto(f"{team.url}/job?id={waiting()}")
    heading(page, "waiting-0")
    press(page, "Cancel job")
    confirm(page, "Cancel job")
    expect(page.get_by_test_id("stAlertContentError").first).to_contain_text(name)
    with db.reading() as session:
        assert jobs.find(session, waiting()).state == "queued"
    page.context.close()


def test_an_admin_cancels_signs_out_and_is_a_stranger_again(team: Visitor) -> None:
    job = waiting()
    page = team.open("/sign-in")
    sign_in(page, "root")
    heading(page, "Jobs")
    page.goto(f"{team.url}/job?id={job}")
    press(page, "Cancel job")
    confirm(page, "Cancel job")
    expect(badge(page, "cancelled")).to_be_visible()
    (cookie,) = [each for each in page.context.cookies() if each.get("name") == COOKIE]
    assert cookie.get("httpOnly")
    page.get_by_role("link", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in to Graft")
    value = cookie.get("value", "")
    page.context.add_cookies([{"name": COOKIE, "value": value, "url": team.url}])
    page.goto(team.url)
    heading(page, "Sign in")
    page.context.close()
