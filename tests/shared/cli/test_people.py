"""`graft accounts` and `graft tokens` in the shell."""

import json

import pytest
from argon2 import PasswordHasher
from click.testing import CliRunner

from commands import Graft
from shared.cli.root import root
from shared.people import accounts, passwords
from shared.people.actors import Actor, Role
from shared.people.tokens import actor_of_token


@pytest.fixture(autouse=True)
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes of little work; what is tested is not how slow they are."""
    monkeypatch.setattr(passwords, "_hasher", lambda: PasswordHasher(1, 8, 1))
    passwords._nobodys.cache_clear()


def test_an_account_is_made_changed_and_locked_out(graft: Graft) -> None:
    words = ["accounts", "add", "zoe", "--role", "admin", "--password-stdin"]
    CliRunner().invoke(root, words, input="correct horse battery\n")
    assert accounts.signed_in("zoe", "correct horse battery") == Actor("zoe", Role.ADMIN)
    words = ["accounts", "add", "eve", "--password-stdin"]
    assert CliRunner().invoke(root, words, input="another long password\n").exit_code == 0
    assert graft("accounts", "role", "eve", "viewer").exit_code == 0
    assert graft("accounts", "disable", "eve").exit_code == 0
    listed = {each["name"]: each for each in json.loads(graft("accounts", "--json").stdout)}
    assert (listed["eve"]["role"], listed["eve"]["disabled"]) == ("viewer", True)
    assert "password_hash" not in listed["zoe"]
    refused = graft("accounts", "disable", "zoe")
    assert refused.exit_code == 4
    assert "only admin" in refused.stderr


def test_a_password_needs_a_terminal_or_a_pipe(graft: Graft) -> None:
    refused = graft("accounts", "add", "bob")
    assert refused.exit_code == 2
    assert "--password-stdin" in refused.stderr
    assert graft("accounts", "password", "nobody").exit_code == 4


def test_a_token_is_shown_once_works_and_is_revoked(graft: Graft) -> None:
    text = graft("tokens", "new", "--scope", "submit", "--label", "nightly").stdout.strip()
    assert actor_of_token(text) == Actor("ann", Role.MEMBER)
    (listed,) = json.loads(graft("tokens", "--json").stdout)
    assert (listed["label"], "secret_hash" in listed) == ("nightly", False)
    assert text not in graft("tokens").stdout
    assert graft("tokens", "revoke", listed["id"]).exit_code == 0
    assert json.loads(graft("tokens", "--json").stdout)[0]["revoked_at"] is not None
