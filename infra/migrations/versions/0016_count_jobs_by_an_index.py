"""Jobs are counted by user, state and kind from an index alone, whatever their specs weigh."""

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.drop_index("job_user", table_name="job")
    op.create_index("job_user", "job", ["user", "state", "kind"])
