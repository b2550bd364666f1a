"""Who looks at the dashboard: somebody who signed in, or the one user of this machine."""

from ipaddress import ip_address

import streamlit as st
from sqlmodel import select

from dashboard import oidc
from shared import db
from shared.config import settings
from shared.errors import OpenToOthers, Unauthenticated, both
from shared.people import accounts, sessions
from shared.people.actors import Actor, local_actor
from shared.tables import Account

COOKIE = "graft_session"


def actor() -> Actor:
    """Who is acting.

    Raises Unauthenticated where people have accounts and nobody signed in, NoAccount for somebody
    whom the provider knows and we do not.
    """
    if oidc.signed_in():
        return oidc.actor()
    if text := session_text():
        return sessions.actor_of(text)
    if sign_in_needed():
        raise Unauthenticated(problem=both("this page is for signed-in people", "本页需要登录"))
    return local_actor()


def session_text() -> str:
    """What the visitor's cookie holds; empty without one, and where no browser asked at all."""
    text = st.context.cookies.get(COOKIE)
    return text if isinstance(text, str) else ""


def sign_in_needed() -> bool:
    """Whether people show who they are: the pool has accounts, or others can reach this address."""
    if not is_loopback(settings().dashboard_address):
        return True
    with db.reading() as session:
        return session.exec(select(Account.name).limit(1)).first() is not None


def require_protection() -> None:
    """Raises OpenToOthers where others could reach the dashboard and nobody can sign in."""
    address = settings().dashboard_address
    if is_loopback(address):
        return
    with db.reading() as session:
        if not accounts.any_can_sign_in(session, oidc=oidc.file() is not None):
            raise OpenToOthers(address=address)


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach this host name or address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
