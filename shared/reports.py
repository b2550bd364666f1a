"""The tables of what attempts report: the numbers of each step and the lines of the log."""

from typing import Any

from sqlalchemy import Column, Index, Integer, Text
from sqlmodel import Field, SQLModel

from shared.columns import json_column, time_column
from shared.errors import Language


class MetricPoint(SQLModel, table=True):
    """The numbers of one step."""

    __table_args__ = (Index("metric_of_job", "job_id", "step"),)

    id: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True))
    job_id: str = Field(foreign_key="job.id")
    epoch: int
    step: int
    values: dict[str, Any] = json_column()
    at: float = time_column(0.0)


class LogLine(SQLModel, table=True):
    """One line of a job's log; `zh` where it has Chinese words of its own."""

    __table_args__ = (Index("log_of_job", "job_id", "id"),)

    id: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True))
    job_id: str = Field(foreign_key="job.id")
    epoch: int
    level: str = "info"
    text: str = Field(default="", sa_type=Text)
    zh: str | None = Field(default=None, sa_type=Text)
    at: float = time_column(0.0)

    def said(self, language: Language) -> str:
        """The line in the reader's language."""
        return self.zh if language == "zh" and self.zh is not None else self.text
