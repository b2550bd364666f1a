"""The pool as the scheduler sees it, read from the database in one round trip."""

from collections.abc import Callable, Collection, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    Float,
    Integer,
    String,
    Text,
    bindparam,
    cast,
    exists,
    func,
    literal_column,
    select,
    true,
)
from sqlmodel import Session, SQLModel

from shared import usage
from shared.bulk import Questions, is_sqlite
from shared.clock import db_now
from shared.config import settings
from shared.leases import RUNNING, is_ready
from shared.scheduling import (
    Allowance,
    HostCards,
    Owner,
    Rules,
    Running,
    Scheduler,
    Shape,
    Waiting,
)

_TABLES = SQLModel.metadata.tables
_JOB, _ATTEMPT, _HOST = _TABLES["job"].c, _TABLES["attempt"].c, _TABLES["host"].c
_SHARE, _LIMIT = _TABLES["share"].c, _TABLES["limit"].c
_ASKED = (
    _JOB.id, _JOB.project, _JOB.user, _JOB.gpus, _JOB.vram_mb, _JOB.labels, _JOB.priority,
    _JOB.created_at, _JOB.preemptible, _JOB.base, _JOB.limit_seconds, _JOB.expected_seconds,
)  # fmt: skip
#: A CPU's memory is not rationed: predictions are made for GPUs, and a slot takes one job anyway.
_ENOUGH = 1 << 40
#: The period of the GPU-hours limit.
BUDGET_SECONDS = 30 * 86400.0


def rules(limits: Sequence[Any]) -> Rules:
    """The pool's rules: the settings, and the projects' weights."""
    return Rules(
        half_life=settings().half_life_hours * 3600.0,
        ageing=settings().ageing_hours * 3600.0,
        guaranteed=settings().guaranteed_minutes * 60.0,
        project_weights={row.name: row.weight for row in limits if row.kind == "project"},
    )


def load(
    session: Session,
    now: float,
    *,
    window: int,
    alike: int | None = None,
    me: str = "",
    closed: Collection[int] = (),
) -> Scheduler:
    """A scheduler over the pool as it stands.

    `window` is how many ready jobs of each owner are looked at, and at least so many `alike` of
    them are read: of one lane, where the others cannot start before these. `closed` are cards of
    host `me` that it found taken by something outside the pool.
    """
    asked = _questions(window, alike or window, settings().half_life_hours, is_sqlite(session))
    return pool_of(asked.ask(session, **_values(me)), now, me=me, closed=closed)


def read_after(
    session: Session, before: Any, *, window: int, alike: int, me: str
) -> tuple[Any, list[list[Any]]]:
    """The row of a SELECT, which may name `me`, and then what `pool_of` takes: one round trip."""
    asked = _questions(window, alike, settings().half_life_hours, is_sqlite(session))
    return asked.ask_after(session, before, **_values(me))


def _values(me: str) -> dict[str, Any]:
    return {"lease": settings().lease_seconds, "me": me, "budget": BUDGET_SECONDS}


def pool_of(
    answers: list[list[Any]], now: float, *, me: str = "", closed: Collection[int] = ()
) -> Scheduler:
    """A scheduler over what was read; the parameters are those of `load`."""
    found, limits, shares, spent, running, waiting = answers
    pool = Scheduler(
        [_host(row, me, closed) for row in found if row.trouble is None or row.name == me],
        rules=rules(limits),
        allowances=_allowances(limits, shares, {row.user: row.spent for row in spent}),
        now=now,
    )
    made: dict[Any, Shape] = {}
    for row in running:
        pool.resume(_running(row, made), now)
    for row in waiting:
        pool.submit(as_waiting(row, made), now)
    return pool


@cache
def _questions(window: int, alike: int, half_life_hours: float, sqlite: bool) -> Questions:
    """What a look asks; the half-life is written into it."""
    ready = _ready(window, alike, sqlite)
    return Questions(_hosts(), _LIMITS, _shares(), _spent(), _RUNS, ready)


def _hosts() -> Any:
    """The hosts that take jobs: not drained, and heard of within a lease.

    Those in trouble are left out by the caller: a JSON column holds a null of its own, which SQL's
    IS NULL does not see.
    """
    alive = (_HOST.heartbeat_at > db_now() - bindparam("lease", type_=Float(53))) | (
        _HOST.name == bindparam("me", type_=String)
    )
    told = (_HOST.name, _HOST.device, _HOST.cards, _HOST.labels, _HOST.bases, _HOST.closed)
    return select(*told, _HOST.trouble).where(_HOST.accepting, alive).order_by(_HOST.name)


def _host(row: Any, me: str, closed: Collection[int]) -> HostCards:
    return HostCards(
        name=row.name,
        totals=tuple(row.cards) if row.device != "cpu" else (_ENOUGH,) * len(row.cards),
        exclusive=row.device == "cpu",
        labels=frozenset(row.labels),
        bases=frozenset(row.bases),
        closed=frozenset(closed if row.name == me else row.closed),
    )


#: Every running job with the cards it holds.
_RUNS = (
    select(*_ASKED, _JOB.preempt_requested_at, _JOB.epoch, _ATTEMPT.host, _ATTEMPT.cards,
           _ATTEMPT.started_at, _ATTEMPT.share)
    .join_from(_JOB.id.table, _ATTEMPT.job_id.table,
               (_ATTEMPT.job_id == _JOB.id) & (_ATTEMPT.epoch == _JOB.epoch))
    .where(_JOB.state == RUNNING)
)  # fmt: skip


def _running(row: Any, made: dict[Any, Shape]) -> Running:
    return Running(
        job=as_waiting(row, made),
        host=row.host,
        cards=tuple(row.cards),
        started_at=row.started_at,
        share=row.share,
        epoch=row.epoch,
        preempting=row.preempt_requested_at is not None,
    )


@cache
def _ready(window: int, alike: int, sqlite: bool) -> Any:
    """The first `window` ready jobs of each owner; of one lane the first `alike`.

    On SQLite, where they travel nowhere, all of a lane.
    """
    if sqlite or alike >= window:
        return heads(window, _ASKED, sqlite=sqlite)
    return heads(window, _ASKED, sqlite=sqlite, of_them=lambda first: _few_of_each(first, alike))


def heads(
    window: int,
    columns: Sequence[Any],
    *,
    sqlite: bool,
    of_them: Callable[[Any], Any] = lambda first: first,
) -> Any:
    """SQL: columns of the first `window` ready jobs of each owner, in the owner's order.

    One index probe an owner, however many jobs are queued. PostgreSQL takes of each owner's what
    `of_them` makes of them.
    """
    inner = _TABLES["job"].alias("inner_job")
    job = inner.c
    # Asked once, not for each row: its seconds are made of PostgreSQL's slow exact numbers.
    ready = is_ready(job, now=select(db_now()).scalar_subquery())
    first = (
        select(job.id)
        .where(job.project == _SHARE.project, job.user == _SHARE.user, ready)
        .order_by(*_order(job))
        # A literal: behind a parameter PostgreSQL takes the window for a tenth of the queue and
        # sorts it, instead of reading the first entries of the index.
        .limit(literal_column(str(int(window)), Integer))
        .correlate(_SHARE.user.table)
    )
    if sqlite:
        chosen = _JOB.id.in_(first)
        return select(*columns).select_from(_SHARE.user.table.join(_JOB.id.table, chosen))
    asked = first.with_only_columns(*(job[column.name] for column in columns))
    found = of_them(asked).lateral("heads")
    return select(*found.c).select_from(_SHARE.user.table.join(found, true()))


def _order(job: Any) -> tuple[Any, ...]:
    """In which order an owner's jobs go."""
    return (job.priority.desc(), job.created_at, job.id)


def _few_of_each(first: Any, alike: int) -> Any:
    """SQL: the first `alike` of each lane; the rest of a grid tells nothing more."""
    job = first.subquery("firsts").c
    lane = (job.gpus, job.vram_mb, cast(job.labels, Text), job.preemptible)
    place = func.row_number().over(partition_by=lane, order_by=_order(job)).label("place")
    placed = select(*job, place).subquery("placed").c
    return select(*(placed[column.name] for column in job)).where(placed.place <= alike)


_LIMITS = select(
    _LIMIT.kind, _LIMIT.name, _LIMIT.running, _LIMIT.gpus, _LIMIT.gpu_hours, _LIMIT.weight
)


def _shares() -> Any:
    """What each owner used, decayed."""
    used = usage.decayed(_SHARE.used, _SHARE.used_at).label("counts")
    return select(_SHARE.project, _SHARE.user, used, _SHARE.last_start)


def _allowances(
    limits: Sequence[Any], shares: Sequence[Any], spent: dict[str, float]
) -> dict[Owner, Allowance]:
    """What each owner may have and has used."""
    of_users = {row.name: row for row in limits if row.kind == "user"}
    found: dict[Owner, Allowance] = {}
    for row in shares:
        limit = of_users.get(row.user) or of_users.get("*")
        allowance = Allowance(used=row.counts, last_start=row.last_start)
        if limit is not None:
            allowance.running, allowance.gpus = limit.running, limit.gpus
            allowance.weight = limit.weight
            if limit.gpu_hours is not None:
                allowance.gpu_seconds = limit.gpu_hours * 3600 - spent.get(row.user, 0.0)
        found[Owner(row.project, row.user)] = allowance
    return found


def _spent() -> Any:
    """GPU-seconds of each user's ended attempts in the budget's period, where anybody has one."""
    return (
        select(_JOB.user, func.sum(_ATTEMPT.gpu_seconds).label("spent"))
        .join_from(_ATTEMPT.job_id.table, _JOB.id.table, _ATTEMPT.job_id == _JOB.id)
        .where(
            _ATTEMPT.started_at > db_now() - bindparam("budget", type_=Float(53)),
            exists().where(_LIMIT.gpu_hours.is_not(None)),
        )
        .group_by(_JOB.user)
    )


def as_waiting(row: Any, made: dict[Any, Shape] | None = None) -> Waiting:
    """What the scheduler knows of a job's row; `made` keeps the shapes of the rows before."""
    key = (row.gpus, row.vram_mb, *row.labels)
    shape = made.get(key) if made is not None else None
    if shape is None:
        shape = Shape(gpus=row.gpus, vram=row.vram_mb, labels=frozenset(row.labels))
        if made is not None:
            made[key] = shape
    return Waiting(
        row.id, Owner(row.project, row.user), shape, row.priority, row.created_at,
        row.preemptible, row.limit_seconds, row.base, row.expected_seconds,
    )  # fmt: skip


def clock(session: Session) -> float:
    """The database's time."""
    return session.connection().execute(select(db_now())).scalar_one()
