"""Accounts: who may make them, and who gets in with which password."""

import pytest
from argon2 import PasswordHasher
from sqlmodel import Session

from shared import db
from shared.errors import BadAccount, Forbidden, LastAdmin, NameTaken, TooManyFailures
from shared.people import accounts, passwords, throttle
from shared.people.actors import Actor, Role
from shared.tables import Account, SignInFailure

ROOT, ANN = Actor("root", Role.ADMIN), Actor("ann", Role.MEMBER)
PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes of little work; what is tested is not how slow they are."""
    monkeypatch.setattr(passwords, "_hasher", lambda: PasswordHasher(1, 8, 1))
    passwords._nobodys.cache_clear()


def _add(session: Session, name: str, role: Role = Role.MEMBER) -> Account:
    return accounts.create(session, name, role, actor=ROOT, password=PASSWORD)


def test_the_right_password_signs_in_and_nothing_else_does(database: str) -> None:
    with db.writing() as session:
        _add(session, "ann")
        accounts.create(session, "sso", Role.ADMIN, actor=ROOT, identity="Sso@Example.org")
    assert accounts.signed_in("ann", PASSWORD) == ANN
    assert accounts.signed_in("ann", "wrong") is None
    assert accounts.signed_in("nobody", PASSWORD) is None
    assert accounts.signed_in("sso", "") is None
    with db.reading() as session:
        assert session.get_one(Account, "ann").signed_in_at is not None
        assert PASSWORD not in (session.get_one(Account, "ann").password_hash or "")
        known = ["sub:unknown", "sso@example.ORG"]
        assert accounts.actor_of_identities(session, known) == Actor("sso", Role.ADMIN)
        assert accounts.actor_of_identities(session, ["x@example.org"]) is None


def test_a_disabled_account_gets_in_neither_way(sqlite: str) -> None:
    with db.writing() as session:
        accounts.create(session, "ann", Role.MEMBER, actor=ROOT, password=PASSWORD, identity="a@b")
        accounts.disable(session, "ann", actor=ROOT)
    assert accounts.signed_in("ann", PASSWORD) is None
    with db.writing() as session:
        assert accounts.actor_of_identities(session, ["a@b"]) is None
        assert not accounts.any_can_sign_in(session, oidc=True)
        accounts.disable(session, "ann", actor=ROOT, disabled=False)
    assert accounts.signed_in("ann", PASSWORD) == ANN


def test_an_unknown_name_costs_a_whole_check_too(
    sqlite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with db.writing() as session:
        _add(session, "ann")
    checked: list[str] = []
    verify = PasswordHasher.verify

    def counted(self: PasswordHasher, stored: str | bytes, password: str | bytes) -> bool:
        checked.append(str(stored))
        return verify(self, stored, password)

    monkeypatch.setattr(PasswordHasher, "verify", counted)
    for name in ("ann", "nobody"):
        assert accounts.signed_in(name, "wrong") is None
    assert len(checked) == 2
    assert checked[0].rsplit("$", 2)[0] == checked[1].rsplit("$", 2)[0]


@pytest.mark.parametrize("name", ["ann", "nobody"])
def test_failures_make_the_next_try_wait_whether_the_name_is_known_or_not(
    database: str, name: str
) -> None:
    with db.writing() as session:
        _add(session, "ann")
    for _ in range(throttle.FREE):
        assert accounts.signed_in(name, "wrong") is None
    with pytest.raises(TooManyFailures) as refused:
        accounts.signed_in(name.upper() if name == "nobody" else name, PASSWORD)
    assert 0 < refused.value.params["seconds"] <= throttle.FIRST_WAIT
    with db.writing() as session:
        row = session.get_one(SignInFailure, name)
        assert row.failures == throttle.FREE
        row.last_at -= throttle.FIRST_WAIT + 1
    assert (accounts.signed_in(name, PASSWORD) is not None) == (name == "ann")
    with db.reading() as session:
        assert (session.get(SignInFailure, name) is None) == (name == "ann")


def test_the_wait_doubles_up_to_a_quarter_of_an_hour() -> None:
    assert [throttle.wait_after(n) for n in (4, 5, 6, 7, 99)] == [0.0, 15.0, 30.0, 60.0, 900.0]


def test_a_new_password_counts_at_once_and_old_hashes_are_renewed(
    sqlite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with db.writing() as session:
        _add(session, "ann")
        accounts.set_password(session, "ann", "another long word", actor=ANN)
        old = session.get_one(Account, "ann").password_hash
    assert accounts.signed_in("ann", PASSWORD) is None
    assert accounts.signed_in("ann", "another long word") == ANN
    monkeypatch.setattr(passwords, "_hasher", lambda: PasswordHasher(2, 8, 1))
    assert accounts.signed_in("ann", "another long word") == ANN
    with db.reading() as session:
        assert session.get_one(Account, "ann").password_hash != old
    assert accounts.signed_in("ann", "another long word") == ANN


@pytest.mark.parametrize("password", ["short", "a" * 40, "Ann-of-the-lab", "x" * 2000])
def test_a_password_that_is_easy_to_guess_is_refused(sqlite: str, password: str) -> None:
    with pytest.raises(BadAccount, match="password"), db.writing() as session:
        accounts.create(session, "ann-of-the-lab", Role.MEMBER, actor=ROOT, password=password)


def test_names_are_checked_and_differ_by_more_than_case(sqlite: str) -> None:
    with db.writing() as session:
        _add(session, "ann")
        with pytest.raises(NameTaken):
            _add(session, "Ann")
        for wrong in ("", "a b", "../x", "<b>", "a" * 65):
            with pytest.raises(BadAccount, match="account name"):
                _add(session, wrong)


def test_the_last_admin_stays_one(sqlite: str) -> None:
    with db.writing() as session:
        _add(session, "ann", Role.ADMIN)
        for change in (
            lambda: accounts.disable(session, "ann", actor=ROOT),
            lambda: accounts.set_role(session, "ann", Role.VIEWER, actor=ROOT),
        ):
            with pytest.raises(LastAdmin):
                change()
        _add(session, "bob", Role.ADMIN)
        assert accounts.set_role(session, "ann", Role.VIEWER, actor=ROOT).role == Role.VIEWER


def test_members_manage_nobody_but_themselves(sqlite: str) -> None:
    with db.writing() as session:
        _add(session, "ann")
        _add(session, "bob")
        for change in (
            lambda: accounts.create(session, "x", Role.ADMIN, actor=ANN),
            lambda: accounts.set_role(session, "ann", Role.ADMIN, actor=ANN),
            lambda: accounts.disable(session, "bob", actor=ANN),
            lambda: accounts.set_password(session, "bob", PASSWORD, actor=ANN),
        ):
            with pytest.raises(Forbidden):
                change()


def test_an_identity_is_one_accounts_and_can_be_given_and_taken(sqlite: str) -> None:
    with db.writing() as session:
        accounts.create(session, "ann", Role.MEMBER, actor=ROOT, identity="sub:Ab1")
        _add(session, "bo")
        with pytest.raises(NameTaken):
            accounts.set_identity(session, "bo", "sub:Ab1", actor=ROOT)
        with pytest.raises(Forbidden):
            accounts.set_identity(session, "ann", "a@b", actor=ANN)
        # A provider's numbers differ by the case of their letters too.
        accounts.set_identity(session, "bo", "sub:aB1", actor=ROOT)
        assert accounts.actor_of_identities(session, ["sub:aB1"]) == Actor("bo", Role.MEMBER)
        accounts.set_identity(session, "bo", "", actor=ROOT)
        assert accounts.actor_of_identities(session, ["sub:aB1"]) is None


def test_who_has_an_identity_alone_can_sign_in_where_there_is_a_provider(sqlite: str) -> None:
    with db.writing() as session:
        accounts.create(session, "ann", Role.MEMBER, actor=ROOT, identity="a@b")
        assert not accounts.any_can_sign_in(session)
        assert accounts.any_can_sign_in(session, oidc=True)
