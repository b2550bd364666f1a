"""Columns that the tables share: ids that people can type, JSON, and times."""

import secrets
from typing import Any, cast

from sqlalchemy import JSON, Column, Float
from sqlmodel import Field


def short_id() -> str:
    """A random id that people can type: 12 hexadecimal digits."""
    return secrets.token_hex(6)


def json_column(nullable: bool = False) -> Any:
    """A JSON object; empty by default."""
    return Field(default_factory=dict, sa_column=Column(JSON, nullable=nullable))


def time_column(default: float | None = None) -> Any:
    """A double; PostgreSQL's plain float would round seconds since 1970."""
    return Field(default=default, sa_type=cast(Any, Float(53)))
