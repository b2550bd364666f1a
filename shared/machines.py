"""The table of the machines that run jobs."""

from typing import Any

from sqlalchemy import JSON, Column
from sqlmodel import Field, SQLModel

from shared.columns import json_column, time_column


class Host(SQLModel, table=True):
    """A machine that runs jobs; written only by its own worker, except `accepting`."""

    name: str = Field(primary_key=True)
    #: New at each start of the worker, so that two workers of one name are noticed.
    incarnation: str = ""
    device: str = "cpu"
    slots: int = 1
    info: dict[str, Any] = json_column()
    #: MiB of each card; on a host without GPUs, of each slot.
    cards: list[int] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    labels: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    #: Cards that something outside the pool holds, as of its last look at the queue.
    closed: list[int] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    #: Bases it ran lately, newest first.
    bases: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    #: False while drained: it finishes what it runs and claims nothing new.
    accepting: bool = True
    #: Why it takes nothing new of its own accord, e.g. a full disk: an error record.
    trouble: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON))
    #: Seconds for which jobs have let their cards stand still, by job id, as of its heartbeat.
    idle: dict[str, Any] = json_column()
    started_at: float = time_column(0.0)
    heartbeat_at: float = time_column(0.0)
