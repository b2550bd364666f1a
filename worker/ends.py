"""Ends attempts: those of one host that end while a commit is under way go with the next one.

A commit waits for the disk, and holds its owners' accounts meanwhile; one for each attempt would
let a host, and an owner, end no more than the disk can write.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from shared import db, leases
from shared.claims import Claim, Ending
from shared.tables import JobState, Outcome
from worker.verdicts import Verdict

logger = logging.getLogger(__name__)
#: Attempts of one transaction.
_MOST = 64


def _nothing(_: Session) -> None:
    """It made nothing."""


def _at_once(_: Session, _outcome: Outcome) -> float:
    return 0.0


@dataclass(eq=False)
class End:
    """An attempt that is over, and what belongs into the transaction that says so."""

    claim: Claim
    verdict: Verdict
    #: Seconds until the job may be tried again.
    retry_in: Callable[[Session, Outcome], float] = _at_once
    #: Writes what it made; only where the attempt still holds its job.
    publish: Callable[[Session], None] = _nothing
    state: JobState | None = None
    #: The database did not answer: nothing was written.
    away: OperationalError | None = None
    #: Those it was to be committed with failed: from now on it stands for itself.
    alone: bool = False
    done: threading.Event = field(default_factory=threading.Event)


class Ends:
    """Commits the attempts of a host, as many at once as are waiting."""

    def __init__(self) -> None:
        #: Whoever writes the rows of this host's running jobs: two that lock many of them, in
        #: whatever order, would wait for each other. Renewing takes it too.
        self.writing = threading.Lock()
        self._waiting: list[End] = []
        self._guard = threading.Lock()

    def commit(self, end: End) -> JobState | None:
        """End this attempt; the job's new state, or None when the lease was lost.

        Raises what its transaction raised; nothing of it was written then.
        """
        with self._guard:
            self._waiting.append(end)
        with self.writing:
            while not end.done.is_set():
                group = [end] if end.alone else self._take()
                if len(group) > 1:
                    _commit_together(group)
                else:
                    _commit(group)
        if end.away is not None:
            raise end.away
        return end.state

    def _take(self) -> list[End]:
        with self._guard:
            group, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
        return group


def _commit_together(group: list[End]) -> None:
    """Commit them; where one of them cannot be, none is, and each is tried by its own thread."""
    try:
        _commit(group)
    except OperationalError as wrong:
        for end in group:
            # Without a code it is no refusal: nobody answered.
            if getattr(wrong.orig, "sqlstate", None) is None:
                end.away = wrong
                end.done.set()
            end.alone = True
    except Exception:
        logger.exception("%d attempts could not be ended together", len(group))
        for end in group:
            end.alone = True


def _commit(group: list[End]) -> None:
    states = _transaction(group)
    for end, state in zip(group, states, strict=True):
        end.state = state
        end.done.set()


def _transaction(group: list[End]) -> list[JobState | None]:
    with db.writing() as session:
        endings = [
            Ending(
                claim=end.claim,
                outcome=end.verdict.outcome,
                error=end.verdict.error,
                retry_in=end.retry_in(session, end.verdict.outcome),
            )
            for end in group
        ]
        states = leases.commit_all(session, endings)
        for end, state in zip(group, states, strict=True):
            if state is not None:
                end.publish(session)
    return states
