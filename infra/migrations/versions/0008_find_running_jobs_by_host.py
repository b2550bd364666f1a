"""Running jobs are found by their host, and leases are renewed in place.

The index held `lease_until`, so that each renewal was a new entry in every index of the job.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    running = sa.text("state = 'running'")
    op.drop_index("job_running", table_name="job")
    op.create_index("job_running", "job", ["host"], postgresql_where=running, sqlite_where=running)
    if op.get_bind().dialect.name == "postgresql":
        # Room on each page for the renewed row beside the old one.
        op.execute("alter table job set (fillfactor = 80)")
