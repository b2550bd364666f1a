"""What a command needs before it may ask the database: who asks, and tables of the right kind."""

from sqlmodel import Session, col, func, select

from shared import schema
from shared.clock import db_now
from shared.hosts import AWAY_SECONDS
from shared.people.actors import local_actor
from shared.tables import Host


def whoami() -> str:
    """The user that submits: GRAFT_USER, else the login name."""
    return local_actor().user


def require_database() -> None:
    """Check the tables' revision; a SQLite file that is not there yet is made.

    Raises SchemaOutdated with the command that mends it.
    """
    schema.ready()


def now(session: Session) -> float:
    """The database's clock."""
    return session.scalar(select(db_now())) or 0.0


def live_hosts(session: Session) -> int:
    """How many hosts have been heard of lately."""
    recent = select(func.count()).select_from(Host)
    return session.scalar(recent.where(col(Host.heartbeat_at) > db_now() - AWAY_SECONDS)) or 0
