"""What somebody is filling in, kept for the next time they open the form, from any browser."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from shared.bulk import is_sqlite
from shared.clock import db_now
from shared.kept import Draft
from shared.people.actors import Actor
from shared.people.permissions import Action, authorise


def of(session: Session, user: str, kind: str) -> Draft | None:
    """Somebody's draft of a kind of job; None where nothing was filled in."""
    return session.get(Draft, (user, kind))


def keep(
    session: Session, kind: str, values: Mapping[str, Any], grid: Mapping[str, Any], *, actor: Actor
) -> None:
    """Keep one's draft of a kind in place of the former one."""
    authorise(actor, Action.KEEP_DRAFT, owner=actor.user)
    row = {"values": dict(values), "grid": dict(grid), "changed_at": db_now()}
    insert = sqlite.insert(Draft) if is_sqlite(session) else postgresql.insert(Draft)
    insert = insert.values(user=actor.user, kind=kind, **row)
    # Two windows of one person may write at the same moment.
    session.connection().execute(
        insert.on_conflict_do_update(index_elements=["user", "kind"], set_=row)
    )
