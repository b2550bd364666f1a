"""The event log: what happened to a job, a host or a file, and who did it."""

from typing import Any

from sqlalchemy import insert
from sqlmodel import Session

from shared.clock import db_now
from shared.tables import Event


def record(session: Session, kind: str, *, actor: str, job: str | None = None, **data: Any) -> None:
    """Add one event in the transaction that made it true."""
    statement = insert(Event).values(at=db_now(), actor=actor, job_id=job, kind=kind, data=data)
    session.connection().execute(statement)
