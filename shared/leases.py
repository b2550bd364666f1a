"""The five transitions of a job, and the only statements that change its state or epoch.

CLAIM queued -> running (raises the epoch), RENEW keeps the lease, COMMIT running -> what the
attempt came to, EXPIRE running -> queued when the lease ran out, CANCEL. Each is one guarded
UPDATE: whoever holds an older epoch matches no row and changes nothing. A lease is about liveness
only; safety never depends on a clock. Model and proof sketch: docs/pool.md. Which job is claimed
is decided by `shared.dispatch`; a wrong decision there can waste time, never break a promise here.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, case, exists, func, insert, or_, select, tuple_, update
from sqlmodel import Session, SQLModel

from shared import events, usage
from shared.claims import Choice, Claim
from shared.clock import db_now
from shared.errors import HostLost
from shared.tables import JobState, Outcome

_JOB = SQLModel.metadata.tables["job"].c
_NEEDED = SQLModel.metadata.tables["job"].alias("needed")
_DEPENDENCY = SQLModel.metadata.tables["jobdependency"].c
_ATTEMPT = SQLModel.metadata.tables["attempt"].c
_CHECKPOINT = SQLModel.metadata.tables["checkpoint"].c
_SHARE = SQLModel.metadata.tables["share"].c
#: A job whose host dies this often without a checkpoint in between is taken to be the cause.
MAX_LOST = 10


def is_ready(job: Any = _JOB) -> ColumnElement[bool]:
    """SQL: this job may start now, were there room (`job`: the columns of an alias)."""
    # A subquery, not a join: SQLAlchemy takes a join inside LATERAL for a product.
    state = select(_NEEDED.c.state).where(_NEEDED.c.id == _DEPENDENCY.needs_id).scalar_subquery()
    unmet = exists().where(_DEPENDENCY.job_id == job.id, state != JobState.SUCCEEDED)
    return and_(
        job.state == JobState.QUEUED,
        job.cancel_requested_at.is_(None),
        job.not_before <= db_now(),
        ~unmet,
    )


def claim(
    session: Session,
    chosen: Sequence[Choice],
    *,
    host: str,
    device: str,
    lease_seconds: float,
) -> list[Claim]:
    """CLAIM the chosen jobs that are still ready. Commit before acting on the claims."""
    choices = {choice.job_id: choice for choice in chosen}
    if not choices:
        return []
    taken = session.connection().execute(
        update(_JOB.id.table)
        .where(_JOB.id.in_(choices), is_ready())
        .values(
            state=JobState.RUNNING,
            epoch=_JOB.epoch + 1,
            host=host,
            lease_until=db_now() + lease_seconds,
            preempt_requested_at=None,
            started_at=func.coalesce(_JOB.started_at, db_now()),
            finished_at=None,
            error=None,
        )
        .returning(
            _JOB.id,
            _JOB.epoch,
            _JOB.kind,
            _JOB.name,
            _JOB.spec,
            _JOB.project,
            _JOB.user,
            _JOB.vram_mb,
        )
    )
    found = taken.all()
    if not found:
        return []
    attempts = [
        {
            "job_id": row.id,
            "epoch": row.epoch,
            "host": host,
            "cards": list(choices[row.id].cards),
            "share": choices[row.id].share,
            "device": device,
        }
        for row in found
    ]
    connection = session.connection()
    connection.execute(insert(_ATTEMPT.job_id.table).values(started_at=db_now()), attempts)
    for owner in sorted({(row.project, row.user) for row in found}):
        connection.execute(
            update(_SHARE.user.table).where(_owned_by(*owner)).values(last_start=db_now())
        )
    events.record_many(
        session,
        "claimed",
        actor=host,
        jobs=[(row.id, {"epoch": row.epoch, "cards": choices[row.id].cards}) for row in found],
    )
    return [_held(row, host, choices[row.id].cards) for row in found]


def _held(row: Any, host: str, cards: tuple[int, ...]) -> Claim:
    return Claim(
        job_id=row.id, epoch=row.epoch, host=host, cards=cards, kind=row.kind, name=row.name,
        spec=row.spec, shares_cards=row.vram_mb > 0,
    )  # fmt: skip


def _owned_by(project: str, user: str) -> ColumnElement[bool]:
    return and_(_SHARE.project == project, _SHARE.user == user)


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
    gave_way = outcome in (Outcome.STOPPED, Outcome.PREEMPTED)
    fruitless = 0 if gave_way else _without_checkpoint(held)
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
    """Close the attempt and charge its owner for it."""
    ended = session.connection().execute(
        update(_ATTEMPT.job_id.table)
        .where(_ATTEMPT.job_id == job_id, _ATTEMPT.epoch == epoch)
        .values(
            outcome=outcome,
            error=error,
            ended_at=db_now(),
            gpu_seconds=(db_now() - _ATTEMPT.started_at) * _ATTEMPT.share,
        )
        .returning(_ATTEMPT.gpu_seconds)
    )
    used = ended.scalar_one_or_none() or 0.0
    owner = select(_JOB.project, _JOB.user).where(_JOB.id == job_id).subquery()
    session.connection().execute(
        update(_SHARE.user.table)
        .where(_SHARE.project == owner.c.project, _SHARE.user == owner.c.user)
        .values(used=usage.decayed(_SHARE.used, _SHARE.used_at) + used, used_at=db_now())
    )


def request_preemption(session: Session, job_id: str, epoch: int, *, by: str) -> bool:
    """Ask a running attempt to save a checkpoint and give way to job `by`; False when it ended."""
    asked = session.connection().execute(
        update(_JOB.id.table)
        .where(
            _JOB.id == job_id,
            _JOB.epoch == epoch,
            _JOB.state == JobState.RUNNING,
            _JOB.preempt_requested_at.is_(None),
        )
        .values(preempt_requested_at=db_now())
    )
    if asked.rowcount != 1:
        return False
    events.record(session, "preempt", actor="pool", job=job_id, epoch=epoch, makes_room_for=by)
    return True


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
