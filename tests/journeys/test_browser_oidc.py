"""A team signs in at an OpenID Connect provider: a real one, and a real Chromium."""

import json
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

import pools
from benchmarks.chaos.servers import free_port
from shared import db, schema
from shared.config import settings
from shared.people import accounts
from shared.people.actors import Actor, Role
from visitors import Visitor, browser, heading, healthy, press, running

__all__ = ["browser"]

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
PEOPLE = [
    {"sub": "17", "email": "Eve@example.org", "email_verified": True},
    {"sub": "18", "email": "eve@example.org", "email_verified": False},
]
_FILE = """[auth]
redirect_uri = "http://127.0.0.1:{port}/oauth2callback"
cookie_secret = "a secret that this test signs its cookies with"
client_id = "graft"
client_secret = "not asked for by this provider"
server_metadata_url = "http://127.0.0.1:{provider}/.well-known/openid-configuration"
"""


@pytest.fixture(scope="module")
def team(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    """A provider that knows two people, and a pool in which one of them has an account."""
    home, port, provider = tmp_path_factory.mktemp("team"), free_port(), free_port()
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(provider)]
    for each in PEOPLE:
        command += ["--user-claims", json.dumps(each)]
    with pytest.MonkeyPatch.context() as patch:
        pools.use(patch, home, dashboard_port=str(port))
        schema.upgrade()
        settings().oidc.write_text(_FILE.format(port=port, provider=provider))
        with db.writing() as session:
            accounts.create(
                session, "eve", Role.VIEWER, actor=Actor.admin("setup"), identity="eve@example.org"
            )
        with (
            running(command, provider, home / "provider.log"),
            running([sys.executable, "-m", "dashboard"], port, home / "dashboard.log"),
        ):
            yield Visitor(browser, f"http://127.0.0.1:{port}")
        pools.forget()


def at_the_provider(page: Page, subject: str) -> None:
    """Say there who one is."""
    page.get_by_role("button", name=subject, exact=True).first.click()


def test_whom_the_provider_vouches_for_gets_in_and_out_again(team: Visitor) -> None:
    page = team.open("/", "zh")
    heading(page, "登录")
    press(page, "用单位账号登录")
    at_the_provider(page, "17")
    heading(page, "任务")
    expect(page.get_by_text("eve", exact=True)).to_be_visible()
    healthy(page)
    press(page, "退出")
    page.wait_for_url(lambda url: team.url not in url)
    page.goto(team.url)
    heading(page, "登录")
    page.context.close()


def test_an_address_that_was_not_verified_opens_nobodys_account(team: Visitor) -> None:
    page = team.open("/")
    press(page, "Sign in with your organisation")
    at_the_provider(page, "18")
    heading(page, "Sign in")
    expect(page.get_by_text("graft accounts identity NAME sub:18")).to_be_visible()
    expect(page.get_by_role("button", name="Sign in as somebody else")).to_be_visible()
    page.context.close()
