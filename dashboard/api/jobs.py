"""`/v1/jobs`, `/v1/plan`, `/v1/studies`."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query

from dashboard.api.callers import Caller
from shared.api.answers import (
    AttemptAnswer,
    BulkAnswer,
    EventAnswer,
    JobAnswer,
    JobPage,
    LogPage,
    MetricAnswer,
    PlanAnswer,
    WhyAnswer,
)
from shared.api.asked import (
    Bulk,
    Cursor,
    JobSubmission,
    Kind,
    Label,
    Reprioritisation,
    State,
    StudySubmission,
)

router = APIRouter(tags=["jobs"])
JobName = Annotated[Label, Path(description="An id, the beginning of one, or a name.")]
Text = Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$")]
After = Annotated[int, Query(ge=-1, le=2**53)]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key", min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$",
        description="The same key never makes a second job: it gives the jobs it made before.",
    ),
]  # fmt: skip


@router.post("/jobs", status_code=201, operation_id="submit")
def submit(pool: Caller, asked: JobSubmission, key: Key = None) -> list[JobAnswer]:
    """Queue a job, or with `sweep` one for each point of the grid."""
    return pool.jobs.submit(asked, key)


@router.post("/studies", status_code=201, operation_id="study")
def study(pool: Caller, asked: StudySubmission, key: Key = None) -> list[JobAnswer]:
    """Queue a transfer study; its evaluation is the last job."""
    return pool.jobs.study(asked, key)


@router.post("/plan", operation_id="plan")
def plan(pool: Caller, asked: JobSubmission) -> list[PlanAnswer]:
    """A dry run: memory, time, cards that fit and the place in the queue of each job."""
    return pool.jobs.plan(asked)


@router.get("/jobs", operation_id="jobs")
def listed(
    pool: Caller,
    state: Annotated[Sequence[State], Query()] = (),
    kind: Annotated[Sequence[Kind], Query()] = (),
    user: Text = "",
    text: Text = "",
    sweep: Text = "",
    cursor: Annotated[Cursor | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> JobPage:
    """A page of jobs, newest first; `next` is the cursor of the page after it."""
    return pool.jobs.list(
        states=state, kinds=kind, user=user, text=text, sweep=sweep, cursor=cursor or "",
        limit=limit,
    )  # fmt: skip


@router.post("/jobs/bulk", operation_id="bulk")
def bulk(pool: Caller, asked: Bulk) -> list[BulkAnswer]:
    """The same action on many jobs; each is done or refused by itself."""
    return list(pool.jobs.bulk(asked))


@router.get("/jobs/{job}", operation_id="job")
def one(pool: Caller, job: JobName) -> JobAnswer:
    """One job."""
    return pool.jobs.get(job)


@router.post("/jobs/{job}/cancel", operation_id="cancel")
def cancel(pool: Caller, job: JobName) -> JobAnswer:
    """Ask a job to end: a queued one ends at once, a running one within seconds."""
    return pool.jobs.cancel(job)


@router.post("/jobs/{job}/retry", status_code=201, operation_id="retry")
def retry(pool: Caller, job: JobName) -> JobAnswer:
    """Submit a failed or cancelled job again, as a new job."""
    return pool.jobs.retry(job)


@router.put("/jobs/{job}/priority", operation_id="reprioritise")
def reprioritise(pool: Caller, job: JobName, asked: Reprioritisation) -> JobAnswer:
    """Move a queued job: 0 to 9, higher first."""
    return pool.jobs.reprioritise(job, asked.priority)


@router.get("/jobs/{job}/logs", operation_id="logs")
def logs(
    pool: Caller,
    job: JobName,
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, le=5000)] = 1000,
) -> LogPage:
    """Lines of its log; ask again with `after=last` until it is complete."""
    return pool.jobs.logs(job, after=after, limit=limit)


@router.get("/jobs/{job}/metrics", operation_id="metrics")
def metrics(pool: Caller, job: JobName, after: After = -1) -> list[MetricAnswer]:
    """The numbers of every step above `after`."""
    return list(pool.jobs.metrics(job, after=after))


@router.get("/jobs/{job}/events", operation_id="events")
def events(pool: Caller, job: JobName) -> list[EventAnswer]:
    """What happened to it, oldest first."""
    return list(pool.jobs.events(job))


@router.get("/jobs/{job}/attempts", operation_id="attempts")
def attempts(pool: Caller, job: JobName) -> list[AttemptAnswer]:
    """Its runs, oldest first."""
    return list(pool.jobs.attempts(job))


@router.get("/jobs/{job}/why", operation_id="why")
def why(pool: Caller, job: JobName) -> WhyAnswer:
    """Why it has not started, and when it will."""
    return pool.jobs.why(job)
