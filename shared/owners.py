"""The tables of who uses the pool: what each owner has used, and what users may have."""

from sqlmodel import Field, SQLModel

from shared.columns import time_column


class Share(SQLModel, table=True):
    """What a user of a project has used; written only by submit (new rows) and shared/leases.py."""

    project: str = Field(primary_key=True)
    user: str = Field(primary_key=True)
    #: GPU-seconds of attempts that ended, decayed to `used_at`.
    used: float = time_column(0.0)
    used_at: float = time_column(0.0)
    last_start: float = time_column(0.0)


class Limit(SQLModel, table=True):
    """What one user or project may have; `*` is every user without a row of their own."""

    #: "user" or "project".
    kind: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    queued: int | None = None
    running: int | None = None
    gpus: int | None = None
    #: In the last 30 days.
    gpu_hours: float | None = time_column(None)
    weight: float = time_column(1.0)
