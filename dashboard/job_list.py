"""The jobs page's rows and counts, asked once for all viewers who look at the same thing.

Counts come from one matrix (user, state, kind), which every combination of filters adds up itself;
pages go on from the last row of the page before, by an index.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy
import streamlit as st
from sqlalchemy import func
from sqlmodel import Session, col, select

from dashboard import queries
from shared import db, jobs
from shared.config import settings
from shared.tables import Attempt, Job

PAGE = 50
#: Seconds for which an answer is shared; pages ask again every two.
FRESH = 1.5
_COLUMNS = (
    col(Job.id), col(Job.kind), col(Job.name), col(Job.state), col(Job.user), col(Job.project),
    col(Job.priority), col(Job.host), col(Job.sweep), col(Job.error), col(Job.created_at),
    col(Job.started_at), col(Job.finished_at), col(Attempt.phase), col(Attempt.done),
    col(Attempt.total),
)  # fmt: skip
#: (user, state, kind) and how many such jobs there are.
Matrix = Mapping[tuple[str, str, str], int]


@dataclass(frozen=True)
class Filters:
    """What a list of jobs is narrowed to; hashable, so that equal ones share an answer."""

    states: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    user: str = ""
    text: str = ""
    sweep: str = ""

    def query(self) -> dict[str, Any]:
        """As `shared.jobs.matching` takes it."""
        return {
            "states": self.states, "kinds": self.kinds, "user": self.user, "text": self.text,
            "sweep": self.sweep,
        }  # fmt: skip


@dataclass(frozen=True)
class Found:
    """One page of rows, newest first, and what lies around it."""

    rows: tuple[Any, ...]
    #: There are older ones.
    more: bool
    now: float


def page(filters: Filters, after: str = "") -> Found:
    """The page of jobs that follows job `after`; the first one without it."""
    return _page(settings().database, filters, after)


def these(ids: tuple[str, ...]) -> Found:
    """Those jobs as they are now, newest first."""
    return _these(settings().database, ids)


def matrix() -> Matrix:
    """How many jobs there are by user, state and kind."""
    return _matrix(settings().database)


def total(filters: Filters) -> int:
    """How many jobs there are over all pages."""
    if filters.text or filters.sweep:
        return _total(settings().database, filters)
    return sum(
        count
        for (user, state, kind), count in matrix().items()
        if (not filters.user or user == filters.user)
        and (not filters.states or state in filters.states)
        and (not filters.kinds or kind in filters.kinds)
    )


def forget() -> None:
    """Ask again at the next look: this visitor has just changed something."""
    for each in (_page, _these, _matrix, _total):
        each.clear()


@st.cache_resource(ttl=FRESH, max_entries=500, show_spinner=False)
def _page(database: str, filters: Filters, after: str) -> Found:
    with db.reading() as session:
        query = _rows().where(*jobs.matching(**filters.query())).limit(PAGE + 1)
        last = session.get(Job, after) if after else None
        if last is not None:
            query = query.where(jobs.older_than(last.created_at, last.id))
        rows = tuple(session.connection().execute(query))
        return Found(rows[:PAGE], len(rows) > PAGE, queries.now(session))


@st.cache_resource(ttl=FRESH, max_entries=500, show_spinner=False)
def _these(database: str, ids: tuple[str, ...]) -> Found:
    with db.reading() as session:
        rows = tuple(session.connection().execute(_rows().where(col(Job.id).in_(ids))))
        return Found(rows, False, queries.now(session))


def _rows() -> Any:
    mine = (col(Attempt.job_id) == Job.id) & (col(Attempt.epoch) == Job.epoch)
    query = sqlalchemy.select(*_COLUMNS).select_from(Job).join(Attempt, mine, isouter=True)
    return query.order_by(col(Job.created_at).desc(), col(Job.id).desc())


@st.cache_resource(ttl=2 * FRESH, max_entries=8, show_spinner=False)
def _matrix(database: str) -> Matrix:
    with db.reading() as session:
        keys = (col(Job.user), col(Job.state), col(Job.kind))
        rows = session.connection().execute(select(*keys, func.count()).group_by(*keys))
        return {(row[0], row[1], row[2]): row[3] for row in rows}


@st.cache_resource(ttl=2 * FRESH, max_entries=200, show_spinner=False)
def _total(database: str, filters: Filters) -> int:
    with db.reading() as session:
        return _counted(session, filters)


def _counted(session: Session, filters: Filters) -> int:
    query = select(func.count()).select_from(Job).where(*jobs.matching(**filters.query()))
    return session.scalar(query) or 0
