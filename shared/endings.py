"""Which of somebody's jobs ended since they were last told, found through the event log."""

from dataclasses import dataclass

import sqlalchemy
from sqlalchemy import func
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from shared.bulk import is_sqlite
from shared.kept import Told
from shared.people.actors import Actor
from shared.people.permissions import Action, authorise
from shared.tables import Event, Job, JobState

#: Kinds of events that end no job.
_ONGOING = ("submitted", "claimed", "preempt", "priority")
#: Events that are looked through at most: who was away for longer is told of the latest ends.
REACH = 20_000
#: Jobs looked up in one statement.
_MOST = 500


@dataclass(frozen=True)
class Ending:
    """A job that ended."""

    job: str
    kind: str
    name: str
    state: JobState


def newest(session: Session) -> int:
    """The number of the latest event; 0 before the first one."""
    return session.scalar(select(func.max(Event.seq))) or 0


def told(session: Session, user: str) -> int | None:
    """Up to which event somebody was told; None for who never was."""
    found = session.get(Told, user)
    return None if found is None else found.seq


def since(session: Session, user: str, seq: int) -> list[Ending]:
    """Somebody's jobs that ended by events after `seq`, in the order of those events.

    What they cancelled themselves is left out.
    """
    first = max(seq, newest(session) - REACH)
    ids = session.exec(
        select(Event.job_id)
        .where(col(Event.seq) > first, col(Event.kind).not_in(_ONGOING))
        .where(col(Event.job_id).is_not(None))
        .order_by(col(Event.seq))
    )
    order = list(dict.fromkeys(str(each) for each in ids))
    ended: dict[str, Ending] = {}
    for start in range(0, len(order), _MOST):
        # By the key alone: a planner that also saw the user would go through all their jobs.
        rows = session.connection().execute(
            sqlalchemy.select(
                col(Job.id), col(Job.kind), col(Job.name), col(Job.state), col(Job.user)
            ).where(col(Job.id).in_(order[start : start + _MOST]))
        )
        ended |= {
            job: Ending(job, kind, name, JobState(state))
            for job, kind, name, state, owner in rows
            if owner == user and JobState(state).is_final
        }
    cancelled = [job for job, each in ended.items() if each.state == JobState.CANCELLED]
    own = _cancelled_by(session, user, cancelled)
    return [ended[job] for job in order if job in ended and job not in own]


def _cancelled_by(session: Session, user: str, ids: list[str]) -> set[str]:
    """Those of these jobs whose end somebody asked for."""
    if not ids:
        return set()
    asked = select(Event.job_id).where(
        col(Event.job_id).in_(ids), Event.kind == "cancel", Event.actor == user
    )
    return {str(each) for each in session.exec(asked)}


def tell(session: Session, seq: int, *, actor: Actor) -> None:
    """Note that somebody was told of everything up to that event."""
    authorise(actor, Action.READ)
    insert = sqlite.insert(Told) if is_sqlite(session) else postgresql.insert(Told)
    insert = insert.values(user=actor.user, seq=seq)
    # Two windows of one person may tell at the same moment.
    session.connection().execute(
        insert.on_conflict_do_update(
            index_elements=["user"], set_={"seq": seq}, where=col(Told.seq) < seq
        )
    )
