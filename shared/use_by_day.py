"""GPU-hours of the last days, by project and user; an attempt counts on each day it ran."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, and_, case, cast, func, literal, select
from sqlmodel import Session, SQLModel, col

from shared.clock import db_now
from shared.tables import Attempt, Job

DAY = 86_400
_FIRST = date(1970, 1, 1)
Key = tuple[date, str, str]


@dataclass(frozen=True)
class DayUse:
    """What one user of a project used on one day."""

    day: date
    project: str
    user: str
    gpu_hours: float


def by_day(session: Session, *, days: int, offset: float = 0.0) -> list[DayUse]:
    """The use of the last `days` days, today's up to now, in the order of the days.

    `offset` is how many seconds the reader's clock is ahead of UTC: their midnight parts the days.
    """
    attempt = SQLModel.metadata.tables["attempt"].c
    now: float = session.connection().execute(select(db_now())).scalar_one()
    first = int((now + offset) // DAY) - days + 1
    end = func.coalesce(attempt.ended_at, literal(now))
    began, ended = _day(attempt.started_at, offset), _day(end, offset)
    recent = and_(col(Job.id) == col(Attempt.job_id), end >= literal(first * DAY - offset))
    spent: Counter[Key] = Counter()
    held = case(
        (attempt.ended_at.is_(None), (end - attempt.started_at) * attempt.share),
        else_=attempt.gpu_seconds,
    )
    owner = (col(Job.project), col(Job.user))
    # Nearly every attempt begins and ends on one day: the database adds those up.
    whole = select(began, *owner, func.sum(held)).where(recent, began == ended)
    for day, project, user, seconds in session.connection().execute(whole.group_by(began, *owner)):
        spent[_date(day), project, user] += seconds
    over = select(attempt.started_at, end, attempt.share, *owner).where(recent, began != ended)
    for start, stop, share, project, user in session.connection().execute(over):
        for day in range(max(first, int((start + offset) // DAY)), int((stop + offset) // DAY) + 1):
            midnight = day * DAY - offset
            part = min(stop, midnight + DAY) - max(start, midnight)
            spent[_date(day), project, user] += part * share
    return [DayUse(*key, seconds / 3600) for key, seconds in sorted(spent.items()) if seconds > 0]


def last_days(newest: date, days: int) -> list[date]:
    """So many days in their order, the newest last."""
    return [newest - timedelta(days=days - 1 - place) for place in range(days)]


def _day(at: ColumnElement[Any], offset: float) -> ColumnElement[int]:
    """SQL: how many midnights of the reader have passed since 1970, to half a second."""
    return cast(at + literal(offset), BigInteger) // DAY


def _date(day: int) -> date:
    return _FIRST + timedelta(days=day)
