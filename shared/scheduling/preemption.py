"""Whom the first job of the queue may stop, so that it can start."""

from collections.abc import Iterable

from shared.scheduling.records import Running, Waiting
from shared.scheduling.scheduler import Scheduler


def victims(pool: Scheduler, now: float) -> list[Running]:
    """The jobs to stop for the job that holds the pool's reservation; empty where none helps.

    A preemptible job gives way to any that is not; any job gives way to a higher priority once
    it has run for the guaranteed time. As few as possible, preemptible and low ones first, and of
    those the ones that started last. Jobs that were asked before count as gone, so that nobody is
    asked twice for one start.
    """
    if pool.reservation is None:
        return []
    head = pool.waiting[pool.reservation.job_id]
    best: list[Running] | None = None
    for number, able in enumerate(pool.fleet.ever(head.shape)):
        if not able:
            continue
        found = _on_host(pool, pool.fleet.hosts[number].name, number, head, now)
        if found is not None and (best is None or _cost(found) < _cost(best)):
            best = found
    return best or []


def _cost(found: list[Running]) -> tuple[int, int]:
    return (sum(not each.job.preemptible for each in found), len(found))


def outranks(head: Waiting, other: Running, now: float, guaranteed: float) -> bool:
    """May `head` stop that job?"""
    if other.job.preemptible:
        return not head.preemptible or head.priority > other.job.priority
    if head.preemptible:
        return False
    return head.priority > other.job.priority and now - other.started_at >= guaranteed


def _on_host(
    pool: Scheduler, host: str, number: int, head: Waiting, now: float
) -> list[Running] | None:
    """The fewest jobs of this host whose end makes room; None where all of them would not."""
    leaving = [each for each in pool.jobs_on(host) if each.preempting]
    allowed = [
        each
        for each in pool.jobs_on(host)
        if not each.preempting and outranks(head, each, now, pool.rules.guaranteed)
    ]
    allowed.sort(key=lambda run: (not run.job.preemptible, run.job.priority, -run.started_at))
    chosen: list[Running] = []
    for each in allowed:
        if _fits_without(pool, number, head, [*leaving, *chosen]):
            break
        chosen.append(each)
    if not _fits_without(pool, number, head, [*leaving, *chosen]):
        return None
    for each in list(chosen):
        rest = [other for other in chosen if other is not each]
        if _fits_without(pool, number, head, [*leaving, *rest]):
            chosen = rest
    return chosen


def _fits_without(pool: Scheduler, host: int, head: Waiting, gone: Iterable[Running]) -> bool:
    """Would the job fit on that host without those?"""
    taken = [(run, card) for run in gone for card in run.cards]
    room = 0
    for card in range(len(pool.fleet.hosts[host].totals)):
        total = int(pool.fleet.total[host, card])
        leave = [run for run, at in taken if at == card]
        free = int(pool.fleet.free[host, card]) + sum(
            pool.fleet.held(host, card, run.job.shape) for run in leave
        )
        empty = int(pool.fleet.load[host, card]) == len(leave)
        fits = free >= head.shape.vram if head.shape.vram else empty
        room += bool(total and fits)
    return room >= head.shape.gpus
