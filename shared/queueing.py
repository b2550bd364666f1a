"""Putting jobs into the queue: what a submission asks for beside its spec, and its rows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlmodel as sql
from sqlalchemy import String, func, literal, literal_column, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, SQLModel

from shared import db, events, memory, queue
from shared.bulk import insert_rows
from shared.clock import db_now
from shared.columns import short_id
from shared.errors import NameTaken, QueueFull, both
from shared.people.actors import Actor
from shared.people.permissions import Action, authorise
from shared.specs import AnySpec
from shared.submission import Admission, admit_all, settled
from shared.tables import Job, JobState, Limit, ModelRef

_TABLES = SQLModel.metadata.tables
_JOB, _SHARE = _TABLES["job"], _TABLES["share"]
#: Rows of one INSERT: enough to amortise the round trip, small enough to keep memory flat.
_CHUNK = 2000
#: A literal in SQL, for the partial index.
SUCCEEDED = literal_column(f"'{JobState.SUCCEEDED}'", String)


@dataclass(frozen=True, kw_only=True)
class Request:
    """Who submits, and what the job asks of the pool."""

    actor: Actor
    project: str = "default"
    #: 0 to 9, higher first.
    priority: int = 5
    max_attempts: int = 3
    #: Cards, all of one host.
    gpus: int = 1
    #: MiB on each card; 0 takes whole cards, None predicts it from spec and base.
    vram_mb: int | None = None
    #: Labels the host must have.
    labels: Sequence[str] = ()
    #: Run only on cards nobody else wants, and give way.
    preemptible: bool = False
    #: The same key returns the job, or the whole grid, it made the first time.
    idempotency_key: str | None = None
    retry_of: str | None = None
    sweep: str | None = None

    @property
    def user(self) -> str:
        """Whose the jobs are."""
        return self.actor.user


def submit_many(specs: Sequence[AnySpec], request: Request) -> list[Job]:
    """Queue jobs in one transaction, then hint once; all of them or none.

    Raises what `shared.submission.admit_all` raises for the first spec that is refused, and
    QueueFull and Forbidden.
    """
    return submit_stages([specs], request)


def submit_stages(stages: Sequence[Sequence[AnySpec]], request: Request) -> list[Job]:
    """`submit_many` of specs of which later stages may name what earlier ones will make."""
    for specs in stages:
        _authorise(specs, request.actor)
    try:
        return _submit_stages(stages, request)
    except IntegrityError:
        # The same request came twice at the same moment; the other one has its jobs by now.
        with db.reading() as session:
            if earlier := _earlier(session, request):
                return earlier
        raise


def _submit_stages(stages: Sequence[Sequence[AnySpec]], request: Request) -> list[Job]:
    made: list[dict[str, Any]] = []
    with db.writing() as session:
        if earlier := _earlier(session, request):
            return earlier
        for specs in stages:
            made += _insert(session, specs, request).rows()
            # The key is unique; the others of a grid or a study share its sweep.
            request = replace(request, idempotency_key=None)
    queue.hint(made[0]["id"])
    return [Job(**row) for row in made]


def submit_batch(specs: Sequence[AnySpec], request: Request) -> list[str]:
    """`submit_many` for thousands: returns the ids alone. The jobs share a `Job.sweep`."""
    _authorise(specs, request.actor)
    shared = request if request.sweep else replace(request, sweep=short_id())
    with db.writing() as session:
        if earlier := _earlier(session, shared):
            return [job.id for job in earlier]
        rows = _insert(session, specs, shared).varied
    queue.hint(rows[0]["id"])
    return [row["id"] for row in rows]


def _authorise(specs: Sequence[AnySpec], actor: Actor) -> None:
    """Raises Forbidden where somebody may not submit one of these."""
    for kind in {spec.kind for spec in specs}:
        authorise(actor, Action.COMPARE if kind == "evaluate" else Action.SUBMIT)


def _earlier(session: Session, request: Request) -> list[Job]:
    """The jobs that this key made before, in their order; none the first time.

    Raises NameTaken for a key that somebody else used.
    """
    key = request.idempotency_key
    if key is None:
        return []
    first = session.exec(sql.select(Job).where(Job.idempotency_key == key)).first()
    if first is not None and first.user != request.user:
        raise NameTaken(thing=both("idempotency key", "幂等键"), name=key)
    if first is None or first.sweep is None:
        return [first] if first else []
    grid = sql.select(Job).where(Job.sweep == first.sweep, sql.col(Job.retry_of).is_(None))
    return list(session.exec(grid.order_by(sql.col(Job.created_at))).all())


@dataclass(frozen=True)
class Draft:
    """Rows of jobs that were checked and not written."""

    admissions: list[Admission]
    #: A job's own columns; its spec is not serialised before it is written.
    varied: list[dict[str, Any]]
    #: The columns that all of them share.
    alike: dict[str, Any]

    def rows(self) -> list[dict[str, Any]]:
        """Whole rows, as they are read back."""
        stored = ({"spec": row["spec"].model_dump(mode="json")} for row in self.varied)
        return [row | self.alike | spec for row, spec in zip(self.varied, stored, strict=True)]


def draft(session: Session, specs: Sequence[AnySpec], request: Request) -> Draft:
    """What `submit_many` would write, refused for the same reasons, without writing it."""
    _check_queued(session, request.user, len(specs))
    admissions = admit_all(session, specs)
    now = session.connection().execute(select(db_now())).scalar_one()
    facts: Facts = {}
    # Jobs of one submission keep its order: a microsecond apart.
    made = [_varied(session, spec, request, now + n * 1e-6, facts) for n, spec in enumerate(specs)]
    return Draft(admissions, made, _alike(request, now))


def _insert(session: Session, specs: Sequence[AnySpec], request: Request) -> Draft:
    """Write the rows of jobs, dependencies and events."""
    drafted = draft(session, specs, request)
    made, alike = drafted.varied, drafted.alike
    made[0]["idempotency_key"] = request.idempotency_key  # unique; a grid's others share its sweep
    needs = [
        {"job_id": row["id"], "needs_id": need}
        for row, admission in zip(made, drafted.admissions, strict=True)
        for need in sorted(admission.needs)
    ]
    told = {kind: {"job_kind": kind} for kind in {row["kind"] for row in made}}
    for first in range(0, len(made), _CHUNK):
        chunk = made[first : first + _CHUNK]
        insert_rows(session, _JOB, chunk, **alike)
        events.record_many(
            session,
            "submitted",
            actor=request.user,
            jobs=[(row["id"], told[row["kind"]]) for row in chunk],
            at=alike["hinted_at"],
        )
    insert_rows(session, _TABLES["jobdependency"], needs)
    _remember_owner(session, request)
    return drafted


#: What is looked up once for each kind and base: the base, and what such jobs took before.
Facts = dict[tuple[str, str], tuple[ModelRef | None, float]]


def _varied(
    session: Session, spec: AnySpec, request: Request, now: float, facts: Facts
) -> dict[str, Any]:
    """The columns in which one job of a submission may differ from the others."""
    stored = settled(session, spec)
    base: str = getattr(stored, "base_model", "") or getattr(stored, "host_base", "")
    if (spec.kind, base) not in facts:
        model = session.get(ModelRef, base) if base else None
        facts[spec.kind, base] = (model, _expected(session, spec.kind, base))
    model, expected = facts[spec.kind, base]
    vram = request.vram_mb
    if vram is None:
        vram = 0 if request.gpus > 1 else memory.predict(spec, model)
    return {
        "id": short_id(),
        "kind": spec.kind,
        "name": spec.name,
        "spec": stored,
        "vram_mb": vram,
        "base": base,
        "limit_seconds": float(spec.time_limit),
        "expected_seconds": expected,
        "idempotency_key": None,
        "created_at": now,
    }


def _alike(request: Request, now: float) -> dict[str, Any]:
    """The columns that all jobs of a submission share; a column left out starts as NULL."""
    return {
        "user": request.user,
        "project": request.project,
        "priority": request.priority,
        "max_attempts": request.max_attempts,
        "gpus": request.gpus,
        "labels": sorted(set(request.labels)),
        "preemptible": request.preemptible,
        "retry_of": request.retry_of,
        "sweep": request.sweep,
        "hinted_at": now,
        "state": JobState.QUEUED.value,
        "epoch": 0,
        "failures": 0,
        "not_before": 0.0,
    }


def _expected(session: Session, kind: str, base: str) -> float:
    """Seconds that the last ten such jobs took on average; 0 where there are none."""
    took = (
        select((_JOB.c.finished_at - _JOB.c.started_at).label("took"))
        .where(_JOB.c.kind == kind, _JOB.c.base == base, _JOB.c.state == SUCCEEDED)
        .order_by(_JOB.c.finished_at.desc())
        .limit(10)
        .subquery()
    )
    mean = select(func.coalesce(func.avg(took.c.took), literal(0.0)))
    return float(session.connection().execute(mean).scalar_one())


def _check_queued(session: Session, user: str, more: int) -> None:
    found = sql.select(Limit).where(Limit.kind == "user", sql.col(Limit.name).in_((user, "*")))
    limits = {limit.name: limit for limit in session.exec(found).all()}
    limit = limits.get(user) or limits.get("*")
    if limit is None or limit.queued is None:
        return
    waiting = select(func.count()).where(_JOB.c.user == user, _JOB.c.state == JobState.QUEUED)
    queued = session.connection().execute(waiting).scalar_one()
    if queued + more > limit.queued:
        raise QueueFull(user=user, queued=queued, limit=limit.queued)


def _remember_owner(session: Session, request: Request) -> None:
    """The owner's share has a row from its first job on: the claim path goes through those."""
    row = {"project": request.project, "user": request.user}
    row |= {"used": 0.0, "used_at": 0.0, "last_start": 0.0}
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    session.connection().execute(dialect.insert(_SHARE).values(row).on_conflict_do_nothing())
