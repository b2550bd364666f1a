"""Saved views of a list: everybody's own, viewers' too, for they change nothing of the pool."""

from sqlmodel import Session, col, select

from shared.clock import db_now
from shared.people.actors import Actor
from shared.people.permissions import Action, authorise
from shared.tables import SavedView


def listing(session: Session, page: str, user: str) -> list[SavedView]:
    """Somebody's views of a page, by name."""
    query = select(SavedView).where(SavedView.user == user, SavedView.page == page)
    return list(session.exec(query.order_by(col(SavedView.name))).all())


def keep(session: Session, page: str, name: str, query: str, *, actor: Actor) -> SavedView:
    """Keep one's view under a name; the same name replaces it."""
    authorise(actor, Action.KEEP_VIEW, owner=actor.user)
    now = session.scalar(select(db_now())) or 0.0
    made = SavedView(user=actor.user, page=page, name=name, query=query, created_at=now)
    return session.merge(made)


def forget(session: Session, page: str, name: str, *, actor: Actor) -> None:
    """Drop one's view; one that is gone already stays gone."""
    authorise(actor, Action.KEEP_VIEW, owner=actor.user)
    view = session.get(SavedView, (actor.user, page, name))
    if view is not None:
        session.delete(view)
