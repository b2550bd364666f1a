"""Jobs are found by name first, and only those with an idempotency key are in its index.

SQLite keeps the constraint of its first tables as well: it means the same, and taking it out would
rewrite the table that most others point to.
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    given = sa.text("idempotency_key IS NOT NULL")
    op.create_index("job_key", "job", ["idempotency_key"], unique=True,
                    postgresql_where=given, sqlite_where=given)  # fmt: skip
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint("job_idempotency_key_key", "job", type_="unique")
    op.create_index("job_name", "job", ["name", "kind"])
    op.drop_index("job_output", table_name="job")
