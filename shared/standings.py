"""Who uses the pool: each owner's queue, GPU-hours and place in the fair share."""

from collections import Counter
from dataclasses import dataclass

from sqlmodel import Session, col, func, select

from shared import pool_state, usage
from shared.tables import Job, JobState

PERIOD = 30 * 86400.0


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One user of one project."""

    #: From 1: whose job goes first at equal priority; among people without any use, by name.
    place: int
    project: str
    user: str
    queued: int
    running: int
    #: GPU-hours of the last 30 days, those of running jobs included.
    gpu_hours: float
    #: GPU-hours that count for fair share: decayed, divided by the weight.
    counted: float


def standings(session: Session) -> list[Standing]:
    """Everybody who ever submitted, who goes first at the head."""
    now = pool_state.clock(session)
    accounts = pool_state.load(session, now, window=1).accounts
    used = {(u.project, u.user): u for u in usage.account(session, since=now - PERIOD)}
    queued, running = (_count(session, state) for state in (JobState.QUEUED, JobState.RUNNING))
    order = sorted(
        accounts.accounts.items(),
        key=lambda each: (
            accounts.project_share(each[0].project), each[0].project, each[1].share, each[0].user
        ),
    )  # fmt: skip
    found = []
    for place, (owner, account) in enumerate(order, 1):
        key = (owner.project, owner.user)
        found.append(
            Standing(
                place=place, project=owner.project, user=owner.user, queued=queued[key],
                running=running[key],
                gpu_hours=used[key].gpu_seconds / 3600 if key in used else 0.0,
                counted=account.share / 3600,
            )
        )  # fmt: skip
    return found


def _count(session: Session, state: JobState) -> Counter[tuple[str, str]]:
    query = select(Job.project, Job.user, func.count()).where(Job.state == state)
    rows = session.exec(query.group_by(col(Job.project), col(Job.user))).all()
    return Counter({(project, user): count for project, user, count in rows})
