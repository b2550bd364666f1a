"""Who acts: a name and a role."""

import getpass
from dataclasses import dataclass
from enum import StrEnum

from shared.config import settings
from shared.errors import Both, both


class Role(StrEnum):
    """What somebody is in the team; the later ones may do all that the earlier ones may."""

    VIEWER = "viewer"
    MEMBER = "member"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        """0 for the one who may do the least."""
        return list(Role).index(self)

    def at_most(self, other: "Role") -> "Role":
        """The lesser of two roles, as a token's scope bounds its owner's role."""
        return min(self, other, key=lambda role: role.rank)

    @property
    def words(self) -> Both:
        """The role in both languages."""
        return _WORDS[self]


_WORDS = {
    Role.VIEWER: both("viewer", "访客"),
    Role.MEMBER: both("member", "成员"),
    Role.ADMIN: both("admin", "管理员"),
}


@dataclass(frozen=True)
class Actor:
    """A person, as every function that changes something wants to know them."""

    user: str
    role: Role

    @classmethod
    def admin(cls, user: str) -> "Actor":
        """An admin of that name."""
        return cls(user, Role.ADMIN)


def local_actor() -> Actor:
    """Whoever works on this machine with the database at hand: GRAFT_USER, else the login name.

    An admin, for the database's address and password already let them change every row.
    """
    return Actor.admin(settings().user or getpass.getuser())
