"""Two indexes of jobs hold only the rows that are looked up by them: a submission is cheaper."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.drop_index("job_history", table_name="job")
    op.drop_index("ix_job_sweep", table_name="job")
    for name, columns, which in (
        ("job_took", ["kind", "base", "finished_at"], sa.text("state = 'succeeded'")),
        ("job_sweep", ["sweep"], sa.text("sweep IS NOT NULL")),
    ):
        op.create_index(name, "job", columns, postgresql_where=which, sqlite_where=which)
