"""What is written with a transition that begins or ends attempts: their rows, the owners' accounts
and the events. On PostgreSQL it is one statement together with the transition itself.

Whoever changes the accounts of several owners locks them in one order: two hosts would otherwise
wait for each other.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    JSON,
    Float,
    String,
    bindparam,
    func,
    insert,
    literal,
    select,
    tuple_,
    update,
)
from sqlmodel import Session, SQLModel

from shared import events, usage
from shared.bulk import as_text, insert_rows, is_sqlite, later_rows
from shared.claims import Choice
from shared.clock import db_now
from shared.config import settings
from shared.tables import Outcome
from shared.trips import in_one_trip

_TABLES = SQLModel.metadata.tables
_JOB, _ATTEMPT, _SHARE = _TABLES["job"].c, _TABLES["attempt"], _TABLES["share"]
_EVENT = _TABLES["event"]
_OWNER = (_SHARE.c.project, _SHARE.c.user)
#: The columns of an attempt that has done nothing yet.
_UNBEGUN = {"phase": "", "done": 0, "total": 0, "unit": "", "gpu_seconds": 0.0}
_NOTED = ["at", "actor", "job_id", "kind", "data"]


def begin(
    session: Session,
    claim: Any,
    choices: Mapping[str, Choice],
    values: dict[str, Any],
    *,
    device: str,
) -> list[Any]:
    """Run CLAIM and open an attempt for each job it took; its rows.

    `claim` is an UPDATE that returns at least id, epoch, project and user of each job, made once;
    `values` are those of its parameters, among them `host`.
    """
    if is_sqlite(session):
        return _begin_one_by_one(session, claim, choices, values, device=device)
    rows = [{"job_id": each.job_id, "cards": list(each.cards), "share": each.share}
            for each in choices.values()]  # fmt: skip
    given = {"given_rows": as_text(rows), "device": device}
    return in_one_trip(session, [_beginning(claim)], values | given)[0]


@cache
def _beginning(claim: Any) -> Any:
    """CLAIM, the attempts, the accounts and the events as one statement; kept, being slow to make.

    Its parameters are the same however many jobs are claimed, so the server keeps its plan too.
    """
    taken = claim.cte("taken")
    given = later_rows(job_id=String(), cards=JSON(), share=Float(53))
    host = bindparam("host", type_=String)
    alike = {"host": host, "device": bindparam("device", type_=String)}
    alike |= {name: literal(value, _ATTEMPT.c[name].type) for name, value in _UNBEGUN.items()}
    opened = insert(_ATTEMPT).from_select(
        ["job_id", "epoch", "cards", "share", "started_at", *alike],
        select(
            taken.c.id, taken.c.epoch, given.c.cards, given.c.share, db_now(), *alike.values()
        ).join(given, given.c.job_id == taken.c.id),
    )
    locked = _locked(select(taken.c.project, taken.c.user))
    served = update(_SHARE).where(tuple_(*_OWNER).in_(select(locked))).values(last_start=db_now())
    data = func.json_build_object("epoch", taken.c.epoch, "cards", given.c.cards)
    noted = insert(_EVENT).from_select(
        _NOTED,
        select(db_now(), host, taken.c.id, literal("claimed"), data).join(
            given, given.c.job_id == taken.c.id
        ),
    )
    return select(taken).add_cte(opened.cte("opened"), served.cte("served"), noted.cte("noted"))


def _locked(owners: Any) -> Any:
    """SQL: the accounts of these owners, locked one after another."""
    return (
        select(*_OWNER)
        .where(tuple_(*_OWNER).in_(owners))
        .order_by(*_OWNER)
        .with_for_update(key_share=True)
        .cte("locked")
    )


def _begin_one_by_one(
    session: Session,
    claim: Any,
    choices: Mapping[str, Choice],
    values: dict[str, Any],
    *,
    device: str,
) -> list[Any]:
    host = values["host"]
    found = session.connection().execute(claim, values).all()
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
        update(_SHARE).where(tuple_(*_OWNER).in_(owners)).values(last_start=db_now())
    )
    events.record_many(
        session,
        "claimed",
        actor=host,
        jobs=[(row.id, {"epoch": row.epoch, "cards": cards[row.id]}) for row in found],
    )
    return list(found)


def end(
    session: Session, commit: Any, endings: Sequence[dict[str, Any]], *, actor: str
) -> list[tuple[str, int, str]]:
    """Run COMMIT and close the attempts it ended; their job, epoch and the job's state now.

    `commit` is an UPDATE that returns at least id, epoch, project and user of each job, made once.
    An ending has id, epoch, outcome, retry_in and error: parameters `its_…` on SQLite, where the
    statement ends one attempt, and elsewhere rows.
    """
    if not is_sqlite(session):
        whole = _ending(commit, settings().half_life_hours)
        values = {"given_rows": as_text(endings), "actor": actor}
        return [tuple(row) for row in session.connection().execute(whole, values)]
    found = []
    for each in endings:
        values = {f"its_{name}": value for name, value in each.items()}
        row = session.connection().execute(commit, values).one_or_none()
        if row is not None:
            close(session, row, each["outcome"], each["error"])
            data = {"epoch": row.epoch, "error": each["error"]}
            events.record(session, each["outcome"], actor=actor, job=row.id, **data)
            found.append((each["id"], each["epoch"], row.state))
    return found


@cache
def _ending(commit: Any, half_life_hours: float) -> Any:
    """COMMIT, the attempts, the accounts and the events as one statement.

    Kept, since making it takes longer than running it; the half-life is written into it.
    """
    ended = commit.cte("ended")
    closed = (
        _closing(ended.c.outcome, ended.c.error)
        .where(_ATTEMPT.c.job_id == ended.c.id, _ATTEMPT.c.epoch == ended.c.epoch)
        .returning(_ATTEMPT.c.gpu_seconds, ended.c.project, ended.c.user)
        .cte("closed")
    )
    # An UPDATE takes one row for each it changes, and an owner may have several attempts here.
    spent = (
        select(closed.c.project, closed.c.user, func.sum(closed.c.gpu_seconds).label("used"))
        .group_by(closed.c.project, closed.c.user)
        .cte("spent")
    )
    locked = _locked(select(spent.c.project, spent.c.user))
    charged = (
        update(_SHARE)
        .where(_SHARE.c.project == spent.c.project, _SHARE.c.user == spent.c.user)
        .where(tuple_(*_OWNER).in_(select(locked)))
        .values(**_charge(spent.c.used))
    )
    data = func.json_build_object("epoch", ended.c.epoch, "error", ended.c.error)
    noted = insert(_EVENT).from_select(
        _NOTED,
        select(db_now(), bindparam("actor", type_=String), ended.c.id, ended.c.outcome, data),
    )
    told = select(ended.c.id, ended.c.held_epoch, ended.c.state)
    return told.add_cte(closed, charged.cte("charged"), noted.cte("noted"))


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


def _closing(outcome: Any, error: Any) -> Any:
    return update(_ATTEMPT).values(
        outcome=outcome,
        error=error,
        ended_at=db_now(),
        gpu_seconds=(db_now() - _ATTEMPT.c.started_at) * _ATTEMPT.c.share,
    )


def _charge(gpu_seconds: Any) -> dict[str, Any]:
    decayed = usage.decayed(_SHARE.c.used, _SHARE.c.used_at)
    return {"used": decayed + gpu_seconds, "used_at": db_now()}
