"""The list of jobs goes on by an index; people keep views of it."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_index("job_newest", "job", ["created_at", "id"])
    key = ("user", "page", "name")
    op.create_table(
        "savedview",
        *(sa.Column(name, sa.String(), nullable=False) for name in (*key, "query")),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint(*key),
    )
