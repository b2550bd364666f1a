"""Which samples of a knowledge base stood before an item when an arm answered it."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    samples = sa.Column("samples", sa.JSON(), nullable=False, server_default=sa.text("'[]'"))
    op.add_column("itemresult", samples)
