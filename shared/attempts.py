"""What is written with a transition that begins or ends attempts: their rows, the owners' accounts
and the events. On PostgreSQL it is one statement together with the transition itself."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import JSON, String, bindparam, func, insert, literal, select, tuple_, update
from sqlmodel import Session, SQLModel

from shared import events, usage
from shared.bulk import insert_rows, is_sqlite, recordset
from shared.claims import Choice
from shared.clock import db_now
from shared.config import settings
from shared.tables import Outcome

_TABLES = SQLModel.metadata.tables
_JOB, _ATTEMPT, _SHARE = _TABLES["job"].c, _TABLES["attempt"], _TABLES["share"]
_EVENT = _TABLES["event"]
#: The columns of an attempt that has done nothing yet.
_UNBEGUN = {"phase": "", "done": 0, "total": 0, "unit": "", "gpu_seconds": 0.0}
_NOTED = ["at", "actor", "job_id", "kind", "data"]


def begin(
    session: Session, claim: Any, choices: Mapping[str, Choice], *, host: str, device: str
) -> list[Any]:
    """Run CLAIM and open an attempt for each job it took; its rows.

    `claim` is an UPDATE that returns at least id, epoch, project and user of each job.
    """
    if is_sqlite(session):
        return _begin_one_by_one(session, claim, choices, host=host, device=device)
    taken = claim.cte("taken")
    rows = [{"job_id": each.job_id, "cards": list(each.cards), "share": each.share}
            for each in choices.values()]  # fmt: skip
    given = recordset(_ATTEMPT, rows)
    alike = {"host": host, "device": device, **_UNBEGUN}
    same = [literal(value, _ATTEMPT.c[name].type) for name, value in alike.items()]
    opened = insert(_ATTEMPT).from_select(
        ["job_id", "epoch", "cards", "share", "started_at", *alike],
        select(taken.c.id, taken.c.epoch, given.c.cards, given.c.share, db_now(), *same).join(
            given, given.c.job_id == taken.c.id
        ),
    )
    owners = select(taken.c.project, taken.c.user)
    served = (
        update(_SHARE)
        .where(tuple_(_SHARE.c.project, _SHARE.c.user).in_(owners))
        .values(last_start=db_now())
    )
    data = func.json_build_object("epoch", taken.c.epoch, "cards", given.c.cards)
    noted = insert(_EVENT).from_select(
        _NOTED,
        select(db_now(), literal(host), taken.c.id, literal("claimed"), data).join(
            given, given.c.job_id == taken.c.id
        ),
    )
    whole = select(taken).add_cte(opened.cte("opened"), served.cte("served"), noted.cte("noted"))
    return list(session.connection().execute(whole))


def _begin_one_by_one(
    session: Session, claim: Any, choices: Mapping[str, Choice], *, host: str, device: str
) -> list[Any]:
    found = session.connection().execute(claim).all()
    if not found:
        return []
    cards = {row.id: list(choices[row.id].cards) for row in found}
    opened = [
        {"job_id": row.id, "epoch": row.epoch, "cards": cards[row.id],
         "share": choices[row.id].share}
        for row in found
    ]  # fmt: skip
    insert_rows(
        session, _ATTEMPT, opened, host=host, device=device, started_at=db_now(), **_UNBEGUN
    )
    owners = sorted({(row.project, row.user) for row in found})
    session.connection().execute(
        update(_SHARE)
        .where(tuple_(_SHARE.c.project, _SHARE.c.user).in_(owners))
        .values(last_start=db_now())
    )
    events.record_many(
        session,
        "claimed",
        actor=host,
        jobs=[(row.id, {"epoch": row.epoch, "cards": cards[row.id]}) for row in found],
    )
    return list(found)


def end(session: Session, commit: Any, outcome: Outcome, values: dict[str, Any]) -> Any:
    """Run COMMIT and close the attempt it ended; its row, None when it matched none.

    `commit` is an UPDATE that returns at least id, epoch, project and user of the job, made once;
    `values` are those of its parameters, among them `why` (the error) and `actor`.
    """
    if not is_sqlite(session):
        whole = _ending(commit, outcome, settings().half_life_hours)
        return session.connection().execute(whole, values).one_or_none()
    actor = values.pop("actor")
    row = session.connection().execute(commit, values).one_or_none()
    if row is not None:
        close(session, row, outcome, values["why"])
        data = {"epoch": row.epoch, "error": values["why"]}
        events.record(session, outcome, actor=actor, job=row.id, **data)
    return row


@cache
def _ending(commit: Any, outcome: Outcome, half_life_hours: float) -> Any:
    """COMMIT, the attempt, the account and the event as one statement.

    Kept, since making it takes longer than running it; the half-life is written into it.
    """
    ended = commit.cte("ended")
    closed = (
        _closing(outcome, bindparam("why", type_=JSON))
        .where(_ATTEMPT.c.job_id == ended.c.id, _ATTEMPT.c.epoch == ended.c.epoch)
        .returning(_ATTEMPT.c.gpu_seconds, ended.c.project, ended.c.user)
        .cte("closed")
    )
    charged = (
        update(_SHARE)
        .where(_SHARE.c.project == closed.c.project, _SHARE.c.user == closed.c.user)
        .values(**_charge(closed.c.gpu_seconds))
    )
    data = func.json_build_object("epoch", ended.c.epoch, "error", bindparam("why", type_=JSON))
    noted = insert(_EVENT).from_select(
        _NOTED,
        select(
            db_now(),
            bindparam("actor", type_=String),
            ended.c.id,
            literal(outcome.value),
            data,
        ),
    )
    return select(ended).add_cte(closed, charged.cte("charged"), noted.cte("noted"))


def close(session: Session, row: Any, outcome: Outcome, error: dict[str, Any] | None) -> None:
    """Close the attempt of a job's row (id, epoch, project, user) and charge its owner for it."""
    connection = session.connection()
    ended = connection.execute(
        _closing(outcome, error)
        .where(_ATTEMPT.c.job_id == row.id, _ATTEMPT.c.epoch == row.epoch)
        .returning(_ATTEMPT.c.gpu_seconds)
    )
    used = ended.scalar_one_or_none() or 0.0
    connection.execute(
        update(_SHARE)
        .where(_SHARE.c.project == row.project, _SHARE.c.user == row.user)
        .values(**_charge(used))
    )


def _closing(outcome: Outcome, error: Any) -> Any:
    return update(_ATTEMPT).values(
        outcome=outcome,
        error=error,
        ended_at=db_now(),
        gpu_seconds=(db_now() - _ATTEMPT.c.started_at) * _ATTEMPT.c.share,
    )


def _charge(gpu_seconds: Any) -> dict[str, Any]:
    decayed = usage.decayed(_SHARE.c.used, _SHARE.c.used_at)
    return {"used": decayed + gpu_seconds, "used_at": db_now()}
