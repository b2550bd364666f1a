"""The five transitions of a job, and the only statements that change its state or epoch.

CLAIM queued -> running (raises the epoch), RENEW keeps the lease, COMMIT running -> what the
attempt came to, EXPIRE running -> queued when the lease ran out, CANCEL. Each is one guarded
UPDATE: whoever holds an older epoch matches no row and changes nothing. A lease is about liveness
only; safety never depends on a clock (docs/pool.md). `shared.dispatch` chooses what is claimed.
"""

from collections.abc import Collection, Sequence
from functools import cache
from types import SimpleNamespace
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    ColumnElement,
    Float,
    Integer,
    String,
    Text,
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
from shared.bulk import is_sqlite, later_rows, recordset
from shared.claims import Choice, Claim, Ending
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
FINAL_OUTCOMES = (Outcome.SUCCEEDED, Outcome.FAILED, Outcome.CANCELLED)  # named as states are
#: States as literals in SQL, for statements that need a partial index (see `is_ready`).
QUEUED = literal_column(f"'{JobState.QUEUED}'", String)
RUNNING = literal_column(f"'{JobState.RUNNING}'", String)
#: What a transition tells of each job whose attempt it begins or ends.
_OWNED = (_JOB.id, _JOB.epoch, _JOB.project, _JOB.user)


def is_ready(job: Any = _JOB, *, by_id: bool = False, now: Any = None) -> ColumnElement[bool]:
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
        job.not_before <= (db_now() if now is None else now),
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
    values = {"ids": list(choices), "host": host, "seconds": lease_seconds}
    found = attempts.begin(session, _claim(is_sqlite(session)), choices, values, device=device)
    return [_held(row, host, choices[row.id].cards) for row in found]


@cache
def _claim(sqlite: bool) -> Any:
    """The UPDATE of CLAIM, made once."""
    ids = bindparam("ids", expanding=True) if sqlite else bindparam("ids", type_=ARRAY(Text()))
    chosen = _JOB.id.in_(ids) if sqlite else _JOB.id == func.any(ids)
    return (
        update(_JOB.id.table)
        .where(chosen, is_ready(by_id=True))
        .values(
            state=JobState.RUNNING,
            epoch=_JOB.epoch + 1,
            host=bindparam("host", type_=String),
            lease_until=db_now() + bindparam("seconds", type_=Float(53)),
            preempt_requested_at=None,
            started_at=func.coalesce(_JOB.started_at, db_now()),
            finished_at=None,
            error=None,
        )
        .returning(*_OWNED, _JOB.kind, _JOB.name, _JOB.spec, _JOB.vram_mb)
    )


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
    ending = Ending(claim=held, outcome=outcome, error=error, retry_in=retry_in)
    return commit_all(session, [ending])[0]


def commit_all(session: Session, endings: Sequence[Ending]) -> list[JobState | None]:
    """COMMIT attempts of one host in one statement: each one's new state, None where it was lost.

    Where it is None, nothing that this attempt made may be written in this transaction.
    """
    given = [
        {"id": each.claim.job_id, "epoch": each.claim.epoch, "outcome": each.outcome.value,
         "retry_in": each.retry_in, "error": each.error}
        for each in sorted(endings, key=lambda each: each.claim.job_id)
    ]  # fmt: skip
    statement = _commit(is_sqlite(session))
    found = attempts.end(session, statement, given, actor=endings[0].claim.host)
    states = {(job_id, epoch): JobState(state) for job_id, epoch, state in found}
    return [states.get((each.claim.job_id, each.claim.epoch)) for each in endings]


@cache
def _commit(sqlite: bool) -> Any:
    """The UPDATE of COMMIT, made once: of one attempt on SQLite, else of all rows given to it."""
    types = {"id": String(), "epoch": Integer(), "outcome": String(), "retry_in": Float(53),
             "error": JSON()}  # fmt: skip
    if sqlite:
        mine: Any = SimpleNamespace(
            **{name: bindparam(f"its_{name}", type_=kind) for name, kind in types.items()}
        )
    else:
        mine = later_rows(**types).c
    final = {each.value: each.value for each in FINAL_OUTCOMES}
    saved = exists().where(_CHECKPOINT.job_id == mine.id, _CHECKPOINT.epoch == mine.epoch)
    # An attempt that saved no checkpoint, and did not end because it was asked to.
    gave_way = mine.outcome.in_((Outcome.STOPPED.value, Outcome.PREEMPTED.value))
    fruitless = case((gave_way, 0), (saved, 0), else_=1)
    again = case(
        (_JOB.cancel_requested_at.is_not(None), JobState.CANCELLED.value),
        (_JOB.failures + fruitless >= _JOB.max_attempts, JobState.FAILED.value),
        else_=JobState.QUEUED.value,
    )
    ended = (
        update(_JOB.id.table)
        .where(_JOB.id == mine.id, _JOB.epoch == mine.epoch, _JOB.state == RUNNING)
        .values(
            state=case(final, value=mine.outcome, else_=again),
            failures=_JOB.failures
            + case((mine.outcome == Outcome.RETRY.value, fruitless), else_=0),
            lease_until=None,
            not_before=db_now() + mine.retry_in,
            error=mine.error,
            finished_at=db_now(),
        )
    )
    told = () if sqlite else (mine.epoch.label("held_epoch"), mine.outcome, mine.error)
    return ended.returning(*_OWNED, _JOB.state, *told)


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
    # Accounts are locked in one order, see `shared.attempts`.
    found = sorted(expired, key=lambda row: (row.project, row.user))
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
