"""What a submission would get, before it is made: memory, time, cards, place. Writes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session, col, select

from shared import pool_state
from shared.queueing import AnySpec, Request, draft, require_use_of_cards
from shared.scheduling import Scheduler, Shape
from shared.scheduling.forecast import explain
from shared.tables import Host, Job
from shared.why import WINDOW, Answer, reason_of


@dataclass(frozen=True, kw_only=True)
class Card:
    """A card that could hold the job, were it empty."""

    host: str
    #: Its number on the host; on a host without GPUs, the slot.
    card: int
    #: MiB.
    memory_mb: int
    #: There is room on it at this moment.
    free: bool


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One job as it would be queued now."""

    kind: str
    name: str
    gpus: int
    #: MiB on each card, predicted from spec and base; 0 asks for whole cards.
    vram_mb: int
    #: Seconds that the last ten such jobs took on average; None where there were none.
    seconds: float | None
    #: Names of unfinished jobs it would wait for.
    needs: list[str]
    cards: list[Card]
    #: From 1; None while it waits for others.
    place: int | None
    #: Seconds until it starts, as far as anybody can know.
    starts_in: float | None
    why: Answer


def plan(session: Session, specs: Sequence[AnySpec], request: Request) -> list[Plan]:
    """What submitting these specs now would get; each is looked at as if it came alone.

    Raises what submitting raises: a plan is refused exactly where the submission would be.
    """
    require_use_of_cards(specs, request)
    drafted = draft(session, specs, request)
    now = pool_state.clock(session)
    found = []
    for row, admission in zip(drafted.rows(), drafted.admissions, strict=True):
        job = Job(**row)
        pool = _pool(session, now)
        names = _names(session, admission.needs)
        found.append(_planned(session, pool, job, names, now))
    return found


@dataclass(frozen=True, kw_only=True)
class GridPlan:
    """Jobs that are submitted together, as they would be queued now."""

    jobs: int
    first: Plan
    #: MiB on each card that the least and the most demanding of them is predicted to take.
    least_mb: int
    most_mb: int
    #: Seconds of all of them together times their cards; None where one's time is not known.
    gpu_seconds: float | None
    #: Cards that could hold the most demanding one.
    cards: list[Card]
    #: Place and start of the last one; None while it waits for others, or nobody can know.
    last_place: int | None
    last_starts_in: float | None


def plan_grid(session: Session, specs: Sequence[AnySpec], request: Request) -> GridPlan:
    """What submitting these specs together now would get: each waits for those before it.

    Raises what submitting raises.
    """
    require_use_of_cards(specs, request)
    drafted = draft(session, specs, request)
    now = pool_state.clock(session)
    rows = [Job(**row | drafted.alike) for row in drafted.varied]
    needs = [_names(session, admission.needs) for admission in drafted.admissions]
    first = _planned(session, _pool(session, now), rows[0], needs[0], now)
    pool = _pool(session, now)
    # A card that is taken as a whole holds anything: 0 MiB asks for more than any number.
    largest = max(rows, key=lambda job: job.vram_mb or float("inf"))
    cards = _cards(session, pool, pool_state.as_waiting(largest).shape)
    for row in rows:
        pool.submit(pool_state.as_waiting(row), now)
    last = None if needs[-1] else reason_of(explain(pool, rows[-1].id, now))
    asked = [row.vram_mb for row in rows]
    seconds = [row.expected_seconds * row.gpus for row in rows]
    return GridPlan(
        jobs=len(rows), first=first, least_mb=min(asked), most_mb=max(asked),
        gpu_seconds=sum(seconds) if all(seconds) else None, cards=cards,
        last_place=last.place if last else None, last_starts_in=last.starts_in if last else None,
    )  # fmt: skip


def _pool(session: Session, now: float) -> Scheduler:
    return pool_state.load(session, now, window=WINDOW)


def _planned(session: Session, pool: Scheduler, job: Job, needs: list[str], now: float) -> Plan:
    waiting = pool_state.as_waiting(job)
    cards = _cards(session, pool, waiting.shape)
    if needs:
        why = Answer("needs", {"names": ", ".join(needs)})
    else:
        pool.submit(waiting, now)
        why = reason_of(explain(pool, job.id, now))
    return Plan(
        kind=job.kind, name=job.name, gpus=job.gpus, vram_mb=job.vram_mb,
        seconds=job.expected_seconds or None, needs=needs, cards=cards, place=why.place,
        starts_in=why.starts_in, why=why,
    )  # fmt: skip


def _names(session: Session, needs: set[str]) -> list[str]:
    if not needs:
        return []
    return sorted(session.exec(select(Job.name).where(col(Job.id).in_(sorted(needs)))).all())


def _cards(session: Session, pool: Scheduler, shape: Shape) -> list[Card]:
    """The cards on which the scheduler could ever place a job of that shape."""
    fleet = pool.fleet
    able = fleet.ever(shape)
    memory = {host.name: host.cards for host in session.exec(select(Host)).all()}
    return [
        Card(
            host=host.name,
            card=card,
            memory_mb=memory[host.name][card],
            free=bool(
                fleet.free[row, card] >= shape.vram if shape.vram else fleet.load[row, card] == 0
            ),
        )
        for row, host in enumerate(fleet.hosts)
        for card in range(len(host.totals))
        if able[row] and fleet.total[row, card] >= max(1, shape.vram)
    ]
