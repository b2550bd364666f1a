"""What people used: GPU-seconds by user and project, decayed for fair share, whole for accounts."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Float, case, func, literal, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement
from sqlmodel import Session, SQLModel, col

from shared.clock import db_now
from shared.config import settings
from shared.tables import Attempt, Job


class power(FunctionElement[float]):
    """`base` to the `exponent`; SQLite gets it from Python (see `shared.db`)."""

    inherit_cache = True
    type = Float(53)


@compiles(power, "sqlite")
def _sqlite(element: power, compiler: Any, **kw: Any) -> str:
    return f"graft_power({compiler.process(element.clauses, **kw)})"


@compiles(power, "postgresql")
def _postgresql(element: power, compiler: Any, **kw: Any) -> str:
    # An exponent below the range of a double is an error there, and zero everywhere else.
    base, exponent = (compiler.process(each, **kw) for each in element.clauses)
    return f"power(cast({base} as double precision), least({exponent}, 1000))"


def decayed(used: ColumnElement[float], at: ColumnElement[float]) -> ColumnElement[float]:
    """SQL: `used` GPU-seconds as of `at`, as they count now."""
    age = (db_now() - at) / literal(settings().half_life_hours * 3600.0)
    return used * power(literal(0.5), age)


@dataclass(frozen=True)
class Used:
    """One line of the account."""

    project: str
    user: str
    attempts: int
    gpu_seconds: float
    #: Of attempts that came to nothing: lost, failed, or tried again.
    wasted_seconds: float
    #: The part that runs now, up to now.
    running_seconds: float


def account(session: Session, *, since: float = 0.0, user: str = "") -> list[Used]:
    """GPU-seconds by project and user of attempts that started at `since` or later, most first."""
    attempt = SQLModel.metadata.tables["attempt"].c
    open_ = attempt.outcome.is_(None)
    held = (db_now() - attempt.started_at) * attempt.share
    nothing = attempt.outcome.in_(("lost", "failed", "retry"))
    query = (
        select(
            col(Job.project),
            col(Job.user),
            func.count(),
            func.sum(_when(open_, held, attempt.gpu_seconds)),
            func.sum(_when(nothing, attempt.gpu_seconds, literal(0.0))),
            func.sum(_when(open_, held, literal(0.0))),
        )
        .select_from(Job)
        .join(Attempt, col(Attempt.job_id) == Job.id)
        .where(attempt.started_at >= since)
        .group_by(col(Job.project), col(Job.user))
    )
    if user:
        query = query.where(col(Job.user) == user)
    found = [Used(*row) for row in session.connection().execute(query)]
    return sorted(found, key=lambda each: -each.gpu_seconds)


def _when(
    condition: ColumnElement[bool], then: ColumnElement[Any], otherwise: ColumnElement[Any]
) -> ColumnElement[Any]:
    return func.coalesce(case((condition, then), else_=otherwise), 0.0)
