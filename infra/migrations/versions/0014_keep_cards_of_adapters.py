"""People write notes and tags on adapters, and recommend versions."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.create_table(
        "adaptercard",
        sa.Column("adapter", sa.String(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("promoted_by", sa.String(), nullable=False),
        sa.Column("promoted_at", sa.Float(precision=53), nullable=True),
        sa.ForeignKeyConstraint(["adapter"], ["adapter.name"]),
        sa.PrimaryKeyConstraint("adapter"),
    )
