"""Passwords: hashed with Argon2id, and checked in the same time whether the name exists or not."""

import threading
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from shared.errors import BadAccount, both

#: NIST SP 800-63B asks for length, not for kinds of characters.
SHORTEST = 10
LONGEST = 1024
#: A check takes 64 MiB; a crowd at the door must not take all memory.
_AT_ONCE = threading.BoundedSemaphore(4)


@lru_cache(maxsize=1)
def _hasher() -> PasswordHasher:
    # The library's defaults are RFC 9106's second recommendation: 3 passes over 64 MiB.
    return PasswordHasher()


@lru_cache(maxsize=1)
def _nobodys() -> str:
    """A hash that no password fits, checked for names without one so that they take as long."""
    return _hasher().hash("nobody has this password; its check is thrown away")


def hashed(password: str, *, name: str = "") -> str:
    """The hash to store. Raises BadAccount for a password that is too short, long, or the name."""
    problem = None
    if len(password) < SHORTEST:
        problem = both(f"it has fewer than {SHORTEST} characters", f"少于 {SHORTEST} 个字符")
    elif len(password) > LONGEST:
        problem = both(f"it has more than {LONGEST} characters", f"超过 {LONGEST} 个字符")
    elif password.casefold() == name.casefold() or len(set(password)) < 4:
        problem = both("it is too easy to guess", "太容易被猜到")
    if problem is not None:
        raise BadAccount(field=both("password", "密码"), problem=problem)
    with _AT_ONCE:
        return _hasher().hash(password)


def fits(stored: str | None, password: str) -> bool:
    """Whether a password fits a hash; None, for nobody or no password, fits nothing."""
    password = password[:LONGEST]
    with _AT_ONCE:
        try:
            _hasher().verify(stored or _nobodys(), password)
        except (VerificationError, InvalidHashError):
            return False
    return stored is not None


def outdated(stored: str) -> bool:
    """Whether a hash was made with weaker parameters than today's."""
    return _hasher().check_needs_rehash(stored)
