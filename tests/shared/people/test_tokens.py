"""Tokens: what they let their bearer do, and when they end."""

import pytest
from sqlmodel import Session

from shared import db
from shared.errors import BadAccount, Forbidden, Unauthenticated, UnknownToken
from shared.people import accounts, tokens
from shared.people.actors import Actor, Role
from shared.people.tokens import Made, Scope, actor_of_token
from shared.tables import Token

ROOT, ANN = Actor("root", Role.ADMIN), Actor("ann", Role.MEMBER)


def _make(
    session: Session, scope: Scope = Scope.ADMIN, actor: Actor = ANN, user: str = "ann"
) -> Made:
    return tokens.create(session, user, scope, actor=actor, label="script")


def test_a_token_says_who_bears_it_and_is_stored_as_a_hash(database: str) -> None:
    with db.writing() as session:
        made = _make(session)
    assert actor_of_token(made.text) == ANN
    with db.reading() as session:
        stored = session.get_one(Token, made.token.id)
        assert stored.used_at is not None
        assert made.text.split("_", 2)[2] not in str(stored.model_dump())
        assert [each.id for each in tokens.listing(session, user="ann")] == [stored.id]


@pytest.mark.parametrize(
    ("scope", "role"),
    [(Scope.READ, Role.VIEWER), (Scope.SUBMIT, Role.MEMBER), (Scope.ADMIN, Role.ADMIN)],
)
def test_the_scope_bounds_what_an_admins_token_may_do(
    sqlite: str, scope: Scope, role: Role
) -> None:
    with db.writing() as session:
        made = _make(session, scope, ROOT, "root")
    assert actor_of_token(made.text) == Actor("root", role)


def test_a_token_follows_its_owner_down_and_never_above_its_scope(sqlite: str) -> None:
    with db.writing() as session:
        accounts.create(session, "ann", Role.MEMBER, actor=ROOT)
        made = _make(session, Scope.SUBMIT)
        accounts.set_role(session, "ann", Role.VIEWER, actor=ROOT)
    assert actor_of_token(made.text).role is Role.VIEWER
    with db.writing() as session:
        accounts.set_role(session, "ann", Role.ADMIN, actor=ROOT)
    assert actor_of_token(made.text).role is Role.MEMBER
    with db.writing() as session:
        accounts.create(session, "zoe", Role.ADMIN, actor=ROOT)
        accounts.disable(session, "ann", actor=ROOT)
    with pytest.raises(Unauthenticated, match="disabled"):
        actor_of_token(made.text)


def test_what_is_no_token_or_another_secret_lets_nobody_in(sqlite: str) -> None:
    with db.writing() as session:
        made = _make(session)
    other = "A" if made.text[-1] != "A" else "B"
    for text, why in (
        ("", "no token"),
        ("graft_x_y", "no token"),
        (made.text[:-1] + other, "not known"),
        (f"graft_{'0' * 12}_{'a' * 43}", "not known"),
    ):
        with pytest.raises(Unauthenticated, match=why):
            actor_of_token(text)
    with pytest.raises(Unauthenticated, match="not known"):
        actor_of_token(made.text, kind="session")


def test_tokens_end_by_time_and_by_revocation(sqlite: str) -> None:
    with db.writing() as session:
        old, gone = _make(session), _make(session)
        session.get_one(Token, old.token.id).expires_at = 1.0
        tokens.revoke(session, gone.token.id, actor=ANN)
        with pytest.raises(UnknownToken):
            tokens.revoke(session, "nothing", actor=ANN)
    for made, why in ((old, "expired"), (gone, "revoked")):
        with pytest.raises(Unauthenticated, match=why):
            actor_of_token(made.text)
    with db.writing() as session:
        assert tokens.forget_ended(session, actor=ROOT) == 2
        assert tokens.listing(session) == []


@pytest.mark.parametrize("days", [0.0, -1.0, 400.0])
def test_a_token_must_end_within_a_year(sqlite: str, days: float) -> None:
    with pytest.raises(BadAccount, match="days"), db.writing() as session:
        tokens.create(session, "ann", Scope.READ, actor=ANN, days=days)


def test_nobody_makes_or_revokes_a_token_of_somebody_else(sqlite: str) -> None:
    bob = Actor("bob", Role.MEMBER)
    with db.writing() as session:
        made = _make(session)
        for change in (
            lambda: _make(session, actor=bob),
            lambda: tokens.revoke(session, made.token.id, actor=bob),
            lambda: tokens.forget_ended(session, actor=bob),
        ):
            with pytest.raises(Forbidden):
                change()
        tokens.revoke(session, made.token.id, actor=ROOT)
