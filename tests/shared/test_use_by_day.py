"""GPU-hours by day: each day has its part of what ran over midnight."""

from datetime import timedelta

import pytest
from sqlmodel import Session

import filled
from shared import db
from shared.tables import Attempt, JobState
from shared.use_by_day import DAY, by_day, last_days

HOUR = 3600.0


@pytest.fixture
def midnight(database: str) -> float:
    """The last midnight of UTC but one, by the database's clock."""
    with db.reading() as session:
        now: float = session.scalar(filled.select(filled.db_now())) or 0.0
    return now // DAY * DAY - DAY


def ran(
    session: Session, user: str, start: float, end: float | None, *, share: float = 1.0
) -> None:
    """An attempt of that user from `start` to `end`, or one that still runs."""
    job = filled.add_job(session, filled.train_spec(f"{user}-{start}"), start, JobState.QUEUED)
    job.user = user
    spent = 0.0 if end is None else (end - start) * share
    session.add(
        Attempt(
            job_id=job.id, epoch=1, host="h", cards=[0], share=share, started_at=start,
            ended_at=end, outcome=None if end is None else "succeeded", gpu_seconds=spent,
        )
    )  # fmt: skip


def test_what_ran_over_midnight_counts_on_both_days(midnight: float) -> None:
    with db.writing() as session:
        ran(session, "ann", midnight - 2 * HOUR, midnight + HOUR, share=0.5)
        ran(session, "ann", midnight + 3 * HOUR, midnight + 5 * HOUR)
        ran(session, "bo", midnight - 90 * DAY, midnight - 89 * DAY)
    with db.reading() as session:
        found = by_day(session, days=3)
    before, day = sorted({each.day for each in found})
    assert day - before == timedelta(days=1)
    assert [(each.day, each.user, round(each.gpu_hours, 6)) for each in found] == [
        (before, "ann", 1.0),
        (day, "ann", 2.5),
    ]


def test_the_days_are_those_of_the_readers_clock(midnight: float) -> None:
    with db.writing() as session:
        ran(session, "ann", midnight - 2 * HOUR, midnight - HOUR)
    with db.reading() as session:
        (at_greenwich,), (in_china,) = (
            by_day(session, days=5),
            by_day(session, days=5, offset=28800),
        )
    assert in_china.day - at_greenwich.day == timedelta(days=1)


def test_a_running_job_counts_up_to_now_and_a_period_begins_at_midnight(midnight: float) -> None:
    with db.writing() as session:
        ran(session, "ann", midnight - DAY, None)
    with db.reading() as session:
        found = by_day(session, days=2)
    assert found[0].gpu_hours == pytest.approx(24)
    assert len(found) == 2
    assert last_days(found[-1].day, 2) == [each.day for each in found]
