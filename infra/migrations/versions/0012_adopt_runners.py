"""How far into a runner's files its worker has read, for the worker that takes it over."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column("attempt", sa.Column("taken", sa.JSON(), nullable=True))
