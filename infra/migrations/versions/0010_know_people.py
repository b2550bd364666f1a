"""Accounts, failed sign-ins and tokens."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    def text(name: str) -> sa.Column[str]:
        return sa.Column(name, sa.String(), nullable=False)

    def time(name: str, nullable: bool = False) -> sa.Column[float]:
        return sa.Column(name, sa.Float(precision=53), nullable=nullable)

    op.create_table(
        "account",
        text("name"),
        text("role"),
        sa.Column("password_hash", sa.Text()),
        sa.Column("identity", sa.String()),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        time("created_at"),
        time("signed_in_at", nullable=True),
        sa.PrimaryKeyConstraint("name"),
        sa.UniqueConstraint("identity"),
    )
    op.create_table(
        "signinfailure",
        text("name"),
        sa.Column("failures", sa.Integer(), nullable=False),
        time("last_at"),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "token",
        *(text(name) for name in ("id", "secret_hash", "user", "role", "kind", "label")),
        time("created_at"),
        time("expires_at"),
        time("revoked_at", nullable=True),
        time("used_at", nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_token_user", "token", ["user"])
