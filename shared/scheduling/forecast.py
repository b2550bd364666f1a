"""Why a job waits, and when it will start: the same scheduler, asked on a copy of the pool."""

import heapq
from dataclasses import dataclass
from typing import Any, Literal

from shared.scheduling.records import Waiting
from shared.scheduling.scheduler import Scheduler

Reason = Literal[
    "starting", "limit", "no_host", "no_label", "too_many", "too_large", "behind", "room"
]  # fmt: skip
#: Starts that a forecast looks ahead; beyond, a time would be a guess.
_HORIZON = 5_000


@dataclass(frozen=True, slots=True)
class Why:
    """Why a ready job has not started."""

    reason: Reason
    #: Facts of the reason, as its sentence needs them.
    facts: dict[str, Any]
    #: Seconds until it starts; None where nobody can know.
    starts_in: float | None = None


def explain(pool: Scheduler, job_id: str, now: float) -> Why:
    """Why the waiting job has not started. The pool is used up by the answer."""
    job = pool.waiting[job_id]
    ahead = _ahead(pool, job, now)
    facts = _asked(job) | {"ahead": ahead, "free": _free(pool)}
    if not pool.fleet.hosts:
        return Why("no_host", facts)
    if not pool.has_room_ever(job.shape):
        return _never(pool, job, facts)
    first = [placed.job.id for placed in pool.place(now)]
    if job_id in first:
        return Why("starting", facts, 0.0)
    # Asked after that: what starts now may be what its owner's limit is used up by.
    limited = _limited(pool, job)
    starts_in = _simulate(pool, job_id, now)
    if limited:
        return Why("limit", facts | limited, starts_in)
    return Why("behind" if ahead else "room", facts, starts_in)


def _never(pool: Scheduler, job: Waiting, facts: dict[str, Any]) -> Why:
    """Which of its wishes no host meets: the labels, then the number of cards, their memory."""
    able = [job.shape.labels <= host.labels for host in pool.fleet.hosts]
    if not any(able):
        return Why("no_label", facts)
    cards = pool.fleet.total[able]
    most = int((cards > 0).sum(axis=1).max(initial=0))
    if job.shape.gpus > most:
        return Why("too_many", facts | {"most": most})
    return Why("too_large", facts | {"largest": int(cards.max(initial=0))})


def _limited(pool: Scheduler, job: Waiting) -> dict[str, Any]:
    """Which limit of its user it meets, what that allows and what of it is held; empty for none."""
    account = pool.accounts.of(job.owner)
    limit = account.limit(job.shape)
    if not limit:
        return {}
    allowed = {"running": account.allowance.running, "gpus": account.allowance.gpus}.get(limit)
    held = {"running": account.holding.running, "gpus": account.holding.gpus}.get(limit)
    return {"limit": limit, "user": job.owner.user, "allowed": allowed, "held": held}


def _asked(job: Waiting) -> dict[str, Any]:
    shape = job.shape
    return {"gpus": shape.gpus, "vram": shape.vram, "labels": ", ".join(sorted(shape.labels))}


def _free(pool: Scheduler) -> int:
    """Cards with nothing on them."""
    return int(((pool.fleet.load == 0) & (pool.fleet.total > 0)).sum())


def _ahead(pool: Scheduler, job: Waiting, now: float) -> int:
    """How many waiting jobs go before it."""
    mine = pool.lanes.place_of(job, now)
    return sum(pool.lanes.place_of(other, now) < mine for other in pool.waiting.values())


def _simulate(pool: Scheduler, job_id: str, now: float) -> float | None:
    """Let running jobs end as expected until the job starts; None when an end is not known."""
    ends: list[tuple[float, str]] = []
    for running in pool.running.values():
        lasts = _lasts(running.job, now - running.started_at)
        if lasts:
            heapq.heappush(ends, (running.started_at + lasts, running.job.id))
    for _ in range(_HORIZON):
        if not ends:
            return None
        at, ended = heapq.heappop(ends)
        pool.finish(ended, at)
        for placed in pool.place(at):
            if placed.job.id == job_id:
                return at - now
            lasts = _lasts(placed.job, 0.0)
            if lasts:
                heapq.heappush(ends, (at + lasts, placed.job.id))
    return None


def _lasts(job: Waiting, already: float) -> float:
    """Seconds that it will have run at its end, more than `already`; 0 where nobody can know.

    One that takes longer than such jobs did may go on up to its time limit.
    """
    return next((each for each in (job.expected, job.limit) if each > already), 0.0)
