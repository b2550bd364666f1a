"""The tables of what is kept for people: forms half filled in, saved specs, what they were told."""

from typing import Any

from sqlmodel import Field, SQLModel

from shared.columns import json_column, time_column


class Draft(SQLModel, table=True):
    """A form as somebody left it; values may be missing or wrong."""

    user: str = Field(primary_key=True)
    #: The kind of job.
    kind: str = Field(primary_key=True)
    values: dict[str, Any] = json_column()
    #: The values that several jobs shall vary, by field; empty for one job.
    grid: dict[str, Any] = json_column()
    changed_at: float = time_column(0.0)


class SavedSpec(SQLModel, table=True):
    """Values of a spec under a name, to begin with again; values may be missing."""

    user: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    kind: str
    values: dict[str, Any] = json_column()
    grid: dict[str, Any] = json_column()
    #: Everybody may load it, not its owner alone.
    team: bool = False
    created_at: float = time_column(0.0)


class Told(SQLModel, table=True):
    """Up to which event somebody was told of the ends of their jobs."""

    user: str = Field(primary_key=True)
    seq: int = 0
