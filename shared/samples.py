"""The tables of knowledge bases: versions of samples, revisions, and proposals.

A version of a sample counts in the revisions from `since` up to, not including, `until`; rows are
added and ended but never changed otherwise, so every revision can be read again as it was.
"""

from sqlalchemy import Column, Index, Integer, Text, text
from sqlmodel import Field, SQLModel

from shared.columns import short_id, time_column


class KnowledgeBase(SQLModel, table=True):
    """A named, versioned set of samples."""

    name: str = Field(primary_key=True)
    #: Raised by each edit; who raises it holds this row until the edit is committed.
    revision: int = 0
    user: str = ""
    created_at: float = time_column(0.0)


class KnowledgeRevision(SQLModel, table=True):
    """One edit: who did what to how many samples."""

    base: str = Field(foreign_key="knowledgebase.name", primary_key=True)
    revision: int = Field(primary_key=True)
    #: add, import, edit, expire, approve
    action: str
    changed: int = 0
    #: Samples alive after it.
    samples: int = 0
    user: str = ""
    created_at: float = time_column(0.0)


class SampleVersion(SQLModel, table=True):
    """One text of one sample."""

    __table_args__ = (
        Index("sample_since", "base", "since"),
        Index("sample_until", "base", "until"),
        Index("sample_of", "base", "sample_id"),
        # The same task with the same answer is there once.
        Index(
            "sample_content",
            "base",
            "content_hash",
            unique=True,
            postgresql_where=text("until is null"),
            sqlite_where=text("until is null"),
        ),
    )

    key: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True))
    base: str = Field(foreign_key="knowledgebase.name")
    sample_id: str
    since: int
    until: int | None = None
    lang: str
    instruction: str = Field(sa_type=Text)
    input: str = Field(default="", sa_type=Text)
    output: str = Field(sa_type=Text)
    content_hash: str
    #: Where it came from: a dataset's name, `manual` or `feedback`.
    source: str = "manual"
    user: str = ""
    created_at: float = time_column(0.0)
    #: It is ended by the first edit or look after this time; never where there is none.
    expires_at: float | None = time_column()


class Proposal(SQLModel, table=True):
    """A sample that somebody proposed; it counts when somebody else looked at it and approved."""

    id: str = Field(default_factory=short_id, primary_key=True)
    base: str = Field(foreign_key="knowledgebase.name", index=True)
    instruction: str = Field(sa_type=Text)
    input: str = Field(default="", sa_type=Text)
    output: str = Field(sa_type=Text)
    #: open, approved or rejected
    state: str = "open"
    sample_id: str | None = None
    user: str = ""
    decided_by: str = ""
    created_at: float = time_column(0.0)
