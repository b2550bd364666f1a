"""What a dataset holds beside its rows and languages: lengths, duplicates, container."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    empty = sa.text("'{}'")
    op.add_column("dataset", sa.Column("facts", sa.JSON(), nullable=False, server_default=empty))
