"""The five transitions of a job, and the only statements that change its state or epoch.

CLAIM queued -> running (raises the epoch), RENEW keeps the lease, COMMIT running -> what the
attempt came to, EXPIRE running -> queued when the lease ran out, CANCEL. Each is one guarded
UPDATE: whoever holds an older epoch matches no row and changes nothing. A lease is about liveness
only; safety never depends on a clock. Model and proof sketch: docs/pool.md. Which job is claimed
is decided by `shared.dispatch`; a wrong decision there can waste time, never break a promise here.
"""

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    Float,
    Integer,
    String,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal_column,
    or_,
    select,
    tuple_,
    update,
)
from sqlmodel import Session, SQLModel

from shared import attempts, events
from shared.bulk import is_sqlite, recordset
from shared.claims import Choice, Claim
from shared.clock import db_now
from shared.errors import HostLost
from shared.tables import JobState, Outcome

_JOB = SQLModel.metadata.tables["job"].c
_NEEDED = SQLModel.metadata.tables["job"].alias("needed")
_DEPENDENCY = SQLModel.metadata.tables["jobdependency"].c
_ATTEMPT = SQLModel.metadata.tables["attempt"].c
_CHECKPOINT = SQLModel.metadata.tables["checkpoint"].c
#: A job whose host dies this often without a checkpoint in between is taken to be the cause.
MAX_LOST = 10
#: States as literals in SQL, for statements that need a partial index (see `is_ready`).
QUEUED = literal_column(f"'{JobState.QUEUED}'", String)
RUNNING = literal_column(f"'{JobState.RUNNING}'", String)
#: What a transition tells of each job whose attempt it begins or ends.
_OWNED = (_JOB.id, _JOB.epoch, _JOB.project, _JOB.user)


def is_ready(job: Any = _JOB, *, by_id: bool = False) -> ColumnElement[bool]:
    """SQL: this job may start now, were there room (`job`: the columns of an alias).

    The state is a literal: behind a parameter PostgreSQL, once it plans the statement for any
    parameter, cannot use the index of queued jobs. With `by_id` the job is looked up by its id, and
    that index, which it takes for small whenever many jobs came in, must not be read.
    """
    # A subquery, not a join: SQLAlchemy takes a join inside LATERAL for a product.
    state = select(_NEEDED.c.state).where(_NEEDED.c.id == _DEPENDENCY.needs_id).scalar_subquery()
    unmet = exists().where(_DEPENDENCY.job_id == job.id, state != JobState.SUCCEEDED)
    return and_(
        (func.coalesce(job.state, "") if by_id else job.state) == QUEUED,
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
    taken = (
        update(_JOB.id.table)
        .where(_JOB.id.in_(choices), is_ready(by_id=True))
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
        .returning(*_OWNED, _JOB.kind, _JOB.name, _JOB.spec, _JOB.vram_mb)
    )
    found = attempts.begin(session, taken, choices, host=host, device=device)
    return [_held(row, host, choices[row.id].cards) for row in found]


def _held(row: Any, host: str, cards: tuple[int, ...]) -> Claim:
    return Claim(
        job_id=row.id, epoch=row.epoch, host=host, cards=cards, kind=row.kind, name=row.name,
        spec=row.spec, shares_cards=row.vram_mb > 0,
    )  # fmt: skip


def renew(session: Session, held: list[Claim], lease_seconds: float) -> set[tuple[str, int]]:
    """RENEW every lease of a host in one statement; return the (job, epoch) still held."""
    if not held:
        return set()
    table = _JOB.id.table
    pairs = [{"id": claim.job_id, "epoch": claim.epoch} for claim in held]
    if is_sqlite(session):
        mine = tuple_(_JOB.id, _JOB.epoch).in_([tuple(pair.values()) for pair in pairs])
    else:
        given = recordset(table, pairs)
        mine = and_(_JOB.id == given.c.id, _JOB.epoch == given.c.epoch)
    renewed = session.connection().execute(
        update(table)
        .where(mine, _JOB.state == JobState.RUNNING)
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
    values = {
        "held_id": held.job_id,
        "held_epoch": held.epoch,
        "retry_in": retry_in,
        "why": error,
        "actor": held.host,
    }
    row = attempts.end(session, _commit(outcome), outcome, values)
    return None if row is None else JobState(row.state)


#: Which attempt ends.
_MY_ID, _MY_EPOCH = bindparam("held_id", type_=String), bindparam("held_epoch", type_=Integer)


@cache
def _commit(outcome: Outcome) -> Any:
    """The UPDATE of COMMIT, made once for each outcome."""
    ends = {
        Outcome.SUCCEEDED: JobState.SUCCEEDED,
        Outcome.FAILED: JobState.FAILED,
        Outcome.CANCELLED: JobState.CANCELLED,
    }
    gave_way = outcome in (Outcome.STOPPED, Outcome.PREEMPTED)
    fruitless = 0 if gave_way else _without_checkpoint()
    again = case(
        (_JOB.cancel_requested_at.is_not(None), JobState.CANCELLED.value),
        (_JOB.failures + fruitless >= _JOB.max_attempts, JobState.FAILED.value),
        else_=JobState.QUEUED.value,
    )
    return (
        update(_JOB.id.table)
        .where(_JOB.id == _MY_ID, _JOB.epoch == _MY_EPOCH, _JOB.state == JobState.RUNNING)
        .values(
            state=ends.get(outcome, again),
            failures=_JOB.failures + (fruitless if outcome is Outcome.RETRY else 0),
            lease_until=None,
            not_before=db_now() + bindparam("retry_in", type_=Float(53)),
            error=bindparam("why", type_=JSON),
            finished_at=db_now(),
        )
        .returning(*_OWNED, _JOB.state)
    )


def _without_checkpoint() -> ColumnElement[int]:
    """SQL: 1 when this attempt saved no checkpoint, 0 when it got somewhere."""
    saved = exists().where(_CHECKPOINT.job_id == _MY_ID, _CHECKPOINT.epoch == _MY_EPOCH)
    return case((saved, 0), else_=1)


def expire(session: Session, *, host: str | None = None, but: Collection[str] = ()) -> list[str]:
    """EXPIRE: queue again every job whose lease ran out; return their ids.

    With `host`, every job that host held, `but` for those whose runners go on: for a worker that
    knows its predecessor to be dead.
    """
    over = _JOB.lease_until < db_now()
    if host is not None:
        over = and_(_JOB.host == host, _JOB.id.not_in(list(but)))
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
        .where(_JOB.state == RUNNING, over)
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
        .returning(*_OWNED, _JOB.host, _JOB.state)
    )
    found = expired.all()
    for row in found:
        error = HostLost(host=row.host).record()
        attempts.close(session, row, Outcome.LOST, error)
        events.record(session, "expired", actor="pool", job=row.id, epoch=row.epoch, host=row.host)
        if row.state == JobState.FAILED:
            session.connection().execute(
                update(_JOB.id.table).where(_JOB.id == row.id).values(error=error)
            )
    return [row.id for row in found]


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
