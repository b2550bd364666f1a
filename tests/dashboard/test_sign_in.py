"""Who may see the dashboard: one user of this machine, or those who signed in."""

import pytest

from calling import Caller
from dashboard import visitor
from dashboard.__main__ import main
from shared import db
from shared.config import settings
from shared.errors import OpenToOthers, Unauthenticated
from shared.people import accounts, sessions
from shared.people.actors import Actor, Role

ROOT = Actor.admin("root")
PASSWORD = "correct horse battery"


@pytest.fixture
def web(sqlite: str) -> Caller:
    with db.writing() as session:
        accounts.create(session, "eve", Role.VIEWER, actor=ROOT, password=PASSWORD)
    return Caller("127.0.0.1", "localhost", under="/")


def form(name: str = "eve", password: str = PASSWORD) -> dict[str, str]:
    return {"name": name, "password": password}


def test_a_session_has_its_owners_role_until_it_is_ended(web: Caller) -> None:
    answer = web.post("/sign-in", data=form())
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "SameSite=lax" in answer.headers["set-cookie"]
    text = answer.cookies[visitor.COOKIE]
    assert sessions.actor_of(text) == Actor("eve", Role.VIEWER)
    left = web.get("/sign-out", headers={"cookie": f"{visitor.COOKIE}={text}"})
    assert left.headers["location"] == "/sign-in"
    with pytest.raises(Unauthenticated, match="revoked"):
        sessions.actor_of(text)


def test_a_disabled_account_loses_its_open_pages_too(web: Caller) -> None:
    text = web.post("/sign-in", data=form()).cookies[visitor.COOKIE]
    with db.writing() as session:
        accounts.disable(session, "eve", actor=ROOT)
    with pytest.raises(Unauthenticated, match="disabled"):
        sessions.actor_of(text)
    assert web.post("/sign-in", data=form()).status_code == 401


@pytest.mark.parametrize("wrong", [form("eve", "no"), form("nobody"), {}])
def test_what_does_not_fit_is_one_sentence_in_the_readers_language(
    wrong: dict[str, str], web: Caller
) -> None:
    answer = web.post("/sign-in", data=wrong, headers={"accept-language": "zh-CN"})
    assert answer.status_code == 401
    assert "账号或密码不正确。" in answer.text
    assert visitor.COOKIE not in answer.cookies


def test_a_typed_name_is_shown_again_as_text(web: Caller) -> None:
    answer = web.post("/sign-in", data=form('"><script>alert(1)</script>', "no"))
    assert "<script>alert" not in answer.text


def test_a_form_of_another_site_is_refused(web: Caller) -> None:
    answer = web.post("/sign-in", data=form(), headers={"origin": "https://elsewhere.example"})
    assert answer.status_code == 403
    assert visitor.COOKIE not in answer.cookies


def test_too_many_failures_are_told_to_wait(web: Caller) -> None:
    codes = [web.post("/sign-in", data=form("eve", "no")).status_code for _ in range(12)]
    assert codes[0] == 401
    assert codes[-1] == 429


def test_an_api_token_opens_no_page(web: Caller) -> None:
    with pytest.raises(Unauthenticated):
        sessions.actor_of("graft_0123456789ab_" + "x" * 43)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_one_user_of_a_machine_needs_no_account(
    host: str, sqlite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings(), "dashboard_address", host)
    visitor.require_protection()
    assert not visitor.sign_in_needed()


def test_beyond_this_machine_it_is_not_served_before_somebody_can_sign_in(
    sqlite: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(settings(), "dashboard_address", "0.0.0.0")
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == OpenToOthers.exit_code
    assert "graft accounts add" in capsys.readouterr().err
    with db.writing() as session:
        accounts.create(session, "ann", Role.ADMIN, actor=ROOT, password=PASSWORD)
    visitor.require_protection()
    assert visitor.sign_in_needed()
