"""What an OpenID Connect provider says somebody is, as an account can be found by it."""

from collections.abc import Mapping
from typing import Any

#: Before a provider's own number of somebody; what has no such mark is an e-mail address.
SUBJECT = "sub:"


def plain(identity: str) -> str:
    """An identity as it is stored: addresses in lower case, a provider's numbers as they are."""
    text = identity.strip()
    return text if text.startswith(SUBJECT) else text.casefold()


def of_claims(claims: Mapping[str, Any]) -> list[str]:
    """The identities that an ID token's claims vouch for, the surest first.

    An e-mail address counts only where the provider says that it was verified: elsewhere anybody
    may have typed it (OpenID Connect Core 1.0, 5.7).
    """
    found = []
    if isinstance(subject := claims.get("sub"), str) and subject:
        found.append(SUBJECT + subject)
    verified = claims.get("email_verified") in (True, "true")
    if isinstance(email := claims.get("email"), str) and email and verified:
        found.append(plain(email))
    return found
