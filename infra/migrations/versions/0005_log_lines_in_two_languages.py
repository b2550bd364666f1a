"""Log lines in two languages."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("logline", sa.Column("zh", sa.Text(), nullable=True))
