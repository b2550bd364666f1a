"""Who comes from the OpenID Connect provider: who they are here, and who is turned away."""

from pathlib import Path
from time import time
from typing import Any

import pytest

from dashboard import oidc, visitor
from dashboard.__main__ import main
from pages import draw, texts
from shared import db
from shared.config import settings
from shared.errors import BadOidc
from shared.people import accounts
from shared.people.actors import Actor, Role

ROOT = Actor.admin("root")
GOOD = {
    "redirect_uri": "https://graft.example.org/oauth2callback", "cookie_secret": "s" * 32,
    "client_id": "graft", "client_secret": "x",
    "server_metadata_url": "https://id.example.org/.well-known/openid-configuration",
}  # fmt: skip


def write(**changed: str) -> Path:
    path = settings().oidc
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f'{name} = "{value}"' for name, value in (GOOD | changed).items() if value]
    path.write_text("[auth]\n" + "\n".join(lines) + "\n")
    return path


@pytest.fixture
def team(empty_pool: Path) -> None:
    """A provider, and an account that signs in by its verified address."""
    write()
    with db.writing() as session:
        accounts.create(session, "eve", Role.VIEWER, actor=ROOT, identity="eve@example.org")


def claims(**changed: Any) -> dict[str, Any]:
    told = {"is_logged_in": True, "sub": "17", "exp": time() + 600}
    return told | {"email": "Eve@example.org", "email_verified": True} | changed


def page_of(user: dict[str, Any]) -> str:
    """What somebody sees of the start page."""
    app = draw("jobs", user=user)
    assert not app.exception
    return texts(app)


@pytest.mark.usefixtures("team")
def test_whom_the_provider_vouches_for_is_who_has_that_identity() -> None:
    page = page_of(claims())
    assert "eve" in page
    assert "Sign out" in page
    assert "Jobs" in page


@pytest.mark.usefixtures("team")
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"email": "bo@example.org"}, "bo@example.org, but no account here"),
        ({"email_verified": False}, "sub:17, but no account here"),
        ({"exp": 1.0}, "has run out"),
        ({"exp": None}, "has run out"),
    ],
)
def test_a_stranger_and_a_word_that_ran_out_are_turned_away_with_what_to_do(
    changed: dict[str, Any], said: str
) -> None:
    page = page_of(claims(**changed)).replace("\\", "")
    assert said in page
    assert "Sign in as somebody else" in page
    assert "New job" not in page


@pytest.mark.usefixtures("team")
def test_a_disabled_account_is_a_strangers_at_once() -> None:
    with db.writing() as session:
        accounts.disable(session, "eve", actor=ROOT)
    assert "or it is disabled" in page_of(claims())


@pytest.mark.usefixtures("team")
def test_who_comes_without_a_word_is_offered_the_provider_and_the_password() -> None:
    page = page_of({"is_logged_in": False})
    assert "Sign in with your organisation" in page


def test_without_a_provider_nobodys_claims_count(empty_pool: Path) -> None:
    with db.writing() as session:
        accounts.create(session, "eve", Role.VIEWER, actor=ROOT, identity="eve@example.org")
    page = page_of(claims())
    assert "Sign in to go on" in page
    assert "Sign in with your organisation" not in page


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"client_id": "", "client_secret": ""}, "lacks client_id, client_secret"),
        ({"redirect_uri": "https://graft.example.org/"}, "followed by /oauth2callback"),
        ({"cookie_secret": "short"}, "fewer than 32 characters"),
    ],
)
def test_a_file_that_names_no_provider_stops_the_dashboard_with_the_reason(
    changed: dict[str, str], said: str, sqlite: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(**changed)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == BadOidc.exit_code
    assert said in capsys.readouterr().err


def test_streamlit_reads_the_providers_file_alone(sqlite: str) -> None:
    assert oidc.arguments() == []
    path = write()
    assert oidc.arguments() == ["--secrets.files", str(path)]


def test_an_identity_lets_the_dashboard_be_served_to_others(
    sqlite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings(), "dashboard_address", "0.0.0.0")
    write()
    with db.writing() as session:
        accounts.create(session, "eve", Role.VIEWER, actor=ROOT, identity="sub:17")
    visitor.require_protection()
