"""The table of the event log's hash chain, beside the tables it watches over."""

from sqlalchemy import Column, Integer
from sqlmodel import Field, SQLModel


class EventSeal(SQLModel, table=True):
    """One link of the event log's hash chain; written only by the sweeper (shared/audit.py)."""

    #: From 1 without a gap, in the order of sealing.
    position: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    #: The event it seals. No foreign key: an event deleted by hand must leave its seal behind.
    seq: int = Field(unique=True, index=True)
    #: The hash at the position before; empty at position 1.
    previous: str = ""
    hash: str = ""
