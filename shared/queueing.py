"""Putting jobs into the queue: what a submission asks for beside its spec, and its rows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlmodel as sql
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, SQLModel

from shared import db, history, memory, queue, queued_rows
from shared.bulk import insert_rows
from shared.columns import short_id
from shared.errors import InvalidSpec, NameTaken, OneCardOnly, both
from shared.people.actors import Actor
from shared.people.permissions import Action, authorise
from shared.specs import AnySpec
from shared.submission import Admission, admit_all, settled
from shared.tables import Job, JobState, ModelRef

_TABLES = SQLModel.metadata.tables


@dataclass(frozen=True, kw_only=True)
class Request:
    """Who submits, and what the job asks of the pool."""

    actor: Actor
    project: str = "default"
    #: 0 to 9, higher first.
    priority: int = 5
    max_attempts: int = 3
    #: Cards of each training, all of one host; another job takes one.
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
    QueueFull, OneCardOnly and Forbidden.
    """
    return submit_stages([specs], request)


def submit_stages(stages: Sequence[Sequence[AnySpec]], request: Request) -> list[Job]:
    """`submit_many` of specs of which later stages may name what earlier ones will make."""
    for specs in stages:
        _authorise(specs, request.actor)
    require_use_of_cards([spec for specs in stages for spec in specs], request)
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
    require_use_of_cards(specs, request)
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


def require_use_of_cards(specs: Sequence[AnySpec], request: Request) -> None:
    """Raise OneCardOnly where several cards are asked for and no training is there to use them.

    Raises InvalidSpec for a training that wants its base spread, and one card.
    """
    if request.gpus == 1 and any(getattr(spec, "spread", "auto") == "on" for spec in specs):
        problem = both(
            "one card is asked for; ask for several (gpus)", "只请求了一张卡；请请求多张（gpus）"
        )
        raise InvalidSpec(field="spread", problem=problem)
    if request.gpus > 1 and not any(spec.kind == "train" for spec in specs):
        raise OneCardOnly(kind=specs[0].kind, gpus=request.gpus)


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
    first = specs[0]
    opening = history.opening(session, request.user, first.kind, _base(first))
    opening.require_room(request.user, len(specs))
    # Held for as long as this takes: the session forgets what nobody holds, and asks again.
    model = session.get(ModelRef, _base(first)) if _base(first) else None
    admissions = admit_all(session, specs)
    facts: Facts = {(first.kind, _base(first)): (model, opening.expected)}
    # Jobs of one submission keep its order: a microsecond apart.
    made = [
        _varied(session, spec, request, opening.now + n * 1e-6, facts, admission.models)
        for n, (spec, admission) in enumerate(zip(specs, admissions, strict=True))
    ]
    return Draft(admissions, made, _alike(request, opening.now))


def _insert(session: Session, specs: Sequence[AnySpec], request: Request) -> Draft:
    """Write the rows of jobs, dependencies, events and the owner's account."""
    drafted = draft(session, specs, request)
    made = drafted.varied
    made[0]["idempotency_key"] = request.idempotency_key  # unique; a grid's others share its sweep
    needs = [
        {"job_id": row["id"], "needs_id": need}
        for row, admission in zip(made, drafted.admissions, strict=True)
        for need in sorted(admission.needs)
    ]
    queued_rows.write(session, made, drafted.alike)
    insert_rows(session, _TABLES["jobdependency"], needs)
    return drafted


def _base(spec: AnySpec) -> str:
    """The base it loads; empty for a fusion within one base."""
    return getattr(spec, "base_model", "") or getattr(spec, "host_base", "")


#: What is looked up once for each kind and base: the base, and what such jobs took before.
Facts = dict[tuple[str, str], tuple[ModelRef | None, float]]


def _varied(
    session: Session, spec: AnySpec, request: Request, now: float, facts: Facts, models: int
) -> dict[str, Any]:
    """The columns in which one job of a submission may differ from the others."""
    stored, base = settled(session, spec), _base(spec)
    if (spec.kind, base) not in facts:
        known = session.get(ModelRef, base) if base else None
        facts[spec.kind, base] = (known, history.expected(session, spec.kind, base))
    model, expected = facts[spec.kind, base]
    vram, gpus = request.vram_mb, request.gpus if spec.kind == "train" else 1
    if vram is None:
        vram = 0 if gpus > 1 else memory.predict(spec, model, models)
    return {
        "id": short_id(),
        "kind": spec.kind,
        "name": spec.name,
        "spec": stored,
        "gpus": gpus,
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
