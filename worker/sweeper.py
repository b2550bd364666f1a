"""The pool's housekeeping, done by one host at a time: expire, cancel the hopeless, hint again,
seal the event log."""

import fcntl
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, OperationalError

from shared import audit, db, hopeless, jobs, knowledge, leases
from shared.config import settings
from worker import garbage

logger = logging.getLogger(__name__)
#: Any fixed number: the key of the leader's advisory lock on PostgreSQL.
_LEADER = 0x6C656164


def sweep_until(stop: threading.Event, give_way: Callable[[], object] = lambda: None) -> None:
    """Sweep every few seconds while this host is the leader, until told to stop.

    `give_way` is called now and then where it computes for long.
    """
    collector = garbage.Collector()
    #: Since when the database has answered without a break.
    since = time.monotonic()
    while not stop.is_set():
        try:
            with _leadership() as leads:
                if leads:
                    _sweep_as_leader(stop, collector, since, audit.Sealer(give_way))
            collector.collect(leads=False)
        except (OperationalError, DBAPIError) as away:
            logger.warning("sweeper: database away: %s", away.orig)
            since = time.monotonic()
        stop.wait(settings().sweep_seconds)


def _sweep_as_leader(
    stop: threading.Event, collector: garbage.Collector, since: float, sealer: audit.Sealer
) -> None:
    """Sweep until the database goes away or the host stops.

    Nothing is expired before a whole lease of contact: after an outage every lease has run out,
    and their holders deserve the time to renew. A host that was in contact while another one led
    need not wait again: the last leader may be the very host that was lost.
    """
    while not stop.is_set():
        with db.writing() as session:
            if time.monotonic() - since >= settings().lease_seconds:
                for job_id in leases.expire(session):
                    logger.warning("job %s: lease ran out, queued again", job_id)
            hopeless.cancel_all(session)
            for base in knowledge.listing(session):
                knowledge.retire_due(session, base.name)
        jobs.rehint(settings().rehint_seconds)
        sealer.seal()
        collector.collect(leads=True)
        stop.wait(settings().sweep_seconds)


def leader(engine: Engine) -> str | None:
    """The name of the host that sweeps now, or None."""
    if engine.dialect.name == "sqlite":
        path = _leader_file(engine)
        return path.read_text() if path.exists() else None
    holder = text(
        "select application_name from pg_stat_activity join pg_locks using (pid) "
        "where locktype = 'advisory' and objid = :key and granted"
    )
    with engine.connect() as connection:
        return connection.execute(holder, {"key": _LEADER}).scalar()


def _leader_file(engine: Engine) -> Path:
    """Beside the database: workers of one machine may have data folders of their own."""
    return Path(f"{engine.url.database}.leader")


@contextmanager
def _leadership() -> Iterator[bool]:
    """Whether this process is the one that sweeps; held until the block ends."""
    if db.engine().dialect.name == "sqlite":
        # One machine, but maybe several workers under different names.
        with _leader_file(db.engine()).open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            file.truncate(0)
            file.write(settings().host_name)
            file.flush()
            yield True
            return
    with db.engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        taken = connection.execute(text("select pg_try_advisory_lock(:key)"), {"key": _LEADER})
        if not taken.scalar():
            yield False
            return
        try:
            yield True
        finally:
            # A pooled connection would keep the lock; a closed one cannot, but the server may
            # notice late that it was closed, so it is told first where it can be.
            with suppress(DBAPIError):
                connection.execute(text("select pg_advisory_unlock(:key)"), {"key": _LEADER})
            connection.invalidate()
