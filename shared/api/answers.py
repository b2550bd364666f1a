"""What comes back about jobs. Times are seconds since 1970 by the database's clock."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """A thing as scripts read it; keys never translate. A client ignores keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Fault(Answer):
    """Why something failed: a stable code, its facts, and a sentence for the reader."""

    code: str
    params: dict[str, Any]
    message: str


class Progress(Answer):
    """How far a running job's attempt is."""

    phase: str
    done: int
    #: 0 while the total is not known.
    total: int
    unit: str


class JobAnswer(Answer):
    """One job."""

    id: str
    kind: str
    name: str
    #: queued, running, succeeded, failed or cancelled.
    state: str
    user: str
    project: str
    priority: int
    gpus: int
    vram_mb: int
    labels: list[str]
    preemptible: bool
    spec: dict[str, Any]
    sweep: str | None
    retry_of: str | None
    host: str | None
    created_at: float
    started_at: float | None
    finished_at: float | None
    error: Fault | None
    progress: Progress | None
    #: Its page in the dashboard.
    url: str

    @property
    def ended(self) -> bool:
        """Is its state final?"""
        return self.state in ("succeeded", "failed", "cancelled")


class JobPage(Answer):
    """Some jobs, newest first, and where the next page begins."""

    jobs: list[JobAnswer]
    #: How many jobs the filters find over all pages.
    total: int
    #: Give it as `cursor`; null after the last page.
    next: str | None


class WhyAnswer(Answer):
    """Why a job has not started, and when it will."""

    reason: str
    facts: dict[str, Any]
    message: str
    #: From 1; null when it is not in the queue.
    place: int | None
    #: Seconds until it starts; null where nobody can know.
    starts_in: float | None


class CardAnswer(Answer):
    """A card that could hold the job."""

    host: str
    card: int
    memory_mb: int
    free: bool


class PlanAnswer(Answer):
    """What a submission would get; nothing was queued."""

    kind: str
    name: str
    gpus: int
    #: MiB on each card; 0 asks for whole cards.
    vram_mb: int
    #: Seconds such jobs took before; null where there were none.
    seconds: float | None
    #: Jobs it would wait for.
    needs: list[str]
    cards: list[CardAnswer]
    why: WhyAnswer


class LogAnswer(Answer):
    """A line of a job's log."""

    id: int
    epoch: int
    level: str
    text: str
    at: float


class LogPage(Answer):
    """Lines in order; ask again with `after=last` for newer ones."""

    lines: list[LogAnswer]
    last: int
    #: The job has ended and this was the end of its log.
    complete: bool


class MetricAnswer(Answer):
    """The numbers of one step."""

    step: int
    epoch: int
    values: dict[str, Any]
    at: float


class EventAnswer(Answer):
    """Something that happened to a job."""

    seq: int
    at: float
    actor: str
    kind: str
    data: dict[str, Any]


class AttemptAnswer(Answer):
    """One run of a job on a host."""

    epoch: int
    host: str
    cards: list[int]
    device: str
    outcome: str | None
    started_at: float
    ended_at: float | None
    gpu_seconds: float


class BulkAnswer(Answer):
    """What became of one job of a bulk request."""

    id: str
    #: The job afterwards (of a retry, the new one); null where it was refused.
    job: JobAnswer | None
    error: Fault | None
