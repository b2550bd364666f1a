"""The table of saved views: what a person looks at often, under a name of their own."""

from sqlmodel import Field, SQLModel

from shared.columns import time_column


class SavedView(SQLModel, table=True):
    """A page's address with its filters and columns; codes, so it reads alike in any language."""

    user: str = Field(primary_key=True)
    page: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    #: The part of the address after the question mark.
    query: str
    created_at: float = time_column(0.0)
