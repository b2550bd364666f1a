"""The tables of people: accounts, failed sign-ins, and tokens."""

from sqlalchemy import Column, Text
from sqlmodel import Field, SQLModel

from shared.columns import short_id, time_column


class Account(SQLModel, table=True):
    """Somebody of the team; never deleted, for jobs keep their names."""

    name: str = Field(primary_key=True)
    #: viewer, member or admin
    role: str
    #: Argon2id with its parameters; none for who signs in elsewhere.
    password_hash: str | None = Field(default=None, sa_column=Column(Text))
    #: Whom the OIDC provider vouches for: an e-mail address, or `sub:` and the provider's number.
    identity: str | None = Field(default=None, unique=True)
    disabled: bool = False
    created_at: float = time_column(0.0)
    signed_in_at: float | None = time_column()


class SignInFailure(SQLModel, table=True):
    """Failed sign-ins under a name, known or not, since the last one that worked."""

    name: str = Field(primary_key=True)
    failures: int = 0
    last_at: float = time_column(0.0)


class Token(SQLModel, table=True):
    """What shows who somebody is instead of a password; only its hash is kept."""

    id: str = Field(default_factory=short_id, primary_key=True)
    #: SHA-256 of the secret; 256 random bits need no salt and no slow hash.
    secret_hash: str
    user: str = Field(index=True)
    #: The most it may do, whatever its owner becomes.
    role: str
    #: "api", or "session" for a browser that signed in.
    kind: str = "api"
    label: str = ""
    created_at: float = time_column(0.0)
    expires_at: float = time_column(0.0)
    revoked_at: float | None = time_column()
    used_at: float | None = time_column()
