"""The event log: what happened to a job, a host or a file, and who did it."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert
from sqlmodel import Session, SQLModel

from shared.bulk import insert_rows
from shared.clock import db_now
from shared.tables import Event


def record(session: Session, kind: str, *, actor: str, job: str | None = None, **data: Any) -> None:
    """Add one event in the transaction that made it true."""
    statement = insert(Event).values(at=db_now(), actor=actor, job_id=job, kind=kind, data=data)
    session.connection().execute(statement)


def record_many(
    session: Session,
    kind: str,
    *,
    actor: str,
    jobs: Sequence[tuple[str, dict[str, Any]]],
    at: float | None = None,
) -> None:
    """Add one event of a kind for each (job, data), in one statement.

    `at` is the database's time, where the caller has just asked for it.
    """
    rows = [{"job_id": job, "data": data} for job, data in jobs]
    table = SQLModel.metadata.tables["event"]
    insert_rows(session, table, rows, at=db_now() if at is None else at, actor=actor, kind=kind)
