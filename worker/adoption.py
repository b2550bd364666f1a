"""Runners that outlived their worker: found by their traces, and taken over by the next one.

A runner is adopted when the process is the very one that wrote its trace, and the database says
that this host still runs that attempt: the same epoch, not expired meanwhile. Every other one is
killed; its attempt could publish nothing any more.
"""

import logging
import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import tuple_
from sqlmodel import Session, col, select

from shared import events
from shared.claims import Claim
from shared.config import settings
from shared.orders import WorkOrder
from shared.storage import store
from shared.tables import Attempt, Job, JobState
from worker.runners import Runner
from worker.traces import Identity, Trace, traces

logger = logging.getLogger(__name__)
#: How long a runner that was just forked may take to say who it is, and a zygote how one ended.
_PATIENCE = 5.0
_GLANCE = 0.05


class Adopted(Runner):
    """A runner that an earlier worker of this host started; it may have ended meanwhile."""

    def __init__(
        self, trace: Trace, order: WorkOrder, who: Identity | None, taken: dict[str, int]
    ) -> None:
        super().__init__(who.pid if who is not None else 0)
        self.trace = trace
        self.order = order
        #: How much of its trace's files an earlier worker has written to the database.
        self.taken = taken
        self._who = who

    def alive(self) -> bool:
        """Does it still run?"""
        return self._who is not None and self._who.alive()

    def age(self) -> float:
        """Seconds since it was started."""
        return self._who.age() if self._who is not None else 0.0

    def signal(self, number: int) -> None:
        """Send a signal to its process group, unless it has ended."""
        if self.alive():
            super().signal(number)

    def wait(self, timeout: float) -> int | None:
        """Its exit code; a killed one's where its zygote, killed too, could not say."""
        until = time.monotonic() + timeout
        while self.alive():
            if time.monotonic() >= until:
                return None
            time.sleep(min(_GLANCE, timeout))
        _wait(lambda: self.trace.code() is not None or not self.trace.held(), _PATIENCE)
        code = self.trace.code()
        return -signal.SIGKILL if code is None else code


def folder() -> Path:
    """Where this host's attempts leave their traces; never on a disk that hosts share."""
    return settings().root / "run" / f"attempts-{settings().host_name}"


def trace_of(job_id: str, epoch: int) -> Trace:
    """The trace of an attempt on this host."""
    return Trace(folder() / f"{job_id}.a{epoch}")


def left_behind() -> list[Trace]:
    """What earlier workers of this host left.

    A runner that was forked in the moment in which its worker died gets the time to say who it is.
    """
    found = list(traces(folder()))
    for trace in found:
        _wait(lambda trace=trace: trace.identify() is not None or not trace.held(), _PATIENCE)
    return found


def adopt(session: Session, left: Iterable[Trace]) -> list[tuple[Claim, Adopted]]:
    """Those of the attempts that still are this host's, and their runners.

    A runner that has ended counts when it came to say how: what it made can be published.
    """
    found = {trace.key: trace for trace in left}
    if not found:
        return []
    rows = session.exec(
        select(Job, Attempt)
        .join(
            Attempt, (col(Attempt.job_id) == col(Job.id)) & (col(Attempt.epoch) == col(Job.epoch))
        )
        .where(Job.state == JobState.RUNNING, Job.host == settings().host_name)
        .where(tuple_(col(Job.id), col(Job.epoch)).in_(list(found)))
    )
    adopted = []
    for job, attempt in rows:
        runner = _runner(found[job.id, job.epoch], attempt)
        if runner is not None:
            adopted.append((_claim(job, attempt), runner))
            events.record(
                session, "adopted", actor=settings().host_name, job=job.id, epoch=job.epoch
            )
    return adopted


def _runner(trace: Trace, attempt: Attempt) -> Adopted | None:
    who = _identified(trace)
    if who is None and trace.final() is None:
        return None
    path = store().attempt_folder(attempt.job_id, attempt.epoch) / "order.json"
    try:
        order = WorkOrder.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as wrong:
        logger.warning("job %s: its runner is not adopted: %s", attempt.job_id, wrong)
        return None
    return Adopted(trace, order, who, attempt.taken or {})


def _claim(job: Job, attempt: Attempt) -> Claim:
    return Claim(
        job_id=job.id, epoch=job.epoch, host=attempt.host, cards=tuple(attempt.cards),
        kind=job.kind, name=job.name, spec=job.spec, shares_cards=job.vram_mb > 0,
    )  # fmt: skip


def _identified(trace: Trace) -> Identity | None:
    """The attempt's living runner: its lock is held, and the process is the one that said so."""
    who = trace.identify()
    return who if who is not None and trace.held() and who.alive() else None


def discard(left: Iterable[Trace]) -> None:
    """Kill what of these still runs, and forget them."""
    for trace in left:
        who = _identified(trace)
        if who is not None:
            logger.warning("the runner of job %s, attempt %d, lost its lease; killed", *trace.key)
            with suppress(ProcessLookupError):
                os.killpg(who.pid, signal.SIGKILL)
        trace.remove()


def children() -> list[psutil.Process]:
    """This process's children: before it started any, those of the program it was before."""
    return psutil.Process().children()


def bury(inherited: list[psutil.Process]) -> list[psutil.Process]:
    """Reap the inherited children that have ended; the others."""
    alive = []
    for child in inherited:
        with suppress(ChildProcessError):
            if os.waitpid(child.pid, os.WNOHANG) == (0, 0):
                alive.append(child)
    return alive


def _wait(met: Any, seconds: float) -> None:
    until = time.monotonic() + seconds
    while not met() and time.monotonic() < until:
        time.sleep(_GLANCE)
