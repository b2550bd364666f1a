"""Votes of judge models keep what the judge said in both orders."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.add_column("vote", sa.Column("margins", sa.JSON(), nullable=True))
