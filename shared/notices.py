"""PostgreSQL's own hints: a NOTIFY that names the host which should look at the queue.

Quicker than a message through the broker, and there without one. Like every hint it may be lost:
nobody listens while a connection is being made anew, and workers look by themselves as well.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import func, select
from sqlmodel import SQLModel

from shared import db, trips
from shared.clock import db_now
from shared.config import settings
from shared.leases import RUNNING

#: The channel; the payload is a host's name.
_CHANNEL = "graft_look"
_JOB, _HOST = SQLModel.metadata.tables["job"].c, SQLModel.metadata.tables["host"].c


def send(host: str | None = None) -> bool:
    """Tell this host to look at the queue, or the one with most free slots; False on SQLite.

    One host, not all of them: it places jobs on the others too and then tells those.
    Call it outside of a transaction: a NOTIFY inside one makes all commits wait for each other.
    """
    if db.engine().dialect.name == "sqlite":
        return False
    values = {"lease": settings().lease_seconds} if host is None else {"host": host}
    trips.alone(db.short(), _told(anybody=host is None), values)
    return True


@cache
def _told(*, anybody: bool) -> Any:
    """SQL: the notice, made once."""
    name = _roomiest() if anybody else sa.bindparam("host", type_=sa.String)
    return select(func.pg_notify(_CHANNEL, func.coalesce(name, "")))


def _roomiest() -> Any:
    """SQL: the name of the host with most free slots; NULL where none takes jobs."""
    held = select(_JOB.host, func.count().label("jobs")).where(_JOB.state == RUNNING)
    held = held.group_by(_JOB.host).subquery("held")
    heard = db_now() - sa.bindparam("lease", type_=sa.Float(53))
    return (
        select(_HOST.name)
        .select_from(_HOST.name.table.outerjoin(held, held.c.host == _HOST.name))
        .where(_HOST.accepting, _HOST.heartbeat_at > heard)
        .order_by((_HOST.slots - func.coalesce(held.c.jobs, 0)).desc(), func.random())
        .limit(1)
        .scalar_subquery()
    )


@contextmanager
def listening() -> Iterator[Any]:
    """A connection of its own that hears the notices; read them with `heard`."""
    pooled = db.engine().raw_connection()
    connection: Any = pooled.driver_connection
    # Not for the pool again: it would go on listening.
    pooled.detach()
    try:
        connection.autocommit = True
        connection.execute(f"listen {_CHANNEL}")
        yield connection
    finally:
        connection.close()


def heard(connection: Any, seconds: float) -> bool:
    """Wait this long at most: was this host told to look?"""
    notices = connection.notifies(timeout=seconds, stop_after=1)
    return any(notice.payload == settings().host_name for notice in notices)
