"""A host's heartbeat says for how long jobs have let their cards stand still."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    idle = sa.Column("idle", sa.JSON(), nullable=False, server_default=sa.text("'{}'"))
    op.add_column("host", idle)
