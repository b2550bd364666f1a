"""The table of adapters' cards: what people wrote about an adapter that its job did not know."""

from sqlalchemy import JSON, Column, Text
from sqlmodel import Field, SQLModel

from shared.columns import time_column


class AdapterCard(SQLModel, table=True):
    """Notes, tags, and whether this is the version to use; an adapter without one has none."""

    adapter: str = Field(foreign_key="adapter.name", primary_key=True)
    note: str = Field(default="", sa_type=Text)
    tags: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    #: Who recommended this version; empty where nobody does.
    promoted_by: str = ""
    promoted_at: float | None = time_column(None)
