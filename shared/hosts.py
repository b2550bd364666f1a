"""What people do with hosts: look at them, drain them, take them back."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session, col, func, select

from shared import events
from shared.errors import UnknownHost
from shared.people.actors import Actor
from shared.people.permissions import Action, authorise
from shared.tables import Attempt, Host, Job, JobState

#: A host that has not been heard of for this long is taken to be away.
AWAY_SECONDS = 60.0
#: A card that its job has let stand still for this long counts as idle but held.
IDLE_SECONDS = 300.0


@dataclass(frozen=True)
class Busy:
    """A running job on its cards."""

    job: Job
    attempt: Attempt


def standing(host: Host, now: float) -> str:
    """How a host is: up, draining, in trouble, or away."""
    if now - host.heartbeat_at > AWAY_SECONDS:
        return "away"
    if not host.accepting:
        return "draining"
    return "in trouble" if host.trouble else "up"


def find(session: Session, name: str) -> Host:
    """The host of that name. Raises UnknownHost."""
    host = session.get(Host, name)
    if host is None:
        known = session.exec(select(Host.name).order_by(col(Host.name))).all()
        raise UnknownHost(host=name, known=", ".join(known) or "-")
    return host


def drain(session: Session, name: str, *, accepting: bool, actor: Actor) -> Host:
    """Let a host finish what it runs and take nothing new, or take jobs again.

    Raises Forbidden, UnknownHost.
    """
    authorise(actor, Action.DRAIN_HOST)
    host = find(session, name)
    host.accepting = accepting
    if accepting:
        host.trouble = None
    events.record(session, "undrained" if accepting else "drained", actor=actor.user, host=name)
    return host


def busy(session: Session) -> dict[str, list[Busy]]:
    """What runs on each host."""
    query = (
        select(Job, Attempt)
        .join(Attempt, (col(Attempt.job_id) == Job.id) & (col(Attempt.epoch) == Job.epoch))
        .where(Job.state == JobState.RUNNING)
        .order_by(col(Attempt.started_at))
    )
    found: dict[str, list[Busy]] = {}
    for job, attempt in session.exec(query):
        found.setdefault(attempt.host, []).append(Busy(job, attempt))
    return found


def idle_seconds(host: Host, job_id: str) -> float | None:
    """For how long a job has held its cards without use; None while that is no matter."""
    seconds = float(host.idle.get(job_id, 0.0))
    return seconds if seconds >= IDLE_SECONDS else None


def unreserved(host: Host, on_it: Sequence[Busy]) -> list[int]:
    """MiB of each card that no running job has asked for; a job without a number has it whole."""
    free = list(host.cards)
    for each in on_it:
        for card in each.attempt.cards:
            if card < len(free):
                free[card] = max(0, free[card] - (each.job.vram_mb or host.cards[card]))
    return free


def queued_by_user(session: Session) -> list[tuple[str, int]]:
    """How many jobs each user has queued, most first."""
    count = func.count()
    query = select(Job.user, count).where(Job.state == JobState.QUEUED)
    return list(session.exec(query.group_by(col(Job.user)).order_by(count.desc())).all())
