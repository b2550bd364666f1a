"""Votes of people between two arms' answers to an item."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    texts = ("id", "comparison", "benchmark", "item_hash", "first", "second", "outcome", "user")
    op.create_table(
        "vote",
        *(sa.Column(name, sa.String(), nullable=False) for name in texts),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(["comparison"], ["comparison.name"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_vote_comparison", "vote", ["comparison"])
