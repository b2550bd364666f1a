"""Folders of attempts that nothing can need any more, found and deleted.

Readers follow rows, so a folder without a use is only a waste of disk; what a row may still point
to is never touched.
"""

import logging
import re
import time
from collections.abc import Iterable

from sqlalchemy import case, exists, tuple_
from sqlmodel import Session, col, func, select

from shared import db
from shared.clock import db_now
from shared.config import settings
from shared.errors import StoreAway
from shared.storage import Store, store
from shared.tables import FINAL_STATES, Attempt, Checkpoint, Job, JobState, Outcome

logger = logging.getLogger(__name__)
_ATTEMPT = re.compile(r"a(\d+)")
_AT_ONCE = 200


class Collector:
    """Looks every `garbage_seconds`: each host at its own disk, the leader at the shared store."""

    def __init__(self) -> None:
        self._next = time.monotonic() + settings().garbage_seconds

    def collect(self, *, leads: bool) -> int:
        """Delete what is dead when it is time to look; return how many folders went."""
        if time.monotonic() < self._next:
            return 0
        self._next = time.monotonic() + settings().garbage_seconds
        kept = store()
        try:
            gone = collect_cache(kept) if kept.local is None else 0
            return gone + (collect_store(kept) if leads else 0)
        except StoreAway as away:
            logger.warning("garbage is left for later: %s", away)
            return 0


def collect_store(kept: Store) -> int:
    """Delete dead attempts from the store that all hosts share."""
    found = dead(kept.listing())
    for job_id, epoch in found:
        kept.remove(f"jobs/{job_id}/a{epoch}")
    return len(found)


def collect_cache(kept: Store) -> int:
    """Delete dead attempts from this host's own disk, beside a remote store."""
    here = Store(str(kept.cache), kept.cache)
    return collect_store(here)


def dead(folders: Iterable[tuple[str, str]]) -> list[tuple[str, int]]:
    """Of (job, folder name) pairs, the attempts that nothing can need any more.

    Of a succeeded job: every attempt but the published one. Of a failed or cancelled one: all of
    them, once people had time to look. Of one that goes on: ended attempts without a checkpoint.
    """
    named = [(job, int(found[1])) for job, name in folders if (found := _ATTEMPT.fullmatch(name))]
    over: list[tuple[str, int]] = []
    for start in range(0, len(named), _AT_ONCE):
        part = named[start : start + _AT_ONCE]
        with db.reading() as session:
            over += _dead_of(session, part)
    return over


def _dead_of(session: Session, part: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Read in one statement: between two, an attempt may end, and its job be read as still running.

    Without a row nothing is dead: it may be another database's.
    """
    saved = exists().where(
        col(Checkpoint.job_id) == col(Attempt.job_id), col(Checkpoint.epoch) == col(Attempt.epoch)
    )
    age = db_now() - func.coalesce(col(Job.finished_at), db_now())
    over = case(
        (col(Job.state) == JobState.SUCCEEDED, col(Attempt.epoch) != col(Job.epoch)),
        (col(Job.state).in_(FINAL_STATES), age > settings().keep_failed_seconds),
        else_=~saved,
    )
    found = session.exec(
        select(Attempt.job_id, Attempt.epoch)
        .join(Job, col(Job.id) == col(Attempt.job_id))
        .where(tuple_(col(Attempt.job_id), col(Attempt.epoch)).in_(part))
        .where(col(Attempt.outcome).is_not(None), col(Attempt.outcome) != Outcome.SUCCEEDED, over)
    )
    return sorted((job_id, epoch) for job_id, epoch in found.all())
