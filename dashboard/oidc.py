"""Signing in at a team's OpenID Connect provider, through Streamlit's own `st.login`."""

import tomllib
from importlib.util import find_spec
from pathlib import Path
from time import time
from typing import Any
from urllib.parse import urlsplit

import streamlit as st

from shared import db
from shared.config import settings
from shared.errors import BadOidc, NoAccount, NotInstalled, Unauthenticated, both
from shared.people import accounts, identities
from shared.people.actors import Actor

#: What Streamlit needs to know of the provider, all under `[auth]`.
NEEDED = (
    "redirect_uri", "cookie_secret", "client_id", "client_secret", "server_metadata_url",
)  # fmt: skip
_CALLBACK = "/oauth2callback"
#: Characters of a secret that signs cookies; fewer could be guessed.
_SHORTEST = 32


def file() -> Path | None:
    """The file that names the provider; None where people sign in with passwords alone."""
    path = settings().oidc
    return path if path.is_file() else None


def arguments() -> list[str]:
    """What `streamlit run` is told so that it reads that file, and no other secrets.

    Raises BadOidc for a file that will not do, NotInstalled without the extra `oidc`.
    """
    path = file()
    if path is None:
        return []
    _check(path)
    if find_spec("authlib") is None:
        what = both("signing in by OpenID Connect", "OpenID Connect 登录")
        raise NotInstalled(what=what, package="authlib", extra="oidc")
    return ["--secrets.files", str(path)]


def _check(path: Path) -> None:
    try:
        found: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8")).get("auth", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        raise BadOidc(path=str(path), problem=str(wrong)) from None
    missing = [name for name in NEEDED if not isinstance(found.get(name), str)]
    if missing:
        names = ", ".join(missing)
        problem = both(f"[auth] lacks {names}", f"[auth] 缺少 {names}")
    elif urlsplit(found["redirect_uri"]).path != _CALLBACK:
        problem = both(
            f"redirect_uri must be this dashboard's address followed by {_CALLBACK}",
            f"redirect_uri 须为本面板地址加 {_CALLBACK}",
        )
    elif len(found["cookie_secret"]) < _SHORTEST:
        problem = both(
            f"cookie_secret has fewer than {_SHORTEST} characters; make one: openssl rand -hex 32",
            f"cookie_secret 少于 {_SHORTEST} 个字符；可用 openssl rand -hex 32 生成",
        )
    else:
        return
    raise BadOidc(path=str(path), problem=problem)


def signed_in() -> bool:
    """Whether this browser comes from the provider."""
    return file() is not None and st.user.get("is_logged_in") is True


def actor() -> Actor:
    """Whose identity the provider vouched for, with the role they have now.

    Raises Unauthenticated once the provider's word has run out, NoAccount for a stranger.
    """
    claims = st.user.to_dict()
    if not isinstance(until := claims.get("exp"), int | float) or until <= time():
        problem = both("what your provider vouched for has run out", "身份提供方的凭据已过期")
        raise Unauthenticated(problem=problem)
    known = identities.of_claims(claims)
    with db.reading() as session:
        found = accounts.actor_of_identities(session, known)
    if found is None:
        raise NoAccount(identity=known[-1] if known else "–")
    return found
