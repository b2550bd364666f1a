"""Rows of the database as answers."""

from shared.api.answers import (
    AttemptAnswer,
    EventAnswer,
    JobAnswer,
    LogAnswer,
    MetricAnswer,
    Progress,
)
from shared.api.desk import Desk
from shared.api.things import AdapterAnswer, DatasetAnswer, ModelAnswer
from shared.cards import AdapterCard
from shared.tables import (
    Adapter,
    Attempt,
    Dataset,
    Event,
    Job,
    JobState,
    LogLine,
    MetricPoint,
    ModelRef,
)


def told_job(desk: Desk, job: Job, attempt: Attempt | None = None) -> JobAnswer:
    """A job; `attempt` is the one that runs it now."""
    progress = None
    if attempt is not None and job.state == JobState.RUNNING:
        progress = Progress(
            phase=attempt.phase, done=attempt.done, total=attempt.total, unit=attempt.unit
        )
    shared = job.model_dump(include=set(JobAnswer.model_fields) - {"error", "progress", "url"})
    return JobAnswer(
        **shared,
        error=desk.stored_fault(job.error),
        progress=progress,
        url=desk.link("job", id=job.id),
    )


def told_line(desk: Desk, line: LogLine) -> LogAnswer:
    """A log line in the reader's language."""
    return LogAnswer(
        id=line.id or 0, epoch=line.epoch, level=line.level, text=line.said(desk.language),
        at=line.at,
    )  # fmt: skip


def told_point(point: MetricPoint) -> MetricAnswer:
    """The numbers of a step."""
    return MetricAnswer(step=point.step, epoch=point.epoch, values=point.values, at=point.at)


def told_event(event: Event) -> EventAnswer:
    """An event."""
    return EventAnswer(**event.model_dump(include=set(EventAnswer.model_fields)))


def told_attempt(attempt: Attempt) -> AttemptAnswer:
    """An attempt."""
    return AttemptAnswer(**attempt.model_dump(include=set(AttemptAnswer.model_fields)))


def told_adapter(
    desk: Desk, adapter: Adapter, card: AdapterCard, lineage: list[tuple[str, str]] | None = None
) -> AdapterAnswer:
    """An adapter with its card, and with its lineage where one is looked at alone."""
    known = set(AdapterAnswer.model_fields) - {"job", "lineage", "url", "note", "tags", "promoted"}
    return AdapterAnswer(
        **adapter.model_dump(include=known),
        job=adapter.job_id,
        note=card.note,
        tags=card.tags,
        promoted=bool(card.promoted_by),
        lineage=[list(edge) for edge in lineage or []],
        url=desk.link("adapters", name=adapter.name),
    )


def told_dataset(dataset: Dataset) -> DatasetAnswer:
    """A registered file."""
    return DatasetAnswer(**dataset.model_dump(include=set(DatasetAnswer.model_fields)))


def told_model(model: ModelRef) -> ModelAnswer:
    """A base model; where its files lie is the pool's own business."""
    return ModelAnswer(**model.model_dump(include=set(ModelAnswer.model_fields)))
