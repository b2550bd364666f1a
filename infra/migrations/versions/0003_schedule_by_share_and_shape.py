"""What jobs ask of a host, what hosts have, and what each user of a project has used."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_EMPTY = sa.text("'[]'")
_QUEUED, _RUNNING = sa.text("state = 'queued'"), sa.text("state = 'running'")


def _seconds(name: str, default: str | None = "0") -> sa.Column[float]:
    return sa.Column(name, sa.Float(precision=53), nullable=default is None, server_default=default)


def upgrade() -> None:
    for column in (
        sa.Column("gpus", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("vram_mb", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("labels", sa.JSON(), nullable=False, server_default=_EMPTY),
        sa.Column("preemptible", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("base", sa.String(), nullable=False, server_default=""),
        _seconds("limit_seconds"),
        _seconds("expected_seconds"),
        sa.Column("sweep", sa.String(), nullable=True),
        _seconds("preempt_requested_at", None),
    ):
        op.add_column("job", column)
    op.drop_index("job_queue", "job")
    order = ["project", "user", sa.text("priority desc"), "created_at", "id"]
    op.create_index("job_queue", "job", order, postgresql_where=_QUEUED, sqlite_where=_QUEUED)
    op.create_index(
        "job_running", "job", ["lease_until"], postgresql_where=_RUNNING, sqlite_where=_RUNNING
    )
    op.create_index("job_history", "job", ["kind", "base", "state", "finished_at"])
    op.create_index("ix_job_sweep", "job", ["sweep"])
    with op.batch_alter_table("attempt") as attempt:
        attempt.drop_column("slot")
        attempt.alter_column("slot_seconds", new_column_name="gpu_seconds")
        attempt.add_column(sa.Column("cards", sa.JSON(), nullable=False, server_default=_EMPTY))
        attempt.add_column(_seconds("share", "1"))
    for name in ("cards", "labels", "closed", "bases"):
        op.add_column("host", sa.Column(name, sa.JSON(), nullable=False, server_default=_EMPTY))
    op.create_table(
        "share",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("used", sa.Float(precision=53), nullable=False),
        sa.Column("used_at", sa.Float(precision=53), nullable=False),
        sa.Column("last_start", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("project", "user"),
    )
    op.execute(
        'insert into share (project, "user", used, used_at, last_start) '
        'select distinct project, "user", 0, 0, 0 from job'
    )
    op.create_table(
        "limit",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("queued", sa.Integer(), nullable=True),
        sa.Column("running", sa.Integer(), nullable=True),
        sa.Column("gpus", sa.Integer(), nullable=True),
        sa.Column("gpu_hours", sa.Float(precision=53), nullable=True),
        sa.Column("weight", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name"),
    )
