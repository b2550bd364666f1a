"""The pool's housekeeping, done by one host at a time: expire, cancel the hopeless, hint again."""

import fcntl
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError

from shared import db, jobs, leases
from shared.config import settings

logger = logging.getLogger(__name__)
#: Any fixed number: the key of the leader's advisory lock on PostgreSQL.
_LEADER = 0x6C656164


def sweep_until(stop: threading.Event) -> None:
    """Sweep every few seconds while this host is the leader, until told to stop."""
    while not stop.is_set():
        try:
            with _leadership() as leader:
                if leader:
                    _sweep_as_leader(stop)
        except (OperationalError, DBAPIError) as away:
            logger.warning("sweeper: database away: %s", away.orig)
        stop.wait(settings().sweep_seconds)


def _sweep_as_leader(stop: threading.Event) -> None:
    """Sweep until the database goes away or the host stops.

    Nothing is expired before a whole lease of contact: after an outage every lease has run out,
    and their holders deserve the time to renew.
    """
    since = time.monotonic()
    while not stop.is_set():
        with db.writing() as session:
            if time.monotonic() - since >= settings().lease_seconds:
                for job_id in leases.expire(session):
                    logger.warning("job %s: lease ran out, queued again", job_id)
            leases.cancel_hopeless(session)
        jobs.rehint(settings().rehint_seconds)
        stop.wait(settings().sweep_seconds)


@contextmanager
def _leadership() -> Iterator[bool]:
    """Whether this process is the one that sweeps; held until the block ends."""
    if db.engine().dialect.name == "sqlite":
        # One host, but maybe several workers under different names.
        with (settings().root / "run" / "leader.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
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
            # A pooled connection would keep the lock; a closed one cannot.
            connection.invalidate()
