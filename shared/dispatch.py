"""The claim path: read the pool, let the scheduler decide, claim what it gave to this host.

Decisions are made one host at a time (a lock that lives as long as the transaction), so limits
and the order of the queue hold exactly; the guard of CLAIM holds in any case.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import bindparam, func, select, text
from sqlmodel import Session, SQLModel

from shared import leases, pool_state
from shared.bulk import is_sqlite
from shared.claims import Choice, Claim
from shared.clock import db_now
from shared.scheduling import Placement, Scheduler
from shared.scheduling.preemption import victims

#: Any fixed number: the key of the planning lock on PostgreSQL.
_PLANNING = 0x706C616E
#: How many jobs of each owner must be left over of those that were read: behind those that do not
#: fit there may be others that do. And how many are read where nobody says how many will start.
BEHIND = 8
FIRST = 10


@dataclass(frozen=True)
class Dispatch:
    """What a look at the queue came to."""

    claims: list[Claim]
    #: Hosts that have room for something: they should look too.
    elsewhere: set[str] = field(default_factory=set)
    #: Another look may find more: a job was gone meanwhile, or an owner has more than were read.
    more: bool = False
    #: What one owner got at most: how many of each are worth reading the next time.
    most: int = 0


@dataclass(frozen=True)
class Turn:
    """It is this host's turn to decide, until its transaction ends."""

    now: float
    accepting: bool
    #: What its row says of cards that cannot be used, and of bases it has at hand.
    closed: list[int]
    bases: list[str]
    #: The pool, with the first so many jobs of each owner.
    pool: list[list[Any]]
    first: int


def dispatch(
    session: Session,
    *,
    host: str,
    device: str,
    lease_seconds: float,
    window: int = 32,
    first: int = FIRST,
    closed: Collection[int] = (),
    turn: Turn | None = None,
) -> Dispatch:
    """Claim every job that should start on this host now. Commit before acting on the claims.

    `window` is how many jobs of each owner are looked at at least; it should be the host's cards.
    The `first` of them are read, and all only where an owner gets so much that those do not do.
    `closed` are cards that something outside the pool holds. Where the first job does not fit, the
    jobs that have to give way to it are asked to. `turn` is what `take_turn` gave, if it was asked.
    """
    window = _size(window)
    turn = turn or take_turn(session, host, first=min(first, window))
    now, first = turn.now, turn.first
    pool = pool_state.pool_of(turn.pool, now, me=host, closed=closed)
    placed, most = _decide(pool, now, host)
    if most >= _alike(first) and window > first:
        pool = pool_state.load(
            session, now, window=window, alike=_alike(window), me=host, closed=closed
        )
        placed, most = _decide(pool, now, host)
    mine = [
        Choice(job_id=each.job.id, cards=each.cards, share=each.share)
        for each in placed
        if each.host == host
    ]
    if pool.reservation is not None:
        for victim in victims(pool, now):
            leases.request_preemption(
                session, victim.job.id, victim.epoch, by=pool.reservation.job_id
            )
    claims = leases.claim(session, mine, host=host, device=device, lease_seconds=lease_seconds)
    more = len(claims) < len(mine) or most >= _alike(window)
    return Dispatch(claims, {each.host for each in placed} - {host}, more, most)


def _decide(pool: Scheduler, now: float, host: str) -> tuple[list[Placement], int]:
    """What shall start in the pool as it stands, and how much one owner gets at most."""
    placed = list(pool.place(now, prefer=host))
    each_gets = Counter(each.job.owner for each in placed)
    return placed, max(each_gets.values(), default=0)


def _size(window: int) -> int:
    """At least so many, of few sizes: each is a statement that is made, sent and planned anew."""
    return FIRST if window <= FIRST else 1 << (window - 1).bit_length()


def _alike(window: int) -> int:
    """How many jobs of one lane are read: where fewer start, the one after them has no room."""
    return max(1, window - BEHIND + 1)


def take_turn(session: Session, host: str, *, first: int = FIRST) -> Turn:
    """Wait for whoever is deciding; the database's time once it is our turn, and the pool then.

    A decider that hangs loses its transaction after 10 s.
    """
    first = _size(first)
    row, pool = pool_state.read_after(
        session, _turn(is_sqlite(session)), window=first, alike=_alike(first), me=host
    )
    return Turn(row.now, bool(row.accepting), row.closed or [], row.bases or [], pool, first)


@cache
def _turn(sqlite: bool) -> Any:
    """SQL: the lock, the time and what is said of the host, whose row only its worker writes."""
    host = SQLModel.metadata.tables["host"].c
    told = [
        select(column).where(host.name == bindparam("me")).scalar_subquery().label(column.name)
        for column in (host.accepting, host.closed, host.bases)
    ]
    if sqlite:  # a writing transaction is alone there anyway
        return select(db_now().label("now"), *told)
    return select(
        func.set_config("idle_in_transaction_session_timeout", "10s", text("true")).label("idle"),
        func.set_config("lock_timeout", "15s", text("true")).label("patience"),
        func.pg_advisory_xact_lock(_PLANNING).label("locked"),
        db_now().label("now"),
        *told,
    )
