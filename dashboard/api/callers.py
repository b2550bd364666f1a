"""Who calls: the bearer of a token, or, without one, whoever works on this machine."""

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlmodel import select

from dashboard.api.languages import reader
from dashboard.visitor import is_loopback
from shared import db
from shared.api.pool import Pool
from shared.config import settings
from shared.errors import Unauthenticated, both
from shared.people.actors import Actor, local_actor
from shared.people.tokens import actor_of_token
from shared.tables import Account

_bearer = HTTPBearer(
    auto_error=False, description="A token of `graft tokens new`; needless on this machine."
)
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


def pool_of(
    request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Pool:
    """The pool as the caller may use it. Raises Unauthenticated."""
    site = str(request.base_url).rstrip("/")
    return Pool(_actor(request, given), reader(request), site)


Caller = Annotated[Pool, Depends(pool_of)]


def _actor(request: Request, given: HTTPAuthorizationCredentials | None) -> Actor:
    if given is not None:
        return actor_of_token(given.credentials)
    if "authorization" in request.headers:
        raise Unauthenticated(problem=both("send a bearer token", "请发送 bearer 令牌"))
    if is_local(request) and not _has_people():
        return local_actor()
    raise Unauthenticated(problem=both("no token was sent", "未发送令牌"))


def _has_people() -> bool:
    """Has the pool accounts? Then this machine may have several users, who show who they are."""
    with db.reading() as session:
        return session.exec(select(Account.name).limit(1)).first() is not None


def is_local(request: Request) -> bool:
    """Does a program of this machine call directly?

    A proxy of this machine speaks for others, so what it forwards is not local. Nor is what a page
    of another site makes a browser here send, by its own name or by one that resolves to here.
    """
    headers = request.headers
    if not is_loopback(settings().dashboard_address):
        return False
    if any(name in headers for name in _FORWARDED):
        return False
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return False
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != headers.get("host"):
        return False
    client = request.client.host if request.client else ""
    return is_loopback(client) and is_loopback(
        urlsplit(f"//{headers.get('host', '')}").hostname or ""
    )
