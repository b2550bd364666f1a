"""What users and projects may have: queued and running jobs, cards, GPU-hours, and their weight."""

from dataclasses import asdict, dataclass

from sqlmodel import Session, col, select

from shared import events
from shared.errors import BadLimit
from shared.people.actors import Actor
from shared.people.permissions import Action, authorise
from shared.tables import Limit


@dataclass(frozen=True, kw_only=True)
class Change:
    """New values; None leaves one as it is, a negative one lifts the limit."""

    queued: int | None = None
    running: int | None = None
    gpus: int | None = None
    gpu_hours: float | None = None
    weight: float | None = None


def listing(session: Session) -> list[Limit]:
    """Every limit, users first."""
    query = select(Limit).order_by(col(Limit.kind).desc(), col(Limit.name))
    return list(session.exec(query).all())


def change(session: Session, kind: str, name: str, new: Change, *, actor: Actor) -> Limit:
    """Set limits of a user, or a project's weight; `kind` is "user" or "project".

    Raises Forbidden, or BadLimit for a limit that a project cannot have.
    """
    authorise(actor, Action.SET_LIMITS)
    given = {key: value for key, value in asdict(new).items() if value is not None}
    if kind == "project" and given.keys() - {"weight"}:
        raise BadLimit(given=", ".join(sorted(given.keys() - {"weight"})))
    limit = session.get(Limit, (kind, name)) or Limit(kind=kind, name=name)
    for key, value in given.items():
        setattr(limit, key, None if value < 0 and key != "weight" else value)
    session.add(limit)
    session.flush()
    events.record(session, "limits", actor=actor.user, limited=f"{kind} {name}", **given)
    return limit
