"""What a submission would get, before it is made: memory, time, cards, place. Writes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session, col, select

from shared import pool_state
from shared.queueing import AnySpec, Request, draft
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
    drafted = draft(session, specs, request)
    now = pool_state.clock(session)
    found = []
    for row, admission in zip(drafted.rows(), drafted.admissions, strict=True):
        job = Job(**row)
        pool = pool_state.load(session, now, window=WINDOW)
        names = _names(session, admission.needs)
        found.append(_planned(session, pool, job, names, now))
    return found


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
