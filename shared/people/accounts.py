"""Accounts of a team: made and changed by admins, and signed in to with a password or by OIDC."""

import re
from collections.abc import Sequence

from sqlmodel import Session, col, func, or_, select

from shared import db, events
from shared.clock import db_now
from shared.errors import BadAccount, LastAdmin, NameTaken, UnknownAccount, both
from shared.people import passwords, throttle
from shared.people.actors import Actor, Role
from shared.people.identities import plain
from shared.people.permissions import Action, authorise
from shared.tables import Account

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")


def create(
    session: Session,
    name: str,
    role: Role,
    *,
    actor: Actor,
    password: str | None = None,
    identity: str | None = None,
) -> Account:
    """An account, with a password, or with the identity that the OIDC provider gives.

    Raises Forbidden, BadAccount, NameTaken (names differ by more than their case).
    """
    authorise(actor, Action.MANAGE_PEOPLE)
    if not _NAME.fullmatch(name):
        problem = both(
            "start with a letter or digit, then up to 63 letters, digits or any of . _ - + @",
            "须以字母或数字开头，其后最多 63 个字母、数字或 . _ - + @",
        )
        raise BadAccount(field=both("account name", "账号名"), problem=problem)
    same = func.lower(Account.name) == name.lower()
    if session.exec(select(Account.name).where(same)).first() is not None:
        raise NameTaken(thing=both("account", "账号"), name=name)
    if identity and _by_identity(session, identity) is not None:
        raise NameTaken(thing=both("identity", "身份"), name=identity)
    made = Account(
        name=name, role=role, identity=plain(identity) if identity else None,
        password_hash=None if password is None else passwords.hashed(password, name=name),
        created_at=session.scalar(select(db_now())) or 0.0,
    )  # fmt: skip
    session.add(made)
    session.flush()
    events.record(session, "account-added", actor=actor.user, name=name, role=role)
    return made


def set_password(session: Session, name: str, password: str, *, actor: Actor) -> Account:
    """A new password; people change their own, admins everybody's.

    Raises Forbidden, UnknownAccount, BadAccount.
    """
    authorise(actor, Action.CHANGE_PASSWORD, owner=name)
    account = find(session, name)
    account.password_hash = passwords.hashed(password, name=name)
    throttle.forget(session, name)
    events.record(session, "password-changed", actor=actor.user, name=name)
    return account


def set_role(session: Session, name: str, role: Role, *, actor: Actor) -> Account:
    """Another role. Raises Forbidden, UnknownAccount, LastAdmin."""
    authorise(actor, Action.MANAGE_PEOPLE)
    account = find(session, name)
    if role is not Role.ADMIN:
        _require_another_admin(session, account)
    account.role = role
    events.record(session, "role-changed", actor=actor.user, name=name, role=role)
    return account


def disable(session: Session, name: str, *, actor: Actor, disabled: bool = True) -> Account:
    """Lock somebody out at once, their tokens and open pages included, or let them in again.

    Raises Forbidden, UnknownAccount, LastAdmin.
    """
    authorise(actor, Action.MANAGE_PEOPLE)
    account = find(session, name)
    if disabled:
        _require_another_admin(session, account)
    account.disabled = disabled
    kind = "account-disabled" if disabled else "account-enabled"
    events.record(session, kind, actor=actor.user, name=name)
    return account


def listing(session: Session) -> list[Account]:
    """All accounts, by name."""
    return list(session.exec(select(Account).order_by(Account.name)).all())


def find(session: Session, name: str) -> Account:
    """The account of that name. Raises UnknownAccount."""
    account = session.get(Account, name)
    if account is None:
        known = ", ".join(each.name for each in listing(session))
        raise UnknownAccount(name=name, known=known or "-")
    return account


def set_identity(session: Session, name: str, identity: str, *, actor: Actor) -> Account:
    """Whom the OIDC provider vouches for when this account signs in; empty for nobody.

    Raises Forbidden, UnknownAccount, NameTaken.
    """
    authorise(actor, Action.MANAGE_PEOPLE)
    account = find(session, name)
    other = _by_identity(session, identity) if identity else None
    if other is not None and other.name != name:
        raise NameTaken(thing=both("identity", "身份"), name=identity)
    account.identity = plain(identity) if identity else None
    events.record(session, "identity-changed", actor=actor.user, name=name)
    return account


def any_can_sign_in(session: Session, *, oidc: bool = False) -> bool:
    """Whether somebody could sign in with a password, or, where there is one, by a provider."""
    way = col(Account.password_hash).is_not(None)
    if oidc:
        way = or_(way, col(Account.identity).is_not(None))
    ready = select(Account.name).where(way, col(Account.disabled).is_(False))
    return session.exec(ready.limit(1)).first() is not None


def signed_in(name: str, password: str) -> Actor | None:
    """Who this is, or None, which takes as long for unknown names as for wrong passwords.

    Raises TooManyFailures, for unknown names too.
    """
    name = name.strip()
    with db.writing() as session:
        throttle.count(session, name)
    with db.reading() as session:
        account = session.get(Account, name)
    stored = account.password_hash if account is not None and not account.disabled else None
    if not passwords.fits(stored, password) or account is None:
        return None
    with db.writing() as session:
        throttle.forget(session, name)
        account = find(session, name)
        account.signed_in_at = session.scalar(select(db_now()))
        if stored is not None and passwords.outdated(stored):
            account.password_hash = passwords.hashed(password)
    return Actor(account.name, Role(account.role))


def actor_of_identities(session: Session, identities: Sequence[str]) -> Actor | None:
    """Whom the OIDC provider vouched for, by the first identity that an account has.

    None for strangers and disabled accounts.
    """
    for identity in identities:
        account = _by_identity(session, identity)
        if account is not None:
            return None if account.disabled else Actor(account.name, Role(account.role))
    return None


def _by_identity(session: Session, identity: str) -> Account | None:
    return session.exec(select(Account).where(Account.identity == plain(identity))).first()


def _require_another_admin(session: Session, account: Account) -> None:
    if account.role != Role.ADMIN or account.disabled:
        return
    others = select(func.count()).select_from(Account).where(
        Account.role == Role.ADMIN, col(Account.disabled).is_(False), Account.name != account.name
    )  # fmt: skip
    if not session.scalar(others):
        raise LastAdmin(name=account.name)
