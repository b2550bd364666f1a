"""Ending queued jobs that can never start, because a job they need failed or was cancelled."""

from sqlmodel import Session, SQLModel, select

from shared import leases
from shared.errors import DependencyFailed
from shared.tables import FINAL_STATES, JobState

_JOB = SQLModel.metadata.tables["job"].c
_NEEDED = SQLModel.metadata.tables["job"].alias("needed")
_DEPENDENCY = SQLModel.metadata.tables["jobdependency"].c


def cancel_all(session: Session) -> list[str]:
    """CANCEL every queued job that needs a job which failed or was cancelled."""
    found = session.connection().execute(
        select(_JOB.id, _NEEDED.c.id, _NEEDED.c.name, _NEEDED.c.state)
        .join(_DEPENDENCY.job_id.table, _DEPENDENCY.job_id == _JOB.id)
        .join(_NEEDED, _NEEDED.c.id == _DEPENDENCY.needs_id)
        .where(
            _JOB.state == JobState.QUEUED,
            _NEEDED.c.state.in_([s for s in FINAL_STATES if s is not JobState.SUCCEEDED]),
        )
    )
    ended = []
    for job_id, needs_id, name, state in found.all():
        why = DependencyFailed(name=name, job=needs_id, state=state).record()
        if leases.cancel(session, job_id, actor="pool", error=why) is not None:
            ended.append(job_id)
    return ended
