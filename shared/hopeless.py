"""Ending queued jobs that can never start, because a job they need failed or was cancelled.

An evaluation that may leave arms out waits for the failed job no longer instead.
"""

from sqlalchemy import delete, select
from sqlmodel import Session, SQLModel

from shared import events, leases
from shared.errors import DependencyFailed
from shared.tables import FINAL_STATES, JobState

_JOB = SQLModel.metadata.tables["job"].c
_NEEDED = SQLModel.metadata.tables["job"].alias("needed")
_DEPENDENCY = SQLModel.metadata.tables["jobdependency"].c


def cancel_all(session: Session) -> list[str]:
    """CANCEL every queued job that needs a job which failed or was cancelled; returns their ids."""
    found = session.connection().execute(
        select(_JOB.id, _NEEDED.c.id, _NEEDED.c.name, _NEEDED.c.state, _JOB.spec)
        .join(_DEPENDENCY.job_id.table, _DEPENDENCY.job_id == _JOB.id)
        .join(_NEEDED, _NEEDED.c.id == _DEPENDENCY.needs_id)
        .where(
            _JOB.state == JobState.QUEUED,
            _NEEDED.c.state.in_([s for s in FINAL_STATES if s is not JobState.SUCCEEDED]),
        )
    )
    ended = []
    for job_id, needs_id, name, state, spec in found.all():
        if spec.get("missing") == "skip":
            _wait_no_longer(session, job_id, needs_id, name)
            continue
        why = DependencyFailed(name=name, job=needs_id, state=state).record()
        if leases.cancel(session, job_id, actor="pool", error=why) is not None:
            ended.append(job_id)
    return ended


def _wait_no_longer(session: Session, job_id: str, needs_id: str, name: str) -> None:
    """Take away the need; the evaluation leaves out the arm that was not made."""
    table = _DEPENDENCY.job_id.table
    session.connection().execute(
        delete(table).where(_DEPENDENCY.job_id == job_id, _DEPENDENCY.needs_id == needs_id)
    )
    events.record(session, "arm-skipped", actor="pool", job=job_id, arm=name, needed=needs_id)
