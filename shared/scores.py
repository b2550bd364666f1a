"""The tables of what evaluations found, and of the comparisons that are read from them."""

from typing import Any

from sqlalchemy import JSON, Column, ForeignKey, Text
from sqlmodel import Field, SQLModel

from shared.columns import json_column, short_id, time_column


class Evaluation(SQLModel, table=True):
    """One arm (the base or an adapter) on one benchmark."""

    id: str = Field(default_factory=short_id, primary_key=True)
    job_id: str = Field(foreign_key="job.id", index=True)
    arm: str
    adapter: str | None = None
    base_model: str
    benchmark: str
    benchmark_sha256: str
    shape: str
    items: int
    #: Engine facts two evaluations must share to be comparable: dtype, template, versions.
    engine: dict[str, Any] = json_column()
    created_at: float = time_column(0.0)


class Score(SQLModel, table=True):
    """One metric of an evaluation, for one language or `all`."""

    evaluation_id: str = Field(foreign_key="evaluation.id", primary_key=True)
    metric: str = Field(primary_key=True)
    language: str = Field(primary_key=True)
    value: float


class ItemResult(SQLModel, table=True):
    """What an arm did on one item; comparisons pair these rows by `item_hash`."""

    evaluation_id: str = Field(
        sa_column=Column(ForeignKey("evaluation.id"), primary_key=True, nullable=False)
    )
    item_hash: str = Field(primary_key=True)
    item_id: str = ""
    language: str = ""
    cluster: str | None = None
    values: dict[str, Any] = json_column()
    output: str = Field(default="", sa_type=Text)
    #: Versions of samples that stood before the question, the nearest last.
    samples: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))


class Comparison(SQLModel, table=True):
    """A named set of evaluations, read against a baseline arm."""

    name: str = Field(primary_key=True)
    job_id: str | None = Field(default=None, foreign_key="job.id")
    baseline: str
    evaluations: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    user: str = ""
    created_at: float = time_column(0.0)


class Vote(SQLModel, table=True):
    """A person, or a judge (`judge:MODEL`), preferred one arm's answer to an item, not knowing
    which arm gave it."""

    id: str = Field(default_factory=short_id, primary_key=True)
    comparison: str = Field(foreign_key="comparison.name", index=True)
    benchmark: str
    item_hash: str
    #: The arms whose answers stood left and right.
    first: str
    second: str
    #: first, second, tie, or bad (neither is any good)
    outcome: str
    #: Of a judge's votes: see `shared.verdicts.Verdict`.
    margins: list[float] | None = Field(default=None, sa_column=Column(JSON))
    user: str = ""
    created_at: float = time_column(0.0)
