"""The five transitions, on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlmodel import Session

from pools import add_job, age_lease, claim_next
from shared import db, hopeless, leases
from shared.claims import Claim
from shared.errors import HostLost, explain
from shared.tables import Attempt, Checkpoint, Job, JobDependency, JobState, Outcome


@pytest.fixture
def session(database: str) -> Iterator[Session]:
    with Session(db.engine(), expire_on_commit=False) as session:
        yield session


def take(session: Session, host: str = "gpu-1") -> Claim | None:
    claim = claim_next(session, host)
    session.commit()
    return claim


def claimed(session: Session) -> Claim:
    claim = take(session)
    assert claim is not None
    return claim


def state_of(session: Session, job_id: str) -> str:
    session.expire_all()
    job = session.get(Job, job_id)
    assert job is not None
    return job.state


def test_a_claim_raises_the_epoch_and_records_an_attempt(session: Session) -> None:
    job = add_job(session)
    claim = claimed(session)
    assert (claim.job_id, claim.epoch) == (job.id, 1)
    assert state_of(session, job.id) == JobState.RUNNING
    assert session.get(Attempt, (job.id, 1)) is not None
    assert take(session) is None


def test_higher_priority_goes_first_then_first_come_first_served(session: Session) -> None:
    for name, priority, created in (("late", 5, 3.0), ("early", 5, 1.0), ("urgent", 9, 9.0)):
        add_job(session, name=name, priority=priority, created_at=created)
    order = [claimed(session).name for _ in range(3)]
    assert order == ["urgent", "early", "late"]


def test_two_hosts_never_claim_the_same_job(database: str) -> None:
    with Session(db.engine()) as session:
        for number in range(20):
            add_job(session, name=f"job-{number}")

    def claim_all(host: str) -> list[str]:
        mine = []
        with Session(db.engine()) as session:
            while (claim := take(session, host)) is not None:
                mine.append(claim.job_id)
        return mine

    with ThreadPoolExecutor(4) as threads:
        taken = [job for mine in threads.map(claim_all, "abcd") for job in mine]
    assert len(taken) == len(set(taken)) == 20


def test_a_commit_with_an_old_epoch_changes_nothing(session: Session) -> None:
    job = add_job(session)
    old = claimed(session)
    age_lease(session, job.id, 120)
    assert leases.expire(session) == [job.id]
    session.commit()
    new = claimed(session)
    assert new.epoch == old.epoch + 1
    assert leases.commit(session, old, Outcome.SUCCEEDED) is None
    session.rollback()
    assert state_of(session, job.id) == JobState.RUNNING
    assert leases.commit(session, new, Outcome.SUCCEEDED) is JobState.SUCCEEDED


def test_a_second_commit_of_the_same_attempt_changes_nothing(session: Session) -> None:
    add_job(session)
    claim = claimed(session)
    assert leases.commit(session, claim, Outcome.SUCCEEDED) is JobState.SUCCEEDED
    session.commit()
    assert leases.commit(session, claim, Outcome.FAILED) is None


def test_a_renewed_lease_does_not_expire_and_an_old_holder_is_told(session: Session) -> None:
    job = add_job(session)
    claim = claimed(session)
    age_lease(session, job.id, 50)
    assert leases.renew(session, [claim], 60) == {(job.id, 1)}
    session.commit()
    age_lease(session, job.id, 50)
    assert leases.expire(session) == []
    session.commit()
    age_lease(session, job.id, 50)
    assert leases.expire(session) == [job.id]
    session.commit()
    assert leases.renew(session, [claim], 60) == set()


def test_an_expired_attempt_says_that_its_host_was_lost(session: Session) -> None:
    job = add_job(session)
    claimed(session)
    age_lease(session, job.id, 61)
    leases.expire(session)
    session.commit()
    attempt = session.get(Attempt, (job.id, 1))
    assert attempt is not None
    assert attempt.outcome == Outcome.LOST
    assert explain(attempt.error) == HostLost(host="gpu-1").message()


def test_a_job_that_keeps_losing_its_host_fails_in_the_end(session: Session) -> None:
    job = add_job(session)
    for _ in range(leases.MAX_LOST):
        assert state_of(session, job.id) == JobState.QUEUED
        claimed(session)
        age_lease(session, job.id, 61)
        leases.expire(session)
        session.commit()
    assert state_of(session, job.id) == JobState.FAILED
    assert "gpu-1" in explain(session.get_one(Job, job.id).error)


def test_a_queued_job_is_cancelled_at_once_a_running_one_is_asked(session: Session) -> None:
    first, second = add_job(session, created_at=1.0), add_job(session, created_at=2.0)
    claim = claimed(session)
    assert leases.cancel(session, first.id, actor="ann") is JobState.RUNNING
    assert leases.cancel(session, second.id, actor="ann") is JobState.CANCELLED
    assert leases.commit(session, claim, Outcome.STOPPED) is JobState.CANCELLED
    session.commit()
    assert leases.cancel(session, first.id, actor="ann") is None


def test_a_job_waits_for_those_it_needs(session: Session) -> None:
    needed, waiting = add_job(session, created_at=2.0), add_job(session, created_at=1.0)
    session.add(JobDependency(job_id=waiting.id, needs_id=needed.id))
    session.commit()
    claim = claimed(session)
    assert claim.job_id == needed.id
    assert take(session) is None
    leases.commit(session, claim, Outcome.SUCCEEDED)
    session.commit()
    assert claimed(session).job_id == waiting.id


def test_a_job_whose_need_failed_is_cancelled_and_says_why(session: Session) -> None:
    needed, waiting = add_job(session, name="donor"), add_job(session)
    session.add(JobDependency(job_id=waiting.id, needs_id=needed.id))
    session.commit()
    leases.commit(session, claimed(session), Outcome.FAILED)
    assert hopeless.cancel_all(session) == [waiting.id]
    session.commit()
    assert state_of(session, waiting.id) == JobState.CANCELLED
    assert "donor" in explain(session.get_one(Job, waiting.id).error, "zh")


def test_failures_without_a_checkpoint_count_those_with_one_do_not(session: Session) -> None:
    job = add_job(session, max_attempts=2)
    first = claimed(session)
    session.add(Checkpoint(job_id=job.id, epoch=first.epoch, step=1, uri="x"))
    session.commit()
    assert leases.commit(session, first, Outcome.RETRY) is JobState.QUEUED
    session.commit()
    assert leases.commit(session, claimed(session), Outcome.RETRY) is JobState.QUEUED
    session.commit()
    assert leases.commit(session, claimed(session), Outcome.RETRY) is JobState.FAILED


def test_a_retry_waits_for_its_backoff(session: Session) -> None:
    add_job(session)
    assert leases.commit(session, claimed(session), Outcome.RETRY, retry_in=60) is JobState.QUEUED
    session.commit()
    assert take(session) is None
