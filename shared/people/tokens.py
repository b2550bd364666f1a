"""Tokens: shown once, kept as a hash, bounded by a scope, and ended by time or by revocation."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from enum import StrEnum

from sqlmodel import Session, col, or_, select

from shared import db, events
from shared.clock import db_now
from shared.errors import BadAccount, Both, Unauthenticated, UnknownToken, both
from shared.people.actors import Actor, Role
from shared.people.permissions import Action, authorise
from shared.tables import Account, Token

_DAY = 86_400.0
#: Days a token may live.
LONGEST_DAYS = 366.0
#: Seconds between two notes of when it was used: a write for each request would be one too many.
_NOTED = 60.0
_TEXT = re.compile(r"graft_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")


class Scope(StrEnum):
    """The most a token lets its bearer do."""

    READ = "read"
    SUBMIT = "submit"
    ADMIN = "admin"

    @property
    def role(self) -> Role:
        """The role that its bearer has at most."""
        return {"read": Role.VIEWER, "submit": Role.MEMBER, "admin": Role.ADMIN}[self]


@dataclass(frozen=True)
class Made:
    """A new token and its text, which is never shown again."""

    token: Token
    text: str


def create(
    session: Session,
    user: str,
    scope: Scope,
    *,
    actor: Actor,
    days: float = 90.0,
    label: str = "",
) -> Made:
    """A token of `user` for one's own scripts, or anybody's where an admin makes it.

    It never gives more than its maker may do. Raises Forbidden, BadAccount for its days.
    """
    authorise(actor, Action.MAKE_TOKEN, owner=user)
    if not 0 < days <= LONGEST_DAYS:
        problem = both(f"above 0 and up to {LONGEST_DAYS:g}", f"须大于 0 且不超过 {LONGEST_DAYS:g}")
        raise BadAccount(field=both("number of days", "天数"), problem=problem)
    made = made_for(session, actor, user, scope, days=days, label=label)
    events.record(
        session, "token-made", actor=actor.user, token=made.token.id, user=user, scope=scope
    )
    return made


def made_for(
    session: Session,
    actor: Actor,
    user: str,
    scope: Scope,
    *,
    days: float,
    label: str = "",
    kind: str = "api",
) -> Made:
    """A token that gives no more than its maker may do; whoever calls has asked who that is."""
    secret = secrets.token_urlsafe(32)
    now = session.scalar(select(db_now())) or 0.0
    made = Token(
        secret_hash=_hash(secret), user=user, role=actor.role.at_most(scope.role), kind=kind,
        label=label, created_at=now, expires_at=now + days * _DAY,
    )  # fmt: skip
    session.add(made)
    session.flush()
    return Made(made, f"graft_{made.id}_{secret}")


def revoke(session: Session, token_id: str, *, actor: Actor) -> Token:
    """End a token at once. Raises UnknownToken, Forbidden."""
    found = session.get(Token, token_id)
    if found is None:
        raise UnknownToken(token=token_id)
    authorise(actor, Action.REVOKE_TOKEN, owner=found.user)
    if found.revoked_at is None:
        found.revoked_at = session.scalar(select(db_now()))
        if found.kind == "api":
            events.record(session, "token-revoked", actor=actor.user, token=token_id)
    return found


def listing(session: Session, *, user: str = "") -> list[Token]:
    """API tokens, of one user or of all, the newest first; the ended ones too."""
    query = select(Token).where(Token.kind == "api").order_by(col(Token.created_at).desc())
    return list(session.exec(query.where(Token.user == user) if user else query).all())


def actor_of_token(text: str, *, kind: str = "api") -> Actor:
    """Who bears this token. Raises Unauthenticated, which says why.

    The role is the least of the token's and its owner's now; an owner without an account (one
    user on a machine of their own) has what the token's maker had.
    """
    parts = _TEXT.fullmatch(text.strip())
    if parts is None:
        raise Unauthenticated(problem=both("this is no token", "这不是令牌"))
    with db.reading() as session:
        found = session.get(Token, parts[1])
        now = session.scalar(select(db_now())) or 0.0
        account = session.get(Account, found.user) if found is not None else None
    known = found.secret_hash if found is not None else _hash("")
    if not hmac.compare_digest(known, _hash(parts[2])) or found is None or found.kind != kind:
        raise Unauthenticated(problem=both("this token is not known", "令牌无效"))
    if (problem := _ended(found, account, now)) is not None:
        raise Unauthenticated(problem=problem)
    if found.used_at is None or found.used_at < now - _NOTED:
        _note_use(found.id)
    role = Role(found.role)
    return Actor(found.user, role if account is None else role.at_most(Role(account.role)))


def forget_ended(session: Session, *, actor: Actor) -> int:
    """Delete what nobody can use any more; return how many there were. Raises Forbidden."""
    authorise(actor, Action.MANAGE_PEOPLE)
    now = session.scalar(select(db_now())) or 0.0
    ended = or_(col(Token.expires_at) < now, col(Token.revoked_at).is_not(None))
    found = session.exec(select(Token).where(ended)).all()
    for each in found:
        session.delete(each)
    return len(found)


def _ended(token: Token, account: Account | None, now: float) -> Both | None:
    """Why a token lets nobody in any more."""
    if token.revoked_at is not None:
        return both("this token was revoked", "令牌已被吊销")
    if token.expires_at <= now:
        return both("this token has expired", "令牌已过期")
    if account is not None and account.disabled:
        return both(f"the account {token.user} is disabled", f"账号 {token.user} 已停用")
    return None


def _note_use(token_id: str) -> None:
    with db.writing() as session:
        found = session.get(Token, token_id)
        if found is not None:
            found.used_at = session.scalar(select(db_now()))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
