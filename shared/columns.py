"""Columns that the tables share: ids that people can type, JSON, times; indexes of some rows."""

import secrets
from typing import Any, cast

from sqlalchemy import JSON, Column, Float, Index, text
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


def partial_index(name: str, *columns: Any, where: str, unique: bool = False) -> Index:
    """An index of the rows that fulfil this SQL alone: the others cost nothing to write."""
    only = text(where)
    return Index(name, *columns, unique=unique, postgresql_where=only, sqlite_where=only)
