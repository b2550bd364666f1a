"""The rows of a submission: its jobs, their events and the owner's account."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import bindparam, exists, func, insert, literal, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, SQLModel

from shared import events
from shared.bulk import as_text, insert_rows, is_sqlite, later_rows

_TABLES = SQLModel.metadata.tables
_JOB, _SHARE, _EVENT = _TABLES["job"], _TABLES["share"], _TABLES["event"]
#: Rows written by one statement together with the rest; and rows of one COPY: enough to amortise
#: the round trip, small enough to keep memory flat.
_FEW, _CHUNK = 16, 2000
_UNUSED = {"used": 0.0, "used_at": 0.0, "last_start": 0.0}


def write(session: Session, rows: Sequence[Mapping[str, Any]], alike: Mapping[str, Any]) -> None:
    """Add jobs of one owner; `alike` are the columns that all of them share.

    The owner's share has a row from its first job on: the claim path goes through those.
    """
    if len(rows) <= _FEW and not is_sqlite(session):
        whole = [{**row, **alike} for row in rows]
        statement = _at_once(tuple(whole[0]))
        session.connection().execute(statement, {"given_rows": as_text(whole)})
        return
    told = {kind: {"job_kind": kind} for kind in {row["kind"] for row in rows}}
    for first in range(0, len(rows), _CHUNK):
        chunk = rows[first : first + _CHUNK]
        insert_rows(session, _JOB, chunk, **alike)
        made = [(row["id"], told[row["kind"]]) for row in chunk]
        events.record_many(
            session, "submitted", actor=alike["user"], jobs=made, at=alike["hinted_at"]
        )
    share = {"project": alike["project"], "user": alike["user"], **_UNUSED}
    session.connection().execute(_opening(is_sqlite(session)), share)


@cache
def _opening(on_sqlite: bool) -> Any:
    """SQL: the owner's account, made once; see `_unopened`."""
    names = ["project", "user", *_UNUSED]
    given = select(*(bindparam(name, type_=_SHARE.c[name].type).label(name) for name in names))
    owner = given.subquery("owner").c
    missing = select(*owner).where(_unopened(owner))
    dialect = sqlite if on_sqlite else postgresql
    return dialect.insert(_SHARE).from_select(names, missing).on_conflict_do_nothing()


def _unopened(owner: Any) -> Any:
    """SQL: the owner has no account yet.

    Without this question ON CONFLICT waits for whoever changes the account, such as an end.
    """
    same = (_SHARE.c.project == owner.project, _SHARE.c.user == owner.user)
    return ~exists().where(*same)


@cache
def _at_once(columns: tuple[str, ...]) -> Any:
    """The jobs, the account and the events as one statement of PostgreSQL, made once."""
    given = later_rows(**{name: _JOB.c[name].type for name in columns})
    jobs = insert(_JOB).from_select(list(columns), select(*given.c)).cte("jobs")
    unused = [literal(value, _SHARE.c[name].type) for name, value in _UNUSED.items()]
    share = (
        postgresql.insert(_SHARE)
        .from_select(
            ["project", "user", *_UNUSED],
            select(given.c.project, given.c.user, *unused).where(_unopened(given.c)).distinct(),
        )
        .on_conflict_do_nothing()
        .cte("shares")
    )
    data = func.json_build_object("job_kind", given.c.kind)
    noted = insert(_EVENT).from_select(
        ["at", "actor", "job_id", "kind", "data"],
        select(given.c.hinted_at, given.c.user, given.c.id, literal("submitted"), data),
    )
    return noted.add_cte(jobs, share)
