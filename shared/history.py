"""What a submission asks first, in one round trip: the time, the user's limit, how long such jobs
took."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import String, bindparam, exists, func, literal, literal_column, select
from sqlmodel import Session, SQLModel

from shared.bulk import Questions
from shared.clock import db_now
from shared.errors import QueueFull
from shared.tables import JobState

_TABLES = SQLModel.metadata.tables
_JOB, _LIMIT = _TABLES["job"].c, _TABLES["limit"].c
#: Literals in SQL, for the indexes.
_QUEUED = literal_column(f"'{JobState.QUEUED}'", String)
_SUCCEEDED = literal_column(f"'{JobState.SUCCEEDED}'", String)


@dataclass(frozen=True)
class Opening:
    """What is known before a submission is looked at."""

    #: The database's time.
    now: float
    #: How many jobs the user may have queued, None for any number, and how many there are; these
    #: are counted only where there is a limit.
    limit: int | None
    queued: int
    #: Seconds that the last ten such jobs took on average; 0 where there are none.
    expected: float

    def require_room(self, user: str, more: int) -> None:
        """Raises QueueFull where so many jobs more are too many for the user."""
        if self.limit is not None and self.queued + more > self.limit:
            raise QueueFull(user=user, queued=self.queued, limit=self.limit)


def _limits() -> Any:
    user = bindparam("user", type_=String)
    return select(_LIMIT.name, _LIMIT.queued).where(
        _LIMIT.kind == "user", (_LIMIT.name == user) | (_LIMIT.name == "*")
    )


def _waiting() -> Any:
    limited = _limits().with_only_columns(literal(1)).where(_LIMIT.queued.is_not(None))
    mine = _JOB.user == bindparam("user", type_=String)
    return select(func.count().label("queued")).where(mine, _JOB.state == _QUEUED, exists(limited))


def _took() -> Any:
    took = (
        select((_JOB.finished_at - _JOB.started_at).label("took"))
        .where(
            _JOB.kind == bindparam("kind", type_=String),
            _JOB.base == bindparam("base", type_=String),
            _JOB.state == _SUCCEEDED,
        )
        .order_by(_JOB.finished_at.desc())
        .limit(10)
        .subquery()
    )
    return select(func.coalesce(func.avg(took.c.took), literal(0.0)).label("seconds"))


_TIME = select(db_now().label("now"))
_OPENING, _EXPECTED = Questions(_TIME, _limits(), _waiting(), _took()), Questions(_took())


def opening(session: Session, user: str, kind: str, base: str) -> Opening:
    """What a submission of this user that begins with such a job has to know."""
    times, limits, waiting, took = _OPENING.ask(session, user=user, kind=kind, base=base)
    of_users = {row.name: row.queued for row in limits}
    limit = of_users.get(user, of_users.get("*"))
    return Opening(times[0].now, limit, waiting[0].queued, float(took[0].seconds))


def expected(session: Session, kind: str, base: str) -> float:
    """Seconds that the last ten such jobs took on average; 0 where there are none."""
    return float(_EXPECTED.ask(session, kind=kind, base=base)[0][0].seconds)
