"""The five transitions of a job, and the only statements that change its state or epoch.

CLAIM queued -> running (raises the epoch), RENEW keeps the lease, COMMIT running -> what the
attempt came to, EXPIRE running -> queued when the lease ran out, CANCEL. Each is one guarded
UPDATE: whoever holds an older epoch matches no row and changes nothing. A lease is about liveness
only; safety never depends on a clock. Model and proof sketch: docs/pool.md.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, case, exists, func, insert, or_, select, tuple_, update
from sqlmodel import Session, SQLModel

from shared import events
from shared.clock import db_now
from shared.errors import DependencyFailed, HostLost
from shared.tables import FINAL_STATES, JobState, Outcome

_JOB = SQLModel.metadata.tables["job"].c
_NEEDED = SQLModel.metadata.tables["job"].alias("needed")
_DEPENDENCY = SQLModel.metadata.tables["jobdependency"].c
_ATTEMPT = SQLModel.metadata.tables["attempt"].c
_CHECKPOINT = SQLModel.metadata.tables["checkpoint"].c
#: A job whose host dies this often without a checkpoint in between is taken to be the cause.
MAX_LOST = 10


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The right to run one job, until its lease runs out."""

    job_id: str
    epoch: int
    host: str
    slot: int
    kind: str
    name: str
    spec: dict[str, Any]


def is_ready() -> ColumnElement[bool]:
    """SQL: this job may start now, were there a slot."""
    unmet = exists().where(
        _DEPENDENCY.job_id == _JOB.id,
        _DEPENDENCY.needs_id == _NEEDED.c.id,
        _NEEDED.c.state != JobState.SUCCEEDED,
    )
    return and_(
        _JOB.state == JobState.QUEUED,
        _JOB.cancel_requested_at.is_(None),
        _JOB.not_before <= db_now(),
        ~unmet,
    )


def queue_order() -> tuple[ColumnElement[Any], ...]:
    """SQL: who goes first: higher priority, then first come, first served."""
    return (_JOB.priority.desc(), _JOB.created_at, _JOB.id)


def claim(
    session: Session, *, host: str, slot: int, device: str, lease_seconds: float
) -> Claim | None:
    """CLAIM: take the first ready job of the queue, or None. Commit before acting on it."""
    first = (
        select(_JOB.id)
        .where(is_ready())
        .order_by(*queue_order())
        .limit(1)
        .with_for_update(skip_locked=True, of=_JOB.id.table)
    )
    taken = session.connection().execute(
        update(_JOB.id.table)
        .where(_JOB.id == first.scalar_subquery(), _JOB.state == JobState.QUEUED)
        .values(
            state=JobState.RUNNING,
            epoch=_JOB.epoch + 1,
            host=host,
            lease_until=db_now() + lease_seconds,
            started_at=func.coalesce(_JOB.started_at, db_now()),
            finished_at=None,
            error=None,
        )
        .returning(_JOB.id, _JOB.epoch, _JOB.kind, _JOB.name, _JOB.spec)
    )
    row = taken.one_or_none()
    if row is None:
        return None
    session.connection().execute(
        insert(_ATTEMPT.job_id.table).values(
            job_id=row.id, epoch=row.epoch, host=host, slot=slot, device=device, started_at=db_now()
        )
    )
    events.record(session, "claimed", actor=host, job=row.id, epoch=row.epoch, slot=slot)
    return Claim(
        job_id=row.id,
        epoch=row.epoch,
        host=host,
        slot=slot,
        kind=row.kind,
        name=row.name,
        spec=row.spec,
    )


def renew(session: Session, held: list[Claim], lease_seconds: float) -> set[tuple[str, int]]:
    """RENEW every lease of a host in one statement; return the (job, epoch) still held."""
    if not held:
        return set()
    renewed = session.connection().execute(
        update(_JOB.id.table)
        .where(
            tuple_(_JOB.id, _JOB.epoch).in_([(c.job_id, c.epoch) for c in held]),
            _JOB.state == JobState.RUNNING,
        )
        .values(lease_until=db_now() + lease_seconds)
        .returning(_JOB.id, _JOB.epoch)
    )
    return {(row.id, row.epoch) for row in renewed}


def commit(
    session: Session,
    held: Claim,
    outcome: Outcome,
    *,
    error: dict[str, Any] | None = None,
    retry_in: float = 0.0,
) -> JobState | None:
    """COMMIT: end this attempt; the job's new state, or None when the lease was lost.

    On None the caller must roll back: nothing this attempt made may become visible.
    """
    ends = {
        Outcome.SUCCEEDED: JobState.SUCCEEDED,
        Outcome.FAILED: JobState.FAILED,
        Outcome.CANCELLED: JobState.CANCELLED,
    }
    fruitless = 0 if outcome is Outcome.STOPPED else _without_checkpoint(held)
    again = case(
        (_JOB.cancel_requested_at.is_not(None), JobState.CANCELLED.value),
        (_JOB.failures + fruitless >= _JOB.max_attempts, JobState.FAILED.value),
        else_=JobState.QUEUED.value,
    )
    ended = session.connection().execute(
        update(_JOB.id.table)
        .where(_JOB.id == held.job_id, _JOB.epoch == held.epoch, _JOB.state == JobState.RUNNING)
        .values(
            state=ends.get(outcome, again),
            failures=_JOB.failures + (fruitless if outcome is Outcome.RETRY else 0),
            lease_until=None,
            not_before=db_now() + retry_in,
            error=error,
            finished_at=db_now(),
        )
        .returning(_JOB.state)
    )
    row = ended.one_or_none()
    if row is None:
        return None
    _end_attempt(session, held.job_id, held.epoch, outcome, error)
    events.record(session, outcome, actor=held.host, job=held.job_id, epoch=held.epoch, error=error)
    return JobState(row.state)


def _without_checkpoint(held: Claim) -> ColumnElement[int]:
    """SQL: 1 when this attempt saved no checkpoint, 0 when it got somewhere."""
    saved = exists().where(_CHECKPOINT.job_id == held.job_id, _CHECKPOINT.epoch == held.epoch)
    return case((saved, 0), else_=1)


def expire(session: Session, *, host: str | None = None) -> list[str]:
    """EXPIRE: queue again every job whose lease ran out; return their ids.

    With `host`, every job that host held: for a worker that knows its predecessor to be dead.
    """
    over = _JOB.lease_until < db_now() if host is None else _JOB.host == host
    lost_before = (
        select(func.count())
        .select_from(_ATTEMPT.job_id.table)
        .where(_ATTEMPT.job_id == _JOB.id, _ATTEMPT.outcome == Outcome.LOST)
        .where(
            ~exists().where(
                _CHECKPOINT.job_id == _ATTEMPT.job_id, _CHECKPOINT.epoch == _ATTEMPT.epoch
            )
        )
        .scalar_subquery()
    )
    expired = session.connection().execute(
        update(_JOB.id.table)
        .where(_JOB.state == JobState.RUNNING, over)
        .values(
            state=case(
                (_JOB.cancel_requested_at.is_not(None), JobState.CANCELLED.value),
                (lost_before + 1 >= MAX_LOST, JobState.FAILED.value),
                else_=JobState.QUEUED.value,
            ),
            lease_until=None,
            hinted_at=0.0,
            finished_at=db_now(),
        )
        .returning(_JOB.id, _JOB.epoch, _JOB.host, _JOB.state)
    )
    found = expired.all()
    for row in found:
        error = HostLost(host=row.host).record()
        _end_attempt(session, row.id, row.epoch, Outcome.LOST, error)
        events.record(session, "expired", actor="pool", job=row.id, epoch=row.epoch, host=row.host)
        if row.state == JobState.FAILED:
            session.connection().execute(
                update(_JOB.id.table).where(_JOB.id == row.id).values(error=error)
            )
    return [row.id for row in found]


def _end_attempt(
    session: Session, job_id: str, epoch: int, outcome: Outcome, error: dict[str, Any] | None
) -> None:
    session.connection().execute(
        update(_ATTEMPT.job_id.table)
        .where(_ATTEMPT.job_id == job_id, _ATTEMPT.epoch == epoch)
        .values(
            outcome=outcome,
            error=error,
            ended_at=db_now(),
            slot_seconds=db_now() - _ATTEMPT.started_at,
        )
    )


def cancel(
    session: Session, job_id: str, *, actor: str, error: dict[str, Any] | None = None
) -> JobState | None:
    """CANCEL: a queued job ends at once, a running one is asked to stop.

    Returns the job's state after it, or None when the job had already ended.
    """
    queued = _JOB.state == JobState.QUEUED
    cancelled = session.connection().execute(
        update(_JOB.id.table)
        .where(_JOB.id == job_id, or_(queued, _JOB.state == JobState.RUNNING))
        .values(
            cancel_requested_at=func.coalesce(_JOB.cancel_requested_at, db_now()),
            state=case((queued, JobState.CANCELLED.value), else_=_JOB.state),
            finished_at=case((queued, db_now()), else_=_JOB.finished_at),
            error=error,
        )
        .returning(_JOB.state)
    )
    row = cancelled.one_or_none()
    if row is None:
        return None
    events.record(session, "cancel", actor=actor, job=job_id, reason=error)
    return JobState(row.state)


def cancel_hopeless(session: Session) -> list[str]:
    """CANCEL every queued job that needs a job which failed or was cancelled."""
    hopeless = session.connection().execute(
        select(_JOB.id, _NEEDED.c.id, _NEEDED.c.name, _NEEDED.c.state)
        .join(_DEPENDENCY.job_id.table, _DEPENDENCY.job_id == _JOB.id)
        .join(_NEEDED, _NEEDED.c.id == _DEPENDENCY.needs_id)
        .where(
            _JOB.state == JobState.QUEUED,
            _NEEDED.c.state.in_([s for s in FINAL_STATES if s is not JobState.SUCCEEDED]),
        )
    )
    ended = []
    for job_id, needs_id, name, state in hopeless.all():
        why = DependencyFailed(name=name, job=needs_id, state=state).record()
        if cancel(session, job_id, actor="pool", error=why) is not None:
            ended.append(job_id)
    return ended
