"""Specs saved under a name, for oneself or for the team, to begin a submission with."""

from collections.abc import Mapping
from typing import Any

from sqlmodel import Session, col, or_, select

from shared.clock import db_now
from shared.errors import InvalidSpec, both
from shared.kept import SavedSpec
from shared.people.actors import Actor
from shared.people.permissions import Action, authorise

#: Characters of a name.
LONGEST = 60


def listing(session: Session, user: str, kind: str) -> list[SavedSpec]:
    """The specs of a kind that somebody may load: their own first, then the team's, by name."""
    mine = or_(SavedSpec.user == user, col(SavedSpec.team))
    found = session.exec(select(SavedSpec).where(SavedSpec.kind == kind, mine)).all()
    return sorted(found, key=lambda each: (each.user != user, each.name.lower(), each.user))


def find(session: Session, owner: str, name: str, *, actor: Actor) -> SavedSpec:
    """A saved spec that somebody may load. Raises InvalidSpec where there is none."""
    found = session.get(SavedSpec, (owner, name))
    if found is None or not (found.team or found.user == actor.user):
        problem = both(f'no saved spec is called "{name}"', f"没有名为“{name}”的已存规格")
        raise InvalidSpec(field="name", problem=problem)
    return found


def keep(
    session: Session, name: str, kind: str, values: Mapping[str, Any], grid: Mapping[str, Any], *,
    team: bool = False, actor: Actor,
) -> SavedSpec:  # fmt: skip
    """Save values of a spec; one's own spec of the same name is replaced.

    Raises InvalidSpec for a name that is empty or too long, and Forbidden.
    """
    authorise(actor, Action.SAVE_SPEC)
    if not 0 < len(name) <= LONGEST:
        problem = both(f"1 to {LONGEST} characters", f"须为 1 到 {LONGEST} 个字符")
        raise InvalidSpec(field="name", problem=problem)
    now = session.scalar(select(db_now())) or 0.0
    made = SavedSpec(
        user=actor.user, name=name, kind=kind, values=dict(values), grid=dict(grid), team=team,
        created_at=now,
    )  # fmt: skip
    return session.merge(made)


def forget(session: Session, owner: str, name: str, *, actor: Actor) -> None:
    """Delete a saved spec; one that is gone already stays gone. Raises Forbidden."""
    authorise(actor, Action.FORGET_SPEC, owner=owner)
    found = session.get(SavedSpec, (owner, name))
    if found is not None:
        session.delete(found)
