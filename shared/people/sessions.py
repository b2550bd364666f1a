"""Browsers that signed in: a session is a token of its own kind, kept in a cookie."""

from contextlib import suppress

from shared import db
from shared.clock import db_now
from shared.errors import Unauthenticated
from shared.people.accounts import signed_in
from shared.people.actors import Actor
from shared.people.tokens import Scope, actor_of_token, made_for
from shared.tables import Token

KIND = "session"
#: Days until a browser has to sign in again.
DAYS = 7.0


def begin(name: str, password: str) -> str | None:
    """Sign in: the session's text for a cookie, or None where name and password do not fit.

    Raises TooManyFailures.
    """
    actor = signed_in(name, password)
    if actor is None:
        return None
    with db.writing() as session:
        return made_for(session, actor, actor.user, Scope.ADMIN, days=DAYS, kind=KIND).text


def actor_of(text: str) -> Actor:
    """Whose session this is, with the role they have now. Raises Unauthenticated."""
    return actor_of_token(text, kind=KIND)


def end(text: str) -> None:
    """Sign out: nobody can use this session again; one that is no good is none already."""
    with suppress(Unauthenticated):
        actor_of(text)
        with db.writing() as session:
            found = session.get_one(Token, text.split("_")[1])
            found.revoked_at = session.scalar(db_now())
