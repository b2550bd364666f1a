"""The tables of playground sessions: questions with their answers, and votes between them."""

from typing import Any

from sqlalchemy import JSON, Column, Text
from sqlmodel import Field, SQLModel

from shared.columns import json_column, time_column


class ChatTurn(SQLModel, table=True):
    """One question of a session and what each arm has written so far."""

    job_id: str = Field(foreign_key="job.id", primary_key=True)
    #: From 1, in the order they were asked.
    number: int = Field(primary_key=True)
    question: str = Field(sa_type=Text)
    #: {arm: {"text", "tokens", "seconds", "done", "samples"}}; written by the job's supervisor.
    answers: dict[str, Any] = json_column()
    #: Every arm has finished.
    answered: bool = False
    user: str = ""
    created_at: float = time_column(0.0)


class ChatVote(SQLModel, table=True):
    """Which answer to a question a person preferred; a later vote of theirs replaces it."""

    job_id: str = Field(foreign_key="job.id", primary_key=True)
    number: int = Field(primary_key=True)
    user: str = Field(primary_key=True)
    #: An arm, or `tie` or `bad`.
    outcome: str
    #: The arms it was chosen among.
    arms: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    created_at: float = time_column(0.0)
