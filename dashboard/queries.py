"""Questions that only the dashboard asks the database; nothing here changes a row."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func
from sqlmodel import Session, col, select

from shared import knowledge, results
from shared.clock import db_now
from shared.metrics import ALL, primary_metric
from shared.specs import MAKERS
from shared.tables import (
    Adapter,
    Attempt,
    Comparison,
    Dataset,
    Evaluation,
    Host,
    Job,
    LogLine,
    ModelRef,
    Score,
)
from shared.taken_names import LIVE


def now(session: Session) -> float:
    """The database's time, seconds since 1970."""
    return session.scalar(select(db_now())) or 0.0


def latest_attempts(session: Session, ids: Sequence[str]) -> dict[str, Attempt]:
    """The newest attempt of each job that has one."""
    rows = session.exec(
        select(Attempt).where(col(Attempt.job_id).in_(ids)).order_by(col(Attempt.epoch))
    )
    return {attempt.job_id: attempt for attempt in rows}


def lines_of_level(session: Session, job_id: str, level: str) -> list[LogLine]:
    """A job's log lines of that level from its latest attempt that wrote any, in order."""
    query = select(LogLine).where(LogLine.job_id == job_id, LogLine.level == level)
    found = list(session.exec(query.order_by(col(LogLine.id))).all())
    return [line for line in found if line.epoch == found[-1].epoch]


def log_length(session: Session, job_id: str) -> int:
    """How many lines a job's log has."""
    query = select(func.count()).select_from(LogLine).where(LogLine.job_id == job_id)
    return session.scalar(query) or 0


@dataclass(frozen=True)
class Choice:
    """Something a form offers: its name, and what a person needs to choose it."""

    name: str
    note: str = ""
    #: The base of an adapter.
    base: str = ""
    #: An adapter that a queued or running job will make.
    coming: bool = False


def base_choices(session: Session) -> list[Choice]:
    """Registered base models."""
    rows = session.exec(select(ModelRef).order_by(ModelRef.name)).all()
    return [Choice(row.name, f"{row.family} · {row.parameters / 1e6:.4g}M") for row in rows]


def file_choices(session: Session, kind: str) -> list[Choice]:
    """Registered files of a kind: training or benchmark."""
    rows = session.exec(select(Dataset).where(Dataset.kind == kind).order_by(Dataset.name)).all()
    return [Choice(row.name, f"{row.format} · {row.rows:,}") for row in rows]


def adapter_choices(session: Session) -> list[Choice]:
    """Published adapters, newest first, after those on their way."""
    made = (col(Job.state).in_(LIVE), col(Job.kind).in_(MAKERS))
    coming = session.exec(select(Job).where(*made)).all()
    found = [
        Choice(
            job.name,
            str(job.spec.get("base_model") or job.spec.get("host_base") or ""),
            base=str(job.spec.get("base_model") or job.spec.get("host_base") or ""),
            coming=True,
        )
        for job in coming
    ]
    for row in results.adapters(session):
        found.append(Choice(row.name, f"{row.base_model} · {row.method}", base=row.base_model))
    return found


def knowledge_choices(session: Session) -> list[Choice]:
    """Knowledge bases, with their newest revision."""
    found = knowledge.listing(session)
    return [Choice(row.name, f"@{row.revision}") for row in found if row.revision]


def files(session: Session) -> list[Dataset]:
    """Every registered file, newest first."""
    query = select(Dataset).order_by(col(Dataset.created_at).desc(), Dataset.name)
    return list(session.exec(query).all())


def bases(session: Session) -> list[ModelRef]:
    """Every base model, newest first."""
    query = select(ModelRef).order_by(col(ModelRef.created_at).desc(), ModelRef.name)
    return list(session.exec(query).all())


def hosts(session: Session) -> list[Host]:
    """Every host that ever ran a worker, by name."""
    return list(session.exec(select(Host).order_by(Host.name)).all())


def children(session: Session, name: str) -> list[str]:
    """Names of the adapters that were fused from this one."""
    return [row.name for row in results.adapters(session) if name in row.parents]


def comparisons_with(session: Session, adapter: str) -> list[str]:
    """Names of the comparisons in which an adapter is an arm."""
    ids = set(session.exec(select(Evaluation.id).where(Evaluation.adapter == adapter)).all())
    return [row.name for row in results.comparisons(session) if ids & set(row.evaluations)]


def made_by(session: Session, job: Job) -> tuple[str, str] | None:
    """The (page, name) of what a succeeded job made."""
    adapter = session.exec(select(Adapter.name).where(Adapter.job_id == job.id)).first()
    if adapter is not None:
        return "adapters", adapter
    stored = session.exec(select(Comparison.name).where(Comparison.job_id == job.id)).first()
    return ("compare", stored) if stored is not None else None


@dataclass(frozen=True)
class AdapterScore:
    """What an adapter scored on a benchmark, all languages together."""

    comparison: str
    benchmark: str
    metric: str
    value: float


def scores_of(session: Session, adapter: str) -> list[AdapterScore]:
    """The primary scores of an adapter in every comparison, the newest first."""
    rows = session.exec(select(Evaluation).where(Evaluation.adapter == adapter)).all()
    own = {row.id: row for row in rows}
    kept = session.exec(
        select(Score).where(col(Score.evaluation_id).in_(own), Score.language == ALL)
    )
    values = {(each.evaluation_id, each.metric): each.value for each in kept}
    found = []
    for stored in results.comparisons(session):
        for row in (own[each] for each in stored.evaluations if each in own):
            metric = primary_metric(row.shape).name
            if (value := values.get((row.id, metric))) is not None:
                found.append(AdapterScore(stored.name, row.benchmark, metric, value))
    return found
