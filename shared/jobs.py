"""What people do with jobs: submit, find, cancel, retry; see their place, log and numbers."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, func, literal, tuple_, update
from sqlmodel import Session, SQLModel, col, select

from shared import db, events, leases, pool_state, queue
from shared.bulk import is_sqlite
from shared.clock import db_now
from shared.errors import AmbiguousJob, NotCancellable, NotQueued, NotRetryable, UnknownJob
from shared.people.actors import Actor
from shared.people.permissions import Action, authorise
from shared.queueing import Request, submit_many
from shared.specs import parse_spec
from shared.submission import AnySpec
from shared.tables import Attempt, Event, Job, JobDependency, JobState, LogLine, MetricPoint


def submit(spec: AnySpec, *, actor: Actor, **asked: Any) -> Job:
    """Queue a job: one transaction, then a hint to the workers.

    `asked` are further fields of `shared.queueing.Request`. Raises a UserError for every mistake
    that can be known now (see `shared.submission.admit_all`), QueueFull, and Forbidden.
    """
    return submit_many([spec], Request(actor=actor, **asked))[0]


def cancel(job_id: str, *, actor: Actor) -> JobState:
    """Ask a job to end: a queued one ends at once, a running one within seconds.

    Raises Forbidden, UnknownJob, and NotCancellable when it had ended already.
    """
    with db.writing() as session:
        job = find(session, job_id)
        authorise(actor, Action.CANCEL, owner=job.user)
        state = leases.cancel(session, job.id, actor=actor.user)
        if state is None:
            session.refresh(job)
            raise NotCancellable(job=job.id, state=job.state)
        return state


def retry(job_id: str, *, actor: Actor) -> Job:
    """Submit a failed or cancelled job's spec again, as a new job that remembers the old one.

    It belongs to whoever retries it. Raises Forbidden, NotRetryable, and what `submit` raises.
    """
    with db.reading() as session:
        old = find(session, job_id)
    authorise(actor, Action.RETRY, owner=old.user)
    if old.state not in (JobState.FAILED, JobState.CANCELLED):
        raise NotRetryable(job=old.id, state=old.state)
    return submit(
        parse_spec(old.spec),
        actor=actor,
        project=old.project,
        priority=old.priority,
        max_attempts=old.max_attempts,
        gpus=old.gpus if old.kind == "train" else 1,
        vram_mb=old.vram_mb,
        labels=old.labels,
        preemptible=old.preemptible,
        retry_of=old.id,
        sweep=old.sweep,
    )


def reprioritise(job_id: str, priority: int, *, actor: Actor) -> Job:
    """Change a queued job's priority (0 to 9). Raises Forbidden, or NotQueued past that."""
    with db.writing() as session:
        job = find(session, job_id)
        authorise(actor, Action.REPRIORITISE, owner=job.user)
        table = SQLModel.metadata.tables["job"].c
        changed = session.connection().execute(
            update(table.id.table)
            .where(table.id == job.id, table.state == JobState.QUEUED)
            .values(priority=priority)
        )
        if changed.rowcount != 1:
            raise NotQueued(job=job.id, state=job.state)
        before = job.priority
        events.record(
            session, "priority", actor=actor.user, job=job.id, before=before, after=priority
        )
    queue.hint(job.id)
    with db.reading() as session:
        return find(session, job_id)


def find(session: Session, text: str) -> Job:
    """The job whose id starts with `text`, or whose name is `text` (the newest of them).

    Raises UnknownJob, or AmbiguousJob when an id prefix fits several.
    """
    if (job := session.get(Job, text)) is not None:
        return job
    named = session.exec(
        select(Job).where(Job.name == text).order_by(col(Job.created_at).desc())
    ).first()
    if named is not None:
        return named
    starting = session.exec(
        select(Job).where(col(Job.id).startswith(text, autoescape=True)).limit(5)
    ).all()
    if len(starting) > 1:
        raise AmbiguousJob(job=text, matches=", ".join(job.id for job in starting))
    if not text or not starting:
        raise UnknownJob(job=text)
    return starting[0]


def listing(
    session: Session,
    *,
    states: Sequence[str] = (),
    kinds: Sequence[str] = (),
    user: str = "",
    text: str = "",
    sweep: str = "",
    before: tuple[float, str] | None = None,
    limit: int = 50,
) -> list[Job]:
    """Jobs, newest first; `before` is the (created_at, id) of the last row of the page before."""
    query = select(Job).order_by(col(Job.created_at).desc(), col(Job.id).desc()).limit(limit)
    query = query.where(*matching(states, kinds, user, text, sweep))
    if before is not None:
        query = query.where(older_than(*before))
    return list(session.exec(query).all())


def older_than(created_at: float, job_id: str) -> ColumnElement[bool]:
    """SQL: comes after that job in a list of the newest first; one step down an index."""
    return tuple_(col(Job.created_at), col(Job.id)) < tuple_(literal(created_at), literal(job_id))


def total(
    session: Session,
    *,
    states: Sequence[str] = (),
    kinds: Sequence[str] = (),
    user: str = "",
    text: str = "",
) -> int:
    """How many jobs `listing` finds over all its pages."""
    query = select(func.count()).select_from(Job).where(*matching(states, kinds, user, text))
    return session.scalar(query) or 0


def matching(
    states: Sequence[str], kinds: Sequence[str], user: str, text: str, sweep: str = ""
) -> list[ColumnElement[bool]]:
    """SQL: the filters of a list of jobs; empty ones let everything through."""
    found = [col(Job.state).in_(states)] if states else []
    found += [col(Job.kind).in_(kinds)] if kinds else []
    found += [col(Job.user) == user] if user else []
    found += [col(Job.sweep) == sweep] if sweep else []
    if text:
        named = col(Job.name).contains(text, autoescape=True)
        found.append(named | col(Job.id).startswith(text, autoescape=True))
    return found


def counts(session: Session) -> dict[str, int]:
    """How many jobs are in each state."""
    rows = session.exec(select(Job.state, func.count()).group_by(Job.state)).all()
    return dict.fromkeys(JobState, 0) | dict(list(rows))


def needs(session: Session, job_id: str) -> list[Job]:
    """The jobs this one waits for."""
    query = select(Job).join(JobDependency, col(JobDependency.needs_id) == Job.id)
    return list(session.exec(query.where(JobDependency.job_id == job_id)).all())


def attempts(session: Session, job_id: str) -> list[Attempt]:
    """The attempts of a job, oldest first."""
    query = select(Attempt).where(Attempt.job_id == job_id).order_by(col(Attempt.epoch))
    return list(session.exec(query).all())


def log_lines(session: Session, job_id: str, *, after: int = 0, limit: int = 1000) -> list[LogLine]:
    """Lines of a job's log whose id is above `after`, in order."""
    query = select(LogLine).where(LogLine.job_id == job_id, col(LogLine.id) > after)
    return list(session.exec(query.order_by(col(LogLine.id)).limit(limit)).all())


def metrics(session: Session, job_id: str, *, after: int = -1) -> list[MetricPoint]:
    """A job's metrics by step; where two attempts did the same step, the later one's."""
    query = select(MetricPoint).where(MetricPoint.job_id == job_id, col(MetricPoint.step) > after)
    points = session.exec(query.order_by(col(MetricPoint.epoch), col(MetricPoint.id))).all()
    return [point for _, point in sorted({point.step: point for point in points}.items())]


def history(session: Session, job_id: str) -> list[Event]:
    """What happened to a job, oldest first."""
    query = select(Event).where(Event.job_id == job_id).order_by(col(Event.seq))
    return list(session.exec(query).all())


def rehint(older_than: float) -> list[str]:
    """Hint again a queued job whose last hint is this many seconds old; return its id.

    One is enough, since a hint makes a host look at the whole queue, and one of each owner's first
    is looked for: all others wait behind those.
    """
    table = SQLModel.metadata.tables["job"]
    with db.writing() as session:
        first = pool_state.heads(1, (table.c.id, table.c.hinted_at), sqlite=is_sqlite(session))
        waiting = first.subquery("waiting").c
        old = select(waiting.id).where(waiting.hinted_at < db_now() - older_than).limit(1)
        stale = session.connection().execute(
            update(table)
            .where(table.c.id.in_(old), leases.is_ready(by_id=True))
            .values(hinted_at=db_now())
            .returning(table.c.id)
        )
        found = [row.id for row in stale]
    for job_id in found:
        queue.hint(job_id)
    return found


def as_json(job: Job) -> dict[str, Any]:
    """A job as scripts read it."""
    return job.model_dump(mode="json")
